"""`trastienda doctor` as a technician uses it: a whole store and a whole hub, copies that differ, chains that broke."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx
import msgspec
import pytest
from click.testing import CliRunner

from cloud_sync.contract.feeds import Feed
from edge.cli import main
from edge.db.books import derive_key
from edge.db.connection import connect
from edge.doctor import FeedReport, Report, technician_token
from edge.doctor_command import as_text
from tests.client.fakes import virtually
from tests.daemon.real_box import RealBox
from tests.daemon.virtual_box import SECRETS, STORE, TILL, YAML, VirtualBox
from tests.feeds.line import Wire, item, price_of
from tests.hub.processes import HubProcesses
from tests.hub.world import HubWorld

SKUS = [f"sku-{number:04}" for number in range(3_000)]
TECHNICIAN = technician_token(SECRETS["TRASTIENDA_DATABASE_KEY"])
ANOTHER_NAME = "UPDATE item SET name = 'SOMETHING ELSE' WHERE sku = 'sku-0007'"


class Enrolled(httpx.AsyncBaseTransport):
    """The line of a store whose token the hub minted."""

    def __init__(self, wire: Wire, token: str) -> None:
        self._wire, self._token = wire, token

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["authorization"] = f"Bearer {self._token}"
        return await self._wire.handle_async_request(request)


class Shop:
    """The daemon of a box under virtual time, and its hub."""

    def __init__(self, box: VirtualBox, world: HubWorld, wire: Wire) -> None:
        self.box, self.world, self.wire = box, world, wire

    async def has(self, *skus: str) -> None:
        answer = await self.world.operator.put("/v1/catalogue", content=msgspec.json.encode(
            {"items": [item(sku) for sku in skus], "prices": [price_of(sku, "0.99") for sku in skus]}))
        assert answer.is_success, answer.text

    def plant(self, statement: str) -> None:
        """Somebody with a shell and the key changes a row."""
        key = derive_key(SECRETS["TRASTIENDA_DATABASE_KEY"], "replica.db")
        with closing(connect(self.box.directory / "state" / "replica.db", key, synchronous="NORMAL")) as somebody:
            assert somebody.execute(statement).rowcount == 1

    async def examined(self, *, repair: bool = False) -> Report:
        answer = await self.box.ask("POST" if repair else "GET", "/v1/doctor", TECHNICIAN)
        assert answer.status == 200, answer.body
        return msgspec.json.decode(answer.body, type=Report)

    def repairs(self, feed: Feed = Feed.ITEMS) -> int:
        return self.box.daemon.rooms.link.state.feeds[feed].repairs

    def name_of(self, sku: str) -> str:
        return self.box.daemon.rooms.prices.by_sku(sku).name


@asynccontextmanager
async def stocked(directory: Path) -> AsyncIterator[Shop]:
    """A store that has the whole catalogue of its hub."""
    world = HubWorld("sqlite://")
    token = (await world.operator.put(f"/v1/stores/{STORE}", json={})).json()["token"]
    wire = Wire(world)
    box = VirtualBox(directory, yaml=YAML + TILL)
    box.hub.transport = Enrolled(wire, token)
    shop = Shop(box, world, wire)
    await shop.has(*SKUS)
    box.start()
    try:
        await box.until(lambda: all(
            (known := box.daemon.rooms.link.state.feeds.get(feed)) is not None and known.caught_up and known.equal
            for feed in (Feed.ITEMS, Feed.PRICES)))
        yield shop
    finally:
        world.bells.close()
        await box.close()
        world.stop()


def of(report: Report, feed: Feed) -> FeedReport:
    return next(found for found in report.feeds if found.feed == feed)


@virtually
async def test_p9_a_row_that_somebody_changed_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    async with stocked(tmp_path) as shop:
        whole = await shop.examined()
        assert whole.healthy
        assert (of(whole, Feed.ITEMS).equal, of(whole, Feed.PRICES).equal) == (True, True)

        shop.plant(ANOTHER_NAME)
        found = await shop.examined()
        assert not found.healthy
        assert of(found, Feed.ITEMS).keys == ("sku-0007",)
        assert of(found, Feed.PRICES).equal
        assert "items: DIFFERS" in as_text(found)
        assert (shop.name_of("sku-0007"), shop.repairs()) == ("SOMETHING ELSE", 0)


@virtually
async def test_p9_the_next_checkpoint_puts_it_right_with_less_than_a_hundredth_of_the_rows(tmp_path: Path) -> None:
    async with stocked(tmp_path) as shop:
        shop.plant(ANOTHER_NAME)
        buckets_asked = shop.wire.times("feeds/items/buckets/")
        await shop.has("news")
        await shop.box.until(lambda: shop.name_of("sku-0007") == "SKU-0007")
        known = shop.box.daemon.rooms.link.state.feeds[Feed.ITEMS]
        assert (known.repairs, known.rows_repaired) == (1, 1)
        assert 0 < known.rows_fetched < len(SKUS) / 100
        assert shop.wire.times("feeds/items/buckets/") == buckets_asked + 1
        assert (await shop.examined()).healthy


@pytest.mark.parametrize(("feed", "statement", "recounted"), [
    (Feed.ITEMS, (ANOTHER_NAME,), {}),
    (Feed.PRICES, ("DELETE FROM document WHERE feed = 'prices' AND key = 'regular/sku-0007'",), {}),
    (Feed.ITEMS, ("INSERT INTO own_hand VALUES (1)", ANOTHER_NAME, "DELETE FROM own_hand"), {"items": 1}),
], ids=["a table", "a document", "a bug of our own"])
def test_p9_a_repair_by_hand_puts_right_what_differs_at_once(
        tmp_path: Path, feed: Feed, statement: tuple[str, ...], recounted: dict[str, int]) -> None:
    @virtually
    async def scene() -> None:
        async with stocked(tmp_path) as shop:
            for each in statement:
                shop.plant(each)
            repaired = await shop.examined(repair=True)
            assert repaired.healthy is not bool(recounted), "what a recount found wrong is worth an exit code"
            assert repaired.recounted == recounted
            assert (of(repaired, feed).equal, of(repaired, feed).repaired) == (True, 1)
            assert "1 rows were put right: " + of(repaired, feed).keys[0] in as_text(repaired)
            assert shop.repairs(feed) == 0, "nothing was left for the next checkpoint"
            assert shop.name_of("sku-0007") == "SKU-0007"
            assert shop.wire.times("/buckets/") == 1
            assert (await shop.examined()).healthy
    scene()


@virtually
async def test_a_hub_that_is_out_of_reach_is_no_difference(tmp_path: Path) -> None:
    async with stocked(tmp_path) as shop:
        async def unplugged(_request: httpx.Request, _handle: object) -> httpx.Response:
            raise httpx.ConnectError("unplugged")
        shop.wire.faults["/v1/"] = unplugged
        report = await shop.examined(repair=True)
        assert report.healthy
        assert of(report, Feed.ITEMS).equal is None
        assert "unplugged" in of(report, Feed.ITEMS).note
        assert (report.entries_checked, report.chain_broken_at) == (0, None)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_p11_only_who_looks_after_the_box_may_ask(tmp_path: Path, method: str) -> None:
    @virtually
    async def scene() -> None:
        async with stocked(tmp_path) as shop:
            shop.plant(ANOTHER_NAME)
            for token, status in (("", 401), ("a stranger", 401), ("till 1", 403), ("monitor", 403)):
                assert (await shop.box.ask(method, "/v1/doctor", token)).status == status, token
            assert shop.name_of("sku-0007") == "SOMETHING ELSE"
    scene()


# --- the command ------------------------------------------------------------------------------------------------------

def doctor(box: RealBox, *options: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    done = CliRunner().invoke(main, ["doctor", str(box.config), *options], env=box.secrets)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def change(box: RealBox, name: str, statement: str) -> None:
    key = derive_key(box.secrets["TRASTIENDA_DATABASE_KEY"], name)
    with closing(connect(box.state / name, key, synchronous="FULL")) as somebody:
        assert somebody.execute(statement).rowcount == 1


@pytest.fixture
def hub(box: RealBox) -> Iterator[HubProcesses]:
    """A hub with two products, which knows the box."""
    with HubProcesses(f"sqlite:///{box.directory / 'hub.db'}", 1, box.directory) as hubs:
        with hubs.operator() as operator:
            box.secrets["TRASTIENDA_HUB_TOKEN"] = operator.put("/v1/stores/7", json={}).json()["token"]
            skus = ("sku-0007", "sku-0008")
            operator.put("/v1/catalogue", json={"items": [item(sku) for sku in skus],
                                                "prices": [price_of(sku, "0.99") for sku in skus]}).raise_for_status()
        box.hub = hubs.urls[0]
        yield hubs


def feed_of(report: str, feed: str) -> dict[str, object]:
    return next(found for found in json.loads(report)["feeds"] if found["feed"] == feed)


def becomes_equal(box: RealBox) -> None:
    """Ask until the copies are the hub's."""
    for _ in range(200):
        code, report, error = doctor(box, "--json")
        assert code == 0, error
        if feed_of(report, "items")["equal"] and feed_of(report, "prices")["equal"]:
            return
    raise AssertionError(report)


def test_p9_the_command_asks_the_daemon_or_else_the_files(box: RealBox, hub: HubProcesses) -> None:
    box.start()
    becomes_equal(box)
    code, said, _ = doctor(box, "--repair")
    assert code == 0
    assert "The store is running." in said
    assert "items: equal" in said
    assert box.put_sale(1).json()["recorded"]
    assert box.service.stop() == 0

    code, said, _ = doctor(box)
    assert code == 0
    assert "The store is not running; its files were only read." in said
    assert "items: equal" in said
    code, said, error = doctor(box, "--repair")
    assert (code, said) == (2, "")
    assert "the store is not running: start it, it repairs by itself" in error

    change(box, "replica.db", ANOTHER_NAME)
    code, said, _ = doctor(box, "--json")
    assert code == 1
    assert json.loads(said)["running"] is False
    assert feed_of(said, "items")["keys"] == ["sku-0007"]
    assert feed_of(said, "prices")["equal"] is True

    box.start()
    box.service.says("a copy was repaired")
    assert feed_of(doctor(box, "--json")[1], "items")["equal"] is True
    change(box, "ledger.db", "UPDATE entry SET payload = CAST(REPLACE(CAST(payload AS TEXT), 'sale', 'Sale') AS BLOB) "
                             "WHERE sequence = 1")
    code, said, _ = doctor(box)
    assert code == 1
    assert "the chain is BROKEN at entry 1" in said
    assert box.service.stop() == 0


def test_a_store_that_never_ran_here_is_told_so(box: RealBox) -> None:
    box.write()
    code, said, error = doctor(box, "--json")
    assert (code, said) == (2, "")
    assert "this store has not run here yet" in json.loads(error)["error"]


def test_another_program_behind_the_address_is_told_so(box: RealBox) -> None:
    box.stock_milk()
    box.start()
    box.secrets["TRASTIENDA_DATABASE_KEY"] = "another database key"
    code, said, error = doctor(box)
    assert (code, said) == (1, "")
    assert "401" in error
    assert "is this store's daemon running there?" in error
    assert box.service.stop() == 0
