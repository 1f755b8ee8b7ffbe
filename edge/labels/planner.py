"""The planner: compares wanted with shown and puts due labels on air (DESIGN.md section 6).

There is no queue of commands. A label that may have become due is looked at again; what is wanted is derived anew
each time, so changes coalesce and a restart resumes. Claims are committed before every offer (section 5).
"""

import asyncio
import heapq
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from enum import Enum, IntEnum

import structlog

from cloud_sync.contract.facts import Proof
from drivers.port import (
    Ambiguous,
    BaseStation,
    DriverEvent,
    Failed,
    OfferRefused,
    Progress,
    Seen,
    Shown,
    StationChanged,
    StationState,
    Telemetry,
    Withdrawn,
)
from edge.db.connection import Connection
from edge.db.label_rows import LabelRow, label_row, label_rows
from edge.db.ledger import draft, record
from edge.db.queries import LEDGER
from edge.domain.claims import grace_end, is_due
from edge.errors import Transient
from edge.labels.artist import Artist
from edge.labels.wanted import NothingToShow, Wanted, WantedPictures
from edge.limits import (
    DRAWS_AT_ONCE_MAX,
    DRIVER_EVENTS_MAX,
    LABELS_MAX,
    LABELS_ON_AIR_PER_STATION_MAX,
    OFFER_RETRY_S,
    OFFER_STALE_S,
    TELEMETRY_FLUSH_S,
)
from edge.prices.claim_book import Offered, TooManyClaims, close_by_proof, open_claim
from edge.prices.price_desk import PriceDesk
from edge.store import News, Store, Topic

_log = structlog.get_logger(__name__)
_SERVING = frozenset({StationState.READY, StationState.DEGRADED})


class Urgency(IntEnum):
    """Order of work: an increase that holds a till comes before everything (DESIGN.md section 6)."""

    HOLDS_TILL = 0
    DECREASE = 1
    COSMETIC = 2


class LabelState(Enum):
    """Where a label stands, for people. Green only when proven (P7)."""

    UNBOUND = "unbound"
    QUEUED = "queued"
    ON_AIR = "on air"
    SHOWN = "shown"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class _OnAir:
    station: str
    content_hash: str
    since_s: float


class LabelPlanner:
    """Keeps every bound label of the store showing what it should."""

    def __init__(self, store: Store, prices: PriceDesk, wanted: WantedPictures, artist: Artist,
                 stations: dict[str, BaseStation]) -> None:
        self._store = store
        self._prices = prices
        self._wanted = wanted
        self._artist = artist
        self._stations = stations
        self._events: deque[DriverEvent] = deque()
        self._work = asyncio.Event()
        self._due: list[tuple[Urgency, int, str]] = []
        self._queued: set[str] = set()
        self._order = 0
        self._on_air: dict[str, _OnAir] = {}
        self._wanted_hash: dict[str, str] = {}
        self._crowded: defaultdict[str, deque[str]] = defaultdict(deque)  # stations come and go later
        self._telemetry: dict[str, Telemetry] = {}
        self._drawing: set[asyncio.Task[None]] = set()
        self.progress = 0

    # --- what others call -------------------------------------------------------------------------------------

    def hear(self, event: DriverEvent) -> None:
        """The stations' event sink: returns at once. Above the bound only what a label says again is dropped."""
        if len(self._events) >= DRIVER_EVENTS_MAX and isinstance(event, Seen | Telemetry | Progress):
            return
        self._events.append(event)
        self._work.set()

    def follow_news(self, news: News) -> None:
        """The store's listener: prices that changed make labels due."""
        if news.topic is Topic.PRICES:
            for sku in news.subjects:
                self._look_at_sku(sku)

    def look_at(self, label: str, urgency: Urgency = Urgency.COSMETIC) -> None:
        """This label may have become due (it was bound, included, doubted)."""
        if label not in self._queued:
            self._queued.add(label)
            self._order += 1
            heapq.heappush(self._due, (urgency, self._order, label))
            self._work.set()

    def adopt(self, label: str) -> None:
        """Serve a label that was bound."""
        row = label_row(self._store.books.ledger_reader, label)
        if row is not None and row.station in self._stations:
            self._stations[row.station].adopt(row.label, row.type_name)
            self._wanted_hash.pop(label, None)
            self.look_at(label)

    def adopt_all(self) -> None:
        """Serve every bound label, after base stations came or changed."""
        for row in label_rows(self._store.books.ledger_reader):
            if row.sku is not None:
                self.adopt(row.label)

    def counts(self) -> dict[LabelState, int]:
        """How many labels stand where."""
        tally = Counter(self.state_of(row)[0] for row in label_rows(self._store.books.ledger_reader))
        return {state: tally[state] for state in LabelState}

    def failed_count(self) -> int:
        """Labels that a person should look at."""
        return self.counts()[LabelState.FAILED]

    def state_of(self, row: LabelRow) -> tuple[LabelState, str]:
        """Where the label stands and, if there is something to say, why."""
        if row.sku is None:
            return LabelState.UNBOUND, ""
        if row.failure:
            return LabelState.FAILED, row.failure
        wanted_hash = self._wanted_hash.get(row.label)
        if wanted_hash is None:
            return LabelState.QUEUED, "waits for its base station, or for a price"
        if not is_due(wanted_hash, row.proven_content, bool(row.outstanding)):
            return LabelState.SHOWN, ""
        on_air = self._on_air.get(row.label)
        return (LabelState.ON_AIR if on_air and on_air.content_hash == wanted_hash else LabelState.QUEUED), ""

    def wanted_of(self, row: LabelRow) -> Wanted | None:
        """What the label should show; `None` while that cannot be said."""
        station = self._stations.get(row.station)
        description = station.describe(row.label) if station else None
        if row.sku is None or description is None:
            return None
        try:
            return self._wanted.of(row.sku, description)
        except (NothingToShow, LookupError, ValueError):
            return None

    async def run(self) -> None:
        """Plan until cancelled."""
        self.adopt_all()
        flush_at = self._now_s() + TELEMETRY_FLUSH_S
        try:
            while True:
                await self._wait_for_work(flush_at - self._now_s())
                self.progress += 1
                while self._events:
                    await self._take(self._events.popleft())
                await self._offer_due()
                if self._now_s() >= flush_at:
                    await self._flush_telemetry()
                    self._offer_stale_again()
                    flush_at = self._now_s() + TELEMETRY_FLUSH_S
        finally:
            for task in self._drawing:
                task.cancel()

    # --- events -----------------------------------------------------------------------------------------------

    async def _take(self, event: DriverEvent) -> None:
        if isinstance(event, Shown):
            await self._proven(event)
        elif isinstance(event, Failed):
            await self._failed(event)
        elif isinstance(event, Ambiguous):
            await self._store.books.ledger.submit(lambda c: c.execute(LEDGER.doubt_label, (event.label,)))
            self._off_air(event.label)
            self.look_at(event.label, Urgency.HOLDS_TILL)
        elif isinstance(event, Seen):
            await self._seen(event)
        elif isinstance(event, Telemetry):
            self._telemetry[event.label] = event
        elif isinstance(event, StationChanged):
            self._station_changed(event)
        elif isinstance(event, Withdrawn):
            self._off_air(event.label)
            self.look_at(event.label)
        elif isinstance(event, Progress):
            self._store.tell(Topic.LABEL, event.label)

    async def _proven(self, event: Shown) -> None:
        """A delivery proof: earlier claims of the label begin to close, and the proof is a fact."""
        store = self._store
        station_settle_ms = self._settle_ms(event.label)
        now_ms, now_powered_ms = store.clock.wall_ms(), store.clock.powered_ms()
        closes_ms = grace_end(now_powered_ms, station_settle_ms, store.policy.grace_s * 1000,
                              store.shoppers_gone_in_ms())
        proof_key = f"proof/{store.mint()}"

        def operation(connection: Connection) -> Offered | None:
            if label_row(connection, event.label) is None:
                return None
            shown = close_by_proof(connection, event.label, event.version, closes_ms, now_powered_ms, now_ms)
            if shown is not None:
                fact = Proof(label=event.label, version=event.version, sku=shown.sku, price_minor=shown.price_minor,
                             currency=shown.currency)
                record(connection, store.books.chain, draft(proof_key, fact, occurred_ms=now_ms, recorded_ms=now_ms,
                                                            business_day=store.business_day(now_ms)))
            return shown

        shown = await store.record(operation)
        on_air = self._on_air.get(event.label)
        if shown is None or (on_air and on_air.content_hash == shown.content):
            self._off_air(event.label)
        self.look_at(event.label)
        store.tell(Topic.LABEL, event.label)

    async def _failed(self, event: Failed) -> None:
        """The offer came to nothing: said to people, and offered again after a while."""
        await self._store.books.ledger.submit(lambda c: c.execute(LEDGER.fail_label, (event.reason, event.label)))
        self._off_air(event.label)
        self._store.tell(Topic.LABEL, event.label)
        self._later(event.label)

    async def _seen(self, event: Seen) -> None:
        """A label was heard: one we do not know is proposed, one that waited for its type is looked at."""
        row = label_row(self._store.books.ledger_reader, event.label)
        if row is None and event.description is not None:
            await self._propose(event)
        elif row is not None and row.sku is not None and row.label not in self._on_air:
            self.look_at(event.label)

    async def _propose(self, event: Seen) -> None:
        description = event.description
        assert description is not None
        if len(label_rows(self._store.books.ledger_reader)) >= LABELS_MAX:
            return
        station = self._station_hearing(event.label)
        values = (event.label, station, description.type_name, int(description.settle_s * 1000),
                  self._store.clock.wall_ms())
        await self._store.books.ledger.submit(lambda connection: connection.execute(LEDGER.insert_label, values))
        self._store.tell(Topic.LABEL, event.label)

    def _station_hearing(self, label: str) -> str:
        return next((name for name, station in self._stations.items() if station.describe(label)), "")

    def _station_changed(self, event: StationChanged) -> None:
        self._store.tell(Topic.ISSUE, event.station)
        if event.state in _SERVING:
            self._crowded[event.station].clear()
            for row in label_rows(self._store.books.ledger_reader):
                if row.station == event.station and row.sku is not None:
                    self.look_at(row.label)

    async def _flush_telemetry(self) -> None:
        """Battery and signal go to disk once a while, together: flash is spared."""
        heard, self._telemetry = self._telemetry, {}
        now_ms = self._store.clock.wall_ms()

        def operation(connection: Connection) -> None:
            for each in heard.values():
                connection.execute(LEDGER.hear_label, (each.battery_mv, each.temperature_c, each.rssi_dbm, now_ms,
                                                       each.label))

        if heard:
            await self._store.books.ledger.submit(operation)

    # --- offers -----------------------------------------------------------------------------------------------

    async def _offer_due(self) -> None:
        while self._due and len(self._drawing) < DRAWS_AT_ONCE_MAX and not self._events:
            _, _, label = heapq.heappop(self._due)
            self._queued.discard(label)
            task = asyncio.get_running_loop().create_task(self._offer_if_due(label), name=f"offer-{label}")
            self._drawing.add(task)
            task.add_done_callback(self._drawn)

    def _drawn(self, task: "asyncio.Task[None]") -> None:
        self._drawing.discard(task)
        self._work.set()
        if not task.cancelled() and task.exception() is not None:
            _log.error("a label could not be planned", label=task.get_name(), error=repr(task.exception()))

    async def _offer_if_due(self, label: str) -> None:
        row = label_row(self._store.books.ledger_reader, label)
        station = self._stations.get(row.station) if row else None
        if row is None or station is None or row.sku is None or station.state not in _SERVING:
            return
        wanted = await self._wanted_or_say(row, station)
        if wanted is not None:
            self._wanted_hash[label] = wanted.content_hash
        if wanted is None or not is_due(wanted.content_hash, row.proven_content, bool(row.outstanding)):
            return
        on_air = self._on_air.get(label)
        if on_air and on_air.content_hash == wanted.content_hash:
            return
        if not on_air and self._count_on_air(row.station) >= LABELS_ON_AIR_PER_STATION_MAX:
            self._crowded[row.station].append(label)
            return
        await self._put_on_air(row, station, wanted)

    async def _put_on_air(self, row: LabelRow, station: BaseStation, wanted: Wanted) -> None:
        """Draw, commit the claim, and only then offer."""
        self._on_air[row.label] = _OnAir(row.station, wanted.content_hash, self._now_s())
        description = station.describe(row.label)
        assert description is not None
        try:
            _, blob = await self._artist.draw(wanted.template, wanted.content, description, station.encode)
            content = wanted.content
            offered = Offered(row.label, blob.version, wanted.content_hash, content.sku, content.price_minor,
                              content.currency)
            now_powered_ms, now_ms = self._store.clock.powered_ms(), self._store.clock.wall_ms()
            await self._store.books.ledger.submit(lambda c: open_claim(c, offered, now_powered_ms, now_ms))
            await station.offer(row.label, blob)
        except (OfferRefused, Transient) as refusal:
            _log.debug("offer refused", label=row.label, reason=str(refusal))
            self._off_air(row.label)
            self._later(row.label)
            return
        except (ValueError, TooManyClaims) as problem:
            self._off_air(row.label)
            await self._say(row, str(problem))
            return
        self._store.tell(Topic.LABEL, row.label)
        if not self._is_still_wanted(row.label, wanted):
            self.look_at(row.label, Urgency.DECREASE)

    def _is_still_wanted(self, label: str, wanted: Wanted) -> bool:
        row = label_row(self._store.books.ledger_reader, label)
        now = self.wanted_of(row) if row else None
        return now is None or now.content_hash == wanted.content_hash

    async def _wanted_or_say(self, row: LabelRow, station: BaseStation) -> Wanted | None:
        description = station.describe(row.label)
        if description is None or row.sku is None:
            return None
        try:
            return self._wanted.of(row.sku, description)
        except (NothingToShow, LookupError, ValueError) as problem:
            await self._say(row, str(problem))
            return None

    async def _say(self, row: LabelRow, problem: str) -> None:
        if row.failure != problem:
            await self._store.books.ledger.submit(lambda c: c.execute(LEDGER.fail_label, (problem, row.label)))
            self._store.tell(Topic.LABEL, row.label)

    # --- small things -----------------------------------------------------------------------------------------

    def _look_at_sku(self, sku: str) -> None:
        reader = self._store.books.ledger_reader
        price = self._prices.list_price(sku)
        cap = reader.execute(LEDGER.price_cap, (sku,)).fetchone()
        holds = cap is not None and price is not None and cap[0] < price[0]
        for (label,) in reader.execute(LEDGER.labels_of_sku, (sku,)).fetchall():
            self._wanted_hash.pop(label, None)
            self.look_at(label, Urgency.HOLDS_TILL if holds else Urgency.DECREASE)

    def _off_air(self, label: str) -> None:
        on_air = self._on_air.pop(label, None)
        if on_air is not None and self._crowded[on_air.station]:
            self.look_at(self._crowded[on_air.station].popleft())

    def _later(self, label: str) -> None:
        delay_s = OFFER_RETRY_S * (0.5 + self._store.randomness.random())
        asyncio.get_running_loop().call_later(delay_s, self.look_at, label)

    def _offer_stale_again(self) -> None:
        """An offer that never came to a proof or a failure is made again; its claim stays as it is."""
        for label, on_air in list(self._on_air.items()):
            if self._now_s() - on_air.since_s > OFFER_STALE_S:
                self._off_air(label)
                self.look_at(label)

    def _count_on_air(self, station: str) -> int:
        return sum(1 for on_air in self._on_air.values() if on_air.station == station)

    def _settle_ms(self, label: str) -> int:
        row = label_row(self._store.books.ledger_reader, label)
        return row.settle_ms if row else 0

    async def _wait_for_work(self, timeout_s: float) -> None:
        if self._events or (self._due and len(self._drawing) < DRAWS_AT_ONCE_MAX):
            return
        self._work.clear()
        try:
            await asyncio.wait_for(self._work.wait(), max(0.0, timeout_s))
        except TimeoutError:
            return

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()
