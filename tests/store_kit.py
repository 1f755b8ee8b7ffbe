"""A store under test, told in scenes: real databases and rooms, virtual time, labels and hub in the test's hands.

A folder of tests takes it with two lines in its `conftest.py`:

    from tests.store_kit import pytest_asyncio_loop_factories, store  # noqa: F401

Prices are written as on a label ("0.99" euros), SKUs are words ("milk"), labels go by where they hang ("aisle 4").
Money inside the rooms stays in minor units, quantities in thousandths.
"""

import asyncio
import hashlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import msgspec
import pytest

from cloud_sync.contract.documents import (
    Item,
    OpeningHours,
    Order,
    OrderLine,
    Person,
    Policy,
    Price,
    PriceKind,
    Promotion,
)
from cloud_sync.contract.feeds import Batch, Change, Checkpoint, Delete, Feed, Put
from cloud_sync.contract.ledger import GENESIS_HASH, Entry
from cloud_sync.contract.pickup import Step
from drivers.port import (
    Ambiguous,
    BaseStation,
    Blob,
    Colour,
    DriverEvent,
    Encoder,
    Failed,
    Feature,
    LabelDescription,
    OfferRefused,
    Picture,
    Seen,
    Shown,
    StationChanged,
    StationState,
    Withdrawn,
)
from edge.clock import StoreClock
from edge.db.books import Books, open_books
from edge.db.connection import Connection
from edge.db.label_rows import LabelRow, label_row
from edge.db.ledger import entries_after
from edge.db.queries import LEDGER
from edge.db.writer import LoopWriter
from edge.housekeeper import Housekeeper
from edge.intake import Intake
from edge.labels.ahead import PicturesAhead
from edge.labels.content import LabelContent
from edge.labels.planner import LabelPlanner, LabelState
from edge.labels.prepared import PreparedPictures
from edge.labels.template import Template, Templates, load_templates
from edge.labels.wanted import WantedPictures
from edge.pickups.desk import PickupDesk, StepRequest
from edge.pickups.people import PeopleVault
from edge.pickups.rows import Pickup
from edge.pos.access import RULES, Principal, Role, Tokens
from edge.pos.app import build_app
from edge.pos.basket_routes import BasketDesk, basket_handlers
from edge.pos.book_routes import book_handlers
from edge.pos.count_routes import count_handlers
from edge.pos.goods_routes import goods_handlers
from edge.pos.label_routes import LabelDesk, LabelIn, label_handlers
from edge.pos.return_routes import return_handlers
from edge.pos.ship_routes import ship_handlers
from edge.pos.stock_routes import MovementIn, ReceivedLine, receive, stock_handlers, stock_of
from edge.pos.store_routes import store_handlers
from edge.pos.till_routes import till_handlers
from edge.pos.transactions import TransactionDesk
from edge.prices.guard_desk import GuardDesk
from edge.prices.local_prices import LocalPrices
from edge.prices.price_book import PriceBook
from edge.prices.price_desk import NoPrice, PriceDesk
from edge.proving.box_clock import BoxClock
from edge.recount import Recount
from edge.shipped import shipped
from edge.stock.counts import ApprovalRules
from edge.stock.desk import StockDesk
from edge.stock.late_facts import let_counts_stand
from edge.store import Identity, Store
from edge.tasks import TaskDesk
from edge.virtual_time import VirtualTimeLoop

MONDAY_NOON_MS = 1_795_431_600_000
"""2026-11-23 12:00 in Madrid."""
BUSINESS_DAY = "2026-11-23"
SETTLE_S = 15.0
COMMIT_S = 0.001
A_MOMENT_S = 1.0
DATABASE_SECRET, STORE_SECRET = "a database key", "a store key"
ALL_DAY = (OpeningHours(0, 1440),) * 7


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Any]:
    """Tests of the folder run under virtual time."""
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator["StoreKit"]:
    """A store that opens on a Monday at noon, with milk at 0.99 and bread at 1.89 in its catalogue."""
    kit = StoreKit(tmp_path)
    await kit.open()
    await kit.hub.stocks_the_catalogue()
    yield kit
    await kit.close()


def minor(text: str) -> int:
    """`"0.99"` → 99."""
    return int(Decimal(text) * 100)


def money(price_minor: int) -> str:
    """99 → `"0.99"`."""
    return f"{Decimal(price_minor) / 100:.2f}"


class StoreKit:
    """One store and everybody around it."""

    def __init__(self, directory: Path, make_writer: Callable[[Connection, str], Any] | None = None) -> None:
        self.directory = directory
        self.clock = BoxClock(MONDAY_NOON_MS)
        self.station = ScriptedStation("aisles")
        self.back_wall = ScriptedStation("back wall")
        self.artist: Any = QuickArtist()
        self.other_stations: dict[str, BaseStation] = {}
        self.hub = Hub(self)
        self.settle_s = SETTLE_S
        self.first_epoch = 1
        self.approval = ApprovalRules()
        self._make_writer = make_writer or _quick_writer
        self._labels: dict[str, ShelfLabel] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._ids = 0

    # --- opening and closing ----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Switch the box on, unless it is, and open the store."""
        if not self.clock.on:
            self.clock.switch_on()
        self.books: Books = open_books(self.directory, DATABASE_SECRET, "0042", self._make_writer,
                                       self.first_epoch)
        identity = Identity("0042", "Calle Mayor", ZoneInfo("Europe/Madrid"), "EUR", "es", "metric", "id.example.com")
        self.store = Store(identity, self.books, StoreClock(self.clock, self.books.last_clock),
                           self.books.policy(), random.Random(self.clock.wall_ms()))
        self.prices = PriceDesk(self.store)
        self.pickups = PickupDesk(self.store, PeopleVault(STORE_SECRET), let_counts_stand)
        self.local = LocalPrices(self.store)
        self.guard = GuardDesk(self.store, self.local)
        self.tasks = TaskDesk(self.store)
        self.tills = TransactionDesk(self.store, self.prices)
        self.desk = StockDesk(self.store, self.prices, self.tills.clocks.ahead_ms, self.approval)
        self.intake = Intake(self.store, self.pickups, self.guard, self.tasks, self.desk.deliveries)
        wanted = WantedPictures(self.store, self.prices, _templates())
        scripted: dict[str, BaseStation] = {each.name: each for each in (self.station, self.back_wall)}
        self.stations = self.other_stations or scripted
        self.prepared = prepared = PreparedPictures()
        self.book = PriceBook(self.store, self.prices)
        self.planner = LabelPlanner(self.store, self.prices, wanted, self.artist, self.stations, prepared, self.book)
        self.book.released = self.planner.look_at_skus
        self.ahead = PicturesAhead(self.store, wanted, self.artist, self.stations, prepared)
        self.labels = LabelDesk(self.store, self.prices, self.planner, self.stations)
        self.baskets = BasketDesk(self.store, self.prices)
        self.housekeeper = Housekeeper(self.store, self.prices, self.book, self.pickups, Recount(self.intake))
        for each in (self.station, self.back_wall):
            each.sink = self.planner.ear(each.name)
        self.store.listeners += [self.book.follow_news, self.planner.follow_news, self.ahead.follow_news,
                                 self.housekeeper.follow_news, self.intake.follow_news]
        self._tasks = [asyncio.create_task(part.run()) for part in (self.planner, self.ahead, self.housekeeper,
                                                                             self.local)]
        self.app = self._build_app()

    async def close(self) -> None:
        """Close properly. A part that broke in the meantime fails the test."""
        await self._stop_parts()
        self.books.close(self.store.clock.stamp())

    async def restarts(self) -> None:
        """The daemon is killed and comes back within the same boot."""
        await self._stop_parts()
        self.books.abandon()
        await self.open()

    async def power_fails(self, off_s: float) -> None:
        """The box loses its power for a while."""
        await self._stop_parts()
        self.books.abandon()
        self.clock.switch_off()
        await asyncio.sleep(off_s)
        await self.open()

    async def replica_is_lost(self) -> None:
        """The copy of the hub's truth is gone, the store starts with an empty one."""
        await self._stop_parts()
        self.books.abandon()
        for file in self.directory.glob("replica.db*"):
            file.unlink()
        await self.open()

    async def parts_stop(self) -> None:
        """Planner and housekeeper stand still; the desks go on answering."""
        await self._stop_parts()

    async def time_passes(self, seconds: float) -> None:
        """So long, with everything that happens in it."""
        await asyncio.sleep(seconds)

    async def a_moment(self) -> None:
        """Long enough for everything that is due to be done."""
        await asyncio.sleep(A_MOMENT_S)

    # --- who is in the store ----------------------------------------------------------------------------------

    @property
    def policy(self) -> Policy:
        """What the chain decided."""
        return self.store.policy

    def label(self, name: str) -> "ShelfLabel":
        """A label by where it hangs."""
        return self._labels.setdefault(name, ShelfLabel(self, name))

    def till(self, number: int = 1) -> "Till":
        """A till of the store."""
        return Till(self, str(number))

    def caller(self, role: Role, name: str = "somebody") -> httpx.AsyncClient:
        """Somebody with that role at the API."""
        return self._client({"authorization": f"Bearer {role.value}:{name}"})

    def stranger(self) -> httpx.AsyncClient:
        """Somebody without an identity at the API."""
        return self._client({})

    def new_id(self, what: str) -> str:
        """An id that a caller mints."""
        self._ids += 1
        return f"{what}-{self._ids}"

    async def receives(self, sku: str, pieces: int) -> None:
        """Goods come in."""
        await receive(self.store, MovementIn(self.new_id("receipt"), [ReceivedLine(sku, pieces * 1000)]), "luis")

    async def takes_step(self, order_id: str, step: Step, *, transition_id: str = "", code: str = "",
                         line: int | None = None, supervised: bool = False, reason: str = "") -> Pickup:
        """Staff takes a step of an order."""
        return await self.pickups.take_step(StepRequest(order_id, transition_id or self.new_id("step"), step, "luis",
                                                        line, code, reason, supervised))

    # --- what a test looks at ---------------------------------------------------------------------------------

    def stock(self, sku: str) -> tuple[int, int, int, int]:
        """Sellable, reserved, staged, quarantine, in pieces."""
        out = stock_of(self.store, sku)
        return (out.sellable_milli // 1000, out.reserved_milli // 1000, out.staged_milli // 1000,
                out.quarantine_milli // 1000)

    def exceptions(self) -> list[str]:
        """Reasons of what waits for a person, oldest first."""
        rows = self.books.ledger_reader.execute(LEDGER.open_exceptions, (10_000,)).fetchall()
        return [row[0] for row in reversed(rows)]

    def entries(self) -> list[Entry]:
        """The whole ledger."""
        previous, entries = entries_after(self.books.ledger_reader, self.books.chain, 0, 1_000_000)
        assert previous == GENESIS_HASH
        return entries

    def claims(self, sku: str) -> list[tuple[str, str]]:
        """Label and price of every claim on record for the SKU, closing ones included."""
        rows = self.books.ledger_reader.execute(LEDGER.claims_of_sku, (sku,)).fetchall()
        return sorted((row[0], money(row[2])) for row in rows)

    async def _stop_parts(self) -> None:
        tasks, self._tasks = self._tasks, []
        broken = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in broken:
            task.result()

    def _build_app(self) -> Any:
        handlers = {**till_handlers(self.store, self.prices, self.tills),
                    **stock_handlers(self.store), **store_handlers(self.pickups, self.guard, self.tasks),
                    **count_handlers(self.desk), **goods_handlers(self.desk),
                    **label_handlers(self.labels), **book_handlers(self.book),
                    **return_handlers(self.store, self.prices, self.pickups),
                    **ship_handlers(self.store, self.pickups), **basket_handlers(self.baskets)}
        rules = [rule for rule in RULES if rule.handler in handlers]
        return build_app(rules, handlers, EveryToken())

    def _client(self, headers: dict[str, str]) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://store", headers=headers)


class EveryToken(Tokens):
    """Knows whoever says `role:name`; a test of roles needs many."""

    def __init__(self) -> None:
        super().__init__({})

    def principal(self, authorization: str) -> Principal | None:
        role, _, name = authorization.removeprefix("Bearer ").partition(":")
        return Principal(name, Role(role)) if name else None


@dataclass
class Till:
    """A till: asks prices, sends sales."""

    kit: StoreKit
    number: str

    def asks(self, code: str) -> str:
        """What the till may charge; "no price" or "unknown" if that is the answer."""
        try:
            quote = self.kit.prices.by_code(code)
        except NoPrice:
            return "no price"
        return money(quote.charge_minor) if quote else "unknown"

    def list_price(self, code: str) -> str:
        """What the catalogue says."""
        quote = self.kit.prices.by_code(code)
        assert quote is not None
        return money(quote.list_price_minor)

    async def sends(self, sequence: int, *lines: dict[str, Any], day: str = BUSINESS_DAY,
                    **fields: Any) -> httpx.Response:
        """A transaction as the till would send it; `fields` override what a plain sale has."""
        numbered = [{"line": number, **line} for number, line in enumerate(lines, start=1)]
        body = {"type": "sale", "currency": "EUR", "total_minor": sum(line["amount_minor"] for line in numbered),
                "occurred_at": "2026-11-23T12:00:00+01:00", "lines": numbered, **fields}
        async with self.kit.caller(Role.TILL, self.number) as client:
            return await client.put(f"/v1/transactions/{self.number}/{day}/{sequence}", json=body)

    async def sells(self, sequence: int, sku: str, pieces: int = 1, **fields: Any) -> httpx.Response:
        """A plain sale of one product at one euro a piece."""
        return await self.sends(sequence, {"sku": sku, "quantity_milli": pieces * 1000, "amount_minor": pieces * 100},
                                **fields)

    async def voids(self, sequence: int, voided: int | None, **fields: Any) -> httpx.Response:
        """Takes a transaction back."""
        return await self.sends(sequence, type="void", voids_sequence=voided, **{"total_minor": 0, **fields})

    async def closes(self, first: int, last: int, count: int, total: str, day: str = BUSINESS_DAY) -> httpx.Response:
        """The till's own account of its day."""
        body = {"business_day": day, "first": first, "last": last, "count": count, "total_minor": minor(total)}
        async with self.kit.caller(Role.TILL, self.number) as client:
            return await client.post(f"/v1/tills/{self.number}/close", json=body)


class ShelfLabel:
    """A label in the hands of the test: it shows and proves what the scene says."""

    def __init__(self, kit: StoreKit, name: str) -> None:
        self.kit = kit
        self.name = name

    async def hangs_under(self, sku: str) -> None:
        """A label is heard, if it was not before, and bound."""
        if self.row() is None:
            self.kit.station.is_heard(self.name)
            await self.kit.a_moment()
        await self.kit.labels.bind(self.name, sku, "ana", self.kit.new_id("act"))
        await self.kit.a_moment()

    async def shows(self, sku: str, price: str) -> None:
        """It hangs under the product, has proven its price, and every earlier shopper is gone."""
        if self.kit.till().asks(sku) in ("unknown", "no price") or self.kit.till().list_price(sku) != price:
            await self.kit.hub.sets_price(sku, price)
        await self.hangs_under(sku)
        await self.proves()
        await self.kit.time_passes(self.kit.settle_s + self.kit.policy.grace_s + A_MOMENT_S)
        assert self.state() is LabelState.SHOWN

    def offers(self) -> list[str]:
        """The price of every offer so far."""
        return [money(offer.price_minor) for offer in self.kit.station.offers[self.name]]

    def is_offered(self) -> str:
        """The price of the last offer."""
        return self.offers()[-1]

    async def proves(self, price: str = "") -> None:
        """It proves its last offer, or the last one of that price."""
        self.kit.station.says(Shown(self.name, self._version(price)))
        await self.kit.a_moment()

    async def proves_version(self, version: str) -> None:
        """It proves a picture by name."""
        self.kit.station.says(Shown(self.name, version))
        await self.kit.a_moment()

    async def fails(self, price: str = "", reason: str = "not fetched") -> None:
        """An offer comes to nothing."""
        self.kit.station.says(Failed(self.name, self._version(price), reason))
        await self.kit.a_moment()

    async def is_withdrawn(self, price: str = "") -> None:
        """A picture can no longer come to be shown."""
        self.kit.station.says(Withdrawn(self.name, self._version(price)))
        await self.kit.a_moment()

    async def is_ambiguous(self) -> None:
        """It finished something, or restarted; nobody knows what it shows."""
        self.kit.station.says(Ambiguous(self.name))
        await self.kit.a_moment()

    async def is_excluded(self, reason: str = "a trolley ran into it") -> None:
        await self.kit.labels.exclude(self.name, "ana", self.kit.new_id("act"), reason)

    async def is_included(self) -> None:
        await self.kit.labels.include(self.name, "ana", self.kit.new_id("act"))

    async def is_unbound(self) -> None:
        await self.kit.labels.unbind(self.name, "ana", self.kit.new_id("act"))

    async def claim_is_voided(self, sku: str, price: str, reason: str = "torn off") -> None:
        body = LabelIn(act_id=self.kit.new_id("act"), reason=reason, sku=sku, price_minor=minor(price))
        await self.kit.labels.void_claim(self.name, body, "ana")

    def state(self) -> LabelState:
        """Where it stands, for people."""
        row = self.row()
        assert row is not None
        return self.kit.planner.state_of(row)[0]

    def row(self) -> LabelRow | None:
        """What the ledger remembers of it."""
        return label_row(self.kit.books.ledger_reader, self.name)

    def _version(self, price: str) -> str:
        offers = self.kit.station.offers[self.name]
        return next(offer.version for offer in reversed(offers) if not price or money(offer.price_minor) == price)


class Hub:
    """The chain's side: sends what it decided, batch by batch, and remembers it for a store that lost its copy."""

    def __init__(self, kit: StoreKit) -> None:
        self._kit = kit
        self._offsets: dict[Feed, int] = defaultdict(int)
        self._versions: dict[str, int] = defaultdict(int)
        self._orders: dict[str, Order] = {}
        self.sent: list[tuple[Feed, Batch]] = []

    async def stocks_the_catalogue(self) -> None:
        """Milk and bread, and their prices."""
        await self.has_items("milk", "bread")
        await self.sets_prices({"milk": "0.99", "bread": "1.89"})

    async def has_items(self, *skus: str, **fields: Any) -> None:
        """Products come into the catalogue, each with a GTIN of its own."""
        await self.sends(Feed.ITEMS, {sku: Item(sku, sku.upper(), codes=(gtin_of(sku),), **fields) for sku in skus})

    async def sets_price(self, sku: str, price: str, **fields: Any) -> None:
        """A new regular price, as of now unless said otherwise."""
        await self.sets_prices({sku: price}, **fields)

    async def sets_prices(self, prices: Mapping[str, str], *, entry: str = "regular", priority: int = 0,
                          kind: PriceKind = PriceKind.REGULAR, from_ms: int = 0, until_ms: int | None = None) -> None:
        """New prices in one batch."""
        await self.sends(Feed.PRICES, {
            f"{entry}/{sku}": Price(sku, minor(price), "EUR", kind, priority, from_ms, until_ms)
            for sku, price in prices.items()})

    async def removes_price(self, sku: str, entry: str = "regular") -> None:
        """A price list entry goes."""
        await self.sends(Feed.PRICES, {f"{entry}/{sku}": None})

    async def promotes(self, name: str, kind: str, *, from_ms: int = 0, until_ms: int | None = None, version: int = 3,
                       **terms: Any) -> None:
        """A promotion comes, or its new version."""
        document = Promotion(name, version, kind, msgspec.Raw(msgspec.json.encode(terms)), from_ms, until_ms)
        await self.sends(Feed.PROMOTIONS, {name: document})

    async def ends_promotion(self, name: str) -> None:
        """It goes out of the feed."""
        await self.sends(Feed.PROMOTIONS, {name: None})

    async def sets_policy(self, **fields: Any) -> None:
        """The chain decides."""
        await self.sends(Feed.POLICY, {"policy": msgspec.structs.replace(self._kit.policy, **fields)})

    async def places_order(self, order_id: str, wanted: Mapping[str, int], *, code: str = "K7P3XQ2M",
                           customer: str = "Marta Ruiz", person_id: str = "") -> None:
        """A customer orders pieces of products."""
        lines = tuple(OrderLine(number, sku, pieces * 1000, 100)
                      for number, (sku, pieces) in enumerate(wanted.items(), start=1))
        self._orders[order_id] = Order(order_id, 1, self._kit.clock.wall_ms(), lines, "EUR",
                                       person_id or f"person-{order_id}", Person(customer), code)
        await self.sends(Feed.ORDERS, {order_id: self._orders[order_id]})

    async def changes_order(self, order_id: str, **fields: Any) -> None:
        """A new revision of an order: cancelled, customer told."""
        known = self._orders[order_id]
        self._orders[order_id] = msgspec.structs.replace(known, revision=known.revision + 1, **fields)
        await self.sends(Feed.ORDERS, {order_id: self._orders[order_id]})

    async def sends(self, feed: Feed, documents: Mapping[str, msgspec.Struct | None]) -> None:
        """One batch; `None` deletes."""
        changes: list[Change] = []
        for key, document in documents.items():
            self._offsets[feed] += 1
            self._versions[key] += 1
            offset, version = self._offsets[feed], self._versions[key]
            changes.append(Delete(offset, key, version) if document is None else
                           Put(offset, key, version, msgspec.Raw(msgspec.json.encode(document))))
        self.sent.append((feed, Batch(tuple(changes), Checkpoint("one", self._offsets[feed]))))
        await self.sends_again(-1)

    async def sends_again(self, *which: int) -> None:
        """Batches that were sent before, by their place; without any, all of them in their order."""
        for feed, batch in [self.sent[place] for place in which] or list(self.sent):
            await self._kit.intake.apply(feed, [batch])
        await self._kit.a_moment()


@lru_cache(maxsize=1)
def _templates() -> Templates:
    return load_templates([shipped("config/templates")])


def _quick_writer(connection: Connection, _name: str) -> LoopWriter:
    """Virtual time waits for no disk; the scenes' power cuts are cuts of the process, which need no fsync."""
    connection.execute("PRAGMA synchronous = OFF")
    return LoopWriter(connection, lambda: COMMIT_S)


def gtin_of(sku: str) -> str:
    """A valid EAN-13 for a word, always the same."""
    body = f"20{int.from_bytes(hashlib.sha256(sku.encode()).digest()[:6], 'big') % 10**10:010d}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return f"{body}{-total % 10}"


class WhatAPictureSays(msgspec.Struct, frozen=True):
    """The payload of a drawn picture, readable for the scene."""

    sku: str
    price_minor: int


class QuickArtist:
    """Draws nothing, but names each picture by its content as a real encoding would."""

    def __init__(self) -> None:
        self.version_of: Callable[[LabelContent], str] = _by_content
        self.takes_s = 0.0
        self.drawn: list[int] = []
        self.troubles: list[Exception] = []

    async def draw(self, template: Template, content: LabelContent, description: LabelDescription,
                   encoder: Encoder) -> tuple[Picture, Blob]:
        await asyncio.sleep(self.takes_s)
        if self.troubles:
            raise self.troubles.pop(0)
        self.drawn.append(content.price_minor)
        payload = msgspec.json.encode(WhatAPictureSays(content.sku, content.price_minor))
        return Picture(1, 1, b"\0"), Blob(self.version_of(content), 0, payload)

    def close(self) -> None:
        """Nothing to close."""


def _by_content(content: LabelContent) -> str:
    said = f"{content.sku}/{content.name}/{content.price_minor}" + content.terms + content.until
    return hashlib.sha256(said.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a base station was given."""

    label: str
    version: str
    sku: str
    price_minor: int


@dataclass
class ScriptedStation:
    """A base station that does what the scene says. Every label of the scene is in reach.

    `before_offer` looks on while an offer is being made; `refuses` answers all offers with that reason;
    `proves_at_once`: the label proves before the offer is even answered.
    """

    name: str
    state: StationState = StationState.READY
    progress: int = 0
    refuses: str = ""
    takes_s: float = 0.0
    proves_at_once: bool = False
    sink: Callable[[DriverEvent], None] = lambda event: None
    before_offer: Callable[[Offer], Awaitable[None] | None] = lambda offer: None
    offers: dict[str, list[Offer]] = field(default_factory=lambda: defaultdict(list))
    adopted: set[str] = field(default_factory=set)
    lit: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    asleep: dict[str, int] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)

    async def run(self) -> None:
        await asyncio.Event().wait()

    def describe(self, label: str) -> LabelDescription | None:
        if label not in self.heard:
            return None
        colours = frozenset({Colour.WHITE, Colour.BLACK, Colour.RED})
        return LabelDescription(label, "M3 2.9", 296, 128, colours, frozenset({Feature.LED}), SETTLE_S)

    def adopt(self, label: str, type_name: str) -> None:
        self.adopted.add(label)
        self.heard.add(label)

    @property
    def encode(self) -> Encoder:
        return _not_encoded

    async def offer(self, label: str, blob: Blob, *, urgent: bool = False) -> None:
        if label not in self.adopted:
            raise OfferRefused(f"label {label} was not adopted")
        said = msgspec.json.decode(blob.payload, type=WhatAPictureSays)
        offer = Offer(label, blob.version, said.sku, said.price_minor)
        looked = self.before_offer(offer)
        if looked is not None:
            await looked
        await asyncio.sleep(self.takes_s)
        if self.refuses:
            raise OfferRefused(self.refuses)
        self.offers[label].append(offer)
        if self.proves_at_once:
            self.says(Shown(label, blob.version))

    async def withdraw(self, label: str) -> None:
        if self.refuses or self.state is not StationState.READY:
            raise OfferRefused(self.refuses or self.state.value)
        self.withdrawn.append(label)

    async def sleep(self, label: str, minutes: int) -> None:
        if self.refuses:
            raise OfferRefused(self.refuses)
        self.asleep[label] = minutes

    async def light(self, label: str, colour: Colour, seconds: float) -> None:
        if self.refuses:
            raise OfferRefused(self.refuses)
        self.lit.append(label)

    def says(self, event: DriverEvent) -> None:
        """Something happens at the station."""
        self.sink(event)

    def is_heard(self, label: str, rssi_dbm: int | None = None) -> None:
        """A label checks in."""
        self.heard.add(label)
        self.says(Seen(label, self.describe(label), rssi_dbm))

    def goes(self, state: StationState) -> None:
        """The station's connection changes."""
        self.state = state
        self.says(StationChanged(self.name, state, ""))

    def all_offers(self) -> list[Offer]:
        """Every offer of every label."""
        return [offer for offers in self.offers.values() for offer in offers]


def _not_encoded(_description: LabelDescription, _picture: Picture) -> Blob:
    raise AssertionError("the quick artist encodes by itself")
