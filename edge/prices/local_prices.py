"""Price books that come by files: the store's own prices beside the hub's (DESIGN.md section 8, retail.md 1.2).

What is in force stands in `ledger.db` and, as entries called `local/BOOK/…`, in the replica's price list, where
selection, claims, labels and tills find them like any other price. A file comes into force whole or not at all; what
the guard holds waits on the page of held prices. Big books are read and written in slices, so that tills are answered
in between.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TypeVar

import msgspec
import structlog

from cloud_sync.contract.documents import LOCAL_PRICES, Price
from edge.db import local_prices, replica
from edge.db.local_prices import Change
from edge.db.queries import LEDGER, REPLICA
from edge.domain.local_book import book_prefix, id_without_dates, put_in
from edge.domain.pricing import Move, PriceEntry, guard
from edge.errors import Corrupt, Rejected, Transient
from edge.limits import LOCAL_PRICES_AT_ONCE, LOCAL_PRICES_LOOK_S, LOCAL_PRICES_MAX, WRITE_TROUBLE_PAUSE_S
from edge.store import Store, Topic

_log = structlog.get_logger(__name__)
_BEHIND_ALL = LOCAL_PRICES[:-1] + "0"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Price).decode

_Thing = TypeVar("_Thing")
_Book = dict[str, dict[str, Price]]
"""SKU → entry id → price."""


@dataclass(slots=True)
class PriceList:
    """What a file says. `rows`: by SKU its prices by entry id; `goes`: by SKU the ids that go, none for all of them;
    `unusable`: SKUs that it names with a price that is none, so that nothing is known of them; `whole`: it has all."""

    whole: bool
    rows: _Book = field(default_factory=dict)
    goes: dict[str, set[str]] = field(default_factory=dict)
    unusable: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Took:
    """What became of a file, in prices. `held`: wait for a supervisor because of `reason`."""

    put: int
    gone: int
    held: int
    reason: str


@dataclass(frozen=True, slots=True)
class _Step:
    """One change with its SKU; `price_minor` is `None` where it goes."""

    sku: str
    change: Change
    price_minor: int | None


class LocalPrices:
    """All books of the store, one file at a time. `run` is a part for the supervisor."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = asyncio.Lock()
        self._restored = False
        self.progress = 0

    async def run(self) -> None:
        """See to it that the price list has what the books have: after a start, and now and then."""
        while True:
            self.progress += 1
            try:
                async with self._lock:
                    await self._restore()
                pause_s = LOCAL_PRICES_LOOK_S
            except (Transient, Corrupt) as trouble:
                _log.error("local prices wait: the books cannot be written", reason=str(trouble))
                pause_s = WRITE_TROUBLE_PAUSE_S
            await asyncio.sleep(pause_s)

    def books(self) -> list[str]:
        """Names of the books that have prices in force."""
        reader = self._store.books.ledger_reader
        return [row.book for row in local_prices.books(reader)
                if reader.execute(LEDGER.local_prices_from, (*local_prices.span_of(row.book), 1)).fetchone()]

    async def take(self, book: str, said: PriceList) -> Took:
        """Put a file's prices in force, all of them or nothing, but for those that the guard holds.

        Raises `Rejected` for a book that would become too long, `Transient` and `Corrupt` of the writers.
        """
        async with self._lock:
            if not self._restored:
                await self._restore()
            before = await self._book(book)
            after = await self._after(before, said)
            if (count := sum(map(len, after.values()))) > LOCAL_PRICES_MAX:
                raise Rejected(f"the price book would have {count} prices, at most {LOCAL_PRICES_MAX}: nothing of "
                               "the file is in force")
            version = local_prices.version_of(self._store.books.ledger_reader, book) + 1
            steps = await _steps(before, after, version)
            held, reason = await self._guarded(steps, _share_gone(before, after) if said.whole else "")
            await self._supersede(book, said)
            await self._hold(hashlib.sha256(self._store.mint().encode()).hexdigest(), reason, held)
            asked = {step.change[0] for step in held}
            free = [step.change for step in steps if step.change[0] not in asked]
            await self._put_in_force(book, version, free)
            gone = sum(doc is None for *_, doc in free)
            return Took(len(free) - gone, gone, len(held), reason)

    def holds(self, digest: str) -> bool:
        """Whether a held batch is of these books."""
        row = self._store.books.replica_reader.execute(REPLICA.a_held_id, (digest,)).fetchone()
        return row is not None and str(row[0]).startswith(LOCAL_PRICES)

    async def release(self, digest: str, approved: bool) -> set[str]:
        """Carry out a person's decision, which is durable; returns the SKUs whose list price changed."""
        async with self._lock:
            return await self._release(digest, approved)

    async def _release(self, digest: str, approved: bool) -> set[str]:
        held: list[Change] = []
        while rows := self._store.books.replica_reader.execute(
                REPLICA.held_prices_from, (digest, held[-1][0] if held else "", LOCAL_PRICES_AT_ONCE)).fetchall():
            held += rows
            await asyncio.sleep(0)
        skus: set[str] = set()
        if held and approved:
            book = held[0][0].removeprefix(LOCAL_PRICES).partition("/")[0]
            newest = local_prices.version_of(self._store.books.ledger_reader, book)
            skus = await self._put_in_force(book, max(newest, *(version for _, version, _ in held)), held)
        await self._drop_held([key for key, *_ in held])
        return skus

    # --- working a file out -----------------------------------------------------------------------------------

    async def _book(self, book: str) -> _Book:
        found: _Book = {}
        for rows in local_prices.prices_in_slices(self._store.books.ledger_reader, *local_prices.span_of(book)):
            for key, _, doc in rows:
                price = _decode(doc)
                found.setdefault(price.sku, {})[key] = price
            await asyncio.sleep(0)
        return found

    async def _after(self, before: _Book, said: PriceList) -> _Book:
        put = partial(put_in, now_ms=self._store.clock.wall_ms(), trusted=self._store.clock.trusted)
        after = {sku: dict(entries) for sku, entries in before.items() if not said.whole or sku in said.unusable}
        for number, (sku, goes) in enumerate(said.goes.items()):
            entries = {key: price for key, price in after.get(sku, {}).items() if goes and key not in goes}
            after[sku] = put(entries, (), whole=False)
            await _breathe(number)
        for number, (sku, rows) in enumerate(said.rows.items()):
            after[sku] = put(after.get(sku, {}), rows.items(), whole=said.whole)
            await _breathe(number)
        return {sku: entries for sku, entries in after.items() if entries}

    async def _guarded(self, steps: Sequence[_Step], gone: str) -> tuple[list[_Step], str]:
        """Which steps wait for a person, and why."""
        if gone:
            return list(steps), gone
        reader, moves = self._store.books.replica_reader, list[Move]()
        for part in _slices(steps):
            moves += replica.local_moves(reader, {step.change[0]: (step.sku, step.price_minor) for step in part})
            await asyncio.sleep(0)
        priced = reader.execute(REPLICA.list_price_count).fetchone()[0]
        verdict = guard(moves, priced, self._store.policy)
        return [step for step in steps if step.sku in verdict.held_skus], verdict.reason

    # --- writing ----------------------------------------------------------------------------------------------

    async def _supersede(self, book: str, said: PriceList) -> None:
        """What waits of an older file is settled by this one, as far as this one speaks of it."""
        rows = self._store.books.replica_reader.execute(REPLICA.held_ids_between, local_prices.span_of(book)).fetchall()
        named = {f"{book_prefix(book)}{sku}" for sku in (*said.rows, *said.goes)}
        await self._drop_held([key for (key,) in rows if said.whole or key in named or id_without_dates(key) in named])

    async def _hold(self, digest: str, reason: str, steps: Sequence[_Step]) -> None:
        now_ms = self._store.clock.wall_ms()
        for part in _slices(steps):
            await self._store.books.replica.submit(partial(
                replica.hold_local, digest=digest, reason=reason, now_ms=now_ms,
                changes=[step.change for step in part]))
        if steps:
            self._store.tell(Topic.ISSUE)

    async def _drop_held(self, keys: Sequence[str]) -> None:
        for part in _slices(keys):
            await self._store.books.replica.submit(partial(replica.drop_held, keys=part))
        if keys:
            await self._store.books.replica.submit(replica.drop_empty_batches)

    async def _put_in_force(self, book: str, version: int, changes: Sequence[Change]) -> set[str]:
        """Written down first, then sealed in one stroke, then moved over: a stop in between loses and doubles nothing.
        """
        self._store.disk.must_take_facts()
        ledger = self._store.books.ledger
        await ledger.submit(partial(local_prices.drop_changes, book=book))
        if not changes:
            return set()
        for part in _slices(changes):
            await ledger.submit(partial(local_prices.write_changes, changes=part))
        await ledger.submit(partial(local_prices.seal, book=book, version=version))
        return await self._move_over(book)

    async def _move_over(self, book: str) -> set[str]:
        skus: set[str] = set()
        while changes := await self._store.books.ledger.submit(partial(local_prices.move_over, book=book)):
            skus |= await self._project({key: None if doc is None else replica.price_entry(key, version, doc)
                                         for key, version, doc in changes})
        return skus

    async def _project(self, entries: Mapping[str, PriceEntry | None]) -> set[str]:
        moment = self._store.moment()
        skus = await self._store.books.replica.submit(lambda c: replica.apply_local(c, entries, moment))
        if skus:
            self._store.tell(Topic.PRICES, *skus)
        await asyncio.sleep(0)
        return skus

    # --- after a start ----------------------------------------------------------------------------------------

    async def _restore(self) -> None:
        """Finish what a stop broke off, and give a price list that was built anew the entries it lacks."""
        books = self._store.books
        for row in local_prices.books(books.ledger_reader):
            if row.sealed:
                await self._move_over(row.book)
        batches = books.replica_reader.execute(REPLICA.local_held_batches, (LOCAL_PRICES, _BEHIND_ALL)).fetchall()
        for (digest,) in batches:
            decided = books.ledger_reader.execute(LEDGER.guard_decision, (digest,)).fetchone()
            if decided is not None:
                await self._release(digest, bool(decided[0]))
        await self._compare()
        self._restored = True

    async def _compare(self) -> None:
        first, books = LOCAL_PRICES, self._store.books
        for rows in local_prices.prices_in_slices(books.ledger_reader, LOCAL_PRICES, _BEHIND_ALL):
            last = rows[-1][0]
            await self._make_equal({key: replica.price_entry(key, version, doc) for key, version, doc in rows},
                                   first, last + "\0")
            first = last
            self.progress += 1
        await self._make_equal({}, first, _BEHIND_ALL)

    async def _make_equal(self, wanted: Mapping[str, PriceEntry], first: str, last: str) -> None:
        """The entries between two ids, both left out, are these and no others."""
        rows = self._store.books.replica_reader.execute(REPLICA.local_entries_between, (first, last)).fetchall()
        there = {row[0]: tuple(row) for row in rows}
        changes: dict[str, PriceEntry | None] = {
            key: entry for key, entry in wanted.items() if there.get(key) != replica.entry_row(entry)}
        changes |= {key: None for key in there if key not in wanted}
        for part in _slices(list(changes)):
            await self._project({key: changes[key] for key in part})


async def _steps(before: _Book, after: _Book, version: int) -> list[_Step]:
    steps: list[_Step] = []
    for number, sku in enumerate(sorted({*before, *after})):
        old, new = before.get(sku, {}), after.get(sku, {})
        steps += [_Step(sku, (key, version, _encode(price)), price.price_minor)
                  for key, price in new.items() if old.get(key) != price]
        steps += [_Step(sku, (key, version, None), None) for key in old if key not in new]
        await _breathe(number)
    return steps


def _share_gone(before: _Book, after: _Book) -> str:
    """Why the whole file waits: it lacks so many products of the book that it may have been cut off."""
    gone = sum(sku not in after for sku in before)
    if gone * 100 <= len(before) * GONE_PERCENT_MAX:
        return ""
    return f"a whole price list would take {gone} of {len(before)} products out of its book"


GONE_PERCENT_MAX = 20
"""A whole price list that takes more of its book out waits for a person (DESIGN.md section 8)."""


def _slices(things: Sequence[_Thing]) -> Iterable[list[_Thing]]:
    rest = iter(things)
    while part := list(islice(rest, LOCAL_PRICES_AT_ONCE)):
        yield part


async def _breathe(number: int) -> None:
    """Tills are answered now and then."""
    if number % LOCAL_PRICES_AT_ONCE == LOCAL_PRICES_AT_ONCE - 1:
        await asyncio.sleep(0)
