"""Price batches that the guard holds back, and a person's word on them (DESIGN.md section 5, Guard)."""

from dataclasses import dataclass

from cloud_sync.contract.facts import StaffAct
from edge.db.connection import Connection
from edge.db.ledger import draft, record
from edge.db.queries import LEDGER, REPLICA
from edge.db.replica import release_held
from edge.errors import Rejected
from edge.limits import HELD_BATCHES_SHOWN_MAX
from edge.prices.local_prices import LocalPrices
from edge.store import Store, Topic


@dataclass(frozen=True, slots=True)
class HeldBatch:
    """Changes no label, till or claim has seen. `digest` names them by content; `prices`: how many."""

    digest: str
    reason: str
    held_ms: int
    prices: int


class GuardDesk:
    """Lists held batches and carries out decisions; a decision is a fact and outlives the replica."""

    def __init__(self, store: Store, local: LocalPrices | None = None) -> None:
        """`local`: whose batches may be among those that are held."""
        self._store = store
        self._local = local

    def held(self) -> list[HeldBatch]:
        """What waits for a person, oldest first."""
        rows = self._store.books.replica_reader.execute(REPLICA.held_batches).fetchmany(HELD_BATCHES_SHOWN_MAX)
        return [HeldBatch(*row) for row in rows]

    def decisions(self) -> dict[str, bool]:
        """Everything people decided so far, by digest."""
        rows = self._store.books.ledger_reader.execute(LEDGER.guard_decisions).fetchall()
        return {digest: bool(approved) for digest, approved in rows}

    async def decide(self, digest: str, approved: bool, actor: str, reason: str) -> int:
        """Approve or drop a held batch; returns how many list prices changed. The decision is durable first.

        Raises `Rejected` when nothing is held under this digest.
        """
        if digest not in {batch.digest for batch in self.held()}:
            raise Rejected("this batch is no longer held; reload the page")
        store, now_ms = self._store, self._store.clock.wall_ms()
        act = StaffAct(act="approve-prices" if approved else "drop-prices", subject=digest, actor=actor, reason=reason)
        made = draft(f"guard/{digest}/{store.mint()}", act, occurred_ms=now_ms, recorded_ms=now_ms,
                     business_day=store.business_day(now_ms))

        def decision(connection: Connection) -> None:
            connection.execute(LEDGER.put_guard_decision, (digest, int(approved), actor, now_ms))
            record(connection, store.books.chain, made)

        local = self._local if self._local is not None and self._local.holds(digest) else None
        await store.record(decision)
        if local is not None:
            released = await local.release(digest, approved)
            store.tell(Topic.ISSUE)
            return len(released)
        moment = store.moment()
        applied = await store.books.replica.submit(lambda c: release_held(c, digest, approved, moment))
        store.tell(Topic.PRICES, *applied.skus)
        store.tell(Topic.ISSUE)
        return len(applied.skus)
