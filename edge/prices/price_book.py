"""The price book: what tills that keep a copy load, and what their word on it means for the shelf (DESIGN.md 5, 8).

A till that asks for each price needs none of this. One that keeps a copy may go on charging the old price, so a
decrease goes to labels only when all of them said that they have it, or after `till_ack_wait_s`: then the others are
late, which is told, and what they sold meanwhile is checked afterwards.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

import msgspec

from edge.db.connection import Connection
from edge.db.queries import LEDGER, REPLICA, many
from edge.domain.prior_price import MS_PER_DAY
from edge.errors import Rejected
from edge.limits import BOOK_LINES_AT_ONCE, TILL_COPIES_MAX, TILL_COPY_KEEP_DAYS, TILL_COPY_LATE_S
from edge.prices.price_desk import PriceDesk
from edge.prices.promotion_book import Term
from edge.store import News, Store, Topic


class BookHead(msgspec.Struct, frozen=True):
    """The first line. `whole`: a till that had a copy drops it first; else what follows are changes to it."""

    version: str
    whole: bool


class BookLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One product. Money in minor units; `gone`: it has no price any more, or is no product. `terms`: promotions that
    touch it, for a till that works them out itself."""

    sku: str
    gone: bool = False
    name: str = ""
    codes: tuple[str, ...] = ()
    charge_minor: int | None = None
    list_price_minor: int | None = None
    currency: str = ""
    price_version: str = ""
    held_low: bool = False
    age_limit_years: int = 0
    terms: tuple[Term, ...] = ()


class BookEnd(msgspec.Struct, frozen=True):
    """The last line: a till that counted fewer lines lost some, and asks again. `version`: what it acknowledges."""

    version: str
    count: int


@dataclass(frozen=True, slots=True)
class TillCopy:
    """A till that keeps a copy, the version it has, and since when."""

    till: str
    version: int
    acked_ms: int


@dataclass(slots=True)
class _Change:
    """A SKU whose line changes: since when on the loop's clock, and whether tills can load the change already.

    `doubted`: nobody said that it changes; it may have in the last moments of the store's last life.
    """

    since_s: float
    has_version: bool = False
    doubted: bool = False


class PriceBook:
    """What changed since when, who has it, and which shelves wait for whom.

    `released`: called with SKUs whose labels need wait no longer.
    """

    def __init__(self, store: Store, prices: PriceDesk) -> None:
        self._store = store
        self._prices = prices
        self._encoder = msgspec.json.Encoder()
        self._copies = {till: TillCopy(till, version, acked_ms) for till, version, acked_ms in
                        store.books.ledger_reader.execute(LEDGER.till_copies).fetchall()}
        self._changing: dict[str, _Change] = {}
        self._looked_through = False
        self.released: Callable[[Iterable[str]], None] = _nobody

    # --- what tills ask ---------------------------------------------------------------------------------------

    async def lines(self, since: str) -> AsyncIterator[bytes]:
        """NDJSON: a head, every line that changed after `since` (all of them for a version of another life of this
        box, or none), an end. What changes meanwhile comes again with the next call."""
        top = self._top()
        after = self._version(since)
        whole = after is None
        yield self._line(BookHead(self._text(top), whole))
        count = 0
        async for sku in self._all_skus() if after is None else self._changed_skus(after, top):
            line = self._book_line(sku)
            if not (whole and line.gone):
                count += 1
                yield self._line(line)
        yield self._line(BookEnd(self._text(top), count))

    async def acknowledge(self, till: str, version: str) -> TillCopy:
        """The till has this version whole, and keeps a copy from now on. Raises `Rejected` for one there is not."""
        number = self._version(version)
        if number is None or number > self._top():
            raise Rejected(f"there is no version {version[:40]!r} of this store's price book; load it whole")
        if till not in self._copies and len(self._copies) >= TILL_COPIES_MAX:
            raise Rejected(f"{TILL_COPIES_MAX} tills keep a copy already")
        copy = TillCopy(till, number, self._store.clock.wall_ms())
        await self._store.books.ledger.submit(
            lambda connection: connection.execute(LEDGER.put_till_copy, (till, number, copy.acked_ms)))
        self._copies[till] = copy
        self._release()
        return copy

    async def forget_copy(self, till: str) -> None:
        """The till keeps no copy any more."""
        await self._store.books.ledger.submit(lambda connection: connection.execute(LEDGER.delete_till_copy, (till,)))
        self._copies.pop(till, None)
        self._release()

    # --- what the store asks ----------------------------------------------------------------------------------

    def copies(self) -> list[TillCopy]:
        """The tills that keep a copy; one that was silent for days keeps none."""
        oldest_ms = self._store.clock.wall_ms() - TILL_COPY_KEEP_DAYS * MS_PER_DAY
        return [copy for copy in self._copies.values() if copy.acked_ms >= oldest_ms]

    def late(self) -> list[TillCopy]:
        """Tills whose copy lacks a change for longer than anybody should."""
        top, oldest_s = self._top(), min((change.since_s for change in self._changing.values()), default=None)
        if oldest_s is None or _now_s() - oldest_s < TILL_COPY_LATE_S:
            return []
        return [copy for copy in self.copies() if copy.version < top]

    def follow_news(self, news: News) -> None:
        """The store's listener, before the planner: from this moment labels of these SKUs wait for copies."""
        if news.topic is not Topic.PRICES or not self.copies():
            return
        now_s = _now_s()
        for sku in news.subjects:
            known = self._changing.get(sku)
            waits = known is not None and now_s - known.since_s < self._wait_s
            self._changing[sku] = _Change(known.since_s if known is not None and waits else now_s)

    def written(self, skus: Iterable[str]) -> None:
        """These changes have a version now, so that tills can say that they have it."""
        for sku in skus:
            change = self._changing.get(sku)
            if change is not None:
                change.has_version = True

    def looked_through(self, missed: Iterable[str]) -> None:
        """After a start, every product was compared with what was written last: of these a change was not, and is
        being written now. Until then any label of a copied product waits."""
        missing = set(missed)
        self._looked_through = True
        for sku, change in self._changing.items():
            if change.doubted and sku not in missing:
                change.has_version = True
        for sku in missing:
            self._changing.setdefault(sku, _Change(_now_s()))
        self._release()

    def label_waits_s(self, sku: str) -> float:
        """How long a label must still wait before it may show less than copies of tills may charge; 0: no longer."""
        if not self.copies():
            return 0.0
        change = self._changing.get(sku)
        if change is None:
            if self._looked_through and self._everybody_has(sku):
                return 0.0
            change = self._changing[sku] = _Change(_now_s(), has_version=self._looked_through,
                                                   doubted=True)  # the store has just begun
        elif change.has_version and self._everybody_has(sku):
            del self._changing[sku]
            return 0.0
        return max(0.0, change.since_s + self._wait_s - _now_s())

    @property
    def _wait_s(self) -> float:
        return float(self._store.policy.till_ack_wait_s)

    def _release(self) -> None:
        """Somebody acknowledged something, or keeps no copy any more."""
        ready = [sku for sku, change in self._changing.items() if change.has_version and self._everybody_has(sku)]
        for sku in ready:
            del self._changing[sku]
        if ready:
            self.released(ready)

    def _everybody_has(self, sku: str) -> bool:
        copies = self.copies()
        if not copies:
            return True
        row = self._store.books.ledger_reader.execute(LEDGER.book_change, (sku,)).fetchone()
        return row is None or min(copy.version for copy in copies) >= row[0]

    async def _all_skus(self) -> AsyncIterator[str]:
        after = ""
        while rows := self._store.books.replica_reader.execute(REPLICA.skus_after,
                                                               (after, BOOK_LINES_AT_ONCE)).fetchall():
            for (sku,) in rows:
                yield sku
            after = rows[-1][0]
            await asyncio.sleep(0)  # lookups go first

    async def _changed_skus(self, after: int, top: int) -> AsyncIterator[str]:
        while rows := self._store.books.ledger_reader.execute(LEDGER.book_changes,
                                                              (after, top, BOOK_LINES_AT_ONCE)).fetchall():
            for sku, _ in rows:
                yield sku
            after = rows[-1][1]
            await asyncio.sleep(0)

    def _book_line(self, sku: str) -> BookLine:
        quote = self._prices.priced(sku)
        if quote is None:
            return BookLine(sku, gone=True)
        codes = self._store.books.replica_reader.execute(REPLICA.codes_of, (sku,)).fetchall()
        return BookLine(sku, False, quote.name, tuple(code for (code,) in codes), quote.charge_minor,
                        quote.list_price_minor, quote.currency, quote.price_version, quote.held_low,
                        quote.age_limit_years, quote.terms)

    def _line(self, struct: msgspec.Struct) -> bytes:
        return self._encoder.encode(struct) + b"\n"

    def _top(self) -> int:
        return int(self._store.books.ledger_reader.execute(LEDGER.book_version).fetchone()[0])

    def _text(self, version: int) -> str:
        """A version names the life of the box too: another life counts anew."""
        return f"{self._store.books.chain.epoch}.{version}"

    def _version(self, text: str) -> int | None:
        epoch, _, version = text.partition(".")
        if epoch != str(self._store.books.chain.epoch) or not (version.isascii() and version.isdecimal()):
            return None
        return int(version) if len(version) <= 15 else None


def mark_changed(connection: Connection, skus: Iterable[str]) -> None:
    """These products have another line in the price book from now on."""
    connection.execute(LEDGER.put_book_changes, (many(skus),))


def _nobody(_skus: Iterable[str]) -> None:
    """Nobody waits."""


def _now_s() -> float:
    return asyncio.get_running_loop().time()
