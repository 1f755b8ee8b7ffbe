"""A store's settings: one YAML file into typed values (DESIGN.md section 10, Configuration).

Here are identity, listeners, devices and the names of credentials. Hours, grace, guards and templates belong to the
policy feed; a key of the policy found here is an error that says so. config/stores/example.yaml explains every key.
"""

import ipaddress
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from cloud_sync.contract.documents import Policy
from edge.credentials import Credential
from edge.limits import SETTINGS_BYTES_MAX
from edge.yaml_reader import Fault, Place, Rule, nearest, path_text, read_yaml

Identifier = Annotated[str, Meta(
    pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    description="up to 64 letters, digits, dots, dashes and underscores")]
Name = Annotated[str, Meta(min_length=1, max_length=100, description="text of up to 100 characters")]
Host = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:_-]{1,253}$", description="a host name or an IP address")]
Port = Annotated[int, Meta(ge=1, le=65535)]
AbsolutePath = Annotated[str, Meta(pattern=r"^/", max_length=4096, description="an absolute path")]
SerialPort = Annotated[str, Meta(
    pattern=r"^(/dev/|socket://|rfc2217://)", max_length=500,
    description="/dev/serial/by-id/..., /dev/trastienda/..., socket://host:port or rfc2217://host:port")]


RecoveryKey = Annotated[str, Meta(
    pattern=r"^trastienda-recovery-public-[A-Za-z0-9_-]{43}$",
    description="the public key that `trastienda recovery-key` printed")]


class _Section(Struct, frozen=True, forbid_unknown_fields=True):
    """What all parts of the file share: unknown keys refused."""


class Store(_Section, frozen=True, kw_only=True):
    """Which store this is and how it speaks. `id` is text: leading zeros count."""

    id: Identifier
    name: Name
    time_zone: Annotated[str, Meta(description="a name of the IANA time zone database, such as Europe/Madrid")]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="an ISO 4217 code, such as EUR")]
    language: Literal["en", "es"]
    unit_system: Literal["metric", "us"] = "metric"
    link_domain: Host = "id.gs1.org"
    barcodes: Annotated[str, Meta(pattern="^([a-z][a-z0-9-]{0,30})?$", description="a table of config/barcodes")] = ""

    @staticmethod
    def _zone_is_known(time_zone: str) -> Iterator[Fault]:
        zones = zoneinfo.available_timezones()
        if time_zone not in zones:
            yield Fault(("time_zone",), f"{time_zone!r} is not a time zone", nearest(time_zone, zones))

    rules: ClassVar[tuple[Rule, ...]] = (_zone_is_known,)


class Doorbell(_Section, frozen=True, kw_only=True):
    """The MQTT broker that says "pull now". Losing it costs at most one poll interval.

    `certificate_authority`: PEM file that vouches for the broker; null trusts the system's.
    """

    host: Host
    port: Port = 8883
    tls: bool = True
    certificate_authority: AbsolutePath | None = None
    username: Name
    password: Credential

    @staticmethod
    def _password_is_safe(host: str, tls: bool) -> Iterator[Fault]:
        """TLS unless the broker is on this machine: what it hears first is our password."""
        if not tls and not is_loopback(host):
            yield Fault(("tls",), f"would send the password to {host} in clear", "allowed: true")

    @staticmethod
    def _authority_needs_tls(tls: bool, certificate_authority: str | None) -> Iterator[Fault]:
        if certificate_authority is not None and not tls:
            yield Fault(("certificate_authority",), "vouches for nobody without TLS", "set tls: true, or leave it out")

    rules: ClassVar[tuple[Rule, ...]] = (_password_is_safe, _authority_needs_tls)


class Hub(_Section, frozen=True, kw_only=True):
    """The central service. `certificate_authority`: PEM file that vouches for it; null trusts the system's.

    Without `token`, what `trastienda enroll` kept in the state directory counts.
    """

    url: Annotated[str, Meta(pattern=r"^https?://[^/]+", max_length=500, description="https://host[:port][/path]")]
    token: Credential | None = None
    certificate_authority: AbsolutePath | None = None
    doorbell: Doorbell | None = None

    @staticmethod
    def _address_is_safe(url: str) -> Iterator[Fault]:
        """TLS unless the hub is on this machine, and no password inside the address."""
        parts = urlsplit(url)
        if parts.username or parts.password:
            yield Fault(("url",), "holds a user name or password", "secrets never stand in the YAML; use `token`")
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            yield Fault(("url",), "goes to another machine without TLS", "allowed: https://")

    rules: ClassVar[tuple[Rule, ...]] = (_address_is_safe,)


class Listener(_Section, frozen=True, kw_only=True):
    """Where the store listens. `certificate`: PEM file with its chain; `key`: the credential with its private key."""

    host: Host
    port: Port
    certificate: AbsolutePath | None = None
    key: Credential | None = None
    insecure_lan: bool = False

    @staticmethod
    def _certificate_and_key(certificate: str | None, key: Credential | None) -> Iterator[Fault]:
        if (certificate is None) != (key is None):
            yield Fault(("certificate" if key is None else "key",), "certificate and key go together")

    @staticmethod
    def _lan_has_tls(host: str, certificate: str | None, insecure_lan: bool) -> Iterator[Fault]:
        """TLS on every listener that is not loopback, or a plain word that there is none (DESIGN.md section 8)."""
        if certificate is None and not insecure_lan and not is_loopback(host):
            yield Fault(("host",), f"{host} is reached from other machines and has no certificate",
                        "allowed: certificate and key, or insecure_lan: true (raises an issue), or a loopback host")

    rules: ClassVar[tuple[Rule, ...]] = (_certificate_and_key, _lan_has_tls)


class Listeners(_Section, frozen=True, kw_only=True):
    """The tills' door and the staff page; they may be one and the same."""

    tills: Listener
    staff: Listener

    @staticmethod
    def _one_address_one_certificate(tills: Listener, staff: Listener) -> Iterator[Fault]:
        if (tills.host, tills.port) == (staff.host, staff.port) and tills != staff:
            yield Fault(("staff",), "has the tills' host and port but not the same certificate, key and insecure_lan")

    rules: ClassVar[tuple[Rule, ...]] = (_one_address_one_certificate,)


class OpenEPaperLinkStation(_Section, frozen=True, kw_only=True, tag_field="driver", tag="openepaperlink"):
    """An OpenEPaperLink radio on a serial port (esl.md 1.1, 1.2)."""

    name: Identifier
    port: SerialPort
    channel: Literal[11, 15, 20, 25, 26, 27] = 11
    power: Annotated[int, Meta(ge=0, le=255, description="a whole number from 0 to 255, as the radio counts")] = 10
    sub_ghz_channel: Annotated[int, Meta(ge=0, le=255, description="a whole number from 0 to 255")] | None = None
    high_speed: bool = False


class BluetoothStation(_Section, frozen=True, kw_only=True, tag_field="driver", tag="bluetooth"):
    """A Bluetooth adapter that pushes to the labels it hears (esl.md 3, 4.1). Needs `trastienda[ble]`.

    `makers`: whose labels it serves; it is deaf to those of others, which may hang next door.
    """

    name: Identifier
    adapter: Annotated[str, Meta(pattern="^hci[0-9]+$", max_length=16, description="as the system has it: hci0")]
    makers: tuple[Literal["gicisky", "zhsunyco"], ...] = ("gicisky", "zhsunyco")

    @staticmethod
    def _serves_somebody(makers: tuple[str, ...]) -> Iterator[Fault]:
        if not makers:
            yield Fault(("makers",), "names no maker", "leave it out to serve all")

    rules: ClassVar[tuple[Rule, ...]] = (_serves_somebody,)


class PaperStation(_Section, frozen=True, kw_only=True, tag_field="driver", tag="paper"):
    """Paper tags that people print, hang and scan."""

    name: Identifier


BaseStation = OpenEPaperLinkStation | BluetoothStation | PaperStation
"""One of the drivers' settings, told apart by `driver`."""


class Till(_Section, frozen=True, kw_only=True):
    """A till and its token. `lookup-only` may ask prices and nothing else."""

    id: Identifier
    token: Credential
    role: Literal["till", "lookup-only"] = "till"


class Monitor(_Section, frozen=True, kw_only=True):
    """Who may read metrics and detailed health."""

    id: Identifier
    token: Credential


class StaffMember(_Section, frozen=True, kw_only=True):
    """A person who signs in on the staff page. `pin`: the credential holds an argon2 hash, not the PIN."""

    id: Identifier
    name: Name
    pin: Credential
    role: Literal["staff", "supervisor", "technician"] = "staff"


class Scanner(_Section, frozen=True, kw_only=True):
    """A barcode scanner on a serial port; what it reads is told to whoever follows `/v1/events`.

    `prefix`: what it was told to put before each code. `person`: whose open staff page it acts on, as a hand scanner
    would: give each counter a sign-in of its own.
    """

    name: Identifier
    port: SerialPort
    baud_rate: Literal[9600, 19200, 38400, 57600, 115200] = 9600
    prefix: Annotated[str, Meta(pattern="^[ -~]{0,8}$", description="up to 8 letters")] = ""
    person: Identifier | None = None


class StagingPlace(_Section, frozen=True, kw_only=True):
    """A named place where orders wait for their customers, each in one. `code`: of its sign, where that is not its
    name."""

    name: Identifier
    code: Annotated[str, Meta(pattern="^[!-~]{0,64}$", description="up to 64 letters")] = ""


class HotFolder(_Section, frozen=True, kw_only=True):
    """A directory in which files are put down: `inbox/` in it is read. Originals are deleted after `keep_days`.

    `dialect`: of a POSLog; `map`: where prices and sales keep what.
    """

    name: Identifier
    directory: AbsolutePath
    kind: Literal["poslog", "prices", "sales", "planogram"] = "poslog"
    dialect: Annotated[str, Meta(pattern="^([a-z0-9][a-z0-9-]{0,30})?$", description="a file of config/poslog")] = ""
    map: Annotated[str, Meta(pattern="^([a-z0-9][a-z0-9-]{0,30})?$", description="a file of config/files")] = ""
    keep_days: Annotated[int, Meta(ge=1, le=90, description="1 to 90")] = 7

    @staticmethod
    def _is_mapped(kind: str, dialect: str, map: str) -> Iterator[Fault]:
        if kind == "poslog" and map:
            yield Fault(("map",), "is for prices and sales", "a POSLog has a dialect")
        elif kind != "poslog" and not map:
            yield Fault(("map",), f"is missing: nobody knows where a file of {kind} keeps what",
                        "a file of config/files, without .yaml")
        elif kind != "poslog" and dialect:
            yield Fault(("dialect",), "is for POSLogs", f"a file of {kind} has a map")

    rules: ClassVar[tuple[Rule, ...]] = (_is_mapped,)


class Stock(_Section, frozen=True, kw_only=True):
    """From where on a difference that somebody counted, or an adjustment, is for a supervisor: more units than
    `approve_over_units` (pieces, kilograms), or more value by the price list than `approve_over_minor` (cents)."""

    approve_over_units: Annotated[int, Meta(ge=0, le=1_000_000, description="a whole number from 0 to 1000000")] = 10
    approve_over_minor: Annotated[int, Meta(ge=0, le=10**9, description="a whole number from 0 to 10**9")] = 5_000


class Settings(_Section, frozen=True, kw_only=True):
    """The whole file. `state_directory` holds ledger.db and replica.db.

    `recovery_key`: the fleet's public key that backups are encrypted to; no secret.
    """

    store: Store
    hub: Hub
    listeners: Listeners
    database_key: Credential
    store_key: Credential
    state_directory: AbsolutePath = "/var/lib/trastienda"
    recovery_key: RecoveryKey | None = None
    base_stations: Annotated[tuple[BaseStation, ...], Meta(extra={"unique": ("name", "port", "adapter")})] = ()
    scanners: Annotated[tuple[Scanner, ...], Meta(extra={"unique": ("name", "port")})] = ()
    hot_folders: Annotated[tuple[HotFolder, ...], Meta(extra={"unique": ("name", "directory")})] = ()
    staging_places: Annotated[tuple[StagingPlace, ...], Meta(extra={"unique": ("name", "code")})] = ()
    tills: Annotated[tuple[Till, ...], Meta(extra={"unique": ("id", "token")})] = ()
    monitors: Annotated[tuple[Monitor, ...], Meta(extra={"unique": ("id", "token")})] = ()
    staff: Annotated[tuple[StaffMember, ...], Meta(extra={"unique": ("id", "pin")})] = ()
    stock: Stock = Stock()

    @staticmethod
    def _two_keys(database_key: Credential, store_key: Credential) -> Iterator[Fault]:
        if database_key == store_key:
            yield Fault(("store_key",), "is the database key: each has its own purpose and life, make two")

    @staticmethod
    def _known_people(scanners: tuple[Scanner, ...], staff: tuple[StaffMember, ...]) -> Iterator[Fault]:
        people = {member.id for member in staff}
        for place, scanner in enumerate(scanners):
            if scanner.person is not None and scanner.person not in people:
                yield Fault(("scanners", place, "person"), f"nobody in `staff` has the id {scanner.person}",
                            f"one of {', '.join(sorted(people)) or 'nobody: add them first'}")

    rules: ClassVar[tuple[Rule, ...]] = (_two_keys, _known_people)


def load(path: Path) -> Settings:
    """The settings in the file. Raises `ConfigurationError` with every problem at once."""
    return read_yaml(path, Settings, bytes_max=SETTINGS_BYTES_MAX, elsewhere=belongs_to_policy)


def changes(old: Settings, new: Settings) -> list[str]:
    """The paths whose values differ, in the file's order; empty when a reload has nothing to do.

    Items of a list are told apart by `id` or `name`, so `tills[2].role` is the till called 2, wherever it stands.
    """
    return list(_changes(old, new, ""))


def credentials_of(settings: Settings) -> list[tuple[str, Credential]]:
    """Every credential the settings name, with the path of its key; what `Credentials.require` takes."""
    return [(path_text(place), credential) for place, credential in _walk_credentials(settings, ())]


def json_schema() -> bytes:
    """The JSON Schema of the file, for editors; `!credential NAME` is a string to them."""
    schema = msgspec.json.schema(Settings)
    schema["$defs"]["Credential"] = {
        "title": "Credential", "type": "string", "description": "the name of a secret, written `!credential NAME`"}
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A store's settings", **schema}
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


POLICY_KEYS = frozenset(Policy.__struct_fields__) | {"guard", "guards", "templates", "till_ack_wait_s", "clear_out"}


def belongs_to_policy(key: str) -> str:
    """What to say of a key of the policy feed; nothing for any other."""
    if key in POLICY_KEYS or key.startswith(("guard_", "hold_", "grace")):
        return "belongs to the policy feed: set it at the hub"
    return ""


def _walk_credentials(value: object, place: Place) -> Iterator[tuple[Place, Credential]]:
    if isinstance(value, Credential):
        yield place, value
    elif isinstance(value, Struct):
        for field in value.__struct_fields__:
            yield from _walk_credentials(getattr(value, field), (*place, field))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _walk_credentials(item, (*place, index))


def _changes(old: object, new: object, path: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, Struct) and type(old) is type(new):
        for field in old.__struct_fields__:
            yield from _changes(getattr(old, field), getattr(new, field), f"{path}.{field}" if path else field)
    elif isinstance(old, tuple) and isinstance(new, tuple):
        before, after = ({str(_identity(item)): item for item in items} for items in (old, new))
        yield from (step for name in {**before, **after}
                    for step in _changes(before.get(name), after.get(name), f"{path}[{name}]"))
    else:
        yield path


def _identity(item: object) -> object:
    return getattr(item, "id", None) or getattr(item, "name", item)
