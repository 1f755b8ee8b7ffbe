"""A small shop with a staff page: real books, planner and desks; a base station that does what the scene says."""

import asyncio
import contextlib
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from zoneinfo import ZoneInfo

import httpx
import msgspec
from argon2 import PasswordHasher
from starlette.applications import Starlette

from cloud_sync.client.link_state import LinkState
from cloud_sync.contract.documents import Delivery, DeliveryLine, Item, Order, OrderLine, Person, Policy, Price
from cloud_sync.contract.facts import LineKind, StaffAct, TransactionKind, decode_fact
from cloud_sync.contract.feeds import Batch, Change, Checkpoint, Delete, Feed, Put
from drivers.paper.session import PaperStation
from drivers.port import (
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
)
from edge.clock import StoreClock
from edge.db.books import Books, open_books
from edge.db.label_rows import LabelRow, label_row
from edge.db.replica import apply_batch
from edge.db.writer import ThreadWriter
from edge.health.checks import StoreChecks
from edge.health.issues import IssueList
from edge.labels.artist import InlineArtist
from edge.labels.planner import LabelPlanner, LabelState
from edge.labels.prepared import PreparedPictures
from edge.labels.template import load_templates
from edge.labels.wanted import WantedPictures
from edge.limits import UNDO_S
from edge.pickups.desk import PickupDesk
from edge.pickups.people import PeopleVault
from edge.pickups.picking_desk import PickingDesk, StagingPlace
from edge.pickups.shelf import ShelfPlace, put_planogram
from edge.pos.access import RULES, Principal, Role, Rule, Tokens
from edge.pos.app import build_app
from edge.pos.count_routes import count_handlers
from edge.pos.goods_routes import goods_handlers
from edge.pos.label_routes import LabelDesk, label_handlers
from edge.pos.stock_routes import MovementIn, ReceivedLine, receive, stock_handlers
from edge.pos.store_routes import store_handlers
from edge.pos.till_routes import till_handlers
from edge.pos.transactions import LineIn, TillDay, TransactionDesk, TransactionIn
from edge.prices.guard_desk import GuardDesk
from edge.prices.price_book import PriceBook
from edge.prices.price_desk import PriceDesk
from edge.shipped import shipped
from edge.staff import sign_in as sign_in_room
from edge.staff.page import StaffPage, StaffParts
from edge.staff.routes import STAFF_RULES, build_staff_page, staff_handlers
from edge.staff.sign_in import Member
from edge.stock.desk import StockDesk
from edge.stock.late_facts import let_counts_stand
from edge.store import Identity, Store, Topic
from edge.tasks import TaskDesk

NOON_MS = 1_795_431_600_000
"""2026-11-23 12:00 in Madrid."""

sign_in_room._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""What a hash costs is argon2's own affair; here it would only take minutes."""

PINS = {"ana": "246810", "luis": "135791", "teo": "975310"}
PIN_HASHES = {person: sign_in_room.hash_pin(pin) for person, pin in PINS.items()}
MEMBERS = (Member("ana", "Ana", Role.SUPERVISOR, PIN_HASHES["ana"]),
           Member("luis", "Luis", Role.STAFF, PIN_HASHES["luis"]),
           Member("teo", "Teo", Role.TECHNICIAN, PIN_HASHES["teo"]))

MILK, BREAD, WINE = "1001", "1002", "1003"
CATALOGUE = (
    Item(MILK, "LECHE ENTERA", ("8410000000018",), package_size="1 L"),
    Item(BREAD, "PAN DE MOLDE", ("8410000000025",), package_size="450 G"),
    Item(WINE, "VINO TINTO CRIANZA", ("8410000000032",), package_size="75 CL", age_limit_years=18),
)
PRICES = {MILK: 109, BREAD: 189, WINE: 745}
SHELF, OTHER = "0000021b1ad03b17", "0000021b1ad03b18"


@dataclass
class Clocks:
    """Clocks that a scene can move."""

    wall: int = NOON_MS
    boot: int = 0
    boot_id: str = "first"

    def wall_ms(self) -> int:
        return self.wall

    def boot_ms(self) -> int:
        return self.boot

    def pass_s(self, seconds: float) -> None:
        """Time goes by."""
        self.wall += int(seconds * 1000)
        self.boot += int(seconds * 1000)


def as_blob(_description: LabelDescription, picture: Picture) -> Blob:
    """The picture's own pixels stand for its encoding."""
    return Blob(f"{hash(picture.pixels) & 0xFFFFFFFFFFFF:012x}", 0, picture.pixels)


@dataclass
class Station:
    """A base station in the hands of the test: nothing is proven unless the scene says so."""

    planner: LabelPlanner | None = None
    name: str = "aisle"
    state: StationState = StationState.READY
    progress: int = 0
    offers: dict[str, list[Blob]] = field(default_factory=dict)
    lit: list[str] = field(default_factory=list)
    lights: list[tuple[str, float]] = field(default_factory=list)
    dark: bool = False
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    encode: ClassVar[Encoder] = staticmethod(as_blob)  # type: ignore[assignment]  # as the port's property

    def describe(self, label: str) -> LabelDescription | None:
        if label not in self.sizes:
            return None
        colours = frozenset({Colour.WHITE, Colour.BLACK, Colour.RED})
        return LabelDescription(label, "M3 2.9", *self.sizes[label], colours, frozenset({Feature.LED}), 20.0)

    def adopt(self, label: str, type_name: str) -> None:
        """Every label of the scene is served."""

    async def offer(self, label: str, blob: Blob, *, urgent: bool = False) -> None:
        if self.state is not StationState.READY:
            raise OfferRefused(f"{self.name} is {self.state.value}")
        self.offers.setdefault(label, []).append(blob)

    async def withdraw(self, label: str) -> None:
        """Nothing is left of what was offered."""

    async def sleep(self, label: str, minutes: int) -> None:
        """It sleeps."""

    async def light(self, label: str, colour: Colour, seconds: float) -> None:
        if self.dark:
            raise OfferRefused(f"label {label} has no LED")
        self.lit.append(label)
        self.lights.append((label, seconds))

    async def run(self) -> None:
        await asyncio.Event().wait()

    def hears(self, label: str, size: tuple[int, int] = (296, 128)) -> None:
        """A label is heard for the first time."""
        self.sizes[label] = size
        self.says(Seen(label, self.describe(label)))

    def proves(self, label: str) -> None:
        """The label proves the newest picture that it was offered."""
        self.says(Shown(label, self.offers[label][-1].version))

    def fails(self, label: str, reason: str = "the label did not fetch it") -> None:
        """The newest offer comes to nothing."""
        self.says(Failed(label, self.offers[label][-1].version, reason))

    def goes(self, state: StationState) -> None:
        """The station's connection changes."""
        self.state = state
        self.says(StationChanged(self.name, state, ""))

    def says(self, event: DriverEvent) -> None:
        assert self.planner is not None
        self.planner.hear(event)


class Shop:
    """Everything of one store that the staff page sees. `async with Shop(folder) as shop:`."""

    def __init__(self, folder: Path, language: str = "en", members: tuple[Member, ...] = MEMBERS,
                 places: tuple[str, ...] = ("A1", "A2", "A3")) -> None:
        self.folder = folder
        self.places = places
        self.language = language
        self.members = members
        self.clocks = Clocks()
        self.station = Station()
        self.link = LinkState(up=True, since_ms=NOON_MS - 3_600_000, backlog=0)
        self.books: Books
        self.store: Store
        self.page: StaffPage
        self.app: Starlette
        self.rules: tuple[Rule, ...] = (*RULES, *STAFF_RULES)
        self.orders: dict[str, Order] = {}
        self._offset = 0

    async def __aenter__(self) -> "Shop":
        self.books = open_books(self.folder, "a database key", "0042", ThreadWriter)
        identity = Identity("0042", "Calle Mayor", ZoneInfo("Europe/Madrid"), "EUR", self.language, "metric",
                            "id.example.com")
        self.store = Store(identity, self.books, StoreClock(self.clocks, None), Policy(), random.Random(42))
        self.prices = PriceDesk(self.store)
        self.pickups = PickupDesk(self.store, PeopleVault("a store key"), let_counts_stand)
        self.picking = PickingDesk(self.store, self.pickups, self.prices, [StagingPlace(each) for each in self.places])
        self.guard = GuardDesk(self.store)
        self.paper = PaperStation("paper", lambda event: self.planner.hear(event, "paper"))
        stations: dict[str, BaseStation] = {"aisle": self.station, "paper": self.paper}
        wanted = WantedPictures(self.store, self.prices, load_templates([shipped("config/templates")]))
        self.book = PriceBook(self.store, self.prices)
        self.planner = LabelPlanner(self.store, self.prices, wanted, InlineArtist(), stations,
                                    PreparedPictures(), self.book)
        self.station.planner = self.planner
        self.labels = LabelDesk(self.store, self.prices, self.planner, stations)
        self.tills = TransactionDesk(self.store, self.prices)
        self.stock = StockDesk(self.store, self.prices, self.tills.clocks.ahead_ms)
        issues = IssueList()
        issues.add(StoreChecks(self.store, self.planner, self.guard, self.book, stations, lambda: self.link, list, list,
                               []).issues)
        self.page = build_staff_page(StaffParts(
            self.store, self.prices, self.pickups, self.guard, self.planner, wanted, self.labels, stations,
            InlineArtist(), lambda: self.link, issues, self.members, self.stock, self.picking))
        self.store.listeners += [self.planner.follow_news, self.page.follow_news]
        handlers = {**till_handlers(self.store, self.prices, self.tills),
                    **stock_handlers(self.store), **store_handlers(self.pickups, self.guard, TaskDesk(self.store)),
                    **count_handlers(self.stock), **goods_handlers(self.stock),
                    **label_handlers(self.labels), **staff_handlers(self.page)}
        self.rules = tuple(rule for rule in self.rules if rule.handler in handlers)
        tokens = Tokens({"till-token": Principal("1", Role.TILL)})
        self.app = build_app(self.rules, handlers, tokens, self.page.door)
        self._running = [asyncio.create_task(self.planner.run()), asyncio.create_task(self.paper.run()),
                         asyncio.create_task(self.page.run())]
        await self.stock_shelves()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in reversed(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self.books.close(self.store.clock.stamp())

    # --- what happens in the shop -----------------------------------------------------------------------------

    async def stock_shelves(self) -> None:
        """The catalogue and its prices arrive."""
        await self.feed(Feed.ITEMS, {item.sku: item for item in CATALOGUE})
        await self.feed(Feed.PRICES, {f"regular/{sku}": Price(sku, price, "EUR") for sku, price in PRICES.items()})

    async def feed(self, feed: Feed, documents: Mapping[str, msgspec.Struct]) -> None:
        """A batch of the hub's feed arrives and is told."""
        await self._apply(feed, *(Put(index + 1, key, self._offset + 1, msgspec.Raw(msgspec.json.encode(document)))
                                  for index, (key, document) in enumerate(documents.items())))

    async def feed_item(self, sku: str, name: str) -> None:
        """A product gets another name."""
        await self.feed(Feed.ITEMS, {sku: Item(sku, name)})

    async def forget_item(self, sku: str) -> None:
        """A product leaves the catalogue."""
        await self._apply(Feed.ITEMS, Delete(1, sku, self._offset + 1))

    async def forget(self, feed: Feed, key: str) -> None:
        """A document goes out of its feed."""
        await self._apply(feed, Delete(1, key, self._offset + 1))

    async def _apply(self, feed: Feed, *changes: Change) -> None:
        self._offset += 1
        batch, moment = Batch(changes, Checkpoint("one", self._offset)), self.store.moment()
        applied = await self.books.replica.submit(lambda c: apply_batch(c, feed, batch, moment, {}))
        self.store.tell(Topic.PRICES, *applied.skus)

    async def sets_price(self, sku: str, price_minor: int) -> None:
        """The hub changes a list price."""
        await self.feed(Feed.PRICES, {f"regular/{sku}": Price(sku, price_minor, "EUR")})

    async def hangs(self, label: str, sku: str, *, proven: bool = True) -> None:
        """A label is heard and hung under a product; by default it shows the product's price."""
        self.station.hears(label)
        await self.until(lambda: self.row(label) is not None)
        await self.labels.bind(label, sku, "ana", self.store.mint())
        await self.until(lambda: label in self.station.offers)
        if proven:
            self.station.proves(label)
            await self.until(lambda: self.state(label) is LabelState.SHOWN)

    async def hold_a_price(self) -> None:
        """Somebody at the hub mistypes a price; the guard holds it."""
        await self.feed(Feed.PRICES, {f"regular/{WINE}": Price(WINE, 7, "EUR")})

    async def sells(self, sku: str, sequence: int, quantity_milli: int = 1000, price_minor: int | None = None) -> None:
        """Till 1 sells something, at its first price unless told otherwise."""
        amount = (PRICES[sku] if price_minor is None else price_minor) * quantity_milli // 1000
        line = LineIn(1, quantity_milli, amount, sku=sku, kind=LineKind.SALE)
        await self.tills.take(TillDay("1", "2026-11-23"), sequence, TransactionIn(
            TransactionKind.SALE, "EUR", amount, self.store.local(self.clocks.wall), [line]))

    async def receives(self, sku: str, pieces: int) -> None:
        """Goods come in."""
        await receive(self.store, MovementIn(self.store.mint(), [ReceivedLine(sku, pieces * 1000)]), "luis")

    async def order(self, order_id: str, *skus: str, code: str = "K7P3XQ2M", customer: str = "Marta R.",
                    pieces: int = 2, may_substitute: bool = False, phone: str = "42") -> None:
        """An online order arrives."""
        lines = tuple(OrderLine(index + 1, sku, pieces * 1000, PRICES[sku], may_substitute)
                      for index, sku in enumerate(skus))
        await self.hub_says(Order(order_id, 1, self.clocks.wall, lines, "EUR", f"person-{order_id}",
                                  Person(customer, phone), code))

    async def hub_says(self, order: Order) -> None:
        """A revision of an order arrives."""
        self._offset += 1
        self.orders[order.order_id] = order
        put = Put(1, order.order_id, 1, msgspec.Raw(msgspec.json.encode(order)))
        await self.pickups.apply(Batch((put,), Checkpoint("one", self._offset)))

    async def announces(self, delivery_id: str, *skus: str, pieces: int = 3) -> None:
        """A delivery of some pieces of each product is on its way."""
        self._offset += 1
        delivery = Delivery(delivery_id, 1, tuple(DeliveryLine(sku, pieces * 1000) for sku in skus), "Lácteos Norte",
                            "albarán 7")
        put = Put(1, delivery_id, 1, msgspec.Raw(msgspec.json.encode(delivery)))
        await self.stock.deliveries.apply(Batch((put,), Checkpoint("one", self._offset)))

    async def planogram(self, **aisles: str) -> None:
        """Where products lie: an aisle each, as `sku_1001="3"`; the bay is always 1."""
        rows = [(name.removeprefix("sku_"), ShelfPlace(aisle, "1")) for name, aisle in aisles.items()]
        await self.books.ledger.submit(lambda connection: put_planogram(connection, rows))

    async def undo_time_passes(self) -> None:
        """Nobody takes anything back: steps become facts."""
        self.clocks.pass_s(UNDO_S)
        await self.pickups.settle_due()

    def acts(self) -> list[StaffAct]:
        """What people decided, oldest first."""
        rows = self.books.ledger_reader.execute("SELECT payload FROM entry WHERE kind = 'staff-act' ORDER BY sequence")
        facts = [decode_fact(payload) for (payload,) in rows.fetchall()]
        return [fact for fact in facts if isinstance(fact, StaffAct)]

    def row(self, label: str) -> LabelRow | None:
        """The label as the ledger has it."""
        return label_row(self.books.ledger_reader, label)

    def state(self, label: str) -> LabelState | None:
        """Where the planner has the label."""
        row = self.row(label)
        return self.planner.state_of(row)[0] if row else None

    @staticmethod
    async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait for it to become true."""
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110  what it waits for has no event
                await asyncio.sleep(0.005)

    def stop_page(self) -> None:
        """The page's part ends, as the daemon ends it before its servers."""
        self._running[-1].cancel()

    def close_streams(self) -> None:
        """Every live line breaks."""
        for stream in self.page.live._streams:
            stream.close()

    # --- people at the page -----------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def browser(self, base_url: str = "http://shop.test") -> AsyncIterator["Visitor"]:
        """A browser without scripts, with its own cookies."""
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
            yield Visitor(client)

    @contextlib.asynccontextmanager
    async def signed_in(self, person: str = "ana") -> AsyncIterator["Visitor"]:
        """A browser in which this person has signed in."""
        async with self.browser() as visitor:
            response = await visitor.signs_in(person)
            assert response.status_code == 303, response.text
            yield visitor


@dataclass
class Visitor:
    """A person at a browser without scripts: reads pages, fills in their forms."""

    client: httpx.AsyncClient

    async def signs_in(self, person: str, pin: str | None = None) -> httpx.Response:
        """By name and PIN, the right one unless told otherwise."""
        page = await self.client.get("/staff/sign-in")
        return await self.client.post("/staff/sign-in", data={
            "form_token": form_token(page.text), "name": person, "next": "",
            "pin": PINS.get(person, "000000") if pin is None else pin})

    async def reads(self, path: str) -> str:
        """A page, which must answer."""
        response = await self.client.get(path)
        assert response.status_code == 200, (response.status_code, response.text)
        return response.text

    async def fills(self, path: str, action: str, **fields: str) -> httpx.Response:
        """Open a page and send its form with this action; hidden fields as they stand."""
        return await self.sends(action, {**form_fields(await self.reads(path), action), **fields})

    async def sends(self, action: str, fields: dict[str, str]) -> httpx.Response:
        """Send a form."""
        return await self.client.post(action, data=fields)

    async def message(self, after: httpx.Response) -> str:
        """What the page says after an action."""
        assert after.status_code == 303, (after.status_code, after.text)
        return messages(await self.reads(after.headers["location"]))[-1]


def form_token(html: str) -> str:
    """The token of the page's first form."""
    found = re.search(r'name="form_token" value="([^"]+)"', html)
    assert found is not None
    return found[1]


def form_fields(html: str, action: str) -> dict[str, str]:
    """The hidden fields of the page's form with this action."""
    found = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', html, re.DOTALL)
    assert found is not None, f"no form to {action}"
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', found[1]))


def messages(html: str) -> list[str]:
    """The page's messages, as text."""
    found = re.findall(r'<div class="message [^>]*>\s*<p class="text">(.*?)</p>', html, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", text).split()) for text in found]
