"""What can be wrong with a running store, checked at the moment somebody asks."""

import asyncio
from collections.abc import Callable, Iterable

from cloud_sync.client.link_state import Fence, FenceReason, LinkState
from cloud_sync.contract.documents import PriceIntegrity
from drivers.paper.session import PaperStation
from drivers.port import BaseStation, StationState
from edge.db.queries import LEDGER
from edge.disk_budget import Shed
from edge.health.issues import Issue, Severity
from edge.heartbeats import Stall
from edge.labels.planner import LabelPlanner
from edge.limits import BATTERY_LOW_MV, LABEL_SILENT_S, PAPER_WAITS_S
from edge.prices.guard_desk import GuardDesk
from edge.prices.price_book import PriceBook
from edge.prices.reports import late_since_powered_ms
from edge.store import Store
from edge.supervisor import PartState, PartStatus


class StoreChecks:
    """Every check of the store; each issue says what a person can do."""

    def __init__(self, store: Store, planner: LabelPlanner, guard: GuardDesk, book: PriceBook,
                 stations: dict[str, BaseStation],
                 link_state: Callable[[], LinkState], parts: Callable[[], list[PartStatus]],
                 stalled: Callable[[], list[Stall]], insecure_listeners: list[str]) -> None:
        self._store = store
        self._planner = planner
        self._guard = guard
        self._book = book
        self._stations = stations
        self._link_state = link_state
        self._parts = parts
        self._stalled = stalled
        self._insecure_listeners = insecure_listeners
        self._since_powered_ms = store.clock.powered_ms()

    def issues(self) -> Iterable[Issue]:
        """Everything that is wrong now."""
        yield from self._machine()
        yield from self._disk()
        yield from self._devices()
        yield from self._labels()
        yield from self._line()
        yield from self._prices_and_people()

    def _line(self) -> Iterable[Issue]:
        state = self._link_state()
        if state.fence is not None and state.fence.reason is FenceReason.PRUNED:
            yield self._forgotten_by_both(state.fence)
        elif state.fence is not None:
            yield Issue("ledger-fenced", Severity.ERROR,
                        f"The hub does not take this store's facts: {state.fence.detail}",
                        "Call support: two boxes may run as this store. Keep selling, nothing is lost.")
        if state.rebasing:
            yield Issue("history-missing", Severity.WARNING,
                        f"This box was restored or replaced and takes its history back: {state.rebasing}",
                        "Keep selling. Stock and orders are right when this is over, which happens by itself.")
        for feed, known in state.feeds.items():
            if known.equal is False:
                yield Issue(f"differs-{feed.value}", Severity.WARNING,
                            f"This store's copy of {feed.value} is not the hub's",
                            "It is put right by itself. If this stays, run `trastienda doctor` and call support.")
        if not state.up:
            yield Issue("hub-down", Severity.WARNING, f"No line to the hub: {state.last_error or 'not reached yet'}",
                        f"Keep selling; {state.backlog} facts wait and are sent when the line is back.")

    def _forgotten_by_both(self, fence: Fence) -> Issue:
        """The hub was restored to before the chain's anchor: which entries no side can send any more."""
        oldest = self._store.books.ledger_reader.execute(LEDGER.oldest_entry, (fence.epoch,)).fetchone()
        return Issue("ledger-forgotten", Severity.ERROR,
                     f"The hub lost entries of this store that are no longer kept here: {fence.sequence + 1} to "
                     f"{(oldest[0] if oldest else 0) - 1}",
                     "Call support: the hub needs a newer backup, or this store a new epoch. Keep selling; later facts "
                     "are kept here until then.")

    def _disk(self) -> Iterable[Issue]:
        disk = self._store.disk
        if disk.sheds(Shed.FACTS):
            yield Issue("disk-full", Severity.ERROR, f"The box's disk is full: {disk.room_mib} MiB left",
                        "Tills may ask prices and must keep their sales. Make room on the disk or call support; the "
                        "store goes on by itself.")
        elif disk.level is not Shed.NOTHING:
            yield Issue("disk-low", Severity.WARNING, f"The box's disk fills up: {disk.room_mib} MiB left",
                        "Make room on the disk or call support. Sales go on; what matters less is no longer written.")
        for name in self._store.books.large_logs():
            yield Issue(f"log-{name}", Severity.WARNING, f"{name}.db is being read for very long",
                        "Its write-ahead log cannot be emptied meanwhile. End the program that reads it, such as a "
                        "database shell.")

    def _devices(self) -> Iterable[Issue]:
        for name, station in self._stations.items():
            if station.state not in (StationState.READY, StationState.DEGRADED):
                yield Issue(f"station-{name}", Severity.WARNING, f"Base station {name} is {station.state.value}",
                            "Check its cable and power; labels wait until it answers.")
            if isinstance(station, PaperStation):
                yield from _tags_that_wait(station)
        failed = self._planner.failed_count()
        if failed:
            yield Issue("labels-failed", Severity.WARNING, f"{failed} labels could not be brought up to date",
                        "Open the wall, filter by failed, and look at each reason.")

    def _labels(self) -> Iterable[Issue]:
        """What labels say of themselves, or no longer say; each issue ends when they are heard again."""
        reader, clock = self._store.books.ledger_reader, self._store.clock
        low, first_low = reader.execute(LEDGER.low_battery_labels, (BATTERY_LOW_MV,)).fetchone()
        if low:
            yield Issue("labels-battery", Severity.WARNING, f"{low} labels have a low battery, {first_low} among them",
                        "Replace their batteries within the next weeks.")
        if clock.powered_ms() - self._since_powered_ms < LABEL_SILENT_S * 1000:
            return  # nobody listened before
        silent, first = reader.execute(LEDGER.silent_labels, (clock.wall_ms() - int(LABEL_SILENT_S * 1000),)).fetchone()
        if silent:
            yield Issue("labels-silent", Severity.WARNING,
                        f"{silent} labels were not heard for {LABEL_SILENT_S / 3600:.0f} hours, {first} among them",
                        "Look at them on the shelf: a label that is gone or broken has to be excluded or replaced.")

    def _prices_and_people(self) -> Iterable[Issue]:
        for copy in self._book.late():
            yield Issue(f"till-copy-{copy.till}", Severity.WARNING, f"Till {copy.till} keeps an old price book",
                        "It may charge more than the shelf shows: check its line, or let it load the book again.")
        late, sku, label = self._late_holds()
        if late:
            yield Issue("prices-wait", Severity.WARNING,
                        f"{late} prices are held low by labels that do not change, {sku} by label {label} the longest",
                        "Look at that label on its shelf, and at the others that the report of holds names: one that "
                        "is gone or broken has to be excluded, and the price rises after that.")
        held = self._guard.held()
        if held:
            yield Issue("prices-held", Severity.WARNING, f"{len(held)} price batches are held: {held[0].reason}",
                        "A supervisor approves or drops them on the page 'held prices'.")
        exceptions = self._store.books.ledger_reader.execute(LEDGER.open_exception_count).fetchone()[0]
        if exceptions:
            yield Issue("exceptions", Severity.WARNING, f"{exceptions} exceptions wait for a person",
                        "Open the list of exceptions and decide each.")

    def _late_holds(self) -> tuple[int, str, str]:
        """How many prices have waited for labels longer than the policy lets them wait untold; the oldest's SKU, and a
        label that holds it."""
        reader = self._store.books.ledger_reader
        if self._store.policy.price_integrity is PriceIntegrity.REPORT_ONLY:
            return 0, "", ""  # tills are told list prices
        late = reader.execute(LEDGER.late_holds, (late_since_powered_ms(self._store),)).fetchone()[0]
        if not late:
            return 0, "", ""
        sku = reader.execute(LEDGER.oldest_hold).fetchone()[0]
        label = reader.execute(LEDGER.labels_holding, (sku, 1)).fetchone()
        return late, sku, label[0] if label else "?"

    def _machine(self) -> Iterable[Issue]:
        for name, writer in (("ledger", self._store.books.ledger), ("replica", self._store.books.replica)):
            if writer.broken:
                yield Issue(f"{name}-broken", Severity.ERROR, f"{name}.db: {writer.broken}",
                            "Tills may ask prices and must keep their sales. Call support: the disk is dying or full "
                            "of damage, and a backup has to be restored.")
        if not self._store.clock.trusted:
            yield Issue("clock-untrusted", Severity.ERROR, "The box's clock cannot be believed",
                        "Check time synchronisation; until then price increases wait.")
        for address in self._insecure_listeners:
            yield Issue(f"insecure-{address}", Severity.WARNING, f"{address} speaks without TLS on the shop's network",
                        "Give the listener a certificate and a key in the settings.")
        for part in self._parts():
            if part.state is PartState.FAILED:
                yield Issue(f"part-{part.name}", Severity.ERROR, f"{part.name} was given up: {part.last_error}",
                            "See the journal, then restart the service.")
            elif part.state is PartState.WAITING:
                yield Issue(f"part-{part.name}", Severity.WARNING, f"{part.name} failed: {part.last_error}",
                            "It is tried again by itself; if it stays, see the journal.")
        for stall in self._stalled():
            yield Issue(f"stalled-{stall.name}", Severity.ERROR, f"{stall.name} stands still for {stall.still_s:.0f} s",
                        "systemd is about to restart the store; if this comes back, call support.")


def _tags_that_wait(station: PaperStation) -> Iterable[Issue]:
    """Paper tags that nobody has hung for a while; a till may be waiting for one."""
    late = [tag for tag in station.waiting() if asyncio.get_running_loop().time() - tag.since_s >= PAPER_WAITS_S]
    if late:
        yield Issue("tags-waiting", Severity.WARNING,
                    f"{len(late)} paper tags wait to be printed and hung, {late[0].label} among them",
                    "Print them on the page 'paper tags', hang them, and scan each.")
