"""When the day is over: everything healed, does it drain by itself, and is what stands in the books what happened?"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from zoneinfo import ZoneInfo

import msgspec

from edge.proving.asgi import Question
from edge.proving.goods import all_goods_are_there
from edge.proving.order_promises import (
    Holds,
    OrdersSeen,
    nobody_waits_too_long,
    physical_facts_win,
    shops_were_told,
)
from edge.proving.plan import TIME_ZONE
from edge.proving.ports import MONITOR_TOKEN, OPERATOR_TOKEN, SHOWN, STORE_ID
from edge.proving.sightings import (
    BooksSeen,
    Buckets,
    Finding,
    LedgerEntry,
    WitnessedTransaction,
    read_payload,
)
from edge.proving.stock_watch import StockWatch
from edge.proving.tills import Till
from edge.proving.world import World

DRAIN_S_MAX = 4 * 3600.0
"""After healing, everything must have drained within this (P9)."""

LOOK_EVERY_S = 15.0
TWIN_ALARMS = frozenset({"twin", "fork"})
"""What a second box is rightly told of."""

class _FeedLag(msgspec.Struct):
    lag: int


class _Head(msgspec.Struct):
    epoch: int
    sequence: int
    hash: str


class _Alarm(msgspec.Struct):
    epoch: int
    reason: str
    detail: str


class _Status(msgspec.Struct):
    heads: tuple[_Head, ...]
    feeds: dict[str, _FeedLag]
    quarantined: int
    sale_lines: int
    return_lines: int
    alarms: tuple[_Alarm, ...]


class _Part(msgspec.Struct):
    name: str
    state: str


class _StoreStatus(msgspec.Struct):
    link_up: bool
    backlog: int
    ledger_sequence: int
    clock_trusted: bool
    stations: dict[str, str]
    parts: tuple[_Part, ...]


class _AuditEntry(msgspec.Struct):
    sequence: int
    fact_key: str
    kind: str
    occurred_ms: int
    business_day: str
    payload: msgspec.Raw
    hash: str
    repeat_of: tuple[int, int] | None = None
    reason: str = ""


class _Page(msgspec.Struct):
    entries: tuple[_AuditEntry, ...]
    next_after: int | None


class _Stock(msgspec.Struct):
    sellable_milli: int
    reserved_milli: int
    staged_milli: int
    quarantine_milli: int


class _OrderState(msgspec.Struct):
    state: str


class _Webhook(msgspec.Struct):
    waiting: int


class _Quote(msgspec.Struct):
    list_price_minor: int


class AfterTheDay:
    """Waits for the world to settle, then reads both books and says what it found."""

    def __init__(self, world: World, tills: Sequence[Till], till_token: str, watch: StockWatch) -> None:
        self._watch = watch
        self._world = world
        self._tills = tills
        self._till_token = till_token

    async def drain(self, decide: Callable[[], Awaitable[None]]) -> list[str]:
        """Wait until nothing is left to do; what still is after `DRAIN_S_MAX` is a violation of P9.

        `decide`: people say their word on what a line that was long in coming back has brought meanwhile.
        """
        left: list[str] = []
        for _ in range(int(DRAIN_S_MAX / LOOK_EVERY_S)):
            left = [each async for each in self._left()]
            if not left:
                return []
            if self._world.box.up and self._world.box.store.held_batches():
                await decide()
            await asyncio.sleep(LOOK_EVERY_S)
        return [f"P9: {DRAIN_S_MAX:.0f} s after everything was mended, {each}" for each in left]

    async def findings(self) -> list[Finding]:
        """Every promise, once the world has settled."""
        world = self._world
        world.eyes.look()
        store, hub = world.box.store.books(world.truth.items), await self._hub_books()
        clock = world.clock
        seconds_of = None if clock.was_wrong else clock.powered_at_wall_ms
        if not (world.restored or world.doubled or clock.was_wrong):  # the store's own history of prices is right then
            voids = (read_payload(entry) for entry in store.entries if entry.kind == "transaction")
            taken_back = {f"till/{fact.till}/{fact.business_day}/{fact.voids_sequence:010d}" for fact in voids
                          if isinstance(fact, WitnessedTransaction) and fact.voids_sequence is not None}
            world.witness.look_back(clock.powered_s())
            world.witness.owed(await world.box.do(lambda running: running.refunds()), taken_back)
        findings = [finding for finding in world.witness.verdict(store, hub, clock.powered_s(), seconds_of)
                    if finding.promise != "P8"]
        return [*(self._with_looks(finding) for finding in findings), Finding("P8", world.stood_alone, ()),
                Finding("units", self._watch.checked["units"], ()), *await self._of_orders(store, hub),
                await self._converged()]

    def _with_looks(self, finding: Finding) -> Finding:
        """P5 was looked at after every commit too; what was wrong has been said."""
        looks = self._watch.checked["P5"] if finding.promise == "P5" else 0
        return Finding(finding.promise, finding.checked + looks, finding.violations)

    async def _of_orders(self, store: BooksSeen, hub: BooksSeen) -> list[Finding]:
        world, waiting, struck = self._world, self._world.plan.waiting, self._world.tally.faults
        seen = OrdersSeen(store, hub, *await self._order_states(), world.witness.lost,
                          not (world.restored or world.doubled or "hub_restored" in struck))
        for state in seen.store_states.values():
            world.tally.did(f"orders that ended {state}")
        holds = Holds(ZoneInfo(TIME_ZONE), waiting.hold_s, waiting.hold_max_s, frozenset(world.closed_days))
        waits = nobody_waits_too_long(world.orders, seen, holds, world.clock.true_ms(),
                                      clock_right=not world.clock.was_wrong, revisions_hold=seen.undisturbed)
        sku_of = {name: item.sku for item in world.truth.items.values() for name in (item.sku, item.code)}
        goods = all_goods_are_there(world.witness.tills, world.delivered, sku_of, store, hub,
                                    clocks_right=seen.undisturbed and not world.clock.was_wrong
                                    and "till_clock_jump" not in struck)
        return [physical_facts_win(world.orders, seen), waits, shops_were_told(world.orders, seen), goods]

    async def _order_states(self) -> tuple[dict[str, str], dict[str, str]]:
        """Where every order is, by the store and by the hub."""
        store, hub = dict[str, str](), dict[str, str]()
        for order_id in self._world.orders.orders:
            answer = await self._world.box.request(Question.of("GET", f"/v1/pickups/{order_id}", self._till_token))
            if answer.status == 200:
                store[order_id] = msgspec.json.decode(answer.body, type=_OrderState).state
            hub[order_id] = msgspec.json.decode(await self._get(f"orders/{order_id}"), type=_OrderState).state
        return store, hub

    async def facts(self) -> int:
        """How many facts the hub holds."""
        return sum(head.sequence for head in (await self._status()).heads)

    async def _left(self) -> AsyncIterator[str]:
        world = self._world
        for till in self._tills:
            if till.waiting:
                yield f"till {till.name} still sends {till.waiting} transactions"
        if not world.box.up or not world.hub.up:
            yield "a computer is down"
            return
        held = world.box.store.held_batches()
        if held:
            yield f"{held} price batches wait for a person"
        status, store = await self._status(), await self._store_status()
        hub_head = next((head.sequence for head in status.heads if head.epoch == world.box.store.epoch()), 0)
        if hub_head != store.ledger_sequence or store.backlog:
            yield f"the hub has {hub_head} of {store.ledger_sequence} facts, backlog {store.backlog}"
        for each in (*_lags(status), *self._labels_pending(), *_ailing(store)):
            yield each
        if waiting := await self._untold():
            yield f"{waiting} events wait to be told"

    async def _untold(self) -> int:
        answer = await self._world.hub.ask(Question.of("GET", "/v1/webhooks", OPERATOR_TOKEN))
        return sum(each.waiting for each in msgspec.json.decode(answer.body, type=tuple[_Webhook, ...]))

    async def _store_status(self) -> _StoreStatus:
        answer = await self._world.box.request(Question.of("GET", "/v1/status", MONITOR_TOKEN))
        return msgspec.json.decode(answer.body, type=_StoreStatus)

    def _labels_pending(self) -> Iterator[str]:
        world = self._world
        for each in world.box.store.labels():
            if each.sku is not None and each.state != SHOWN and each.label in world.floor.labels:
                yield f"label {each.label} ({each.sku}) is {each.state}"

    async def _converged(self) -> Finding:
        """P9: the store's list prices are the hub's, and everything drained."""
        world = self._world
        violations = []
        for item in world.truth.items.values():
            answer = await world.box.request(Question.of("GET", f"/v1/lookup/{item.code}", self._till_token))
            wanted = world.truth.list_price_minor(item.sku, world.clock.true_ms())
            found = msgspec.json.decode(answer.body, type=_Quote).list_price_minor if answer.status == 200 else None
            if found != wanted:
                violations.append(f"P9: list price of {item.sku} is {found} in the store, {wanted} at the hub")
        status = await self._status()
        alarms = [alarm for alarm in status.alarms if not (world.doubled and alarm.reason in TWIN_ALARMS)]
        if status.quarantined or alarms:
            violations.append(f"P2: the hub quarantined {status.quarantined} entries and raised {alarms}")
        return Finding("P9", len(world.truth.items), tuple(violations))

    async def _hub_books(self) -> BooksSeen:
        entries: list[LedgerEntry] = []
        heads = (await self._status()).heads
        for head in heads:
            entries += [entry async for entry in self._hub_entries(head.epoch)]
        stock = {sku: await self._hub_stock(sku) for sku in self._world.truth.items}
        return BooksSeen(STORE_ID, max((head.epoch for head in heads), default=1), tuple(entries), stock)

    async def _hub_entries(self, epoch: int) -> AsyncIterator[LedgerEntry]:
        after: int | None = 0
        while after is not None:
            page = msgspec.json.decode(await self._get(f"ledger?epoch={epoch}&after={after}"), type=_Page)
            for each in page.entries:
                yield LedgerEntry(each.sequence, each.fact_key, each.kind, each.occurred_ms, each.business_day,
                                  bytes(each.payload), each.hash, each.repeat_of is None, each.reason, epoch)
            after = page.next_after

    async def _hub_stock(self, sku: str) -> Buckets:
        stock = msgspec.json.decode(await self._get(f"stock/{sku}"), type=_Stock)
        return Buckets(stock.sellable_milli, stock.reserved_milli, stock.staged_milli, stock.quarantine_milli)

    async def _status(self) -> _Status:
        return msgspec.json.decode(await self._get("status"), type=_Status)

    async def _get(self, what: str) -> bytes:
        answer = await self._world.hub.ask(Question.of("GET", f"/v1/stores/{STORE_ID}/{what}", OPERATOR_TOKEN))
        assert answer.status == 200, f"the hub answered {answer.status} for {what}: {answer.body!r}"
        return answer.body


def _lags(status: _Status) -> Iterator[str]:
    for feed, each in status.feeds.items():
        if each.lag:
            yield f"feed {feed} is {each.lag} behind"


def _ailing(store: _StoreStatus) -> Iterator[str]:
    if not store.link_up:
        yield "the line to the hub counts as down"
    if not store.clock_trusted:
        yield "the wall clock is not believed"
    for part in store.parts:
        if part.state != "running":
            yield f"{part.name} is {part.state}"
    for name, state in store.stations.items():
        if state != "ready":
            yield f"base station {name} is {state}"
