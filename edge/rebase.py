"""The store as it takes up its story again after a restore: `cloud_sync.client.port.RebaseSide` over the books.

What the hub sends back is history: each fact has its local effect once, is never answered for and never pushed again.
A fact that both lives of the box recorded counts once; where they recorded two meanings under one key, the hub's
counts, as it does there, and a person is told (DESIGN.md section 10).
"""

import hashlib
from dataclasses import dataclass, field

import msgspec
import structlog

from cloud_sync.client.port import Asking, Moving, Stretch, Taking, UnderWay
from cloud_sync.contract.facts import (
    Count,
    CountReviewed,
    ExceptionRaised,
    Fact,
    OrderReturn,
    ParcelStep,
    PickupStep,
    Proof,
    StaffAct,
    StockMove,
    TillClose,
    Transaction,
    decode_fact,
    stock_moves,
)
from cloud_sync.contract.ledger import Entry, Head, Place
from cloud_sync.contract.rebase import Grant, PastPage
from edge.db.connection import Connection
from edge.db.ledger import Answer, Chain, Draft, apply_moves, entries_after, fact_of, keeps_stock, raise_exception
from edge.db.queries import LEDGER
from edge.db.rebase_rows import (
    AskingEpoch,
    MovingOn,
    StoredRebase,
    TakingBack,
    end_rebase,
    move_some,
    put_rebase,
    read_rebase,
)
from edge.domain.transaction import meaning_digest
from edge.labels.bindings import act_by_history, labels_acted_on
from edge.limits import LEDGER_KEEP_DAYS, OWN_ACTS_MAX, REBASE_ENTRIES_MAX
from edge.pickups.parcels import note_handed, take_past_parcel
from edge.pickups.past import fold_again, take_past_step
from edge.pickups.returns import take_past_return
from edge.pos.transactions import list_gaps, take_past_transaction
from edge.prices.claim_book import claim_by_history
from edge.stock import deliveries
from edge.stock.counts import remember_count, remember_review
from edge.stock.late_facts import let_counts_stand
from edge.store import Store, Topic

_log = structlog.get_logger(__name__)
_DAY_MS = 86_400_000


@dataclass(slots=True)
class _Seen:
    """What a page touched, for the news after its commit."""

    labels: set[str] = field(default_factory=set)
    skus: set[str] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)
    own_acts: set[str] | None = None


class RebaseBooks:
    """Implements `RebaseSide`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def under_way(self) -> UnderWay | None:
        """What was begun and is not finished."""
        match read_rebase(self._store.books.ledger_reader):
            case AskingEpoch(request, epoch, common):
                return Asking(request, epoch, common)
            case MovingOn() as moving:
                return Moving(moving.epoch)
            case TakingBack(epoch, sequence, hashed, before):
                return Taking((epoch, sequence), hashed, before)
            case None:
                return None

    async def probes(self, epoch: int, sequences: list[int]) -> list[Head]:
        """Hashes of own entries, of those that are still kept."""
        reader = self._store.books.ledger_reader
        rows = ((sequence, reader.execute(LEDGER.entry_hash, (epoch, sequence)).fetchone()) for sequence in sequences)
        return [Head(sequence, row[0]) for sequence, row in rows if row]

    async def begin(self, epoch: int, common: Head) -> None:
        """Keep a fresh request."""
        _log.warning("this ledger lacks what the hub holds; a new epoch is asked for", epoch=epoch,
                     common=common.sequence)
        await self._put(AskingEpoch(self._store.mint(), epoch, common))

    async def give_up(self) -> None:
        """Forget the request."""
        await self._store.books.ledger.submit(end_rebase)

    async def granted(self, grant: Grant) -> None:
        """Keep what was given."""
        await self._put(MovingOn(grant.after_epoch, grant.common, grant.epoch))

    async def move(self) -> None:
        """Some own entries into the new epoch; the last of them switches to it."""
        store = self._store
        state = read_rebase(store.books.ledger_reader)
        assert isinstance(state, MovingOn)
        if await store.books.ledger.submit(
                lambda connection: move_some(connection, store.identity.store, state, REBASE_ENTRIES_MAX)):
            store.books.chain, store.acked_sequence = Chain(store.identity.store, state.epoch), 0
            store.tell(Topic.FACT)

    async def take(self, page: PastPage) -> None:
        """One page in one transaction, the place reached with it."""
        state = read_rebase(self._store.books.ledger_reader)
        assert isinstance(state, TakingBack)
        seen = await self._store.books.ledger.submit(lambda connection: self._take(connection, state, page))
        tell = self._store.tell
        tell(Topic.FACT)
        if seen.skus:
            tell(Topic.PRICES, *seen.skus)
        if seen.labels:
            tell(Topic.LABEL, *seen.labels)
        if seen.orders:
            tell(Topic.PICKUP, *seen.orders)

    async def older_heads(self) -> list[tuple[int, Head]]:
        """Where the epochs before this one end here."""
        books = self._store.books
        rows = books.ledger_reader.execute(LEDGER.older_heads, (books.chain.epoch,)).fetchall()
        return [(epoch, Head(sequence, hashed)) for epoch, sequence, hashed in rows]

    async def older_entries(self, epoch: int, sequence: int, count_max: int) -> Stretch | None:
        """Entries of an older epoch, for a hub that lost them."""
        reader = self._store.books.ledger_reader
        if reader.execute(LEDGER.entry_hash, (epoch, sequence or 1)).fetchone() is None:
            return None
        before, entries = entries_after(reader, Chain(self._store.identity.store, epoch), sequence, count_max)
        return Stretch(epoch, before, tuple(entries))

    async def _put(self, state: StoredRebase) -> None:
        await self._store.books.ledger.submit(lambda connection: put_rebase(connection, state))

    def _take(self, connection: Connection, state: TakingBack, page: PastPage) -> _Seen:
        seen, now_ms = _Seen(), self._store.clock.wall_ms()
        for past in page.entries:
            self._take_one(connection, past.epoch, past.entry, seen, now_ms)
        if page.end:
            end_rebase(connection)
            since = self._store.business_day(now_ms - LEDGER_KEEP_DAYS * _DAY_MS)
            list_gaps(connection, self._store.books.chain, since, now_ms)
        else:
            last = page.entries[-1]
            put_rebase(connection, TakingBack(last.epoch, last.entry.sequence, last.entry.hash, state.before))
        return seen

    def _take_one(self, connection: Connection, epoch: int, entry: Entry, seen: _Seen, now_ms: int) -> None:
        place, payload = (epoch, entry.sequence), bytes(entry.payload)
        if entry.occurred_ms >= now_ms - LEDGER_KEEP_DAYS * _DAY_MS:
            connection.execute(LEDGER.insert_past_entry, (
                *place, entry.fact_key, entry.kind, entry.occurred_ms, entry.business_day, payload, entry.hash,
                *(entry.rebased_from or (None, None))))
        try:
            fact = decode_fact(payload)
        except msgspec.MsgspecError as error:  # the hub kept it too, until a version comes that can read it
            _log.warning("history holds what this version cannot read", fact_key=entry.fact_key, error=str(error))
            return
        digest = meaning_digest(fact) if isinstance(fact, Transaction) else hashlib.sha256(payload).digest()
        flags = tuple(str(flag) for flag in getattr(fact, "flags", ()))
        answer = msgspec.json.encode(Answer(True, entry.fact_key, epoch, entry.sequence, flags))
        known = connection.execute(LEDGER.fact, (entry.fact_key,)).fetchone()
        if known is not None:
            if known[0] != digest:
                self._two_meanings(connection, entry, fact, (digest, answer, *place), now_ms)
                if isinstance(fact, PickupStep):
                    seen.orders.add(fact.order_id)
            return
        connection.execute(LEDGER.insert_fact, (entry.fact_key, digest, answer, *place,
                                                min(entry.occurred_ms, now_ms)))
        apply_moves(connection, stock_moves(fact), kept=keeps_stock(fact))
        let_counts_stand(connection, self._store.books.chain, Draft(
            entry.fact_key, fact, digest, entry.occurred_ms, entry.business_day, now_ms), entry.occurred_ms,
            history=True)
        self._effect(connection, entry, fact, place, seen)

    def _effect(self, connection: Connection, entry: Entry, fact: Fact, place: Place, seen: _Seen) -> None:
        """What a fact does here beside moving stock."""
        chain, clock = self._store.books.chain, self._store.clock
        if isinstance(fact, Transaction):
            take_past_transaction(connection, chain, fact, entry.fact_key, clock.wall_ms())
        elif isinstance(fact, PickupStep):
            take_past_step(connection, fact, place, entry.occurred_ms)
            seen.orders.add(fact.order_id)
            if fact.parcel_id:
                note_handed(connection, fact.parcel_id)
        elif isinstance(fact, ParcelStep):
            take_past_parcel(connection, fact)
        elif isinstance(fact, OrderReturn):
            take_past_return(connection, fact, entry.occurred_ms)
        elif isinstance(fact, TillClose):
            connection.execute(LEDGER.close_till_day, (fact.till, fact.business_day))
            connection.execute(LEDGER.settle_till_closes, (entry.occurred_ms, fact.till, fact.business_day))
        elif isinstance(fact, ExceptionRaised):
            connection.execute(LEDGER.insert_exception, (
                entry.fact_key, fact.reason, fact.about, fact.detail, fact.till, fact.business_day,
                entry.occurred_ms))
        elif isinstance(fact, Proof):
            claim_by_history(connection, fact.label, fact.sku, fact.price_minor,
                             (clock.powered_ms(), clock.wall_ms()))
            seen.labels.add(fact.label)
            seen.skus.add(fact.sku)
        elif isinstance(fact, StaffAct):
            self._act(connection, fact, seen)
        elif isinstance(fact, Count):
            remember_count(connection, entry.fact_key.removeprefix("count/"), fact, entry.occurred_ms, own=False)
        elif isinstance(fact, CountReviewed):
            remember_review(connection, fact, entry.occurred_ms)
        else:
            deliveries.remember(connection, fact, entry.occurred_ms)

    def _act(self, connection: Connection, fact: StaffAct, seen: _Seen) -> None:
        """Where a label hangs, unless somebody has hung it elsewhere since the restore."""
        if seen.own_acts is None:
            seen.own_acts = labels_acted_on(connection, self._store.books.chain.epoch, OWN_ACTS_MAX)
        if fact.subject.partition(" ")[0] in seen.own_acts:
            return
        clock = self._store.clock
        label = act_by_history(connection, fact, self._store.policy.grace_s * 1000,
                               (clock.powered_ms(), clock.wall_ms()))
        if label is not None:
            seen.labels.add(label)

    def _two_meanings(self, connection: Connection, entry: Entry, fact: Fact, row: tuple[bytes, bytes, int, int],
                      now_ms: int) -> None:
        """Both lives used this key: the hub counted its own, so it counts here too, instead of ours."""
        ours = fact_of(connection, entry.fact_key)
        if isinstance(fact, ExceptionRaised) or ours is None:
            return
        if stock_moves(ours) != stock_moves(fact) or isinstance(fact, Transaction):
            apply_moves(connection, (_back(move) for move in stock_moves(ours)))
            apply_moves(connection, stock_moves(fact))
            raised = ExceptionRaised(
                reason="conflict", about=entry.fact_key,
                detail="recorded with two meanings before and after a restore; the hub's counts",
                till=getattr(fact, "till", ""), business_day=entry.business_day,
                document=msgspec.json.encode(ours).decode())
            raise_exception(connection, self._store.books.chain, raised, now_ms,
                            key=f"conflict/{entry.fact_key}/{row[0].hex()[:16]}")
        if isinstance(ours, Transaction) and isinstance(fact, Transaction):
            connection.execute(LEDGER.add_total_to_till_day, (fact.total_minor - ours.total_minor, fact.till,
                                                              fact.business_day))
        connection.execute(LEDGER.replace_fact, (*row, entry.fact_key))
        if isinstance(fact, PickupStep):
            fold_again(connection, fact.order_id, now_ms)


def _back(move: StockMove) -> StockMove:
    return StockMove(move.sku, -move.sellable_milli, -move.reserved_milli, -move.staged_milli, -move.quarantine_milli)
