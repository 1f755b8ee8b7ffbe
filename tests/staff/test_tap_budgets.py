"""How many taps each flow takes, counted in a browser on a phone against a daemon that really runs, without its hub.

The budgets are those of staff-and-operations.md A.3: pointer events on the page, scans counted apart. What is typed is
counted too, and shown beside them. The table is printed, whatever the outcome.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from cloud_sync.contract.documents import Order, OrderLine, Person, Policy, Price
from cloud_sync.contract.feeds import Batch, Checkpoint, Feed, Put
from cloud_sync.contract.pickup import Step
from edge.clock import StoreClock, SystemClock
from edge.db.books import Books, open_books
from edge.db.replica import apply_batch
from edge.db.writer import ThreadWriter
from edge.pickups.desk import PickupDesk
from edge.pickups.people import PeopleVault
from edge.pickups.requests import StepRequest
from edge.pickups.shelf import ShelfPlace, put_planogram
from edge.pos.stock_routes import MovementIn, ReceivedLine, receive
from edge.store import Identity, Store
from tests.daemon.real_box import RealBox
from tests.service import Service
from tests.staff.shop import BREAD, CATALOGUE, MILK, PIN_HASHES, PRICES, WINE
from tests.staff.test_browser import PHONE, Phone, browser, phone_of

__all__ = ["browser"]

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.slow]

CODES = {MILK: "8410000000018", BREAD: "8410000000025", WINE: "8410000000032"}
ROOT = Path(__file__).parents[2]
COUNTS = """
for (const [event, name] of [["pointerdown", "taps"], ["beforeinput", "typed"]]) {
  document.addEventListener(event, (each) => {
    if (each.isTrusted) sessionStorage[name] = Number(sessionStorage[name] ?? 0) + (each.data?.length ?? 1);
  }, true);
}"""
"""Counts in every page of the tab, across pages."""

LINES, PIECES = 3, 2
"""Products of the order that is picked, and pieces of each."""


@dataclass(frozen=True)
class Flow:
    """A row of A.3. `taps`, `scans`: what it may take at most."""

    name: str
    taps: int
    scans: int = 0


START = Flow("start the next pick", 1)
BY_SCANNER = Flow(f"pick {LINES * PIECES} items by scanner; the last scan puts aside", 0, LINES * PIECES)
BY_HAND = Flow(f"pick {LINES} lines without scanner, ready", LINES + 1)
SHORT = Flow("short pick a line, with its reason", 3)
SUBSTITUTE = Flow("short pick a line, another product offered", 3)
WITH_CODE = Flow("hand over with code", 1, 1)
LOST_CODE = Flow("hand over, code lost (4 digits typed)", 1)
UNDO = Flow("undo the last action", 1)
REFUSED = Flow("a line that the customer does not take", 1)
RECEIVE = Flow("receive one product (typed: the scanner's keys too)", 0, 1)
COUNT = Flow("count: enter", 1)


class Table:
    """What was counted, a row for each flow."""

    def __init__(self) -> None:
        self.rows: list[tuple[Flow, int, int, int]] = []

    def __str__(self) -> str:
        head = f"{'flow':<58} {'taps':>4} {'budget':>6} {'scans':>5} {'budget':>6} {'typed':>5}"
        rows = [f"{flow.name:<58} {taps:>4} {flow.taps:>6} {scans:>5} {flow.scans:>6} {typed:>5}"
                for flow, taps, scans, typed in self.rows]
        return "\n".join(["", head, "-" * len(head), *rows])


class Counter:
    """A phone whose taps and scans are counted."""

    def __init__(self, phone: Phone, table: Table) -> None:
        self.phone = phone
        self.table = table
        self._scans = 0

    @property
    def page(self) -> Page:
        """The browser's page."""
        return self.phone.page

    async def taps(self, selector: str) -> None:
        """A finger on it."""
        await self.page.locator(selector).first.tap()

    async def scans(self, code: str) -> None:
        """The scanner reads something."""
        self._scans += 1
        await self.phone.scans(code)

    async def begins(self) -> None:
        """From here on."""
        self._scans = 0
        await self.page.evaluate("sessionStorage.clear()")

    async def ends(self, flow: Flow) -> None:
        """Up to here: the flow keeps its budget."""
        taps, typed = [int(await self.page.evaluate(f"sessionStorage.{name} ?? 0")) for name in ("taps", "typed")]
        self.table.rows.append((flow, taps, self._scans, typed))
        assert taps <= flow.taps, f"{flow.name}: {taps} taps, budget {flow.taps}"
        assert self._scans <= flow.scans, f"{flow.name}: {self._scans} scans, budget {flow.scans}"

    async def says(self, text: str) -> None:
        """The page says it."""
        await expect(self.page.locator(".message")).to_contain_text(text)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[RealBox]:
    """A box with people, staging places and no hub."""
    service = Service(tmp_path)
    box = RealBox(tmp_path, service, more=(
        "staff: [{id: ana, name: Ana, role: supervisor, pin: !credential staff-ana}, "
        "{id: luis, name: Luis, pin: !credential staff-luis}]\n"
        "staging_places: [{name: A1}, {name: A2}, {name: A3}, {name: A4}, {name: A5}]\n"))
    box.secrets |= {f"TRASTIENDA_STAFF_{each.upper()}": PIN_HASHES[each] for each in ("ana", "luis")}
    box.secrets["PYTHONPATH"] = str(ROOT)
    yield box
    service.close()


async def _opened(box: RealBox) -> tuple[Books, Store, PickupDesk]:
    """The box's own books, while its daemon is down."""
    books = open_books(box.state, box.secrets["TRASTIENDA_DATABASE_KEY"], "7", ThreadWriter)
    identity = Identity("7", "Corner", ZoneInfo("Europe/Madrid"), "EUR", "en", "metric", "id.example.com")
    store = Store(identity, books, StoreClock(SystemClock(), books.last_clock), Policy(), random.Random(7))
    return books, store, PickupDesk(store, PeopleVault(box.secrets["TRASTIENDA_STORE_KEY"]))


async def stocked(box: RealBox, *orders: Order, ready: frozenset[str] = frozenset()) -> None:
    """Catalogue, stock, planogram and orders as the hub would have sent them; some orders picked and ready."""
    books, store, desk = await _opened(box)
    prices = {f"regular/{sku}": Price(sku, price, "EUR") for sku, price in PRICES.items()}
    for feed, documents in ((Feed.ITEMS, {item.sku: item for item in CATALOGUE}), (Feed.PRICES, prices)):
        changes = tuple(Put(1, key, 1, msgspec.Raw(msgspec.json.encode(each))) for key, each in documents.items())
        await books.replica.submit(lambda connection, feed=feed, changes=changes: apply_batch(
            connection, feed, Batch(changes, Checkpoint("one", 1)), store.moment(), {}))
    for sku in PRICES:
        await receive(store, MovementIn(store.mint(), [ReceivedLine(sku, 50_000)]), "luis")
    await books.ledger.submit(lambda connection: put_planogram(connection, [
        (MILK, ShelfPlace("3", "12", "2")), (BREAD, ShelfPlace("3", "12", "4")), (WINE, ShelfPlace("10", "1", "1"))]))
    changes = tuple(Put(1, order.order_id, 1, msgspec.Raw(msgspec.json.encode(order))) for order in orders)
    await desk.apply(Batch(changes, Checkpoint("one", 1)))
    for order_id in ready:
        for step in (Step.PICK, Step.STAGE, Step.READY):
            await desk.take_step(StepRequest(order_id, store.mint(), step, "luis",
                                             place="A5" if step is Step.STAGE else ""))
    books.close(store.clock.stamp())


def order(order_id: str, *skus: str, pieces: int = PIECES, may_substitute: bool = False, phone: str = "4711") -> Order:
    """An online order that was just placed."""
    lines = tuple(OrderLine(number, sku, pieces * 1000, PRICES[sku], may_substitute)
                  for number, sku in enumerate(skus, start=1))
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    return Order(order_id, 1, now_ms, lines, "EUR", f"person-{order_id}", Person("Marta R.", phone),
                 f"CODE{order_id[-4:]}")


@pytest_asyncio.fixture
async def table(capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Table]:
    """Printed at the end, also of a test that fails."""
    table = Table()
    yield table
    with capsys.disabled():
        print(table)  # noqa: T201  the table is what one wants to see


async def counter_of(browser: Browser, box: RealBox, table: Table) -> Counter:
    phone = await phone_of(browser, box.url, PHONE)
    await phone.page.add_init_script(COUNTS)
    await phone.signs_in("luis")
    await phone.opens("/staff/pickups")
    counter = Counter(phone, table)
    await counter.begins()
    return counter


async def test_every_flow_at_the_desk_and_the_shelf_keeps_its_budget(box: RealBox, browser: Browser,
                                                                    table: Table) -> None:
    """A.3, with the line down all the time (P8)."""
    await stocked(box, order("O-1001", MILK, BREAD, WINE), order("O-2002", MILK, BREAD, WINE),
                  order("O-3003", BREAD, MILK, may_substitute=True), order("O-4004", MILK, BREAD),
                  order("O-5005", MILK, BREAD, phone="0815"), ready=frozenset({"O-4004", "O-5005"}))
    await asyncio.to_thread(box.start)
    luis = await counter_of(browser, box, table)

    await scanned(luis)
    await tapped(luis)
    await missed(luis)
    await handed_over(luis)
    await received(luis)
    luis.phone.talked_to_the_box_only()
    box.service.stop()
    steps = box.ledger_rows("SELECT payload FROM entry WHERE kind = 'pickup' ORDER BY sequence")
    assert len(steps) > 20, "all of it became facts, or does at the next start"


async def scanned(luis: Counter) -> None:
    """The first order, by scanner alone: found by its number."""
    await luis.scans("O-1001")
    await luis.page.wait_for_url("**/staff/picking")
    await luis.ends(Flow("start a pick by its order's code", 0, 1))
    await luis.begins()
    for sku in (MILK, BREAD, WINE):
        for _ in range(PIECES):
            await luis.scans(CODES[sku])
            await luis.says("into A1.")
            await asyncio.sleep(0.1)
    await luis.says("Order O-1001 is complete: put it at A1.")
    await expect(luis.page.locator("#picking .state").first).to_have_text("Put aside")
    await luis.ends(BY_SCANNER)
    await luis.begins()
    await luis.scans("A1")
    await luis.says("Ready for Marta R.: order O-1001.")
    await luis.ends(Flow("say that it stands in its place", 0, 1))


async def tapped(luis: Counter) -> None:
    """The next ones, by thumb alone."""
    await luis.phone.opens("/staff/pickups/O-2002")
    await luis.begins()
    await luis.taps("#start")
    await luis.page.wait_for_url("**/staff/picking")
    await luis.ends(START)
    await luis.begins()
    for number in range(LINES):
        await luis.taps(".stop.is-next button.main")
        await expect(luis.page.locator(".stop")).to_have_count(LINES - 1 - number)
    await luis.taps("#all-ready")
    await luis.says("Ready for Marta R.: order O-2002.")
    await luis.ends(BY_HAND)


async def missed(luis: Counter) -> None:
    """Goods that are not there, and the tap that takes it back."""
    await luis.phone.opens("/staff/pickups")
    await luis.begins()
    await luis.taps("#start")
    await luis.page.wait_for_url("**/staff/picking")
    await luis.ends(Flow("start the next picks from the list", 1))
    await luis.begins()
    await luis.taps(".stop.is-next summary")
    await luis.taps(".stop.is-next button[value=damaged]")
    await luis.says("Will not come: 2 × Leche Entera.")
    await luis.ends(SHORT)
    await luis.begins()
    await luis.taps(".message button")
    await luis.says("Taken back.")
    await luis.ends(UNDO)
    await luis.taps(".stop.is-next button.main")
    await luis.says("2 × Leche Entera into")
    await luis.begins()
    await luis.taps(".stop.is-next summary")
    await luis.taps(".stop.is-next .one-of:has(input[value='1001'])")
    await luis.taps(".stop.is-next button[value=not_in_stock]")
    await luis.says("is asked whether Leche Entera may come instead of Pan de Molde.")
    await luis.ends(SUBSTITUTE)


async def handed_over(luis: Counter) -> None:
    """Customers at the desk."""
    await luis.phone.opens("/staff/pickups")
    await luis.begins()
    await luis.scans("CODE4004")
    await luis.taps("#hand-over")
    await luis.says("Handed over to Marta R.: order O-4004.")
    await luis.ends(WITH_CODE)
    await luis.begins()
    await luis.taps("a.entry[href$='O-5005']")
    await luis.taps("#refuse-2")
    await luis.says("Not taken: Pan de Molde.")
    await luis.ends(Flow("open an order, and a line the customer does not take", 2))
    await luis.phone.opens("/staff/pickups")
    await luis.begins()
    await expect(luis.page.locator("#code")).to_be_focused()
    await luis.page.keyboard.type("0815", delay=120)
    await luis.page.keyboard.press("Enter")
    await luis.taps("#lost-code button")
    await luis.says("Handed over to Marta R.: order O-5005.")
    await luis.ends(LOST_CODE)


async def received(luis: Counter) -> None:
    """Goods that come in; and a count."""
    await luis.phone.opens("/staff/receive")
    await luis.begins()
    await luis.scans(CODES[MILK])
    await luis.page.keyboard.type("12", delay=120)
    await luis.page.keyboard.press("Enter")
    await luis.says("Received: 12 × Leche Entera.")
    await luis.ends(RECEIVE)
    await sent(luis)
    await luis.phone.opens("/staff")
    await luis.begins()
    await luis.taps("form[action='/staff/counts'] button")
    await expect(luis.page.locator("#code")).to_be_focused()
    await luis.ends(COUNT)
    await counted(luis)


async def sent(luis: Counter) -> None:
    """A list for another store: the scanner writes it, line by line."""
    await luis.phone.opens("/staff/transfers")
    await luis.begins()
    await expect(luis.page.locator("#to_store")).to_be_focused()
    await luis.page.keyboard.type("12", delay=120)
    await luis.taps("#listed")
    for sku in (MILK, BREAD, MILK):
        await luis.scans(CODES[sku])
        await asyncio.sleep(0.1)
    await expect(luis.page.locator("#listed")).to_have_value("".join(f"{CODES[sku]}\n" for sku in (MILK, BREAD, MILK)))
    await luis.taps("form[action$='/check'] button")
    await expect(luis.page.locator("form[action='/staff/transfers'] .list")).to_contain_text("Leche Entera")
    await luis.taps("form[action='/staff/transfers'] button")
    await luis.says("On their way to store 12: 2 products.")
    await luis.ends(Flow("send to another store: list, look, send", 3, 3))


async def counted(luis: Counter) -> None:
    """A whole count: pieces by scanner, many of one by keypad, none of another."""
    await luis.begins()
    for number in range(1, PIECES + 1):
        await luis.scans(CODES[MILK])
        await luis.says(f"Leche Entera: {number} counted.")
        await asyncio.sleep(0.1)
    await luis.ends(Flow(f"count: {PIECES} pieces", 0, PIECES))
    await luis.begins()
    await luis.scans(CODES[BREAD])
    await luis.says("Pan de Molde: 1 counted.")
    await luis.taps("#counted-1 summary")
    await expect(luis.page.locator("#counted-1 input[name=quantity]")).to_be_focused()
    await luis.page.keyboard.type("24", delay=120)
    await luis.page.keyboard.press("Enter")
    await luis.says("Pan de Molde: 24 counted.")
    await luis.ends(Flow("count: many of one (scan, quantity by keypad)", 1, 1))
    await luis.begins()
    await luis.taps("button[value=yes][name=none]")
    await luis.says("0 counted.")
    await luis.ends(Flow("count: none here", 1))
    await luis.begins()
    await luis.taps("form[action$='/submit'] button")
    await luis.says("Counted:")
    await luis.ends(Flow("count: done", 1))
