"""What people see of the demo on a terminal: where the staff page is, and how the store is doing."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import zxingcpp
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge.proving.stage.show import Show
from edge.proving.stage.staff_hands import Status

QR_QUIET_MODULES = 2
"""Less than the norm's four: a terminal's own background is quiet too."""

_BLOCKS = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def qr_text(link: str) -> str:
    """A QR code in half blocks, light on dark as terminals are: two modules above each other in each character."""
    symbol = zxingcpp.create_barcode(link, zxingcpp.BarcodeFormat.QRCode, ec_level="L")
    dark = np.asarray(symbol.to_image(scale=1, add_hrt=False, add_quiet_zones=False)) == 0
    light = ~np.pad(dark, QR_QUIET_MODULES)
    if len(light) % 2:
        light = np.pad(light, ((0, 1), (0, 0)))
    return "\n".join("".join(_BLOCKS[bool(upper), bool(lower)] for upper, lower in zip(*rows, strict=True))
                     for rows in zip(light[::2], light[1::2], strict=True))


class Display:
    """Talks on a terminal, says a line now and then elsewhere, and nothing at all when `quiet`."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._live: Live | None = None

    def say(self, text: str) -> None:
        """One line."""
        if not self._quiet:
            self._console.print(text, highlight=False, soft_wrap=True)

    def introduce(self, show: Show) -> None:
        """Where to look, how to get in, and what is not as in a real store."""
        page, people = show.premises.staff_page, show.premises.people
        if self._console.is_terminal:
            self.say(qr_text(page))
        self.say(f"The staff page: [bold]{page}[/bold]")
        self.say("Sign in as " + ", or as ".join(f"{person.name} with PIN [bold]{person.pin}[/bold]"
                                                for person in people))
        self.say(f"{len(show.goods)} products, {len(show.aisle.labels)} labels on {len(show.aisle.ports)} base "
                 f"stations, {len(show.tills)} tills. Shortened: {show.speed_up.in_words()}.")
        self.say("Ctrl-C ends it.")

    @contextmanager
    def live(self) -> Iterator[None]:
        """While the show runs."""
        if self._quiet or not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as self._live:
            yield
        self._live = None

    def update(self, show: Show, status: Status) -> None:
        """How it is now."""
        if self._live is not None:
            self._live.update(Group(_table(show, status), _checked(show)), refresh=True)
        else:
            self.say(_line(show, status))


def _line(show: Show, status: Status) -> str:
    seconds = show.play.now_s() - show.opened_s
    return (f"{seconds:6.1f} s  line {_line_state(show, status)}, {status.backlog} facts wait; labels "
            f"{_labels(show)}; {show.play.happened['sales']} sales; {show.prices.count} price changes; "
            f"{_orders(show)}")


def _table(show: Show, status: Status) -> Table:
    table = Table(title=f"Trastienda, {show.play.now_s() - show.opened_s:.0f} s", show_header=False)
    table.add_row("Line to the hub", _line_state(show, status))
    table.add_row("Facts", f"{status.ledger_sequence} recorded, {status.backlog} wait for the hub")
    table.add_row("Labels", _labels(show))
    table.add_row("Sales", f"{show.play.happened['sales']}")
    table.add_row("Price changes", f"{show.prices.count}")
    table.add_row("Online orders", _orders(show))
    table.add_row("For a person", f"{status.exceptions} exceptions")
    return table


def _checked(show: Show) -> Text:
    broken = show.play.witness.violations_now()
    if broken:
        return Text("\n".join(broken[-3:]), style="bold red")
    checked = ", ".join(f"{promise} {count}" for promise, count in show.play.witness.findings_now().items())
    return Text(f"No promise broken so far (checked: {checked})", style="green")


def _line_state(show: Show, status: Status) -> str:
    if not show.play.line_up:
        return "cut"
    return "up" if status.link_up else "down"


def _labels(show: Show) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(show.wall.states.items())) or "none hung yet"


def _orders(show: Show) -> str:
    counts = show.orders.counts()
    return f"{len(show.orders.orders)} orders, {counts['handed_over']} handed over"
