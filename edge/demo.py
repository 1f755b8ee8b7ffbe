"""`trastienda demo`: a whole store on this machine, watched by a witness, with a report at its end.

A composition root (DESIGN.md section 3). Hub and daemon are processes of their own; broker, radios, labels, tills,
customers and staff live in this one (`edge.proving.stage`).
"""

import asyncio
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec
from rich.console import Console

from edge.clock import SystemClock
from edge.errors import ConfigurationError
from edge.proving.sightings import WitnessedTransaction, read_payload
from edge.proving.stage.display import Display
from edge.proving.stage.outage_plan import outages
from edge.proving.stage.premises import check_port, free_port
from edge.proving.stage.report import (
    DemoReport,
    LabelsReport,
    LedgerReport,
    OrdersReport,
    PriceChangesReport,
    SaleLinesReport,
    percentile,
)
from edge.proving.stage.show import Ending, Script, Show, violations_of

SEED = 42
STATUS_EVERY_S = 1.0
STATUS_LINE_EVERY_S = 5.0
"""How often the state is said where there is no terminal."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What to play. Without files, catalogue and sales are made; without `seconds` it goes on until Ctrl-C.

    `outage`: start and length in seconds after the opening of the doors.
    """

    catalogue: Path | None
    sales: Path | None
    labels: int
    seconds: float | None
    outage: tuple[float, float] | None
    report: Path | None
    port: int
    as_json: bool


def parse_outage(text: str | None) -> tuple[float, float] | None:
    """`"20:15"` → from 20 s on, for 15 s. Raises `ConfigurationError`."""
    if text is None:
        return None
    start, _, length = text.partition(":")
    try:
        outage = float(start), float(length)
    except ValueError:
        outage = -1.0, 0.0
    if not (0 <= outage[0] < float("inf") and 0 < outage[1] < float("inf")):
        raise ConfigurationError(f"--outage {text}: give START:LENGTH in seconds, such as 20:15")
    return outage


async def run_demo(options: DemoOptions) -> list[str]:
    """Play until the time is over or Ctrl-C; returns the violations, none after Ctrl-C.

    Raises `ConfigurationError` (exit 2) or `ProcessFailed` (exit 1).
    """
    _check(options)
    display = Display(Console(stderr=options.as_json), quiet=options.as_json)
    with _ended_by_signals() as interrupted:
        try:
            return await _play(options, display)
        except asyncio.CancelledError:
            if not interrupted:
                raise
            display.say("Ended.")
            return []


async def _play(options: DemoOptions, display: Display) -> list[str]:
    script = Script(options.labels, options.port or free_port(), SEED, options.catalogue, options.sales)
    directory = Path(tempfile.mkdtemp(prefix="trastienda-demo-"))
    show = Show(script, directory, SystemClock())
    violations: list[str] = []
    keep = True
    try:
        display.say("Opening hub and store…")
        await show.open()
        display.introduce(show)
        await _run(show, options, display)
        display.say("Closing: tills finish, the hub catches up…")
        ending = await show.end()
        violations = violations_of(ending)
        _publish(_report(show, ending, options, violations), options, display)
        keep = bool(violations)
    except (ConfigurationError, asyncio.CancelledError):
        keep = False
        raise
    finally:
        await show.close(keep=keep)
        if keep:
            display.say(f"Logs and databases are kept in {directory}")
    return violations


async def _run(show: Show, options: DemoOptions, display: Display) -> None:
    with display.live():
        telling = asyncio.create_task(_tell(show, display, STATUS_EVERY_S if sys.stdout.isatty() else
                                            STATUS_LINE_EVERY_S))
        try:
            await show.run(options.seconds, outages(options.outage, options.seconds))
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling


async def _tell(show: Show, display: Display, every_s: float) -> None:
    while True:
        display.update(show, await show.status())
        await asyncio.sleep(every_s)


def _report(show: Show, ending: Ending, options: DemoOptions, violations: list[str]) -> DemoReport:
    states = Counter(label.state for label in ending.labels if label.sku)
    adopted, shown = states.total(), states["shown"]
    prices, orders = show.prices, show.orders.counts()
    outage_s = sum(each.length_s for each in show.outages_begun)
    return DemoReport(
        seconds=_whole(options.seconds or 0), items=ending.items,
        labels=LabelsReport(adopted, shown, adopted - shown,
                            sum(1 for entry in ending.store.entries if entry.kind == "proof")),
        sale_lines=_sale_lines(show, ending),
        price_changes=PriceChangesReport(prices.count, percentile(prices.to_proof_ms, 50),
                                         percentile(prices.to_proof_ms, 99), percentile(prices.to_till_ms, 50)),
        orders=OrdersReport(orders.total(), orders["ready"], orders["handed_over"],
                            orders.total() - orders["ready"] - orders["handed_over"]),
        ledger=LedgerReport(len(ending.store.entries), len(ending.hub.entries)), backlog=ending.backlog,
        outage_s=_whole(outage_s),
        checked={each.promise: each.checked for each in ending.findings if each.promise.startswith("P")},
        violations=violations)


def _sale_lines(show: Show, ending: Ending) -> SaleLinesReport:
    """Every line that was sent is accepted, sent again, or kept for a person to look at."""
    tills = show.play.witness.tills
    flagged = 0
    for entry in ending.store.entries:
        if entry.kind == "transaction":
            fact = read_payload(entry)
            if isinstance(fact, WitnessedTransaction) and fact.type != "void":
                flagged += sum(1 for line in fact.lines if line.flags)
    exception = flagged + tills.lines_in_conflict()
    accepted = tills.lines_taken - flagged
    return SaleLinesReport(tills.lines_offered, accepted, tills.lines_offered - accepted - exception, exception)


def _publish(report: DemoReport, options: DemoOptions, display: Display) -> None:
    encoded = msgspec.json.encode(report)
    if options.report is not None:
        options.report.write_bytes(msgspec.json.format(encoded, indent=2) + b"\n")
    if options.as_json:
        sys.stdout.write(encoded.decode() + "\n")
        return
    display.say(msgspec.json.format(encoded, indent=2).decode())
    display.say(f"[bold red]{len(report.violations)} violations[/bold red]" if report.violations
                else "[green]No promise was broken.[/green]")


def _check(options: DemoOptions) -> None:
    """What can be said before anything is started."""
    if find_spec("amqtt") is None:
        raise ConfigurationError("the demo needs a broker of its own: pip install 'trastienda[demo]'")
    for path in filter(None, (options.catalogue, options.sales)):
        if not path.is_file():
            raise ConfigurationError(f"{path}: there is no such file")
    if options.sales is not None and options.catalogue is None:
        raise ConfigurationError("--sales needs the --catalogue that its SKUs are in")
    if options.report is not None and not options.report.absolute().parent.is_dir():
        raise ConfigurationError(f"{options.report}: there is no such folder")
    if options.seconds is not None and options.outage is not None and sum(options.outage) > options.seconds:
        raise ConfigurationError(f"the outage ends after the demo, which takes {options.seconds:g} s")
    check_port(options.port)


@contextmanager
def _ended_by_signals() -> Iterator[list[int]]:
    """SIGINT and SIGTERM cancel what runs; the list tells whether one came."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    came: list[int] = []

    def end(number: int) -> None:
        came.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    try:
        yield came
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _whole(seconds: float) -> float:
    """Without a fraction where there is none."""
    return int(seconds) if seconds == int(seconds) else round(seconds, 3)
