"""`BluetoothStation`: one Bluetooth adapter and the labels that it pushes pictures to, whoever made them.

It listens all the time and connects to one label at a time: adapters are bad at more, and a label that is connected
says nothing to others. What the makers differ in is in their dialects.
"""

import asyncio
import contextlib
import random
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from bleak import BleakAdapter, BleakClient, BleakScanner
from bleak.backends.adapter import BaseBleakAdapter
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import BleakError

from drivers.back_off import back_off
from drivers.ble.dialect import Advertisement, DeliveryFailed, Dialect, Heard
from drivers.ble.drawing import SILENT_S_MAX, Drawing
from drivers.ble.makers import dialects as known_dialects
from drivers.ble.makers import encode_picture
from drivers.ble.queue import Delivery, DeliveryQueue
from drivers.port import (
    Ambiguous,
    Blob,
    Colour,
    DriverEvent,
    Encoder,
    EventSink,
    Failed,
    Feature,
    LabelDescription,
    LabelId,
    OfferRefused,
    Progress,
    Seen,
    Shown,
    StationChanged,
    StationState,
    Telemetry,
)

START_S_MAX = 60.0  # BlueZ may have hundreds of devices to tell of; a bluetoothd that hangs never answers
CONNECT_TIMEOUT_S = 20.0
DELIVERY_S_MAX = 300.0  # whatever a dialect waits for: one label must not hold the adapter for ever
DISCONNECT_S_MAX = 10.0
SEEN_AGAIN_S = 30.0  # a label advertises every second or so; the store hears of it this often
OFFERS_MAX = 4096
HEARD_MAX = 4096
IDLE_S = 0.5
RSSI_UNKNOWN_DBM = -127  # what bleak says of a label whose signal BlueZ no longer knows
PROBE_S = 15.0  # nothing heard for so long: listen anew, which an adapter that is gone or switched off refuses
QUIET_S_MAX = 120.0  # nothing heard for so long, though labels were: the adapter may be stuck, and is started again

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Backends:
    """What bleak is told to work with; `None`: the system's own Bluetooth."""

    scanner: type[BaseBleakScanner] | None = None
    client: type[BaseBleakClient] | None = None
    adapter: type[BaseBleakAdapter] | None = None


@dataclass(slots=True)
class _Neighbour:
    """A label that was heard. `device`: bleak's handle to connect by."""

    device: BLEDevice
    dialect: Dialect
    heard: Heard
    said_s: float


class BluetoothStation:
    """One adapter. See `drivers.port.BaseStation` for what each method promises.

    A picture stays offered until `Shown` or `Failed` names it, or until another `offer` replaces it. `Failed` comes
    after three attempts, or when the label was not heard for a quarter of an hour; the label may show the picture all
    the same, since its word may have been lost. One that was replaced while it was on its way is proven if it arrives.
    A label that does not answer is tried again only once it is heard again: each try holds the adapter for long.

    `Ambiguous` comes when a label falls silent while it draws what it proved, also when the adapter is gone: its power
    may have failed (see `drawing`). A daemon that is started anew does not know who was drawing.
    """

    def __init__(self, name: str, adapter: str, on_event: EventSink, randomness: random.Random, *,
                 backends: Backends | None = None, dialects: Sequence[Dialect] | None = None) -> None:
        """`adapter`: the system's name for it, `hci0`."""
        self.name = name
        self.state = StationState.OFFLINE
        self.progress = 0
        self._adapter = adapter
        self._on_event = on_event
        self._randomness = randomness
        self._backends = backends or Backends()
        self._dialects = {each.maker: each for each in (known_dialects() if dialects is None else dialects)}
        self._queue = DeliveryQueue()
        self._drawing = Drawing()
        self._adopted: dict[LabelId, str] = {}
        self._neighbours: dict[LabelId, _Neighbour] = {}
        self._lights: dict[LabelId, tuple[Colour, float, asyncio.Future[None]]] = {}
        self._work = asyncio.Event()
        self._delivering_to: LabelId | None = None
        self._last_heard_s: float | None = None
        self._failures_in_a_row = 0
        self._told_lost = False
        self._log = _log.bind(station=name)

    @property
    def encode(self) -> Encoder:
        """See the port: `makers.encode_picture`."""
        return encode_picture

    def describe(self, label: LabelId) -> LabelDescription | None:
        """See the port. What a label says of itself goes before what it was adopted as.

        A label is proven by its word, and that it never drew is only known when it was silent for long: until then what
        it showed before may stand (P3).
        """
        description = self._described(label)
        return description and replace(description, settle_s=description.settle_s + SILENT_S_MAX)

    def _described(self, label: LabelId) -> LabelDescription | None:
        neighbour = self._neighbours.get(label)
        heard = neighbour.heard.type_name if neighbour else None
        type_name = heard or self._adopted.get(label)
        dialect = self._dialects.get(type_name.partition(":")[0]) if type_name else None
        return dialect.describe(label, type_name) if dialect and type_name else None

    def adopt(self, label: LabelId, type_name: str) -> None:
        """See the port. Adopting again changes the type only."""
        self._adopted[label] = type_name

    async def offer(self, label: LabelId, blob: Blob, *, urgent: bool = False) -> None:
        """See the port. When it raises, nothing is offered to the label any more."""
        self._queue.withdraw(label)
        if label not in self._adopted:
            raise OfferRefused(f"label {label} was not adopted")
        if self.state is not StationState.READY:
            raise OfferRefused(f"{self.name} is {self.state.value}")
        if len(self._queue) >= OFFERS_MAX:
            raise OfferRefused(f"{OFFERS_MAX} pictures are already offered")
        self._queue.offer(label, blob, self._now(), urgent=urgent)
        self._work.set()

    async def withdraw(self, label: LabelId) -> None:
        """See the port. A label is only ever pushed to, so whatever the adapter does, nothing is left but what is on
        its way this moment."""
        self._queue.withdraw(label)
        if label == self._delivering_to:
            raise OfferRefused(f"label {label} is being given a picture")

    async def light(self, label: LabelId, colour: Colour, seconds: float) -> None:
        """See the port. Goes before all pictures, and waits for it."""
        description = self.describe(label)
        if label not in self._adopted or description is None:
            raise OfferRefused(f"label {label} was not adopted")
        if Feature.LED not in description.features:
            raise OfferRefused(f"label {label} has no LED")
        if self.state is not StationState.READY or label not in self._neighbours:
            raise OfferRefused(f"{self.name} is {self.state.value}, or does not hear label {label}")
        waiting = self._lights.get(label)
        lit = waiting[2] if waiting else asyncio.get_running_loop().create_future()
        self._lights[label] = (colour, seconds, lit)
        self._work.set()
        try:
            await asyncio.shield(lit)
        except (DeliveryFailed, BleakError, TimeoutError) as error:
            raise OfferRefused(str(error) or type(error).__name__) from error

    async def sleep(self, label: LabelId, minutes: int) -> None:  # noqa: ARG002
        """See the port: these labels cannot be told how often to advertise (esl.md 3.1, 4.1)."""
        raise OfferRefused(f"label {label} cannot be told to sleep")

    async def run(self) -> None:
        """See the port."""
        try:
            while True:
                self._beat()
                reason = await self._serve_once()
                self._lost(reason)
                await back_off(self._failures_in_a_row, self._randomness, self._beat)
        finally:
            self._set_state(StationState.OFFLINE, "stopped")

    # One life of the adapter.

    async def _serve_once(self) -> str:
        """From finding the adapter to losing it; returns why it ended. Raises only when cancelled."""
        try:
            self._set_state(StationState.CONNECTING, f"looks for adapter {self._adapter}")
            await self._watched(self._clear_stale_connections(), START_S_MAX)
            scanner = BleakScanner(self._heard, bluez={"adapter": self._adapter}, backend=self._backends.scanner)
            try:
                await self._watched(scanner.start(), START_S_MAX)
                self._ready()
                return await self._serve(scanner)
            finally:
                with contextlib.suppress(Exception):
                    await self._watched(scanner.stop(), DISCONNECT_S_MAX)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # whatever bleak or D-Bus may raise, this loop lives on
            if _cancelled():
                raise
            if not isinstance(error, BleakError | OSError | TimeoutError):
                self._log.error("unexpected fault of an adapter", fault=repr(error))
            return str(error) or type(error).__name__
        finally:
            self._drop_lights("the adapter was lost")

    async def _clear_stale_connections(self) -> None:
        """A run that was killed may have left a label connected: it would advertise to nobody."""
        uuids = [uuid for dialect in self._dialects.values() for uuid in dialect.service_uuids]
        try:
            adapter = await BleakAdapter.get(bluez={"adapter": self._adapter}, backend=self._backends.adapter)
        except NotImplementedError:  # this system cannot say
            return
        for device in await adapter.get_connected_devices(uuids):
            self._log.info("a connection of an earlier run is closed", address=device.address)
            with contextlib.suppress(BleakError, TimeoutError, OSError):
                async with self._client(device):
                    pass

    def _ready(self) -> None:
        self._failures_in_a_row = 0
        self._last_heard_s = None
        if self._told_lost:
            self._told_lost = False
            self._log.info("adapter back", adapter=self._adapter)
        self._set_state(StationState.READY, f"adapter {self._adapter} listens")

    async def _serve(self, scanner: BleakScanner) -> str:
        """Deliver whatever is offered, one label after the other; returns when the adapter seems to be stuck.

        Raises what bleak raises once the adapter is gone. BlueZ tells nobody: a scan that ended with its adapter, or
        with bluetoothd, only hears nothing, as one where no label is. So silence is answered by listening anew.
        """
        listening_since_s = self._now()
        while True:
            self._beat()
            now_s = self._now()
            if now_s - max(listening_since_s, self._last_heard_s or 0.0) >= PROBE_S:
                await self._watched(scanner.stop(), DISCONNECT_S_MAX)
                await self._watched(scanner.start(), START_S_MAX)
                listening_since_s = self._now()
            if self._last_heard_s is not None and now_s - self._last_heard_s > QUIET_S_MAX:
                return f"nothing heard for {QUIET_S_MAX:.0f} s"
            for gone in self._queue.unheard(now_s):
                self._emit(Failed(gone.label, gone.blob.version, "the label is not heard"))
            if self._lights:
                await self._light_one()
                continue
            delivery = self._queue.next_one(now_s)
            if delivery is None:
                await self._rest()
                continue
            await self._deliver(delivery)

    async def _rest(self) -> None:
        self._work.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_S):
                await self._work.wait()

    # One label.

    async def _deliver(self, delivery: Delivery) -> None:
        label, answered = delivery.label, False
        description, neighbour = self._described(label), self._neighbours[label]

        async def give() -> None:
            nonlocal answered
            if description is None:
                raise DeliveryFailed("its type is not known")
            async with self._client(neighbour.device) as client:
                answered = True
                self._drawing.heard(label, self._now())
                await neighbour.dialect.deliver(client, description, delivery.blob, asked)

        def asked(part: int, parts: int) -> None:
            self._emit(Progress(label, delivery.blob.version, part, parts))

        self._delivering_to = label
        try:
            problem = await self._bounded(give(), label)
        finally:
            self._delivering_to = None
        if answered:  # a label that is connected does not advertise
            now_s = self._last_heard_s = self._now()
            self._queue.heard(label, now_s)
            self._drawing.heard(label, now_s)
        if problem is None:
            assert description is not None, "delivered without"
            self._drawing.proven(label, delivery.blob.version, description.settle_s, self._now())
            if self._queue.holds(delivery):
                self._queue.withdraw(label)
            self._emit(Shown(label, delivery.blob.version))
        elif self._queue.holds(delivery) and delivery.failed(self._now(), self._randomness.random()):
            self._queue.withdraw(label)
            self._emit(Failed(label, delivery.blob.version, problem))

    async def _light_one(self) -> None:
        label, (colour, seconds, lit) = next(iter(self._lights.items()))
        del self._lights[label]
        description, neighbour = self.describe(label), self._neighbours.get(label)

        async def flash() -> None:
            if description is None or neighbour is None:
                raise DeliveryFailed("the label is not heard")
            async with self._client(neighbour.device) as client:
                await neighbour.dialect.light(client, description, colour, seconds)

        problem = await self._bounded(flash(), label)
        if not lit.done():
            if problem is None:
                lit.set_result(None)
            else:
                lit.set_exception(DeliveryFailed(problem))
                lit.exception()  # nobody may be waiting for it any more

    async def _bounded(self, conversation: Coroutine[Any, Any, None], label: LabelId) -> str | None:
        """Runs one conversation with a label to its end; returns what went wrong."""
        try:
            await self._watched(conversation, DELIVERY_S_MAX)
        except (DeliveryFailed, BleakError, TimeoutError, OSError) as error:
            return str(error) or type(error).__name__
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # a fault in one conversation must not cost the others their adapter
            if _cancelled():
                raise
            self._log.error("unexpected fault in a conversation with a label", label=label, exc_info=error)
            return f"unexpected fault: {type(error).__name__}"
        return None

    async def _watched(self, work: Coroutine[Any, Any, None], limit_s: float) -> None:
        """Runs it to its end and shows progress meanwhile. Raises what it raises; `TimeoutError` after `limit_s`."""
        task = asyncio.ensure_future(work)
        until_s = self._now() + limit_s
        try:
            while not task.done() and self._now() < until_s:
                self._beat()
                await asyncio.wait({task}, timeout=min(IDLE_S, limit_s))
            if not task.done():
                raise TimeoutError(f"not through after {limit_s:.0f} s")
            task.result()
        finally:
            await _ended(task)

    def _client(self, device: BLEDevice) -> BleakClient:
        return BleakClient(device, timeout=CONNECT_TIMEOUT_S, bluez={"adapter": self._adapter},
                           backend=self._backends.client)

    # What is heard.

    def _heard(self, device: BLEDevice, data: AdvertisementData) -> None:
        try:
            self._understand(device, data)
        except Exception:  # anybody may advertise anything
            self._log.exception("an advertisement was passed over", address=device.address)

    def _understand(self, device: BLEDevice, data: AdvertisementData) -> None:
        said = Advertisement(device.address.lower(), data.local_name, data.manufacturer_data,
                             tuple(data.service_uuids), data.rssi)
        label = said.address.replace(":", "")
        for dialect in self._dialects.values():
            heard = dialect.hear(said)
            if heard is not None:
                break
        else:
            return
        now_s = self._last_heard_s = self._now()
        self._queue.heard(label, now_s)
        self._drawing.heard(label, now_s)
        self._work.set()
        known = self._neighbours.pop(label, None)
        told = known is not None and known.heard == heard and now_s - known.said_s < SEEN_AGAIN_S
        if known is None and len(self._neighbours) >= HEARD_MAX:
            self._make_room()
        self._neighbours[label] = _Neighbour(device, dialect, heard, known.said_s if known and told else now_s)
        if not told:
            rssi_dbm = data.rssi if data.rssi > RSSI_UNKNOWN_DBM else None
            self._emit(Seen(label, self.describe(label), rssi_dbm))
            self._emit(Telemetry(label, heard.battery_mv, None, rssi_dbm))

    def _make_room(self) -> None:
        """Forgets whoever was not heard for longest, strangers first: anybody may pretend to be many labels."""
        label = next((each for each in self._neighbours if each not in self._adopted), next(iter(self._neighbours)))
        del self._neighbours[label]
        self._queue.forget(label)

    # Small things.

    def _beat(self) -> None:
        """The loop came round. What a silent label shows is said to be doubtful whether the adapter is there or not."""
        self.progress += 1
        for label in self._drawing.doubtful(self._now()):
            self._log.info("a label fell silent while it drew", label=label)
            self._queue.withdraw(label)
            self._emit(Ambiguous(label))

    def _lost(self, reason: str) -> None:
        self._failures_in_a_row += 1
        if not self._told_lost:
            self._told_lost = True
            self._log.warning("adapter lost, waiting for it", adapter=self._adapter, reason=reason)
        self._set_state(StationState.OFFLINE, reason)

    def _drop_lights(self, reason: str) -> None:
        for _, _, lit in self._lights.values():
            if not lit.done():
                lit.set_exception(DeliveryFailed(reason))
                lit.exception()
        self._lights.clear()

    def _set_state(self, state: StationState, detail: str) -> None:
        if state is not self.state:
            self.state = state
            self._emit(StationChanged(self.name, state, detail))

    def _emit(self, event: DriverEvent) -> None:
        try:
            self._on_event(event)
        except Exception:  # a sink must not raise; one that does must not cost us the adapter
            self._log.exception("event sink raised", event_type=type(event).__name__)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


async def _ended(task: "asyncio.Future[None]") -> None:
    """The work is over, whatever it was at, and its connection with it; what does not end is left behind."""
    task.add_done_callback(_noticed)
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=DISCONNECT_S_MAX)


def _noticed(task: "asyncio.Future[None]") -> None:
    """What it raised was told already, or came after its time was up."""
    if not task.cancelled():
        task.exception()


def _cancelled() -> bool:
    """Whether somebody cancelled this very task; a `CancelledError` may also come out of bleak by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
