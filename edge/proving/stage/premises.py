"""The buildings: hub and store as processes, their files, credentials and configuration, the line between them.

Everything stands in one directory that goes away at the end. Every secret is made for this run; none is printed but
the PINs.
"""

import asyncio
import contextlib
import secrets
import shutil
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigurationError
from edge.proving.stage.doorbell_broker import DoorbellBroker
from edge.proving.stage.http_line import HttpLine, LineBroken
from edge.proving.stage.hub_operator import HubOperator
from edge.proving.stage.outage import CuttableLine
from edge.proving.stage.processes import Process, ProcessFailed
from edge.proving.stage.staff_hands import StaffHands, Who
from edge.staff.sign_in import hash_pin

STORE_ID = "0042"
STORE_NAME = "Calle Mayor"
HOST = "127.0.0.1"
STAFF_PATH = "/staff"
START_S = 60.0
"""A process that does not answer for so long after its start has failed."""

LOOK_EVERY_S = 0.05
PRICE_CHECK = "price-check"
SUPERVISOR, COLLEAGUE = "ana", "luis"
PIN_DIGITS = 6
SOCKET_DIRECTORY_CHARACTERS_MAX = 60
"""A socket's path has 107 characters at most; what drawing processes add to it takes 40."""

PORTS_BEGIN, PORTS_END = 10_000, 32_768
_PORTS_GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True, slots=True)
class Country:
    """Where the store stands: how its labels and its money look."""

    currency: str
    language: str
    unit_system: str
    time_zone: str


Answers = Callable[[], Awaitable[bool]]
"""Asks whether somebody is there; may raise `LineBroken`."""

SPAIN = Country("EUR", "es", "metric", "Europe/Madrid")
UNITED_STATES = Country("USD", "en", "us", "America/New_York")


class Premises:
    """One hub, one store. `port`: where the store listens; `stations`: name → device of each base station."""

    def __init__(self, directory: Path, port: int, tills: Sequence[str], stations: Mapping[str, Path],
                 country: Country) -> None:
        self.directory = directory
        self.port = port
        self.country = country
        self.state_directory = directory / "store"
        self.people = (Who(SUPERVISOR, "Ana", _pin()), Who(COLLEAGUE, "Luis", _pin()))
        self.database_key = secrets.token_hex(32)
        self._tokens = {name: secrets.token_urlsafe(24) for name in (*tills, PRICE_CHECK)}
        self._stations = stations
        self._hub_port = free_port()
        self._broker = DoorbellBroker(free_port())
        self._operator_token = secrets.token_urlsafe(24)
        self.operator = HubOperator(self._hub_port, self._operator_token, STORE_ID, country.currency)
        self.hub_line, self.bell_line = CuttableLine(HOST, self._hub_port), CuttableLine(HOST, self._broker.port)
        self._hub = self._make_hub()
        self.store = Process("the store daemon", ["run", str(directory / "store.yaml")], _temporary_files(directory),
                             directory / "store.log")

    @property
    def staff_page(self) -> str:
        """Where people look."""
        return f"http://{HOST}:{self.port}{STAFF_PATH}"

    @property
    def hub_pid(self) -> int:
        """The hub's process, once it runs."""
        return self._hub.pid

    async def open_hub(self, policy: dict[str, int | str], catalogue: Path) -> None:
        """Broker, hub and catalogue; the store is registered. Raises `ConfigurationError` for a bad file."""
        await self._broker.start()
        await self._hub.start()
        await self._until_answered(self._hub, self.operator.answers)
        hub_token = await self.operator.register(STORE_NAME)
        await self.operator.set_policy(policy)
        await self.hub_line.open()
        await self.bell_line.open()
        await self._import(catalogue)
        self._furnish(hub_token)

    async def open_store(self) -> None:
        """Start the daemon, for the first time or again, and wait until it has a catalogue."""
        await self.store.start()
        line = HttpLine(HOST, self.port)

        async def ready() -> bool:
            return (await line.ask("GET", "/readyz")).status == 200

        try:
            await self._until_answered(self.store, ready)
        finally:
            line.cut()

    def cut_line(self) -> None:
        """Nothing passes between store and hub."""
        self.hub_line.cut()
        self.bell_line.cut()

    def mend_line(self) -> None:
        """It does again."""
        self.hub_line.mend()
        self.bell_line.mend()

    def check(self) -> None:
        """Raises `ProcessFailed` when hub or store ended by themselves."""
        self._hub.check()
        self.store.check()

    async def close(self, *, keep: bool) -> None:
        """End everything. `keep`: the logs stay, for whoever must find out what went wrong."""
        await asyncio.gather(self.store.stop(), self._hub.stop())
        self.hub_line.close()
        self.bell_line.close()
        await self._broker.stop()
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def token(self, till: str) -> str:
        """What the till shows the store."""
        return self._tokens[till]

    def till_line(self, till: str) -> HttpLine:
        """A till's own connection with its own token."""
        return HttpLine(HOST, self.port, {"Authorization": f"Bearer {self._tokens[till]}"})

    def hands(self, who: str) -> StaffHands:
        """Another browser of a member of staff, not signed in yet."""
        return StaffHands(self.port, next(person for person in self.people if person.id == who))

    async def _until_answered(self, process: Process, answers: Answers) -> None:
        try:
            async with asyncio.timeout(START_S):
                while True:
                    process.check()
                    try:
                        if await answers():
                            return
                    except LineBroken:
                        pass
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            raise ProcessFailed(f"{process.name} does not answer; its log: {process.log}") from None

    def _make_hub(self) -> Process:
        arguments = ["hub", "--database", f"sqlite:///{self.directory / 'hub.db'}", "--host", HOST,
                     "--port", str(self._hub_port), "--broker", f"{HOST}:{self._broker.port}", "--broker-plain"]
        environment = {"TRASTIENDA_HUB_KEY": secrets.token_hex(32),
                       "TRASTIENDA_HUB_OPERATOR_TOKEN": self._operator_token}
        return Process("the hub", arguments, environment, self.directory / "hub.log")

    async def _import(self, catalogue: Path) -> None:
        """As an operator would, by the command."""
        arguments = ["import", str(catalogue), "--hub", f"http://{HOST}:{self._hub_port}",
                     "--currency", self.country.currency]
        importing = Process("the import", arguments, {"TRASTIENDA_HUB_OPERATOR_TOKEN": self._operator_token},
                            self.directory / "import.log")
        await importing.start()
        await importing.finish()

    def _furnish(self, hub_token: str) -> None:
        """The store's YAML, and its credentials in the daemon's environment."""
        credentials = {"hub-token": hub_token, "database-key": self.database_key, "store-key": secrets.token_hex(32),
                       "doorbell-password": secrets.token_hex(8)}
        credentials |= {f"till-{name}": token for name, token in self._tokens.items()}
        credentials |= {f"staff-{person.id}": hash_pin(person.pin) for person in self.people}
        self.store.environment |= {_variable(name): value for name, value in credentials.items()}
        (self.directory / "store.yaml").write_text(self._yaml(), "utf-8")

    def _yaml(self) -> str:
        country = self.country
        lines = [
            "store:", f'  id: "{STORE_ID}"', f"  name: {STORE_NAME}", f"  time_zone: {country.time_zone}",
            f"  currency: {country.currency}", f"  language: {country.language}",
            f"  unit_system: {country.unit_system}", f"state_directory: {self.state_directory}",
            "hub:", f"  url: http://{HOST}:{self.hub_line.port}", "  token: !credential hub-token",
            "  doorbell:", f"    host: {HOST}", f"    port: {self.bell_line.port}", "    tls: false",
            "    username: store", "    password: !credential doorbell-password",
            "listeners:", f"  tills: {{host: {HOST}, port: {self.port}}}",
            f"  staff: {{host: {HOST}, port: {self.port}}}",
            "database_key: !credential database-key", "store_key: !credential store-key", "base_stations:",
            *(f"  - {{name: {name}, driver: openepaperlink, port: {device}}}"
              for name, device in self._stations.items()),
            "tills:",
            *(f'  - {{id: "{name}", token: !credential till-{name}, '
              f"role: {'lookup-only' if name == PRICE_CHECK else 'till'}}}" for name in self._tokens),
            "staff:",
            *(f"  - {{id: {person.id}, name: {person.name}, pin: !credential staff-{person.id}, "
              f"role: {'supervisor' if person.id == SUPERVISOR else 'staff'}}}" for person in self.people),
        ]
        return "\n".join(lines) + "\n"


def free_port() -> int:
    """A port of this machine that nobody listens on, and that the kernel gives to nobody who only connects.

    One of the kernel's own choice could be taken by somebody's outgoing connection before its server starts, or, while
    its server is down, by a client that then reaches itself.
    """
    first_given = int(_PORTS_GIVEN.read_text().split()[0]) if _PORTS_GIVEN.exists() else PORTS_END
    end = first_given if PORTS_BEGIN < first_given < PORTS_END else PORTS_END
    while True:
        port = PORTS_BEGIN + secrets.randbelow(end - PORTS_BEGIN)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


def check_port(port: int) -> None:
    """Raises `ConfigurationError` when the page's port cannot be had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigurationError(f"port {port}: {error.strerror}: is another demo running? "
                                     "Choose one with --port, or 0 for any") from error


def _temporary_files(directory: Path) -> dict[str, str]:
    """A killed daemon leaves sockets: in a directory that goes away, unless its path is too long for them."""
    return {"TMPDIR": str(directory)} if len(str(directory)) <= SOCKET_DIRECTORY_CHARACTERS_MAX else {}


def _variable(credential: str) -> str:
    return "TRASTIENDA_" + credential.upper().replace("-", "_")


def _pin() -> str:
    return f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}d}"
