"""The store daemon: builds every room from the settings, runs them under the supervisor, stops them in order.

A composition root (DESIGN.md section 3): the one place that knows all components. Clock, randomness, writers,
serial lines, the picture artist and the hub's transport are passed in as `Parts`, so that the simulator runs the same
daemon under virtual time.
"""

import asyncio
import random
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import structlog
from starlette.applications import Starlette

from cloud_sync.client.limits import QUIET_S_MAX
from cloud_sync.client.link_state import LinkState
from cloud_sync.client.port import Doorbell
from cloud_sync.client.session import HubLink
from cloud_sync.client.transport import HubAddress
from drivers.openepaperlink.session import OpenEPaperLinkStation
from drivers.port import BaseStation
from drivers.serial_link import ByteLink, SerialLink
from edge import settings as configuration
from edge.clock import Clock, StoreClock, SystemClock
from edge.credentials import Credential, Credentials
from edge.db import replica
from edge.db.books import Books, MakeWriter, open_books
from edge.db.writer import ThreadWriter
from edge.errors import ConfigurationError
from edge.health.checks import StoreChecks
from edge.health.issues import IssueList
from edge.health.routes import HealthView, health_handlers
from edge.heartbeats import Counter, Heartbeats, Watchdog
from edge.housekeeper import Housekeeper
from edge.intake import Intake
from edge.labels.artist import Artist, PoolArtist
from edge.labels.planner import LabelPlanner
from edge.labels.template import load_templates
from edge.labels.wanted import WantedPictures
from edge.limits import (
    ARTIST_WORKERS,
    ROOM_QUIET_S_MAX,
    STATION_QUIET_S_MAX,
    WATCH_INTERVAL_S,
    WRITER_QUIET_S_MAX,
)
from edge.pickups.desk import PickupDesk
from edge.pickups.people import PeopleVault
from edge.pos.access import RULES, Principal, Role, Tokens
from edge.pos.app import build_app
from edge.pos.label_routes import LabelDesk, label_handlers
from edge.pos.server import HttpServer, bind
from edge.pos.store_routes import store_handlers
from edge.pos.till_routes import till_handlers
from edge.pos.transactions import TransactionDesk
from edge.prices.guard_desk import GuardDesk
from edge.prices.price_desk import PriceDesk
from edge.sd_notify import Notifier
from edge.settings import Settings
from edge.shipped import OPERATORS_DIRECTORY, shipped
from edge.store import Identity, Store, Topic
from edge.supervisor import Supervisor

_log = structlog.get_logger(__name__)

OpenLink = Callable[[], Awaitable[ByteLink]]

LIVE_RELOAD = ("tills", "monitors", "base_stations")
"""Sections of the settings that a reload changes in a running store; everything else asks for a restart."""


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


def system_parts() -> Parts:
    """The real things. Call it in the running event loop."""
    from edge.doorbell import mqtt_doorbell

    return Parts(SystemClock(), random.SystemRandom(), ThreadWriter, PoolArtist(ARTIST_WORKERS),
                 lambda port: lambda: SerialLink.open(port), make_doorbell=mqtt_doorbell)


@dataclass(slots=True)
class Rooms:
    """Everything that was built, for the composition roots and for tests."""

    store: Store
    prices: PriceDesk
    transactions: TransactionDesk
    pickups: PickupDesk
    guard: GuardDesk
    planner: LabelPlanner
    labels: LabelDesk
    housekeeper: Housekeeper
    intake: Intake
    link: HubLink
    issues: IssueList
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
        self._link_used = False  # a HubLink runs only once
        self._listeners: list[tuple[socket.socket, ssl.SSLContext | None]] = []
        self.rooms: Rooms
        self.app: Starlette

    def open(self, *, listen: bool = True) -> None:
        """Open books and listeners, build the rooms. Raises `ConfigurationError` or `Corrupt`; leaves nothing open."""
        if listen:
            self._bind()
        try:
            books = open_books(Path(self.settings.state_directory), self._text(self.settings.database_key),
                               self.settings.store.id, self._parts.make_writer)
        except BaseException:
            self._close_listeners()
            raise
        self.rooms = self._build(books)
        self.app = self._build_app()
        self._supervise()

    async def run(self) -> None:
        """Work until cancelled. Raises `VitalPartFailed` when the store cannot go on."""
        self._notifier.ready(f"store {self.settings.store.id}: {self.rooms.store.identity.name}")
        _log.info("store open", store=self.settings.store.id, epoch=self.rooms.store.books.chain.epoch,
                  listening=[str(listener.getsockname()) for listener, _ in self._listeners])
        watchdog = asyncio.create_task(Watchdog(self._heartbeats, self._notifier, WATCH_INTERVAL_S).run())
        try:
            await self._supervisor.run()
        finally:
            watchdog.cancel()
            self._notifier.stopping()

    def close(self) -> None:
        """Finish what is queued and close the books."""
        self._close_listeners()
        self._parts.artist.close()
        self.rooms.store.books.close(self.rooms.store.clock.stamp())
        _log.info("store closed", store=self.settings.store.id)

    def addresses(self) -> list[str]:
        """Where the store listens, as URLs."""
        return [f"{'https' if tls else 'http'}://{listener.getsockname()[0]}:{listener.getsockname()[1]}"
                for listener, tls in self._listeners]

    async def reload(self, new: Settings) -> list[str]:
        """Take over new settings; returns the changed paths that need a restart. An identical file changes nothing."""
        changed = configuration.changes(self.settings, new)
        if not changed:
            _log.info("reload: nothing changed")
            return []
        self._credentials.require(configuration.credentials_of(new))
        if any(path.startswith("base_stations") for path in changed):
            await self._reload_stations(new)
        self.settings = new
        self._tokens.replace(self._principals())
        later = [path for path in changed if not path.startswith(LIVE_RELOAD)]
        _log.info("reloaded", changed=changed, needs_restart=later)
        return later

    # --- building ---------------------------------------------------------------------------------------------

    def _build(self, books: Books) -> Rooms:
        parts, settings = self._parts, self.settings
        clock = StoreClock(parts.clock, books.last_clock)
        store = Store(self._identity(), books, clock, replica.policy(books.replica_reader), parts.randomness)
        prices = PriceDesk(store)
        pickups = PickupDesk(store, PeopleVault(self._text(settings.store_key)))
        guard = GuardDesk(store)
        stations: dict[str, BaseStation] = {}
        templates = load_templates([shipped("config/templates"), OPERATORS_DIRECTORY / "templates"])
        planner = LabelPlanner(store, prices, WantedPictures(store, prices, templates), parts.artist, stations)
        for each in settings.base_stations:
            stations[each.name] = self._station(each, planner)
        intake = Intake(store, pickups, guard)
        housekeeper = Housekeeper(store, prices, pickups)
        store.listeners += [planner.follow_news, housekeeper.follow_news, intake.follow_news]
        link = self._link(intake, store)
        issues = IssueList()
        rooms = Rooms(store, prices, TransactionDesk(store, prices), pickups, guard, planner,
                      LabelDesk(store, prices, planner, stations), housekeeper, intake, link, issues, stations)
        issues.add(StoreChecks(store, planner, guard, stations, self._link_state, self._supervisor.status,
                               self._insecure_listeners()).issues)
        return rooms

    def _build_app(self) -> Starlette:
        rooms = self.rooms
        self._tokens.replace(self._principals())
        view = HealthView(rooms.store, rooms.planner, rooms.stations, rooms.issues, self._link_state,
                          self._supervisor.status, self._heartbeats.stalled)
        handlers = {**till_handlers(rooms.store, rooms.prices, rooms.transactions),
                    **store_handlers(rooms.store, rooms.pickups, rooms.guard),
                    **label_handlers(rooms.labels), **health_handlers(view)}
        return build_app(RULES, handlers, self._tokens)

    def _identity(self) -> Identity:
        store = self.settings.store
        return Identity(store.id, store.name, ZoneInfo(store.time_zone), store.currency, store.language,
                        store.unit_system, store.link_domain)

    def _station(self, station: configuration.BaseStation, planner: LabelPlanner) -> BaseStation:
        return OpenEPaperLinkStation(station.name, self._parts.open_link(station.port), planner.hear,
                                     self._parts.randomness, channel=station.channel, power=station.power,
                                     high_speed=station.high_speed)

    def _link(self, intake: Intake, store: Store) -> HubLink:
        hub = self.settings.hub
        authority = Path(hub.certificate_authority) if hub.certificate_authority else None
        address = HubAddress(hub.url, self._text(hub.token), authority, self._parts.hub_transport)
        doorbell = None
        if hub.doorbell is not None and self._parts.make_doorbell is not None:
            doorbell = self._parts.make_doorbell(hub.doorbell, self.settings.store.id, self._credentials,
                                                 self._parts.randomness)
        link = HubLink(store_id=self.settings.store.id, address=address, store=intake,
                       randomness=self._parts.randomness, wall_ms=store.clock.wall_ms, doorbell=doorbell)
        link.observe(lambda _state: store.tell(Topic.LINK))
        return link

    def _link_state(self) -> LinkState:
        return self.rooms.link.state

    def _principals(self) -> dict[str, Principal]:
        settings = self.settings
        tills = {self._text(till.token): Principal(till.id, Role(till.role)) for till in settings.tills}
        monitors = {self._text(each.token): Principal(each.id, Role.MONITOR) for each in settings.monitors}
        return {**tills, **monitors}

    def _text(self, credential: Credential) -> str:
        return self._credentials.text(credential)

    # --- running ----------------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        """Parts in the order in which they start; they stop in the opposite one, the tills' door first."""
        rooms, add = self.rooms, self._supervisor.add
        books = rooms.store.books
        self._heartbeats.watch("ledger writer", Counter(lambda: books.ledger.progress, WRITER_QUIET_S_MAX))
        self._heartbeats.watch("replica writer", Counter(lambda: books.replica.progress, WRITER_QUIET_S_MAX))
        add("housekeeper", rooms.housekeeper.run, vital=True,
            pulse=Counter(lambda: rooms.housekeeper.progress, ROOM_QUIET_S_MAX))
        add("planner", rooms.planner.run, vital=True, pulse=Counter(lambda: rooms.planner.progress, ROOM_QUIET_S_MAX))
        for station in rooms.stations.values():
            self._supervise_station(station)
        add("hub link", self._run_link)
        for listener, tls in self._listeners:
            name = f"http {listener.getsockname()[1]}"
            add(name, HttpServer(self.app, listener, tls).run, vital=True)

    def _supervise_station(self, station: BaseStation) -> None:
        self._supervisor.add(f"base station {station.name}", station.run,
                             pulse=Counter(lambda: station.progress, STATION_QUIET_S_MAX))

    async def _run_link(self) -> None:
        """The line to the hub; each of its loops must move by itself."""
        if self._link_used:
            self.rooms.link = self._link(self.rooms.intake, self.rooms.store)
        self._link_used, link = True, self.rooms.link
        names = list(link.progress)
        for name in names:
            self._heartbeats.watch(f"hub {name}", Counter(partial(_progress_of, link, name), QUIET_S_MAX))
        try:
            await link.run()
        finally:
            for name in names:
                self._heartbeats.forget(f"hub {name}")

    async def _reload_stations(self, new: Settings) -> None:
        """Base stations that went are stopped, those that came or changed are started; the others go on."""
        before = {each.name: each for each in self.settings.base_stations}
        after = {each.name: each for each in new.base_stations}
        for name in [name for name, each in before.items() if after.get(name) != each]:
            await self._supervisor.remove(f"base station {name}")
            del self.rooms.stations[name]
        for name, each in after.items():
            if before.get(name) != each:
                self.rooms.stations[name] = self._station(each, self.rooms.planner)
                self._supervise_station(self.rooms.stations[name])
        self.rooms.planner.adopt_all()

    # --- listeners --------------------------------------------------------------------------------------------

    def _bind(self) -> None:
        try:
            for listener in self._distinct_listeners():
                self._listeners.append((bind(listener.host, listener.port), self._tls(listener)))
        except ConfigurationError:
            self._close_listeners()
            raise

    def _distinct_listeners(self) -> Iterable[configuration.Listener]:
        listeners = self.settings.listeners
        return {(each.host, each.port): each for each in (listeners.tills, listeners.staff)}.values()

    def _insecure_listeners(self) -> list[str]:
        return [f"{each.host}:{each.port}" for each in self._distinct_listeners() if each.insecure_lan]

    def _tls(self, listener: configuration.Listener) -> ssl.SSLContext | None:
        if listener.certificate is None or listener.key is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            with self._credentials.file(listener.key) as key:
                context.load_cert_chain(listener.certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"{listener.certificate}: certificate and key cannot be used: {error}") from error
        return context

    def _close_listeners(self) -> None:
        for listener, _ in self._listeners:
            listener.close()
        self._listeners.clear()


def _progress_of(link: HubLink, name: str) -> int:
    return link.progress[name]


async def run_daemon(path: Path, credentials: Credentials, notifier: Notifier) -> None:
    """`trastienda run`: until SIGTERM or SIGINT; SIGHUP reads the file again and keeps the last good settings.

    Raises `ConfigurationError` (exit 2), `Corrupt` or `VitalPartFailed` (exit 1).
    """
    settings = configuration.load(path)
    credentials.require(configuration.credentials_of(settings))
    daemon = Daemon(settings, credentials, system_parts(), notifier)
    daemon.open()
    loop, running = asyncio.get_running_loop(), asyncio.create_task(daemon.run(), name="daemon")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    reloads: set[asyncio.Task[None]] = set()

    def on_hangup() -> None:
        task = loop.create_task(_reload(daemon, path, notifier))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    try:
        await running
    except asyncio.CancelledError:
        _log.info("stopping")
    finally:
        daemon.close()


async def _reload(daemon: Daemon, path: Path, notifier: Notifier) -> None:
    """A bad new file never stops a running store: it is said, and the last good settings stay."""
    notifier.reloading()
    try:
        later = await daemon.reload(configuration.load(path))
        notifier.ready(f"restart to change {', '.join(later)}" if later else "reloaded")
    except ConfigurationError as error:
        _log.error("reload refused, the last good settings stay", problems=str(error))
        notifier.ready("the new settings were refused, see the journal")
