"""The planner: compares wanted with shown and puts due labels on air (DESIGN.md section 6).

There is no queue of commands. A label that may have become due is looked at again; what is wanted is derived anew
each time, so changes coalesce and a restart resumes. Claims are committed before every offer (section 5).
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import groupby
from operator import itemgetter

import structlog

from cloud_sync.contract.facts import Proof
from drivers.port import (
    Ambiguous,
    BaseStation,
    Blob,
    DriverEvent,
    EventSink,
    Failed,
    LabelDescription,
    OfferRefused,
    Picture,
    Progress,
    Seen,
    Shown,
    StationChanged,
    Telemetry,
    Withdrawn,
)
from edge.db.connection import Connection
from edge.db.label_rows import LabelRow, label_row, label_rows
from edge.db.ledger import draft, record
from edge.db.queries import LEDGER, many
from edge.disk_budget import Shed
from edge.domain.claims import grace_end, is_due
from edge.errors import Corrupt, Transient
from edge.labels.air_time import AirTime, OnAir
from edge.labels.artist import Artist
from edge.labels.due_labels import DueLabels, Urgency
from edge.labels.homes import SERVING, Homes
from edge.labels.prepared import PreparedPictures
from edge.labels.said_by_labels import SaidByLabels
from edge.labels.wanted import NothingToShow, Wanted, WantedPictures
from edge.limits import (
    DRAWS_AT_ONCE_MAX,
    DRIVER_EVENTS_MAX,
    LABELS_MAX,
    OFFER_EVERY_S,
    OFFER_RETRY_CAP_S,
    OFFER_RETRY_DOUBLINGS_MAX,
    OFFER_RETRY_S,
    TELEMETRY_FLUSH_S,
    WRITE_TROUBLE_PAUSE_S,
)
from edge.prices.claim_book import ProofOutcome, ReadProof, TooManyClaims, close_by_proof, doubt, open_claim
from edge.prices.price_book import PriceBook
from edge.prices.price_desk import PriceDesk
from edge.store import News, Store, Topic

__all__ = ["LabelPlanner", "LabelState", "Urgency"]

_log = structlog.get_logger(__name__)


class LabelState(Enum):
    """Where a label stands, for people. Green only when proven (P7)."""

    UNBOUND = "unbound"
    QUEUED = "queued"
    ON_AIR = "on air"
    SHOWN = "shown"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class _Heard:
    """An event, the station that said it, and the label's last offer that its base station had taken when it was
    heard (0: none by us)."""

    event: DriverEvent
    station: str = ""
    handed_order: int = 0


class LabelPlanner:
    """Keeps every bound label of the store showing what it should."""

    def __init__(self, store: Store, prices: PriceDesk, wanted: WantedPictures, artist: Artist,
                 stations: dict[str, BaseStation], prepared: PreparedPictures, book: PriceBook) -> None:
        self._store = store
        self._prices = prices
        self._wanted = wanted
        self._artist = artist
        self._prepared = prepared
        self._book = book
        self._stations = stations
        self._homes = Homes(store, stations)
        self._events: deque[_Heard] = deque()
        self._work = asyncio.Event()
        self._due = DueLabels()
        self._air = AirTime()
        self._offering: dict[str, asyncio.Task[None]] = {}
        self._offering_since_s: dict[str, float] = {}
        self._look_again: dict[str, Urgency] = {}
        self._handing: dict[str, list[tuple[Shown, str]]] = {}
        self._handed: dict[str, int] = {}
        self._news = 0
        self._offer_at_s = 0.0
        self._retries: dict[str, int] = {}
        self._retry_timers: dict[str, asyncio.TimerHandle] = {}
        self._wanted_hash: dict[str, str] = {}
        self._said_by_labels = SaidByLabels()
        self._troubled = False
        self.progress = 0

    # --- what others call -------------------------------------------------------------------------------------

    def ear(self, station: str) -> EventSink:
        """What a base station of that name tells its events."""
        return partial(self.hear, station=station)

    def hear(self, event: DriverEvent, station: str = "") -> None:
        """Returns at once. Above the bound only what a label says again is dropped."""
        if len(self._events) >= DRIVER_EVENTS_MAX and isinstance(event, Seen | Telemetry | Progress):
            return
        if isinstance(event, Shown) and event.label in self._handing:
            # What it proves depends on whether the station takes the offer.
            self._handing[event.label].append((event, station))
            return
        handed_order = self._handed.get(event.label, 0) if isinstance(event, Shown) else 0
        self._events.append(_Heard(event, station, handed_order))
        self._work.set()

    def follow_news(self, news: News) -> None:
        """The store's listener: prices that changed make labels due."""
        if news.topic is Topic.PRICES:
            self.look_at_skus(news.subjects)

    def look_at_skus(self, skus: Iterable[str]) -> None:
        """Labels of these products may have become due. One read for all: tills wait meanwhile."""
        keys = many(sorted(skus))
        rows = self._store.books.ledger_reader.execute(LEDGER.labels_of_skus, (keys,)).fetchall()
        for sku, labels in groupby(rows, key=itemgetter(0)):
            urgency = self._urgency_of(sku)
            for _, label in labels:
                self._wanted_hash.pop(label, None)
                self.look_at(label, urgency)

    def look_at(self, label: str, urgency: Urgency = Urgency.COSMETIC) -> None:
        """This label may have become due (it was bound, included, doubted)."""
        self._news += 1
        self._due.add(label, urgency)
        self._work.set()

    def adopt(self, label: str) -> None:
        """Serve a label that was bound."""
        row = label_row(self._store.books.ledger_reader, label)
        if row is not None:
            self._adopt(row)

    def adopt_all(self) -> None:
        """Serve every bound label, after base stations came or changed."""
        for row in label_rows(self._store.books.ledger_reader):
            if row.sku is not None:
                self._adopt(row)
                self._hear_of_homeless(row)

    def forget_station(self, name: str) -> None:
        """The base station is gone: nothing is on air there any more, and what it took proves nothing."""
        for label in self._air.forget_station(name):
            self._handed.pop(label, None)
        for label in self._homes.forget_station(name):
            self.look_at(label, Urgency.HOLDS_TILL)

    def counts(self) -> dict[LabelState, int]:
        """How many labels stand where."""
        tally = Counter(self.state_of(row)[0] for row in label_rows(self._store.books.ledger_reader))
        return {state: tally[state] for state in LabelState}

    def failed_count(self) -> int:
        """Labels that a person should look at."""
        return int(self._store.books.ledger_reader.execute(LEDGER.failed_label_count).fetchone()[0])

    def offering_since_s(self) -> float | None:
        """Since when the offer that takes longest is being made, on the loop's clock; `None` while none is."""
        return min(self._offering_since_s.values(), default=None)

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
        on_air = self._air.of(row.label)
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

    async def picture_of(self, row: LabelRow) -> Picture | None:
        """What the label should show, drawn; `None` while that cannot be said. Raises `render.CannotDraw`."""
        wanted, station = self.wanted_of(row), self._stations.get(row.station)
        description = station.describe(row.label) if station else None
        if wanted is None or station is None or description is None:
            return None
        picture, _ = await self._artist.draw(wanted.template, wanted.content, description, station.encode)
        return picture

    async def run(self) -> None:
        """Plan until cancelled. A disk that takes nothing stops the planning, not the planner."""
        self._begin_anew()
        await self._doubt_who_was_drawing()
        self.adopt_all()
        flush_at = self._now_s() + TELEMETRY_FLUSH_S
        try:
            while True:
                await self._wait_for_work(flush_at - self._now_s())
                self.progress += 1
                try:
                    await self._take_events()
                    self._offer_due()
                    if self._now_s() >= flush_at:
                        await self._flush_telemetry()
                        self._offer_stale_again()
                        flush_at = self._now_s() + TELEMETRY_FLUSH_S
                except (Transient, Corrupt) as trouble:
                    await self._sit_out(trouble)
        finally:
            await self._stop_offers()

    # --- events -----------------------------------------------------------------------------------------------

    async def _take_events(self) -> None:
        """What was heard, in order; an event that could not be stored stays the first one."""
        while self._events:
            try:
                await self._take(self._events[0])
            except (Transient, Corrupt):
                raise
            except Exception as error:  # one event we cannot read must not stop all labels
                _log.error("an event of a base station was passed over", heard=repr(self._events[0]), exc_info=error)
            self._events.popleft()

    async def _take(self, heard: _Heard) -> None:
        event = heard.event
        if isinstance(event, Shown):
            await self._proven(event, heard.station, heard.handed_order)
        elif isinstance(event, Failed):
            await self._failed(event)
        elif isinstance(event, Ambiguous):
            await self._doubted(event.label)
        elif isinstance(event, Seen):
            await self._seen(event, heard.station)
        elif isinstance(event, Telemetry):
            self._telemetry(event, heard.station)
        elif isinstance(event, StationChanged):
            self._station_changed(event)
        elif isinstance(event, Withdrawn):
            if self._air.holds(event.label, event.version):
                self._off_air(event.label)
                self.look_at(event.label)
        elif isinstance(event, Progress):
            self._store.tell(Topic.LABEL, event.label)

    async def _proven(self, event: Shown, station: str, handed_order: int) -> None:
        """A delivery proof: earlier claims of the label begin to close, and what it told us is a fact.

        What another station than the label's own saw of it says nothing about what its own offered since.
        """
        store, label = self._store, event.label
        row = label_row(store.books.ledger_reader, label)
        if row is not None and station not in ("", row.station):
            handed_order = 0
        now_ms, now_powered_ms = store.clock.wall_ms(), store.clock.powered_ms()
        closes_ms = grace_end(now_powered_ms, self._settle_ms(label, row), store.policy.grace_s * 1000,
                              store.shoppers_gone_in_ms())
        proof_key, business_day = f"proof/{store.mint()}", store.business_day(now_ms)

        def operation(connection: Connection) -> ReadProof:
            read = close_by_proof(connection, label, event.version, closes_ms, now_powered_ms, now_ms,
                                  handed_order=handed_order)
            if read.picture is not None and read.outcome in (ProofOutcome.PROVEN, ProofOutcome.OLDER):
                fact = Proof(label=label, version=event.version, sku=read.picture.sku,
                             price_minor=read.picture.price_minor, currency=read.picture.currency)
                record(connection, store.books.chain, draft(proof_key, fact, occurred_ms=now_ms, recorded_ms=now_ms,
                                                            business_day=business_day))
            return read

        read = await store.record(operation)
        self._retries.pop(label, None)
        if read.outcome is ProofOutcome.UNKNOWN or self._air.holds(label, event.version):
            self._off_air(label)
        if read.outcome is not ProofOutcome.REPEATED:
            self.look_at(label, Urgency.HOLDS_TILL if read.outcome is ProofOutcome.UNKNOWN else Urgency.COSMETIC)
        store.tell(Topic.LABEL, label)

    async def _failed(self, event: Failed) -> None:
        """The offer came to nothing: said to people, and offered again after a while. Old offers' failures are old."""
        on_air = self._air.of(event.label)
        if on_air is not None and on_air.version != event.version:
            return
        await self._store.books.ledger.submit(lambda c: c.execute(LEDGER.fail_label, (event.reason, event.label)))
        self._off_air(event.label)
        self._store.tell(Topic.LABEL, event.label)
        self._later(event.label)

    async def _doubted(self, label: str) -> None:
        """The label may show any of the pictures that were not ruled out for good."""
        now_powered_ms = self._store.clock.powered_ms()
        await self._store.books.ledger.submit(lambda connection: doubt(connection, label, now_powered_ms))
        self._off_air(label)
        self.look_at(label, Urgency.HOLDS_TILL)
        self._store.tell(Topic.LABEL, label)

    async def _seen(self, event: Seen, station: str) -> None:
        """A label was heard: one we do not know is proposed, one that waits for something, or that another station
        hears better, is looked at."""
        row = label_row(self._store.books.ledger_reader, event.label)
        if row is None:
            if event.description is not None:
                await self._propose(event.label, event.description, station)
            return
        if self._homes.hear(row, station, event):
            self.look_at(event.label)
            return
        wanted_hash = self._wanted_hash.get(row.label)
        if row.sku is None or self._air.of(row.label) is not None or self._air.waits(row.station, row.label) or (
                wanted_hash is not None and not is_due(wanted_hash, row.proven_content, bool(row.outstanding))):
            return
        self.look_at(event.label)

    def _telemetry(self, event: Telemetry, station: str) -> None:
        """What the label's own station heard; another one's signal would go to and fro in the books."""
        row = label_row(self._store.books.ledger_reader, event.label)
        if row is None or station in ("", row.station):
            self._said_by_labels.hear(event)

    async def _propose(self, label: str, description: LabelDescription, station: str) -> None:
        if self._store.books.ledger_reader.execute(LEDGER.label_count).fetchone()[0] >= LABELS_MAX:
            return
        values = (label, station or self._station_hearing(label), description.type_name,
                  int(description.settle_s * 1000), self._store.clock.wall_ms())
        await self._store.books.ledger.submit(lambda connection: connection.execute(LEDGER.insert_label, values))
        self._store.tell(Topic.LABEL, label)

    def _station_hearing(self, label: str) -> str:
        return next((name for name, station in self._stations.items() if station.describe(label)), "")

    def _station_changed(self, event: StationChanged) -> None:
        self._store.tell(Topic.ISSUE, event.station)
        self._homes.station_changed(event)
        if event.state in SERVING:
            for label in self._homes.labels_to_settle(event.station):
                self.look_at(label, Urgency.HOLDS_TILL)
            self._air.forget_waiting(event.station)
            for label, sku in self._store.books.ledger_reader.execute(
                    LEDGER.bound_labels_of_station, (event.station,)).fetchall():
                self.look_at(label, self._urgency_of(sku))

    async def _flush_telemetry(self) -> None:
        """Battery and signal go to disk once a while, together: flash is spared. They wait while it is full."""
        if self._store.disk.sheds(Shed.TELEMETRY):
            return
        write = self._said_by_labels.due(self._now_s(), self._store.clock.wall_ms())
        if write is not None:
            await self._store.books.ledger.submit(write)
            self._troubled = False

    # --- offers -----------------------------------------------------------------------------------------------

    def _offer_due(self) -> None:
        """Start offers, most urgent first; of one label one after the other, so that offers follow their claims."""
        while self._due and len(self._offering) < DRAWS_AT_ONCE_MAX and not self._events:
            label, urgency = self._due.pop()
            if label in self._offering:
                self._look_again[label] = min(urgency, self._look_again.get(label, urgency))
                continue
            task = asyncio.get_running_loop().create_task(self._offer(label, urgency), name=f"offer-{label}")
            self._offering[label], self._offering_since_s[label] = task, self._now_s()
            task.add_done_callback(partial(self._offered, label))

    def _offered(self, label: str, _task: "asyncio.Task[None]") -> None:
        del self._offering[label], self._offering_since_s[label]
        urgency = self._look_again.pop(label, None)
        if urgency is not None:
            self._due.add(label, urgency)
        self._work.set()

    async def _offer(self, label: str, urgency: Urgency) -> None:
        """One label, whatever happens; what could not be done is tried again later."""
        try:
            await self._offer_if_due(label, urgency)
        except (OfferRefused, Transient, Corrupt) as refusal:
            _log.debug("offer refused", label=label, reason=str(refusal))
            self._off_air(label)
            self._later(label)
        except Exception as error:
            _log.error("a label could not be planned", label=label, exc_info=error)
            self._off_air(label)
            self._later(label)

    async def _offer_if_due(self, label: str, urgency: Urgency) -> None:
        row = await self._settled(label)
        station = self._stations.get(row.station) if row else None
        if row is None or station is None or row.sku is None or station.state not in SERVING:
            return
        news, wanted = self._news, await self._wanted_or_say(row, station)
        if wanted is None:
            return
        self._wanted_hash[label] = wanted.content_hash
        on_air = self._air.of(label)
        if not is_due(wanted.content_hash, row.proven_content, bool(row.outstanding)):
            await self._is_fine(row)
            return
        if on_air and on_air.content_hash == wanted.content_hash:
            return
        lessens = wanted.term is not None or self._urgency_of(row.sku) is Urgency.DECREASE
        waits_s = self._book.label_waits_s(row.sku) if lessens else 0.0
        if waits_s > 0:  # a till that keeps a copy may still ask more than the label would show
            self._again_in(label, waits_s)
            return
        if on_air is None and self._air.is_full(row.station, urgency):
            self._air.wait(row.station, label, urgency)
            return
        try:
            await self._put_on_air(row, station, wanted, urgency, news)
        except (ValueError, TooManyClaims) as problem:
            self._off_air(label)
            await self._say(row, str(problem))

    async def _settled(self, label: str) -> LabelRow | None:
        """The label where it is served best; what was on air is not, once it moved or its old offers were ended."""
        before = label_row(self._store.books.ledger_reader, label)
        if before is None:
            return None
        row = await self._homes.settle(before)
        if (row.station, row.offer_order) != (before.station, before.offer_order):
            self._wanted_hash.pop(label, None)
            self._off_air(label)
            self._store.tell(Topic.LABEL, label)
        return row

    async def _put_on_air(self, row: LabelRow, station: BaseStation, wanted: Wanted, urgency: Urgency,
                          news: int) -> None:
        """Draw, commit the claim, and only then offer. `news`: how much had been heard when `wanted` was made."""
        self._store.disk.must_take_facts()  # an offer whose proof could not be recorded would hold the tills
        label, content, before = row.label, wanted.content, self._air.of(row.label)
        description = station.describe(label)
        assert description is not None
        station.adopt(label, row.type_name)  # history that a restored box took back may have hung it
        self._air.begin(label, OnAir(row.station, wanted.content_hash, self._now_s()))
        await self._in_turn()
        blob = self._prepared.get(wanted.content_hash, description)
        if blob is None:
            _, blob = await self._artist.draw(wanted.template, content, description, station.encode)
        if not self._is_still_wanted(label, wanted, news):  # a claim nobody need ever read would hold tills for nothing
            if before is None:
                self._off_air(label)
            else:
                self._air.begin(label, before)
            self.look_at(label, self._urgency_of(content.sku))
            return
        news = self._news
        offered = self._wanted.offered(label, blob.version, wanted)
        now_powered_ms, now_ms = self._store.clock.powered_ms(), self._store.clock.wall_ms()
        order = await self._store.books.ledger.submit(
            lambda c: open_claim(c, offered, now_powered_ms, now_ms), short=True)
        # Begun again: a failure of an older offer, heard meanwhile, may have taken its place.
        self._air.begin(label, OnAir(row.station, wanted.content_hash, self._now_s(), blob.version))
        await self._hand_over(station, label, blob, order, urgent=urgency is Urgency.HOLDS_TILL)
        self._store.tell(Topic.LABEL, label)
        if not self._is_still_wanted(label, wanted, news):
            self.look_at(label, self._urgency_of(content.sku))

    async def _in_turn(self) -> None:
        """Labels go on air one after the other, however many are due."""
        now_s = self._now_s()
        self._offer_at_s = max(self._offer_at_s + OFFER_EVERY_S, now_s)
        await asyncio.sleep(self._offer_at_s - now_s)

    async def _hand_over(self, station: BaseStation, label: str, blob: Blob, order: int, *, urgent: bool) -> None:
        """Offer, and read what was heard meanwhile in the light of whether the station took it."""
        self._handing[label] = []
        try:
            await station.offer(label, blob, urgent=urgent)
            self._handed[label] = order
        finally:
            for event, said_by in self._handing.pop(label):
                self.hear(event, said_by)

    def _is_still_wanted(self, label: str, wanted: Wanted, news: int) -> bool:
        if news == self._news:
            return True
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

    async def _is_fine(self, row: LabelRow) -> None:
        """What once kept the label from being served (a product that left the catalogue and came back) is over."""
        if row.failure is not None:
            await self._store.books.ledger.submit(lambda c: c.execute(LEDGER.fail_label, (None, row.label)))
            self._store.tell(Topic.LABEL, row.label)

    # --- small things -----------------------------------------------------------------------------------------

    def _adopt(self, row: LabelRow) -> None:
        if row.station in self._stations:
            self._stations[row.station].adopt(row.label, row.type_name)
            self._wanted_hash.pop(row.label, None)
            self.look_at(row.label, self._urgency_of(row.sku) if row.sku else Urgency.COSMETIC)

    def _hear_of_homeless(self, row: LabelRow) -> None:
        """A label whose station is gone, and that another one knows without hearing it (a paper tag), moves there."""
        knows = self._station_hearing(row.label) if row.station not in self._stations else ""
        if knows:
            self.hear(Seen(row.label, self._stations[knows].describe(row.label)), knows)

    def _urgency_of(self, sku: str) -> Urgency:
        """By what the shelf may still say of the SKU: less than its price, more, or the same."""
        price = self._prices.list_price(sku)
        cap = self._store.books.ledger_reader.execute(LEDGER.price_cap, (sku,)).fetchone()
        if price is None or cap is None or cap[0] > price[0]:
            return Urgency.DECREASE
        return Urgency.HOLDS_TILL if cap[0] < price[0] else Urgency.COSMETIC

    def _off_air(self, label: str) -> None:
        """Its slot is free: the most urgent label that waits for one takes it."""
        next_one = self._air.end(label)
        if next_one is not None:
            self.look_at(*next_one)

    def _later(self, label: str) -> None:
        """Offer again after a pause that doubles with every failure in a row, up to a cap."""
        failures = self._retries[label] = self._retries.get(label, 0) + 1
        pause_s = min(OFFER_RETRY_CAP_S, OFFER_RETRY_S * 2.0 ** min(failures - 1, OFFER_RETRY_DOUBLINGS_MAX))
        self._again_in(label, pause_s * (0.5 + self._store.randomness.random()))

    def _again_in(self, label: str, delay_s: float) -> None:
        timer = self._retry_timers.pop(label, None)
        if timer is not None:
            timer.cancel()
        self._retry_timers[label] = asyncio.get_running_loop().call_later(delay_s, self._retry, label)

    def _retry(self, label: str) -> None:
        self._retry_timers.pop(label, None)
        self.look_at(label)

    def _offer_stale_again(self) -> None:
        """An offer that never came to a proof or a failure is made again; its claim stays as it is."""
        for label in self._air.stale(self._now_s()):
            if label not in self._offering:
                self._off_air(label)
                self.look_at(label)

    def _settle_ms(self, label: str, row: LabelRow | None) -> int:
        """The longest refresh of the label's type, as it was when the label came or as its driver says now."""
        station = self._stations.get(row.station) if row else None
        description = station.describe(label) if station else None
        return max(row.settle_ms if row else 0, int(description.settle_s * 1000) if description else 0)

    def _begin_anew(self) -> None:
        """Nothing of a run that ended is believed but the books."""
        self._due.clear()
        self._air.clear()
        for forgotten in (self._handed, self._look_again, self._wanted_hash):
            forgotten.clear()
        for label in self._homes.begin_anew():
            self.look_at(label, Urgency.HOLDS_TILL)

    async def _doubt_who_was_drawing(self) -> None:
        """A label that proved a picture just before this start may not have drawn it, and nobody listened (P3)."""
        now_ms, now_powered_ms = self._store.clock.wall_ms(), self._store.clock.powered_ms()

        def operation(connection: Connection) -> None:
            for row in label_rows(connection):
                if row.proven_ms is not None and abs(now_ms - row.proven_ms) < row.settle_ms:
                    doubt(connection, row.label, now_powered_ms)

        try:
            await self._store.books.ledger.submit(operation)
        except (Transient, Corrupt) as trouble:
            _log.error("labels that may have been drawing are believed", reason=str(trouble))

    async def _stop_offers(self) -> None:
        for timer in self._retry_timers.values():
            timer.cancel()
        self._retry_timers.clear()
        offers = list(self._offering.values())
        for task in offers:
            task.cancel()
        await asyncio.gather(*offers, return_exceptions=True)

    async def _sit_out(self, trouble: Exception) -> None:
        """The ledger takes nothing now: without a claim there is no offer, and proofs wait in their order."""
        if not self._troubled:  # said again only after something could be written
            _log.error("labels wait: the ledger cannot be written", reason=str(trouble))
        self._troubled = True
        await asyncio.sleep(WRITE_TROUBLE_PAUSE_S)

    async def _wait_for_work(self, timeout_s: float) -> None:
        if self._events or (self._due and len(self._offering) < DRAWS_AT_ONCE_MAX):
            return
        self._work.clear()
        try:
            async with asyncio.timeout(max(0.0, timeout_s)):
                await self._work.wait()
        except TimeoutError:
            return

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()
