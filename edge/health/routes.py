"""`/healthz`, `/readyz`, `/metrics` and `/v1/status`: how the store is, for load balancers, Prometheus and people."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.client.link_state import LinkState
from drivers.port import BaseStation
from edge.db.ledger import head
from edge.db.queries import LEDGER, REPLICA
from edge.health.issues import Issue, IssueList
from edge.heartbeats import Stall
from edge.labels.planner import LabelPlanner
from edge.pos.app import Handler, json_response
from edge.pos.till_clocks import TillClocks
from edge.store import Store
from edge.supervisor import PartStatus

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Status(msgspec.Struct, frozen=True):
    """`GET /v1/status`. Times in milliseconds since 1970.

    `till_clocks_ahead_ms`: by till, how far its clock is ahead of the store's, negative for behind. `disk_sheds`: what
    is given up for want of room, `nothing` or the last of telemetry, chatter, history, facts.
    """

    store: str
    name: str
    link_up: bool
    link_since_ms: int
    backlog: int
    fenced: bool
    rebasing: str
    epoch: int
    ledger_sequence: int
    items: int
    labels: dict[str, int]
    stations: dict[str, str]
    exceptions: int
    till_clocks_ahead_ms: dict[str, int]
    clock_trusted: bool
    disk_room_bytes: int
    disk_sheds: str
    issues: list[Issue]
    parts: list[PartStatus]


@dataclass(frozen=True, slots=True)
class HealthView:
    """What health looks at."""

    store: Store
    planner: LabelPlanner
    stations: dict[str, BaseStation]
    issues: IssueList
    clocks: TillClocks
    link_state: Callable[[], LinkState]
    parts: Callable[[], list[PartStatus]]
    stalled: Callable[[], list[Stall]]

    def status(self) -> Status:
        """Everything at once."""
        books, link = self.store.books, self.link_state()
        return Status(
            store=self.store.identity.store, name=self.store.identity.name, link_up=link.up,
            link_since_ms=link.since_ms, backlog=link.backlog, fenced=link.fence is not None, rebasing=link.rebasing,
            epoch=books.chain.epoch, ledger_sequence=head(books.ledger_reader, books.chain).sequence,
            items=books.replica_reader.execute(REPLICA.item_count).fetchone()[0],
            labels={state.value: count for state, count in self.planner.counts().items()},
            stations={name: station.state.value for name, station in self.stations.items()},
            exceptions=books.ledger_reader.execute(LEDGER.open_exception_count).fetchone()[0],
            till_clocks_ahead_ms=self.clocks.all_ahead_ms(), clock_trusted=self.store.clock.trusted,
            disk_room_bytes=self.store.disk.room_bytes, disk_sheds=self.store.disk.level.word,
            issues=self.issues.now(), parts=self.parts())


def health_handlers(view: HealthView) -> Mapping[str, Handler]:
    """The handlers of health, by the names in `edge.pos.access.RULES`."""
    registry = CollectorRegistry()
    registry.register(_StoreCollector(view))

    async def healthz(_request: Request) -> Response:
        stalled = view.stalled()
        return json_response({"status": "failing" if stalled else "ok"}, 503 if stalled else 200)

    async def readyz(_request: Request) -> Response:
        """Items come by one feed and prices by another: a till needs both."""
        reader = view.store.books.replica_reader
        ready = all(reader.execute(count).fetchone()[0] > 0 for count in (REPLICA.item_count, REPLICA.list_price_count))
        return json_response({"status": "ready" if ready else "waiting for the first catalogue"}, 200 if ready else 503)

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=_METRICS_TYPE)

    async def status(_request: Request) -> Response:
        return json_response(view.status())

    return {"healthz": healthz, "readyz": readyz, "metrics": metrics, "status": status}


class _StoreCollector(Collector):
    """Metrics worked out when they are asked for, so that no counter can drift from the books."""

    def __init__(self, view: HealthView) -> None:
        self._view = view

    def collect(self) -> Iterable[Metric]:
        status = self._view.status()
        yield GaugeMetricFamily("trastienda_link_up", "1 while the hub can be reached", float(status.link_up))
        yield GaugeMetricFamily("trastienda_backlog_entries", "ledger entries the hub has not acknowledged",
                                status.backlog)
        yield CounterMetricFamily("trastienda_ledger_entries", "entries of this epoch's ledger", status.ledger_sequence)
        yield GaugeMetricFamily("trastienda_items", "items in the catalogue", status.items)
        yield GaugeMetricFamily("trastienda_exceptions_open", "exceptions that wait for a person", status.exceptions)
        yield GaugeMetricFamily("trastienda_clock_trusted", "1 while the wall clock is believed",
                                float(status.clock_trusted))
        yield GaugeMetricFamily("trastienda_disk_room_bytes", "bytes that facts can still use", status.disk_room_bytes)
        yield GaugeMetricFamily("trastienda_disk_shed_level", "0 nothing is given up for want of room, 4 facts",
                                int(self._view.store.disk.level))
        yield _by("trastienda_till_clock_ahead_seconds", "how far a till's clock is ahead of the store's", "till",
                  {till: ahead_ms / 1000 for till, ahead_ms in status.till_clocks_ahead_ms.items()})
        yield _by("trastienda_labels", "labels by state", "state", status.labels)
        yield _by("trastienda_stations", "base stations by state", "state", Tally(status.stations.values()))
        yield _by("trastienda_issues", "issues by severity", "severity",
                  Tally(issue.severity.value for issue in status.issues))


def _by(name: str, text: str, label: str, counts: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
