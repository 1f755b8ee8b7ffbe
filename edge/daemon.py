"""The store daemon: builds every room from the settings, runs them under the supervisor, stops them in order.

A composition root (DESIGN.md section 3): the one place that knows all components. Clock, randomness, writers,
serial lines, the picture artist and the hub's transport are passed in as `Parts`, so that the simulator runs the same
daemon under virtual time.
"""

import asyncio
import random
import shutil
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import msgspec
import structlog
from starlette.types import ASGIApp

from cloud_sync.client.link_state import LinkState
from cloud_sync.client.port import Doorbell
from cloud_sync.client.session import HubLink
from cloud_sync.client.transport import HubAddress
from cloud_sync.contract.feeds import Feed
from drivers.openepaperlink.session import OpenEPaperLinkStation
from drivers.paper.session import PaperStation
from drivers.port import BaseStation, EventSink
from drivers.serial_link import ByteLink, SerialLink
from edge import settings as configuration
from edge.api_description import description_handlers
from edge.barcode_tables import patterns_of
from edge.clock import Clock, StoreClock, SystemClock
from edge.credentials import Credential, Credentials
from edge.db.books import Books, MakeWriter, derive_key, open_books
from edge.db.connection import Connection, connect
from edge.db.ledger import head
from edge.db.writer import ThreadWriter
from edge.disk_budget import DiskBudget, Shed
from edge.doctor import Aside, Doctor, doctor_handlers, in_the_loop, technician_token
from edge.enrolment import HubCredential, hub_credential
from edge.errors import ConfigurationError
from edge.health.checks import StoreChecks
from edge.health.comparison_checks import comparison_issues
from edge.health.folder_checks import book_issues, folder_issues
from edge.health.issues import IssueList
from edge.health.routes import HealthView, health_handlers
from edge.health.stock_checks import stock_issues
from edge.health.till_checks import till_clock_issues
from edge.heartbeats import BusySince, Counter, Heartbeats, Watchdog, WatchLimits
from edge.housekeeper import Housekeeper
from edge.intake import Intake
from edge.interpreter import tune
from edge.labels.ahead import PicturesAhead
from edge.labels.artist import Artist, PoolArtist
from edge.labels.planner import LabelPlanner
from edge.labels.prepared import PreparedPictures
from edge.labels.shipped_templates import store_templates
from edge.labels.template import Templates
from edge.labels.wanted import WantedPictures
from edge.limits import ARTIST_WORKERS
from edge.logs import shed_chatter
from edge.pickups.desk import PickupDesk
from edge.pickups.people import PeopleVault
from edge.pickups.picking_desk import PickingDesk, StagingPlace
from edge.pos.access import RULES, Principal, Role, Tokens
from edge.pos.app import build_app
from edge.pos.basket_routes import BasketDesk, basket_handlers
from edge.pos.book_routes import book_handlers
from edge.pos.count_routes import count_handlers
from edge.pos.events import Events, event_handlers
from edge.pos.folder_kinds import FolderDesks, taker_of
from edge.pos.goods_routes import goods_handlers
from edge.pos.hot_folder import HotFolder
from edge.pos.label_routes import LabelDesk, label_handlers
from edge.pos.poslog.desk import PoslogDesk, poslog_handlers
from edge.pos.report_routes import report_handlers
from edge.pos.return_routes import return_handlers
from edge.pos.scanner import Scan, Scanner
from edge.pos.server import HttpServer, bind, tls_context
from edge.pos.ship_routes import ship_handlers
from edge.pos.stock_routes import stock_handlers
from edge.pos.store_routes import store_handlers
from edge.pos.till_routes import till_handlers
from edge.pos.transactions import TransactionDesk
from edge.prices.comparison import Comparer, NightlyComparison
from edge.prices.guard_desk import GuardDesk
from edge.prices.local_prices import LocalPrices
from edge.prices.price_book import PriceBook
from edge.prices.price_desk import PriceDesk
from edge.prices.reports import PriceReports
from edge.rebase import RebaseBooks
from edge.recount import Recount
from edge.sd_notify import Notifier
from edge.settings import Settings
from edge.staff.page import StaffPage, StaffParts
from edge.staff.routes import STAFF_RULES, build_staff_page, staff_handlers
from edge.staff.sign_in import members_of
from edge.stock.counts import ApprovalRules
from edge.stock.desk import StockDesk
from edge.stock.late_facts import let_counts_stand
from edge.store import Identity, Store, Topic
from edge.supervisor import PartStatus, Supervisor
from edge.tasks import TaskDesk

_log = structlog.get_logger(__name__)

OpenLink = Callable[[], Awaitable[ByteLink]]

LIVE_RELOAD = ("tills", "monitors", "base_stations")
"""Sections of the settings that a reload changes in a running store; everything else asks for a restart."""


MakeBluetoothStation = Callable[[configuration.BluetoothStation, EventSink, random.Random], BaseStation]


def bluetooth_station(settings: configuration.BluetoothStation, on_event: EventSink, randomness: random.Random
                      ) -> BaseStation:
    """A station on one of the system's adapters. Raises `ConfigurationError` where bleak is not installed."""
    try:
        from drivers.ble.makers import dialects
        from drivers.ble.station import BluetoothStation
    except ImportError as error:
        raise ConfigurationError(f"base station {settings.name}: Bluetooth needs the package bleak, which is not "
                                 f"installed; install trastienda[ble]") from error
    return BluetoothStation(settings.name, settings.adapter, on_event, randomness, dialects=dialects(settings.makers))


@dataclass(frozen=True, slots=True)
class Parts:
    """What differs between a box in a back room and the simulator."""

    clock: Clock
    randomness: random.Random
    make_writer: MakeWriter
    artist: Artist
    open_link: Callable[[str], OpenLink]
    hub_transport: httpx.AsyncBaseTransport | None = None
    make_doorbell: Callable[[configuration.Doorbell, str, Credentials, random.Random], Doorbell] | None = None
    watch: WatchLimits = field(default_factory=WatchLimits)
    load_templates: Callable[[], Templates] = store_templates
    free_bytes: Callable[[Path], int] = lambda _directory: 2**60
    aside: Aside = in_the_loop
    bluetooth_station: MakeBluetoothStation = bluetooth_station


def _writer(connection: Connection, name: str) -> ThreadWriter:
    """What comes from the hub may take its time; what tills wait for may not."""
    return ThreadWriter(connection, name, unhurried=name == "replica")


def system_parts() -> Parts:
    """The real things. Call it in the running event loop."""
    from edge.doorbell import mqtt_doorbell

    return Parts(SystemClock(), random.SystemRandom(), _writer, PoolArtist(ARTIST_WORKERS),
                 lambda port: lambda: SerialLink.open(port), make_doorbell=mqtt_doorbell,
                 free_bytes=lambda directory: shutil.disk_usage(directory).free, aside=asyncio.to_thread)


@dataclass(slots=True)
class Rooms:
    """Everything that was built, for the composition roots and for tests."""

    store: Store
    prices: PriceDesk
    book: PriceBook
    events: Events
    transactions: TransactionDesk
    pickups: PickupDesk
    guard: GuardDesk
    reports: PriceReports
    tasks: TaskDesk
    planner: LabelPlanner
    ahead: PicturesAhead
    labels: LabelDesk
    housekeeper: Housekeeper
    intake: Intake
    link: HubLink
    issues: IssueList
    staff_page: StaffPage
    stock: StockDesk
    stations: dict[str, BaseStation] = field(default_factory=dict)


class Daemon:
    """One store. `open()` builds, `run()` works until cancelled, `close()` ends it; nothing happens before `open`."""

    def __init__(self, settings: Settings, credentials: Credentials, parts: Parts, notifier: Notifier) -> None:
        self.settings = settings
        self._credentials = credentials
        self._parts = parts
        self._notifier = notifier
        self._heartbeats = Heartbeats(lambda: asyncio.get_running_loop().time())
        self._supervisor = Supervisor(parts.randomness, self._heartbeats)
        self._tokens = Tokens({})
        self._reloading = asyncio.Lock()
        self._listeners: list[tuple[socket.socket, ssl.SSLContext | None]] = []
        self.rooms: Rooms
        self.app: ASGIApp

    def open(self, *, listen: bool = True) -> None:
        """Open books and listeners, build the rooms. Leaves nothing open when it fails.

        Raises `ConfigurationError`, `Corrupt` for a damaged ledger, `Transient` for a full disk or a locked file.
        """
        with ExitStack() as undo:
            undo.callback(self._close_listeners)
            if listen:
                self._bind()
            books = open_books(Path(self.settings.state_directory), self._text(self.settings.database_key),
                               self.settings.store.id, self._parts.make_writer, self._hub_credential().epoch)
            undo.callback(books.abandon)
            self.rooms = self._build(books)
            self.app = self._build_app()
            self._supervise()
            undo.pop_all()

    async def run(self) -> None:
        """Work until cancelled. Raises `VitalPartFailed` when the store cannot go on."""
        self._notifier.ready(f"store {self.settings.store.id}: {self.rooms.store.identity.name}")
        _log.info("store open", store=self.settings.store.id, epoch=self.rooms.store.books.chain.epoch,
                  listening=[str(listener.getsockname()) for listener, _ in self._listeners])
        watchdog = asyncio.create_task(Watchdog(self._heartbeats, self._notifier,
                                                self._parts.watch.interval_s).run())
        try:
            await self._supervisor.run()
        finally:
            watchdog.cancel()
            self._notifier.stopping()

    def close(self) -> None:
        """Finish what is queued and close the books, which is what matters; then let the artist go."""
        self._close_listeners()
        self.rooms.store.books.close(self.rooms.store.clock.stamp())
        self._parts.artist.close()
        _log.info("store closed", store=self.settings.store.id)

    def addresses(self) -> list[str]:
        """Where the store listens, as URLs."""
        return [f"{'https' if tls else 'http'}://{listener.getsockname()[0]}:{listener.getsockname()[1]}"
                for listener, tls in self._listeners]

    def parts(self) -> list[PartStatus]:
        """How every part is. Call it in the event loop."""
        return self._supervisor.status()

    async def reload(self, new: Settings) -> list[str]:
        """Take over what may change in a running store; returns the changed paths that need a restart.

        An identical file changes nothing. Raises `ConfigurationError`; then everything is as it was.
        """
        async with self._reloading:
            changed = configuration.changes(self.settings, new)
            if not changed:
                _log.info("reload: nothing changed")
                return []
            self._credentials.require(configuration.credentials_of(new))
            live = msgspec.structs.replace(self.settings, **{name: getattr(new, name) for name in LIVE_RELOAD})
            principals = self._principals(live)
            await self._reload_stations(live)
            self.settings = live
            self._tokens.replace(principals)
            later = [path for path in changed if not path.startswith(LIVE_RELOAD)]
            _log.info("reloaded", changed=changed, needs_restart=later)
            return later

    # --- building ---------------------------------------------------------------------------------------------

    def _build(self, books: Books) -> Rooms:
        parts, settings = self._parts, self.settings
        clock = StoreClock(parts.clock, books.last_clock)
        store = Store(self._identity(), books, clock, books.policy(), parts.randomness,
                      disk=self._disk(books))
        prices = PriceDesk(store, patterns_of(settings.store.barcodes))
        pickups = PickupDesk(store, PeopleVault(self._text(settings.store_key)), let_counts_stand)
        self._local_prices = LocalPrices(store)
        guard = GuardDesk(store, self._local_prices)
        stations: dict[str, BaseStation] = {}
        wanted = WantedPictures(store, prices, parts.load_templates())
        prepared, book = PreparedPictures(), PriceBook(store, prices)
        planner = LabelPlanner(store, prices, wanted, parts.artist, stations, prepared, book)
        book.released = planner.look_at_skus
        ahead = PicturesAhead(store, wanted, parts.artist, stations, prepared)
        for each in settings.base_stations:
            stations[each.name] = self._station(each, planner)
        tasks, transactions = TaskDesk(store), TransactionDesk(store, prices)
        stock = StockDesk(store, prices, transactions.clocks.ahead_ms, self._approval_rules())
        intake = Intake(store, pickups, guard, tasks, stock.deliveries)
        recount = Recount(intake)
        housekeeper = Housekeeper(store, prices, book, pickups, recount)
        events = Events(store)
        store.listeners += [events.follow_news, book.follow_news, planner.follow_news, ahead.follow_news,
                            housekeeper.follow_news, intake.follow_news]
        link = self._link(intake, store)
        issues, labels = IssueList(), LabelDesk(store, prices, planner, stations)
        picking = PickingDesk(store, pickups, prices,
                              [StagingPlace(each.name, each.code) for each in settings.staging_places])
        page = build_staff_page(StaffParts(
            store, prices, pickups, guard, planner, wanted, labels, stations, parts.artist, self._link_state, issues,
            members_of(settings.staff, self._credentials), stock, picking))
        store.listeners.append(page.follow_news)
        reports = PriceReports(store, prices, partial(self._open_reader, Path(settings.state_directory)), parts.aside)
        rooms = Rooms(store, prices, book, events, transactions, pickups, guard, reports, tasks,
                      planner, ahead, labels, housekeeper, intake, link, issues, page, stock, stations)
        self._doctor = Doctor(store, intake, recount, link,
                              partial(self._open_reader, Path(settings.state_directory)), parts.aside)
        self._poslog = PoslogDesk(store, rooms.transactions)
        self._scanners = [Scanner(each.name, parts.open_link(each.port), each.baud_rate, each.prefix.encode(),
                                  partial(_scanned, events, page, each.person), parts.randomness)
                          for each in settings.scanners]
        desks = FolderDesks(store, prices, self._local_prices, rooms.transactions, self._poslog)
        self._hot_folders = [HotFolder(each.name, Path(each.directory), taker_of(each, desks), each.keep_days, store,
                                       parts.aside) for each in settings.hot_folders]
        for folder in self._hot_folders:
            issues.add(partial(folder_issues, folder))
        fed = {each.name for each in settings.hot_folders if each.kind == "prices"}
        issues.add(partial(book_issues, self._local_prices, fed))
        self._comparer = Comparer(store, prices, book, partial(_hub_agrees_on_prices, link))
        self._nightly = NightlyComparison(store, self._comparer)
        issues.add(partial(comparison_issues, self._nightly))
        issues.add(partial(till_clock_issues, rooms.transactions.clocks))
        issues.add(partial(stock_issues, store, stock))
        issues.add(StoreChecks(store, planner, guard, book, stations, self._link_state, self._supervisor.status,
                               self._heartbeats.stalled, self._insecure_listeners()).issues)
        return rooms

    def _build_app(self) -> ASGIApp:
        rooms = self.rooms
        self._tokens.replace(self._principals(self.settings))
        view = HealthView(rooms.store, rooms.planner, rooms.stations, rooms.issues, rooms.transactions.clocks,
                          self._link_state, self._supervisor.status, self._heartbeats.stalled)
        handlers = {**till_handlers(rooms.store, rooms.prices, rooms.transactions),
                    **stock_handlers(rooms.store), **count_handlers(rooms.stock), **goods_handlers(rooms.stock),
                    **book_handlers(rooms.book), **event_handlers(rooms.events),
                    **basket_handlers(BasketDesk(rooms.store, rooms.prices)),
                    **store_handlers(rooms.pickups, rooms.guard, rooms.tasks),
                    **return_handlers(rooms.store, rooms.prices, rooms.pickups),
                    **ship_handlers(rooms.store, rooms.pickups),
                    **doctor_handlers(self._doctor), **label_handlers(rooms.labels), **health_handlers(view),
                    **report_handlers(rooms.reports, self._comparer, self._nightly), **description_handlers(),
                    **poslog_handlers(self._poslog),
                    **staff_handlers(rooms.staff_page)}
        return build_app((*RULES, *STAFF_RULES), handlers, self._tokens, rooms.staff_page.door)

    def _disk(self, books: Books) -> DiskBudget:
        """Room for facts: on the file system, and inside ledger.db."""
        directory = Path(self.settings.state_directory)
        disk = DiskBudget(lambda: self._parts.free_bytes(directory) + books.reusable_bytes())
        disk.listeners.append(lambda level: shed_chatter(level >= Shed.CHATTER))
        disk.look()
        return disk

    def _open_reader(self, directory: Path, name: str) -> Connection:
        """A connection of its own, for what takes long."""
        return connect(directory / name, derive_key(self._text(self.settings.database_key), name),
                       synchronous="NORMAL", read_only=True)

    def _approval_rules(self) -> ApprovalRules:
        stock = self.settings.stock
        return ApprovalRules(stock.approve_over_units * 1000, stock.approve_over_minor)

    def _identity(self) -> Identity:
        store = self.settings.store
        return Identity(store.id, store.name, ZoneInfo(store.time_zone), store.currency, store.language,
                        store.unit_system, store.link_domain)

    def _station(self, station: configuration.BaseStation, planner: LabelPlanner) -> BaseStation:
        if isinstance(station, configuration.BluetoothStation):
            return self._parts.bluetooth_station(station, planner.ear(station.name), self._parts.randomness)
        if isinstance(station, configuration.PaperStation):
            return PaperStation(station.name, planner.ear(station.name))
        return OpenEPaperLinkStation(station.name, self._parts.open_link(station.port), planner.ear(station.name),
                                     self._parts.randomness, channel=station.channel, power=station.power,
                                     sub_ghz_channel=station.sub_ghz_channel,
                                     high_speed=station.high_speed)

    def _link(self, intake: Intake, store: Store) -> HubLink:
        hub = self.settings.hub
        authority = Path(hub.certificate_authority) if hub.certificate_authority else None
        hub_credential = self._hub_credential()
        address = HubAddress(hub.url, hub_credential.token, authority, self._parts.hub_transport)
        doorbell = None
        if hub.doorbell is not None and self._parts.make_doorbell is not None:
            doorbell = self._parts.make_doorbell(hub.doorbell, self.settings.store.id, self._credentials,
                                                 self._parts.randomness)
        link = HubLink(store_id=self.settings.store.id, address=address, store=intake,
                       randomness=self._parts.randomness, wall_ms=store.clock.wall_ms, doorbell=doorbell,
                       rebase=RebaseBooks(store), enrolment=hub_credential.enrolment)
        link.observe(partial(_follow_link, store))
        return link

    def _link_state(self) -> LinkState:
        """The line now; the link itself counts the backlog only now and then while the line is down."""
        state, books = self.rooms.link.state, self.rooms.store.books
        waiting = head(books.ledger_reader, books.chain).sequence - (state.acked_sequence or 0)
        return replace(state, backlog=max(0, waiting))

    def _principals(self, settings: Settings) -> dict[str, Principal]:
        """Who may call, by token. Raises `ConfigurationError` where two callers could not be told apart."""
        callers = [*((till.token, Principal(till.id, Role(till.role))) for till in settings.tills),
                   *((monitor.token, Principal(monitor.id, Role.MONITOR)) for monitor in settings.monitors)]
        # Whoever can read the store's credentials on the box is its technician: `trastienda doctor` calls so.
        principals = {technician_token(self._text(settings.database_key)): Principal("box", Role.TECHNICIAN)}
        for credential, principal in callers:
            other = principals.setdefault(self._text(credential), principal)
            if other is not principal:
                raise ConfigurationError(f"credential {credential.name} of {principal.role.value} {principal.id} is "
                                         f"the token of {other.role.value} {other.id} too: each needs its own")
        return principals

    def _hub_credential(self) -> HubCredential:
        """What this box shows the hub; see `edge.enrolment` for which one counts."""
        return hub_credential(self.settings, self._credentials)

    def _text(self, credential: Credential) -> str:
        return self._credentials.text(credential)

    # --- running ----------------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        """Parts in the order in which they start; they stop in the opposite one, the tills' door first."""
        rooms, add, limits = self.rooms, self._supervisor.add, self._parts.watch
        books, watch = rooms.store.books, self._heartbeats.watch
        watch("ledger writer", Counter(lambda: books.ledger.progress, limits.writer_s))
        watch("replica writer", Counter(lambda: books.replica.progress, limits.writer_s))
        watch("label offers", BusySince(rooms.planner.offering_since_s, limits.room_s))
        add("housekeeper", rooms.housekeeper.run, vital=True,
            pulse=Counter(lambda: rooms.housekeeper.progress, limits.room_s))
        add("planner", rooms.planner.run, vital=True, pulse=Counter(lambda: rooms.planner.progress, limits.room_s))
        add("pickup steps", rooms.pickups.run)
        add("pictures ahead", rooms.ahead.run, pulse=Counter(lambda: rooms.ahead.progress, limits.room_s))
        for station in rooms.stations.values():
            self._supervise_station(station)
        for scanner in self._scanners:
            add(f"scanner {scanner.name}", scanner.run,
                pulse=Counter(partial(_progress, scanner), limits.station_s))
        add("local prices", self._local_prices.run)
        for folder in self._hot_folders:
            add(f"hot folder {folder.name}", folder.run, pulse=Counter(partial(_progress, folder), limits.room_s))
        add("price comparison", self._nightly.run, pulse=Counter(lambda: self._nightly.progress, limits.room_s))
        add("reservation audit", rooms.stock.audit.run,
            pulse=Counter(lambda: rooms.stock.audit.progress, limits.room_s))
        add("disk budget", rooms.store.disk.run,
            pulse=Counter(lambda: rooms.store.disk.progress, limits.room_s))
        add("hub link", self._run_link)
        for listener, tls in self._listeners:
            name = f"http {listener.getsockname()[1]}"
            add(name, HttpServer(self.app, listener, tls).run, vital=True)
        # Added last, so stopped first: they end the live streams that the servers wait for.
        add("till events", rooms.events.run, pulse=Counter(lambda: rooms.events.progress, limits.room_s))
        add("staff page", rooms.staff_page.run, pulse=Counter(lambda: rooms.staff_page.progress, limits.room_s))

    def _supervise_station(self, station: BaseStation) -> None:
        self._supervisor.add(f"base station {station.name}", station.run,
                             pulse=Counter(lambda: station.progress, self._parts.watch.station_s))

    async def _run_link(self) -> None:
        """The line to the hub; each of its loops must move by itself."""
        link, limit_s = self.rooms.link, self._parts.watch.hub_s
        names = list(link.progress)
        for name in names:
            self._heartbeats.watch(f"hub {name}", Counter(partial(_progress_of, link, name), limit_s))
        try:
            await link.run()
        finally:
            for name in names:
                self._heartbeats.forget(f"hub {name}")

    async def _reload_stations(self, new: Settings) -> None:
        """Base stations that went are stopped, those that came or changed are started; the others go on."""
        before = {each.name: each for each in self.settings.base_stations}
        after = {each.name: each for each in new.base_stations}
        planner, stations = self.rooms.planner, self.rooms.stations
        for name in [name for name, each in before.items() if after.get(name) != each]:
            await self._supervisor.remove(f"base station {name}")
            del stations[name]
            planner.forget_station(name)
        came = [each for name, each in after.items() if before.get(name) != each]
        for each in came:
            stations[each.name] = self._station(each, planner)
            self._supervise_station(stations[each.name])
        if came:
            planner.adopt_all()

    # --- listeners --------------------------------------------------------------------------------------------

    def _bind(self) -> None:
        for listener in self._distinct_listeners():
            tls = self._tls(listener)
            self._listeners.append((bind(listener.host, listener.port), tls))

    def _distinct_listeners(self) -> Iterable[configuration.Listener]:
        listeners = self.settings.listeners
        return {(each.host, each.port): each for each in (listeners.tills, listeners.staff)}.values()

    def _insecure_listeners(self) -> list[str]:
        return [f"{each.host}:{each.port}" for each in self._distinct_listeners() if each.insecure_lan]

    def _tls(self, listener: configuration.Listener) -> ssl.SSLContext | None:
        if listener.certificate is None or listener.key is None:
            return None
        with self._credentials.file(listener.key) as key:
            return tls_context(Path(listener.certificate), key, listener.key.name)

    def _close_listeners(self) -> None:
        for listener, _ in self._listeners:
            listener.close()
        self._listeners.clear()


def _hub_agrees_on_prices(link: HubLink) -> bool | None:
    """Whether the store's price list was the hub's when they were last compared; `None` before."""
    known = link.state.feeds.get(Feed.PRICES)
    return known.equal if known is not None else None


def _scanned(events: Events, page: StaffPage, person: str | None, scan: Scan) -> None:
    """Told to whoever follows the store's events, and to the page at the scanner's counter."""
    events.scanned(scan)
    if person is not None:
        page.scanned(person, scan.code)


def _follow_link(store: Store, state: LinkState) -> None:
    """While the hub does not take this ledger, nothing of it counts as acknowledged and nothing may be forgotten."""
    if state.fence is not None:
        store.acked_sequence = 0
    store.tell(Topic.LINK)


def _progress_of(link: HubLink, name: str) -> int:
    return link.progress[name]


async def run_daemon(path: Path, credentials: Credentials, notifier: Notifier,
                     watchdog_interval_s: float | None = None) -> None:
    """`trastienda run`: until SIGTERM or SIGINT; SIGHUP reads the file again and keeps the last good settings.

    `watchdog_interval_s`: how often systemd wants to hear that all is well. Raises `ConfigurationError` (exit 2),
    `Corrupt`, `Transient` or `VitalPartFailed` (exit 1).
    """
    settings = configuration.load(path)
    credentials.require(configuration.credentials_of(settings))
    parts = system_parts()
    if watchdog_interval_s is not None:
        parts = replace(parts, watch=parts.watch.at_least_every(watchdog_interval_s))
    daemon = Daemon(settings, credentials, parts, notifier)
    daemon.open()
    tune()
    running = asyncio.create_task(daemon.run(), name="daemon")
    reloads = _follow_signals(daemon, path, notifier, running)
    try:
        await running
    except asyncio.CancelledError:
        _log.info("stopping")
    finally:
        for reload in reloads:
            reload.cancel()
        daemon.close()


def _follow_signals(daemon: Daemon, path: Path, notifier: Notifier,
                    running: "asyncio.Task[None]") -> "set[asyncio.Task[None]]":
    """Stop on SIGTERM and SIGINT, read the file again on SIGHUP; returns the set of reloads under way."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def on_stop() -> None:
        if not running.cancelling():  # asked twice it must not break off its own cleaning up
            running.cancel()

    def on_hangup() -> None:
        task = loop.create_task(_reload(daemon, path, notifier))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_stop)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    return reloads


async def _reload(daemon: Daemon, path: Path, notifier: Notifier) -> None:
    """A bad new file never stops a running store: it is said, and the last good settings stay."""
    notifier.reloading()
    try:
        later = await daemon.reload(configuration.load(path))
    except ConfigurationError as error:
        _log.error("reload refused, the last good settings stay", problems=str(error))
        notifier.ready("the new settings were refused, see the journal")
    except Exception as error:  # whatever it is, systemd must hear that the reload is over
        _log.error("reload failed", exc_info=error)
        notifier.ready("the reload failed, see the journal")
    else:
        notifier.ready(f"restart to change {', '.join(later)}" if later else "reloaded")


def _progress(part: HotFolder | Scanner) -> int:
    return part.progress
