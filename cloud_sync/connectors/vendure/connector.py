"""A round of Vendure's connector: goods and orders in, the store's facts read, orders settled, stock out.

Everything in memory is a copy of notes, or derived from them; any failure drops it, and the next round reads it again.
"""

import ssl
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec

from cloud_sync.connectors.errors import Misconfigured, Refused
from cloud_sync.connectors.hub import Hub, LedgerEntry, NoteIn, Placement
from cloud_sync.connectors.port import Round
from cloud_sync.connectors.settings import HubSettings, Rhythm, Secrets, load
from cloud_sync.connectors.told import Told, after_step, new_order, open_units, tell
from cloud_sync.connectors.vendure import plan, queries, records
from cloud_sync.connectors.vendure.deeds import ORDER_KIND, Deeds
from cloud_sync.connectors.vendure.goods import ITEM_KIND, Goods, ItemNote
from cloud_sync.connectors.vendure.graphql import Result, Vendure
from cloud_sync.connectors.vendure.orders import (
    DoneNote,
    OrderNote,
    placed_lines,
    placement,
    store_of,
    to_ms,
    to_text,
)
from cloud_sync.connectors.vendure.settings import Settings
from cloud_sync.connectors.vendure.stock import Shelf, send_stock
from cloud_sync.contract.documents import SubstituteAnswer
from cloud_sync.contract.facts import PickupStep, decode_fact, stock_moves
from cloud_sync.contract.pickup import PickupState

DONE_KIND, CURSOR_KIND = "done", "cursor"
ORDERS_CURSOR = "orders"
PAGE_ORDERS = 50
DEEDS_MAX = 40
"""Of one order in one round; more would mean that two sides undo each other's work."""

CHANGED_ORDERS_MAX = 200
CHANGED_LINES_MAX = 5_000
"""Orders, and lines of them, that are written together; a request of the hub's has a bound."""

RETRY_FIRST_S, RETRY_MAX_S = 5.0, 600.0
FORGET_EVERY_S = 86_400.0
NEW_STATES = frozenset({"PaymentAuthorized", "PaymentSettled"})


class OrdersCursor(msgspec.Struct, frozen=True):
    """Orders that Vendure changed up to then are known here."""

    updated_ms: int


class LedgerCursor(msgspec.Struct, frozen=True):
    """Facts of a store up to this one are folded into the orders' notes."""

    epoch: int
    sequence: int


@dataclass(slots=True)
class Standing:
    """What a process knows, all of it from notes. `dirty`: orders to be looked at; `moved`: store → SKUs."""

    orders: dict[str, OrderNote] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)
    moved: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    cursors: dict[str, LedgerCursor] = field(default_factory=dict)
    updated_ms: int | None = None
    shelves: dict[str, Shelf] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    look_again_s: float = 0.0
    look_at_goods_s: float = 0.0
    look_at_stock_s: float = 0.0
    forget_s: float = 0.0


@dataclass(slots=True)
class VendureConnector:
    """See `port.Connector`."""

    settings: Settings
    vendure: Vendure
    wall_ms: Callable[[], int]
    monotonic_s: Callable[[], float]
    _goods: Goods = field(init=False)
    _standing: Standing | None = field(default=None, init=False)
    _failures: dict[str, tuple[int, float]] = field(default_factory=dict, init=False)
    _troubles: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._goods = Goods(self.vendure, self.settings.goods)

    async def round(self, hub: Hub) -> Round:
        """See `port.Connector.round`."""
        done = Round()
        try:
            standing = self._standing or await self._read_notes(hub)
            await self._look_at_goods(hub, standing, done)
            await self._take_orders(hub, standing, done)
            for each in self.settings.stores:
                await self._read_facts(hub, standing, each.store)
            await self._settle_orders(hub, standing, done)
            await self._send_stock(hub, standing, done)
            await self._forget(hub, standing)
            self._standing = standing
        except BaseException:
            self._standing = None
            raise
        for about, what in self._troubles.items():
            done.trouble(about, what)
        return done

    async def close(self) -> None:
        """See `port.Connector.close`."""
        await self.vendure.close()

    async def _read_notes(self, hub: Hub) -> Standing:
        standing = Standing()
        self._goods.known = {sku: note async for sku, note in hub.notes(ITEM_KIND, ItemNote)}
        standing.orders = {order_id: note async for order_id, note in hub.notes(ORDER_KIND, OrderNote)}
        standing.dirty = set(standing.orders)
        if orders := await hub.note(CURSOR_KIND, ORDERS_CURSOR, OrdersCursor):
            standing.updated_ms = orders.updated_ms
        for each in self.settings.stores:
            if ledger := await hub.note(CURSOR_KIND, _ledger_key(each.store), LedgerCursor):
                standing.cursors[each.store] = ledger
        standing.shelves = await self._find_shelves()
        standing.look_again_s = self.monotonic_s() + self.settings.orders.look_again_s
        return standing

    async def _find_shelves(self) -> dict[str, Shelf]:
        locations: dict[str, str] = {}
        skip, total = 0, 1
        while skip < total:
            page = (await self.vendure.ask(queries.LOCATIONS, records.LocationPage, skip=skip)).stock_locations
            locations |= {location.name: location.id for location in page.items}
            skip, total = skip + max(1, len(page.items)), page.total_items
        for each in self.settings.stores:
            if each.stock_location not in locations:
                raise Misconfigured(f"Vendure has no stock location {each.stock_location!r}, where store {each.store} "
                                    f"should have its stock; it has {', '.join(sorted(locations))}")
        return {each.store: Shelf(each.store, locations[each.stock_location]) for each in self.settings.stores}

    async def _look_at_goods(self, hub: Hub, standing: Standing, done: Round) -> None:
        if self.monotonic_s() < standing.look_at_goods_s:
            return
        looked = Round()
        fresh = await self._goods.look(hub, looked)
        for each in self.settings.stores:
            standing.moved[each.store] |= fresh
        done.carried |= looked.carried
        self._troubles = {about: what for about, what in self._troubles.items() if about in standing.orders
                          or about.startswith(self.settings.orders.prefix)}
        for trouble in looked.troubles:
            self._troubles[trouble.about] = trouble.what
        standing.look_at_goods_s = self.monotonic_s() + self.settings.goods.every_s

    async def _take_orders(self, hub: Hub, standing: Standing, done: Round) -> None:
        """Orders that Vendure changed, oldest first. The cursor stays before an order that could not be placed."""
        look_back_ms = round(1000 * self.settings.orders.look_back_s)
        if standing.updated_ms is None:
            standing.updated_ms = self.wall_ms() - look_back_ms
            await hub.put_notes([NoteIn(CURSOR_KIND, ORDERS_CURSOR, OrdersCursor(standing.updated_ms))])
        after_ms, skip, newest_ms, held_ms = standing.updated_ms - look_back_ms, 0, standing.updated_ms, None
        while True:
            page = (await self.vendure.ask(queries.ORDERS, records.OrderPage, after=to_text(after_ms), skip=skip,
                                           take=PAGE_ORDERS)).orders
            for order in page.items:
                updated_ms = to_ms(order.updated_at)
                newest_ms = max(newest_ms, updated_ms)
                if not await self._take_order(hub, standing, order, updated_ms, done):
                    held_ms = updated_ms - 1 if held_ms is None else held_ms
            if len(page.items) < PAGE_ORDERS:
                break
            last_ms = to_ms(page.items[-1].updated_at) - 1
            after_ms, skip = (last_ms, 0) if last_ms > after_ms else (after_ms, skip + PAGE_ORDERS)
        reached_ms = newest_ms if held_ms is None else min(newest_ms, held_ms)
        if reached_ms > standing.updated_ms:
            await hub.put_notes([NoteIn(CURSOR_KIND, ORDERS_CURSOR, OrdersCursor(reached_ms))])
            standing.updated_ms = reached_ms
        standing.seen = {order_id: at_ms for order_id, at_ms in standing.seen.items()
                         if at_ms >= standing.updated_ms - 2 * look_back_ms}

    async def _take_order(self, hub: Hub, standing: Standing, order: records.Order, updated_ms: int,
                          done: Round) -> bool:
        """Returns whether the order needs no second look."""
        order_id = f"{self.settings.orders.prefix}{order.code}"
        if standing.seen.get(order.id) == updated_ms:
            return True
        stores = {method: each.store for each in self.settings.stores for method in each.shipping_methods}
        store = store_of(order, stores)
        if order_id in standing.orders:
            standing.dirty.add(order_id)
        elif store and order.state in NEW_STATES and not order.fulfilled and placed_lines(order) \
                and await hub.note(DONE_KIND, order_id, DoneNote) is None:
            try:
                await self._place(hub, standing, order_id, store, order)
            except Refused as error:
                self._troubles[order_id] = str(error)
                return False
            done.count("orders_placed")
        if order_id not in standing.orders or order_id not in self._failures:
            self._troubles.pop(order_id, None)
        standing.seen[order.id] = updated_ms
        return True

    async def _place(self, hub: Hub, standing: Standing, order_id: str, store: str, order: records.Order) -> None:
        """At the hub first; a process that dies in between places it again, which changes nothing."""
        wanted = placement(order, may_substitute=self.settings.orders.may_substitute)
        links = tuple((number, line.id) for number, line in enumerate(placed_lines(order), start=1))
        await hub.hold()
        await hub.place(store, order_id, wanted)
        note = OrderNote(store, order.id, order.code, order.currency_code, wanted.lines, links,
                         new_order(order_id, wanted.lines))
        await hub.put_notes([NoteIn(ORDER_KIND, order_id, note)])
        standing.orders[order_id] = note
        standing.dirty.add(order_id)

    async def _read_facts(self, hub: Hub, standing: Standing, store: str) -> None:
        """Every fact once: the orders that a page changed and the cursor behind it are written together."""
        heads = await hub.heads(store)
        cursor = standing.cursors.get(store)
        if cursor is None:  # what happened before we came is in the hub's figures already
            newest = heads[-1] if heads else None
            cursor = LedgerCursor(newest.epoch, newest.sequence) if newest else LedgerCursor(1, 0)
            await hub.put_notes([NoteIn(CURSOR_KIND, _ledger_key(store), cursor)])
            standing.cursors[store] = cursor
        for head in heads:
            if head.epoch < cursor.epoch:
                continue
            if head.epoch > cursor.epoch:
                cursor = LedgerCursor(head.epoch, 0)
            while cursor.sequence < head.sequence:
                entries = await hub.ledger(store, cursor.epoch, cursor.sequence)
                if not entries:
                    break
                cursor = await self._fold(hub, standing, store, cursor, entries)

    async def _fold(self, hub: Hub, standing: Standing, store: str, cursor: LedgerCursor,
                    entries: tuple[LedgerEntry, ...]) -> LedgerCursor:
        changed: dict[str, OrderNote] = {}
        reopened: set[str] = set()
        lines = 0
        for entry in entries:
            if len(changed) >= CHANGED_ORDERS_MAX or lines >= CHANGED_LINES_MAX:
                break
            cursor = LedgerCursor(cursor.epoch, entry.sequence)
            if entry.repeat_of or entry.reason:
                continue
            try:
                fact = decode_fact(entry.payload)
            except msgspec.MsgspecError:
                continue  # a later version's
            standing.moved[store] |= {move.sku for move in stock_moves(fact)}
            if not isinstance(fact, PickupStep) or not fact.order_id.startswith(self.settings.orders.prefix):
                continue
            note = changed.get(fact.order_id) or standing.orders.get(fact.order_id)
            if note is None and (past := await hub.note(DONE_KIND, fact.order_id, DoneNote)):
                note = past.order
                reopened.add(fact.order_id)
            if note is not None:
                lines += 0 if fact.order_id in changed else len(note.lines)
                changed[fact.order_id] = msgspec.structs.replace(note, order=after_step(note.order, fact))
        await hub.put_notes([*(NoteIn(ORDER_KIND, order_id, note) for order_id, note in changed.items()),
                             *(NoteIn(DONE_KIND, order_id, None) for order_id in reopened),
                             NoteIn(CURSOR_KIND, _ledger_key(store), cursor)])
        standing.orders |= changed
        standing.dirty |= changed.keys()
        standing.cursors[store] = cursor
        return cursor

    async def _settle_orders(self, hub: Hub, standing: Standing, done: Round) -> None:
        now_s = self.monotonic_s()
        if now_s >= standing.look_again_s:
            standing.dirty |= standing.orders.keys()
            standing.look_again_s = now_s + self.settings.orders.look_again_s
        for order_id in sorted(standing.dirty & standing.orders.keys()):
            failures, due_s = self._failures.get(order_id, (0, 0.0))
            if now_s < due_s:
                await self._hear(hub, standing, order_id)
                continue
            try:
                agreed = await self._settle(hub, standing, order_id, done)
            except Refused as error:
                self._troubles[order_id] = str(error)
                wait_s = min(RETRY_FIRST_S * 2 ** min(failures, 16), RETRY_MAX_S)
                self._failures[order_id] = (failures + 1, now_s + wait_s)
                continue
            self._failures.pop(order_id, None)
            self._troubles.pop(order_id, None)
            if agreed:
                standing.dirty.discard(order_id)

    async def _hear(self, hub: Hub, standing: Standing, order_id: str) -> Told:
        note = standing.orders[order_id]
        told = standing.told[order_id] = tell(note.order, (await hub.order(note.store, order_id)).order)
        standing.moved[note.store] |= {line.sku for line in told.lines}
        return told

    async def _settle(self, hub: Hub, standing: Standing, order_id: str, done: Round) -> bool:
        """Do at Vendure what the store did. Returns whether the order agrees now."""
        told = await self._hear(hub, standing, order_id)
        note = standing.orders[order_id]
        if told.state is PickupState.REASSIGNED:
            raise Refused("another store was given the order: settle it at Vendure by hand")
        if told.state is PickupState.NO_SHOW and not self.settings.orders.refund_no_show:
            raise Refused("nobody collected the order: cancel it at Vendure, or have the customer come")
        await self._answer(hub, note, order_id, told)
        deeds = Deeds(hub, self.vendure, order_id, standing.shelves[note.store].location)
        for _ in range(DEEDS_MAX):
            order = (await self.vendure.ask(queries.ORDER, records.OneOrder, id=note.vendure_id)).order
            if order is None:
                raise Refused("Vendure has this order no more")
            case = plan.Case(order, told, dict(note.links), bool(note.modifying_from), note.cut,
                             self.settings.orders.settle_refunds)
            deed = plan.next_deed(case)
            if deed is None:
                await self._agreed(hub, standing, order_id, told, done)
                return True
            note = standing.orders[order_id] = await deeds.do(deed, note, case)
            done.count(_word(deed))
            if isinstance(deed, plan.AskCancel):
                return False
        raise Refused(f"the order does not come to agree after {DEEDS_MAX} steps at Vendure: somebody undoes them")

    async def _answer(self, hub: Hub, note: OrderNote, order_id: str, told: Told) -> None:
        """The customer said beforehand what she thinks of substitutes, if the settings say so."""
        if self.settings.orders.answer == "wait":
            return
        for line in told.asks:
            await hub.answer(note.store, order_id, SubstituteAnswer(line, self.settings.orders.answer == "accept"))

    async def _agreed(self, hub: Hub, standing: Standing, order_id: str, told: Told, done: Round) -> None:
        note = standing.orders[order_id]
        if told.ready and not note.told_ready:
            await self._tell_customer(hub, note, order_id)
            note = standing.orders[order_id] = msgspec.structs.replace(note, told_ready=True)
            await hub.put_notes([NoteIn(ORDER_KIND, order_id, note)])
            done.count("customers_told")
        if told.ended:
            await hub.put_notes([NoteIn(ORDER_KIND, order_id, None),
                                 NoteIn(DONE_KIND, order_id, DoneNote(note, self.wall_ms()))])
            del standing.orders[order_id], standing.told[order_id]
            done.count("orders_done")

    async def _tell_customer(self, hub: Hub, note: OrderNote, order_id: str) -> None:
        """A note that the customer sees, once; from then on the hub's clock of the hold runs."""
        again = Placement(note.lines, note.currency)
        placed = await hub.place(note.store, order_id, again)
        text = self.settings.orders.ready_note.replace("{store}", note.store).replace("{code}", placed.pickup_code)
        found = (await self.vendure.ask(queries.NOTES, records.OrderNotes, id=note.vendure_id)).order
        if found is None or all(entry.data.note != text for entry in found.history.items):
            await hub.hold()
            (await self.vendure.ask(queries.ADD_NOTE, Result, id=note.vendure_id, note=text)).result.raise_for(
                "add a note")
        await hub.place(note.store, order_id, msgspec.structs.replace(again, notified_ms=self.wall_ms()))

    async def _send_stock(self, hub: Hub, standing: Standing, done: Round) -> None:
        now_s = self.monotonic_s()
        everything = now_s >= standing.look_at_stock_s
        for store, shelf in standing.shelves.items():
            skus = set(self._goods.known) if everything else standing.moved[store] & self._goods.known.keys()
            kept: dict[str, int] = {}
            for order_id, told in standing.told.items():
                if standing.orders[order_id].store == store:
                    for sku, units in open_units(told.lines).items():
                        kept[sku] = kept.get(sku, 0) + units
            done.count("stock_levels", await send_stock(hub, self.vendure, shelf, skus, kept))
            standing.moved[store] = set()
        if everything:
            standing.look_at_stock_s = now_s + self.settings.stock.every_s

    async def _forget(self, hub: Hub, standing: Standing) -> None:
        """Orders that were done long ago cannot be read again by then."""
        if self.monotonic_s() < standing.forget_s:
            return
        standing.forget_s = self.monotonic_s() + FORGET_EVERY_S
        before_ms = self.wall_ms() - 86_400_000 * self.settings.orders.done_keep_days
        old = [order_id async for order_id, note in hub.notes(DONE_KIND, DoneNote) if note.done_ms < before_ms]
        for start in range(0, len(old), CHANGED_ORDERS_MAX):
            await hub.put_notes(NoteIn(DONE_KIND, order_id, None) for order_id in old[start:start + CHANGED_ORDERS_MAX])


def make_connector(path: Path, credentials: Secrets) -> tuple[VendureConnector, HubSettings, Rhythm]:
    """From its YAML. Raises `Misconfigured`."""
    settings = load(path, Settings)
    place = settings.vendure
    if len({each.store for each in settings.stores}) < len(settings.stores):
        raise Misconfigured(f"{path}: stores: a store is named twice")
    methods = [method for each in settings.stores for method in each.shipping_methods]
    if len(set(methods)) < len(methods):
        raise Misconfigured(f"{path}: stores: a shipping method leads to two stores")
    trust = ssl.create_default_context(cafile=place.certificate_authority)
    client = httpx.AsyncClient(timeout=settings.rhythm.timeout_s, verify=trust)
    vendure = Vendure(client, place.url, credentials.value(place.username), credentials.value(place.password),
                      credentials.value(place.channel) if place.channel else None)
    return VendureConnector(settings, vendure, lambda: time.time_ns() // 1_000_000, time.monotonic), settings.hub, \
        settings.rhythm


def _ledger_key(store: str) -> str:
    return f"ledger.{store}"


_WORDS: dict[type[object], str] = {
    plan.AskCancel: "cancels_asked", plan.BeginModifying: "modifications_begun", plan.Exchange: "products_exchanged",
    plan.EndModifying: "modifications_ended", plan.TakeOff: "lines_taken_off", plan.Refund: "refunds",
    plan.SettleRefund: "refunds_settled", plan.Fulfil: "fulfilments", plan.Deliver: "deliveries"}


def _word(deed: plan.Deed) -> str:
    return _WORDS[type(deed)]
