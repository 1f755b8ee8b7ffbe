"""The `trastienda` command. Composition roots are imported only by the command that needs them.

Exit codes: 0 done, 1 failed, 2 wrong use or configuration (systemd does not restart on 2).
"""

import asyncio
import json
import os
import ssl
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import click
import msgspec

if TYPE_CHECKING:
    from cloud_sync.hub.doorbell import BrokerOptions
    from edge.backup import LedgerFile
    from edge.credentials import Credentials
    from edge.settings import Settings

_Result = TypeVar("_Result")
_Answer = TypeVar("_Answer", bound=msgspec.Struct)

FAILED = 1
WRONG_USE = 2
ASK_TIMEOUT_S = 10.0

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
store_option = click.option("--store", "url", default="http://127.0.0.1:8443", show_default=True,
                            help="The store daemon's address.")
authority_option = click.option("--authority", type=click.Path(path_type=Path, exists=True, dir_okay=False),
                                help="PEM file that vouches for the store's certificate, if the system does not.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trastienda")
def main() -> None:
    """Trastienda: the store controller. Shelf, till and hub tell the same story."""


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@json_option
def run(config: Path, as_json: bool) -> None:
    """Run the store daemon with the settings in CONFIG."""
    from edge.daemon import run_daemon
    from edge.logs import set_up_logs
    from edge.sd_notify import Notifier, watchdog_interval_s

    set_up_logs(as_json=as_json or not sys.stderr.isatty())
    with _reported(as_json):
        _run_loop(run_daemon(config, _credentials(), Notifier.from_environment(os.environ),
                             watchdog_interval_s(os.environ, os.getpid())))


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@json_option
def check(config: Path, as_json: bool) -> None:
    """Check the settings in CONFIG, the credentials and the file maps they name; change nothing."""
    from edge import settings as configuration
    from edge.pos.folder_kinds import check_maps

    with _reported(as_json):
        settings = configuration.load(config)
        check_maps(settings.hot_folders)
        _credentials().require(configuration.credentials_of(settings))
        _say(as_json, {"config": str(config), "store": settings.store.id, "ok": True},
             f"{config}: good. Store {settings.store.id} ({settings.store.name}), "
             f"{len(settings.base_stations)} base stations, {len(settings.tills)} tills.")


@main.command()
@click.option("--database", default="", help="sqlite:///FILE (default) or postgresql+psycopg://USER@HOST/NAME.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8470, show_default=True, type=click.IntRange(0, 65535))
@click.option("--tls-certificate", type=click.Path(path_type=Path, exists=True))
@click.option("--tls-key", type=click.Path(path_type=Path, exists=True))
@click.option("--insecure-lan", is_flag=True, help="Listen beyond this machine without TLS.")
@click.option("--broker", metavar="HOST:PORT", help="MQTT broker that rings the stores' doorbells; its password comes "
              "from TRASTIENDA_HUB_BROKER_PASSWORD.")
@click.option("--broker-user", help="The hub's name at the broker.")
@click.option("--broker-authority", type=click.Path(path_type=Path, exists=True),
              help="PEM file of the authority that vouches for the broker; the system's without it.")
@click.option("--broker-plain", is_flag=True, help="Speak to the broker without TLS.")
@json_option
def hub(database: str, host: str, port: int, tls_certificate: Path | None, tls_key: Path | None, insecure_lan: bool,
        broker: str | None, broker_user: str | None, broker_authority: Path | None, broker_plain: bool,
        as_json: bool) -> None:
    """Run the central service."""
    from cloud_sync.hub.main import DEFAULT_DATABASE, HubOptions, HubRunning, run_hub
    from edge.logs import set_up_logs
    from edge.sd_notify import Notifier

    set_up_logs(as_json=as_json or not sys.stderr.isatty())
    options = HubOptions(database=database or DEFAULT_DATABASE, host=host, port=port, tls_certificate=tls_certificate,
                         tls_key=tls_key, insecure_lan=insecure_lan,
                         broker=_broker(broker, broker_user, broker_authority, tls=not broker_plain))
    notifier = Notifier.from_environment(os.environ)

    def ready(running: HubRunning) -> None:
        minted = f"; its key and token were written to {running.credentials_file}" if running.credentials_file else ""
        _say(as_json, msgspec.to_builtins(running), f"Hub at {running.url}, data in {running.database}{minted}")
        notifier.ready(f"hub at {running.url}")

    with _reported(as_json):
        run_hub(options, ready)


@main.command(name="import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--hub", "hub_url", help="A running hub; its token comes from TRASTIENDA_HUB_OPERATOR_TOKEN.")
@click.option("--database", help="The database of a hub that is not running.")
@click.option("--currency", default="EUR", show_default=True, help="Currency of the prices in the file (ISO 4217).")
@click.option("--strict", is_flag=True, help="Refuse GTINs whose check digit is wrong.")
@json_option
def import_command(file: Path, hub_url: str | None, database: str | None, currency: str, strict: bool,
                   as_json: bool) -> None:
    """Import items and prices from the CSV in FILE, all of it or nothing."""
    from cloud_sync.hub.catalogue_file import ImportOptions
    from cloud_sync.hub.main import import_file

    with _reported(as_json), _progress(f"Importing {file.name}", as_json) as progress:
        result = import_file(file, ImportOptions(currency=currency, strict=strict), hub=hub_url, database=database,
                             progress=progress)
    text = (f"{result.file}: {result.rows} rows. Items: {result.items_changed} changed, {result.items_unchanged} as "
            f"before. Prices: {result.prices_changed} changed, {result.prices_unchanged} as before.")
    _say(as_json, msgspec.to_builtins(result), "\n".join((text, *(f"warning: {each}" for each in result.warnings))))


@main.command(name="hub-enrolment")
@click.argument("store")
@click.option("--hub", "hub_url", help="A running hub; its token comes from TRASTIENDA_HUB_OPERATOR_TOKEN.")
@click.option("--database", help="The database of a hub that is not running.")
@click.option("--valid-hours", default=24.0, show_default=True, type=click.FloatRange(min=0.01, max=720))
@json_option
def hub_enrolment(store: str, hub_url: str | None, database: str | None, valid_hours: float, as_json: bool) -> None:
    """Make a one-time code that enrolls a box as STORE; the box enrolled last speaks for it."""
    from cloud_sync.hub.main import make_code

    with _reported(as_json):
        made = make_code(store, round(valid_hours * 3600), hub=hub_url, database=database)
    _say(as_json, msgspec.to_builtins(made),
         f"Code for store {store}, to be used once within {valid_hours:g} hours: {made.code}\n"
         f"On the box: trastienda enroll /etc/trastienda/store.yaml --code {made.code}")


@main.command(name="hub-restored")
@click.option("--database", help="The database that was put back from a backup; its hub must not run.")
@json_option
def hub_restored(database: str | None, as_json: bool) -> None:
    """Say that the hub's database is a restored backup: stores send what it lacks again, and fetch their feeds anew."""
    from cloud_sync.hub.main import renew_restored

    with _reported(as_json):
        epoch = renew_restored(database)
    _say(as_json, {"hub_epoch": epoch}, f"New hub epoch {epoch}: start the hub. Boxes enrolled after the backup was "
         "made have to be enrolled again.")


@main.command()
@click.argument("kind", type=click.Choice(["vendure"]))
@click.option("--config", required=True, type=click.Path(path_type=Path), help="The connector's YAML.")
@click.option("--once", is_flag=True, help="One round, then end; exit code 1 when a person should look at something.")
@json_option
def connect(kind: str, config: Path, once: bool, as_json: bool) -> None:
    """Tie the hub to a commerce system: goods and orders in, stock and what became of orders out."""
    from cloud_sync.connectors.main import run_connector
    from edge.logs import set_up_logs
    from edge.sd_notify import Notifier

    set_up_logs(as_json=as_json or not sys.stderr.isatty())
    notifier = Notifier.from_environment(os.environ)
    with _reported(as_json):
        done = run_connector(kind, config, once=once, started=lambda: notifier.ready(f"connector to {kind}"))
    if done is not None:
        lines = [", ".join(f"{number} {word.replace('_', ' ')}" for word, number in done.carried.items())
                 or "nothing to carry", *(f"{trouble.about}: {trouble.what}" for trouble in done.troubles)]
        _say(as_json, {"carried": done.carried, "troubles": [
            {"about": trouble.about, "what": trouble.what} for trouble in done.troubles]}, "\n".join(lines))
        if done.troubles:
            raise SystemExit(FAILED)


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--code", prompt="One-time code", help="What `trastienda hub-enrolment` printed.")
@json_option
def enroll(config: Path, code: str, as_json: bool) -> None:
    """Trade a one-time code for this box's own credential at the hub; it is kept in the state directory."""
    from edge import enrolment
    from edge import settings as configuration

    with _reported(as_json):
        settings = configuration.load(config)
        done = enrolment.enrol(settings, code.strip(), enrolment.hub_trade(settings))
    _say(as_json, {"store": done.store, "enrolment": done.enrolment, "epoch": done.epoch},
         f"Enrolled as store {done.store}, enrolment {done.enrolment}: restart the daemon. Any other box of this store "
         "is fenced from now on.")


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--to", "directory", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--keep", default=14, show_default=True, type=click.IntRange(min=1), help="Newest backups that stay.")
@json_option
def backup(config: Path, directory: Path, keep: int, as_json: bool) -> None:
    """Write a checked, encrypted copy of the ledger into a directory, while the daemon runs or not."""
    from edge import settings as configuration
    from edge.backup import make_backup

    with _reported(as_json), _progress("Backup", as_json) as progress:
        settings = configuration.load(config)
        if settings.recovery_key is None:
            raise _no_recovery_key(config)
        now = datetime.now(UTC)
        made = make_backup(_ledger_file(settings), settings.recovery_key, directory, int(now.timestamp() * 1000),
                           now.strftime("%Y%m%dT%H%M%SZ"), keep, lambda done, of: progress("copying", done, of))
    _say(as_json, msgspec.to_builtins(made), f"{made.file}: {made.bytes} bytes, up to entry {made.sequence} of epoch "
         f"{made.epoch}, checked; {len(made.removed)} older ones removed")


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--recovery-key", "key_file", type=click.Path(path_type=Path, dir_okay=False),
              help="File with the recovery private key; else TRASTIENDA_RECOVERY_KEY holds it.")
@click.option("--force", is_flag=True, help="Also in place of a newer ledger; that one is set aside.")
@json_option
def restore(config: Path, file: Path, key_file: Path | None, force: bool, as_json: bool) -> None:
    """Put the backup in FILE in the ledger's place, while the daemon is stopped."""
    from edge import settings as configuration
    from edge.backup import restore_backup

    with _reported(as_json):
        settings = configuration.load(config)
        private = key_file.read_text() if key_file else os.environ.get("TRASTIENDA_RECOVERY_KEY", "")
        done = restore_backup(_ledger_file(settings), file, private, force=force)
    aside = f" The ledger before it is {done.set_aside}." if done.set_aside else ""
    _say(as_json, msgspec.to_builtins(done), f"Store {done.store} has its ledger up to entry {done.sequence} of epoch "
         f"{done.epoch}.{aside} Start the daemon: it sells at once and takes back what it lacks by itself.")


@main.command(name="recovery-key")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def recovery_key(file: Path, as_json: bool) -> None:
    """Make the fleet's recovery keys: the private one goes into FILE (then into a safe), the public one is printed."""
    from edge.backup import new_recovery_keys
    from edge.enrolment import write_private

    with _reported(as_json):
        if file.exists():
            raise FileExistsError(f"{file}: exists already, and a lost recovery key opens nothing: choose another name")
        private, public = new_recovery_keys()
        write_private(file, f"{private}\n".encode())
    _say(as_json, {"recovery_key": public, "private_key_file": str(file)}, f"recovery_key: {public}")


@main.group()
def labels() -> None:
    """Labels and what is on them."""


@labels.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@json_option
def bind(config: Path, file: Path, as_json: bool) -> None:
    """Hang the labels of FILE (CSV: label,code) under their products, at the running store of CONFIG."""
    from edge.binding_file import bind_labels

    with _reported(as_json), _progress(f"Binding {file.name}", as_json) as progress:
        result = asyncio.run(bind_labels(config, file, file.read_bytes(), _credentials(), progress))
    _say(as_json, msgspec.to_builtins(result), "\n".join([f"{result.bound} labels bound.", *result.refused]))
    if result.refused:
        raise SystemExit(FAILED)


@labels.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, writable=True), required=False)
@json_option
def export(config: Path, file: Path | None, as_json: bool) -> None:
    """Write which label hangs under which product at the running store of CONFIG, as the CSV that `bind` reads."""
    from edge.binding_file import export_bindings
    from edge.labels.binding_csv import as_csv

    with _reported(as_json):
        bindings = asyncio.run(export_bindings(config, _credentials()))
        if file is not None:
            file.write_text(as_csv(bindings), encoding="utf-8", newline="")
    if file is not None:
        _say(as_json, {"labels": len(bindings), "file": str(file)}, f"{len(bindings)} labels in {file}.")
    elif as_json:
        _say(as_json, [{"label": label, "code": sku} for label, sku in bindings], "")
    else:
        click.echo(as_csv(bindings), nl=False)


@labels.command()
@click.option("--template", "names", multiple=True, help="A template; without it, all of them.")
@click.option("--size", "sizes", multiple=True, metavar="WxH", help="Only labels of this size in pixels.")
@click.option("--language", default="en", show_default=True, help="Of the sample article: en or es.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("label-previews"),
              show_default=True, help="Where the PNG files go.")
@json_option
def preview(names: tuple[str, ...], sizes: tuple[str, ...], language: str, out: Path, as_json: bool) -> None:
    """Draw templates on every type of label there is: one sheet for each template, and each picture by itself."""
    from edge.label_preview import draw_previews

    with _reported(as_json):
        written = draw_previews(names, sizes, language, out)
    _say(as_json, {"files": [str(path) for path in written]},
         "\n".join([*(str(path) for path in written[:20]),
                    *([f"and {len(written) - 20} more in {out}"] if len(written) > 20 else [])]))


@main.command()
@click.option("--seed", default=1, show_default=True, help="The run, or the first of several; a seed replays exactly.")
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1, 100_000),
              help="How many seeds, one after the other or side by side.")
@click.option("--days", default=1.0, show_default=True, help="Virtual store-days of each.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes for several seeds; one per core otherwise.")
@json_option
def simulate(seed: int, seeds: int, days: float, workers: int | None, as_json: bool) -> None:
    """Run a whole store and its hub under virtual time and faults, and check the promises."""
    if seeds > 1:
        _simulate_seeds(range(seed, seed + seeds), days, workers or os.cpu_count() or 1, as_json)
        return
    from edge.simulate import simulate_store

    with _reported(as_json):
        report = simulate_store(seed, days)
    _say(as_json, msgspec.to_builtins(report), report.as_text())
    if report.violations:
        raise SystemExit(FAILED)


SEEDS_TOLD_EVERY = 10
"""Where nobody looks at a bar: how often a log hears how far the seeds are."""


def _simulate_seeds(seeds: range, days: float, workers: int, as_json: bool) -> None:
    """A bar on a terminal, elsewhere a line now and then; and one for every broken seed as soon as it is known."""
    from edge.simulate_seeds import BrokenSeed, simulate_seeds

    with _reported(as_json), click.progressbar(length=len(seeds), label="Seeds", file=sys.stderr, show_pos=True) as bar:
        def broke(broken: BrokenSeed) -> None:
            if not as_json:
                click.echo(("\n" if sys.stderr.isatty() else "") + broken.as_line())

        def ended() -> None:
            bar.update(1)
            if not sys.stderr.isatty() and bar.pos % SEEDS_TOLD_EVERY == 0:
                click.echo(f"{bar.pos} of {len(seeds)} seeds", err=True)

        report = simulate_seeds(seeds, days, workers, ended, broke)
    _say(as_json, msgspec.to_builtins(report), report.as_text())
    if report.broken:
        raise SystemExit(FAILED)


@main.command()
@click.option("--catalogue", type=click.Path(path_type=Path, dir_okay=False),
              help="CSV of items; without it one is made.")
@click.option("--sales", type=click.Path(path_type=Path, dir_okay=False), help="CSV of sale lines to replay.")
@click.option("--labels", default=60, show_default=True, type=click.IntRange(1, 2000))
@click.option("--seconds", type=click.FloatRange(min=1), help="End by itself after so long, with a report.")
@click.option("--outage", metavar="START:LENGTH", help="Cut the line to the hub, in seconds from the start.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write the report here, as JSON.")
@click.option("--port", default=8480, show_default=True, type=click.IntRange(0, 65535), help="The staff page's port.")
@json_option
def demo(catalogue: Path | None, sales: Path | None, labels: int, seconds: float | None, outage: str | None,
         report: Path | None, port: int, as_json: bool) -> None:
    """A whole store on this machine: hub, daemon, labels in software, tills, online orders, and the staff page."""
    from edge.demo import DemoOptions, parse_outage, run_demo
    from edge.logs import set_up_logs

    set_up_logs(as_json=as_json, quiet=True)
    with _reported(as_json):
        options = DemoOptions(catalogue=catalogue, sales=sales, labels=labels, seconds=seconds,
                              outage=parse_outage(outage), report=report, port=port, as_json=as_json)
        violations = _run_loop(run_demo(options))
    if violations:
        raise SystemExit(FAILED)


@main.command()
@click.argument("code")
@store_option
@click.option("--token", envvar="TRASTIENDA_TOKEN", required=True, help="A till's token (or TRASTIENDA_TOKEN).")
@authority_option
@json_option
def price(code: str, url: str, token: str, authority: Path | None, as_json: bool) -> None:
    """Ask what a till may charge for CODE (a barcode or SKU)."""
    from edge.domain.money import format_money

    with _reported(as_json):
        answer, answered = _ask(f"{url}/v1/lookup/{quote(code, safe='')}", token, authority, _Quote)
    held = " (held low until the shelf has proven the increase)" if answered.held_low else ""
    text = format_money(answered.charge_minor, answered.currency, "en").text
    _say(as_json, msgspec.json.decode(answer), f"{answered.name}: {text}{held}")


@main.command()
@store_option
@click.option("--token", envvar="TRASTIENDA_TOKEN", required=True, help="A monitor's token (or TRASTIENDA_TOKEN).")
@authority_option
@json_option
def status(url: str, token: str, authority: Path | None, as_json: bool) -> None:
    """How a running store is."""
    with _reported(as_json):
        answer, store = _ask(f"{url}/v1/status", token, authority, _Status)
    lines = [f"Store {store.store} ({store.name}): line {'up' if store.link_up else 'DOWN'}, "
             f"{store.backlog} facts wait, {store.items} items",
             f"Labels: {', '.join(f'{count} {state}' for state, count in store.labels.items())}"]
    lines += [f"{issue.severity.upper()}: {issue.what} {issue.action}" for issue in store.issues]
    _say(as_json, msgspec.json.decode(answer), "\n".join(lines))


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--repair", is_flag=True, help="Count the copies again and fetch what differs from the hub.")
@json_option
def doctor(config: Path, repair: bool, as_json: bool) -> None:
    """Examine the store with the settings in CONFIG: feeds against the hub, files, the ledger's chain."""
    from edge.doctor_command import as_text, examine

    with _reported(as_json):
        report = asyncio.run(examine(config, _credentials(), repair=repair))
    _say(as_json, msgspec.to_builtins(report), as_text(report))
    if not report.healthy:
        raise SystemExit(FAILED)


@main.command()
@click.option("--pin", prompt=True, hide_input=True, confirmation_prompt=True, help="Six digits or more.")
@json_option
def pin(pin: str, as_json: bool) -> None:
    """Hash a staff PIN; put what is printed into the credential that the settings name."""
    from edge.staff.sign_in import hash_pin

    with _reported(as_json):
        hashed = hash_pin(pin)
    _say(as_json, {"hash": hashed}, hashed)


class _Quote(msgspec.Struct):
    """What `price` shows of a lookup."""

    name: str
    charge_minor: int
    currency: str
    held_low: bool


class _Issue(msgspec.Struct):
    severity: str
    what: str
    action: str


class _Status(msgspec.Struct):
    """What `status` shows of `/v1/status`."""

    store: str
    name: str
    link_up: bool
    backlog: int
    items: int
    labels: dict[str, int]
    issues: list[_Issue]


class _Problem(msgspec.Struct):
    """What a problem answer says to a person."""

    title: str
    detail: str = ""


def _ask(url: str, token: str, authority: Path | None, kind: type[_Answer]) -> tuple[bytes, _Answer]:
    """GET from a running store: the answer as it came and as what is shown of it.

    Raises `ConnectionError` when it cannot be had, `Rejected` when the store does not let this token do that.
    """
    import httpx

    from edge.errors import Rejected

    trust = ssl.create_default_context(cafile=authority) if authority else True
    try:
        reply = httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=ASK_TIMEOUT_S, verify=trust)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise ConnectionError(f"{url}: {error}: is the daemon running, and is this its address?") from error
    try:
        if reply.status_code == httpx.codes.OK:
            return reply.content, msgspec.json.decode(reply.content, type=kind)
        problem = msgspec.json.decode(reply.content, type=_Problem)
    except msgspec.MsgspecError as error:
        raise ConnectionError(f"{url}: {reply.status_code}, and no store's answer: is this its address?") from error
    said = f"{url}: {problem.title}{f': {problem.detail}' if problem.detail else ''}"
    if reply.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise Rejected(said)
    raise ConnectionError(said)


def _broker(address: str | None, user: str | None, authority: Path | None, *,
            tls: bool) -> "BrokerOptions | None":
    from cloud_sync.hub.doorbell import BrokerOptions

    if address is None:
        return None
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise click.BadParameter("give it as HOST:PORT, such as localhost:8883", param_hint="--broker")
    return BrokerOptions(host.strip("[]"), int(port), tls=tls, username=user, certificate_authority=authority)


def _ledger_file(settings: "Settings") -> "LedgerFile":
    from edge.backup import LedgerFile

    return LedgerFile(Path(settings.state_directory), settings.store.id, _credentials().text(settings.database_key))


def _no_recovery_key(config: Path) -> Exception:
    from edge.errors import ConfigurationError

    return ConfigurationError(f"{config}: recovery_key is not set, and a backup in the clear is not made; "
                              "`trastienda recovery-key` makes a pair")


def _credentials() -> "Credentials":
    from edge.credentials import Credentials

    return Credentials(os.environ)


def _run_loop(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    import uvloop

    return uvloop.run(coroutine)


def _say(as_json: bool, machine: object, person: str) -> None:
    click.echo(json.dumps(machine, ensure_ascii=False) if as_json else person)


@contextmanager
def _progress(title: str, as_json: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on a terminal, silence elsewhere: `(phase, done, of)`."""
    from rich.console import Console
    from rich.progress import Progress

    quiet = as_json or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda phase, done, of: bar.update(task, description=f"{title}: {phase}", completed=done, total=of)


@contextmanager
def _reported(as_json: bool) -> Iterator[None]:
    """Every failure one clear message on stderr and the right exit code."""
    from cloud_sync.connectors.errors import ConnectorError, Misconfigured
    from cloud_sync.hub.errors import ConfigurationError as HubConfigurationError
    from cloud_sync.hub.errors import HubError
    from cloud_sync.hub.errors import Rejected as HubRejected
    from edge.errors import Corrupt, Rejected, Transient
    from edge.supervisor import VitalPartFailed

    try:
        yield
    except (Rejected, HubConfigurationError, HubRejected, Misconfigured) as error:
        _fail(str(error), WRONG_USE, as_json)
    except (Corrupt, Transient, HubError, ConnectorError, VitalPartFailed, OSError) as error:
        _fail(str(error), FAILED, as_json)
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(130) from None


def _fail(message: str, code: int, as_json: bool) -> None:
    click.echo(json.dumps({"error": message}) if as_json else f"trastienda: {message}", err=True)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
