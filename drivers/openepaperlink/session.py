"""An OpenEPaperLink radio as a base station: connects for ever, offers pictures, hears proofs.

Source: esl.md 1.2, 1.4, 1.5; what an `XFC>` proves is decided in `proof`.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence

import structlog

from drivers.back_off import back_off
from drivers.openepaperlink import codec
from drivers.openepaperlink.codec import (
    BlockRequest,
    CheckInHeard,
    RadioField,
    RadioFrame,
    RadioSettings,
    ReturnData,
    Signal,
    TransferComplete,
    TransferTimedOut,
)
from drivers.openepaperlink.conversation import Conversation, NoReply
from drivers.openepaperlink.handshake import Handshake
from drivers.openepaperlink.label_desk import LabelDesk
from drivers.openepaperlink.picture_codec import encode_picture
from drivers.port import (
    Blob,
    Colour,
    DriverEvent,
    Encoder,
    EventSink,
    LabelDescription,
    LabelId,
    OfferRefused,
    StationChanged,
    StationState,
)
from drivers.serial_link import ByteLink, LinkLost

BOOT_WAIT_S = 2.0  # RES> without RDY> for so long: go on as if it had come

_SERVING = frozenset({StationState.READY, StationState.DEGRADED})

_log = structlog.get_logger(__name__)


class OpenEPaperLinkStation:
    """One radio. See `drivers.port.BaseStation` for what each method promises.

    A picture stays offered (across lost lines and radio restarts) until the label says that it has it, until
    `Ambiguous` or `Failed` names the label, until another `offer` replaces it, or until `offer` itself raises; then the
    caller offers again. `Shown` comes with the label's next check-in: by then its panel has changed (`proof`). It may
    also name an older version than the one offered: the label finished that one first, and the newer one stays
    offered.

    `Ambiguous` comes when an `XFC>` cannot be pinned to one version (`proof` lists the cases), and when a label that
    nothing is offered to says that it restarted, or the line was down before it was heard again: it may never show
    what it has. After a start of the daemon nothing need be told about older offers that the radio may still hold:
    each label starts with an unknown occupant in its slot, and only an acknowledged offer plus a later sign that the
    label works on it count.

    A type name may end in `/zlib` (`oepl:33/zlib`): the label's firmware takes compressed pictures. Labels say so
    when they check in; adopted by the plain name, a label gets uncompressed pictures until it was heard.
    """

    def __init__(
        self,
        name: str,
        open_link: Callable[[], Awaitable[ByteLink]],
        on_event: EventSink,
        randomness: random.Random,
        *,
        channel: int = 11,
        power: int = 10,
        sub_ghz_channel: int | None = None,
        high_speed: bool = False,
    ) -> None:
        """`open_link` bounds its own time and raises when there is no line. Raises `ValueError` for a bad channel."""
        if channel not in codec.CHANNELS:
            raise ValueError(f"channel {channel}: an OpenEPaperLink radio knows {sorted(codec.CHANNELS)}")
        self.name = name
        self.state = StationState.OFFLINE
        self.progress = 0
        self._open_link = open_link
        self._on_event = on_event
        self._randomness = randomness
        self._settings = RadioSettings(channel, power, sub_ghz_channel)
        self._high_speed = high_speed
        self._desk = LabelDesk(self._emit)
        self._handshake: Handshake | None = None
        self._radio_restarted = asyncio.Event()
        self._radio_ready = asyncio.Event()
        self._failures_in_a_row = 0
        self._told_lost = False
        self._log = _log.bind(station=name)

    @property
    def encode(self) -> Encoder:
        """See the port: `picture_codec.encode_picture`."""
        return encode_picture

    def describe(self, label: LabelId) -> LabelDescription | None:
        """See the port."""
        return self._desk.describe(label)

    def adopt(self, label: LabelId, type_name: str) -> None:
        """See the port. Adopting again changes the type only. Raises `ValueError` for an impossible address."""
        self._desk.adopt(label, type_name)

    async def offer(self, label: LabelId, blob: Blob, *, urgent: bool = False) -> None:
        """See the port. When it raises, nothing is offered to the label any more. A light that the label has not
        fetched yet goes first; the picture then waits in memory and follows by itself."""
        record = self._desk.record(label)
        record.offer = None
        await self._desk.offer(self._line(), record, blob, urgent=urgent)

    async def withdraw(self, label: LabelId) -> None:
        """See the port. Takes a light back too: the radio has one slot for a label."""
        await self._desk.withdraw(self._line(), label)

    async def light(self, label: LabelId, colour: Colour, seconds: float) -> None:
        """See the port. The light takes the label's slot and the picture follows it; a label that is fetching a
        picture right now gets the light afterwards. Black, or no time at all, stops the flashing."""
        await self._desk.light(self._line(), self._desk.record(label), colour, seconds)

    async def sleep(self, label: LabelId, minutes: int) -> None:
        """See the port. A label that sleeps for an hour is awake for two check-ins in it: the slot that tells it is
        empty again in between (esl.md 1.5)."""
        await self._desk.sleep(self._line(), self._desk.record(label), minutes)

    async def run(self) -> None:
        """See the port."""
        try:
            while True:
                self.progress += 1
                reason = await self._connect_once()
                self._lost(reason)
                await back_off(self._failures_in_a_row, self._randomness, self._beat)
        finally:
            self._set_state(StationState.OFFLINE, "stopped")

    async def _connect_once(self) -> str:
        """One life of a line, from opening to losing it; returns why it ended. Raises only when cancelled."""
        try:
            link = await self._open_link()
            try:
                return await self._live_on(link)
            finally:
                with contextlib.suppress(Exception):
                    link.close()
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # whatever a link may raise, this loop lives on
            if _cancelled():
                raise
            if not isinstance(error, LinkLost | OSError):
                self._log.error("unexpected fault in a link", fault=repr(error))
            return str(error) or type(error).__name__

    async def _live_on(self, link: ByteLink) -> str:
        conversation = Conversation(link, codec.BAUD_RATE_AFTER_RESET, self._hear, self._beat)
        self._handshake = Handshake(conversation, high_speed=self._high_speed)
        self._desk.conversation = conversation
        listen = asyncio.create_task(conversation.listen(), name=f"{self.name} listens")
        talk = asyncio.create_task(conversation.talk(), name=f"{self.name} talks")
        keep = asyncio.create_task(self._keep_ready(conversation, self._handshake), name=f"{self.name} keeps ready")
        try:
            await asyncio.wait({listen, talk, keep}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._desk.line_lost()
            for task in (keep, talk, listen):
                task.cancel()
            outcomes = await asyncio.gather(listen, talk, keep, return_exceptions=True)
        return self._why(outcomes)

    def _why(self, outcomes: Sequence[BaseException | None]) -> str:
        """The reason the line ended, for people; a fault that is no lost line is a bug somewhere and gets logged."""
        telling = [fault for fault in outcomes if fault is not None and not isinstance(fault, asyncio.CancelledError)]
        for fault in telling:
            if not isinstance(fault, LinkLost | NoReply | OSError):
                self._log.error("unexpected fault on a line", fault=repr(fault))
        return next((str(fault) or type(fault).__name__ for fault in telling), "the line was dropped")

    def _lost(self, reason: str) -> None:
        self._failures_in_a_row += 1
        if not self._told_lost:
            self._told_lost = True
            self._log.warning("base station lost, waiting for it", reason=reason)
        self._set_state(StationState.OFFLINE, reason)

    async def _keep_ready(self, conversation: Conversation, handshake: Handshake) -> None:
        """From an open line to a ready station, and again after every restart of the radio (1.5). Never returns;
        raises `NoReply` or `LinkLost`."""
        self._set_state(StationState.CONNECTING, "line open")
        await handshake.greet()
        while True:
            self._radio_restarted.clear()
            await self._synchronise(conversation, handshake)
            await self._radio_restarted.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BOOT_WAIT_S):
                    await self._radio_ready.wait()

    async def _synchronise(self, conversation: Conversation, handshake: Handshake) -> None:
        """Channel and power, then everything that is offered: the radio keeps nothing over a restart (1.2)."""
        reply = await conversation.ask(codec.set_channel(handshake.fitting(self._settings)))
        if reply != codec.ACKNOWLEDGED:
            raise LinkLost(f"the radio refuses channel {self._settings.channel}")
        self._desk.restock_all()
        self._failures_in_a_row = 0
        if self._told_lost:
            self._told_lost = False
            self._log.info("base station back", radio=handshake.info)
        self._set_state(StationState.READY, f"radio {handshake.info.get('TYP', 'unknown')}")

    def _hear(self, frame: RadioFrame) -> None:
        match frame:
            case CheckInHeard():
                self._desk.hear_check_in(frame)
            case BlockRequest():
                self._desk.hear_block_request(frame)
            case TransferComplete():
                self._desk.hear_done(frame.label)
            case TransferTimedOut():
                self._desk.hear_expired(frame.label)
            case RadioField():
                if self._handshake is not None:
                    self._handshake.hear(frame)
            case ReturnData():
                self._log.debug("label returned data", label=frame.label, data_type=frame.data_type)
            case Signal():
                self._hear_restart(frame)

    def _hear_restart(self, signal: Signal) -> None:
        """`RES>` or `RDY>`: the radio restarted, keeps nothing, and is back at the low speed."""
        if self._handshake is not None and self._handshake.at_high_speed:
            raise LinkLost("the radio restarted")
        self._desk.radio_forgot()
        if self.state in _SERVING:
            self._log.info("radio restarted")
            self._set_state(StationState.CONNECTING, "the radio restarted")
        self._radio_restarted.set()
        if signal == codec.RADIO_READY:
            self._radio_ready.set()
        else:
            self._radio_ready.clear()

    def _line(self) -> Conversation:
        if self._desk.conversation is None or self.state not in _SERVING:
            raise OfferRefused(f"{self.name} is {self.state.value}")
        return self._desk.conversation

    def _beat(self) -> None:
        """The talker came round. Commands that go unanswered show as a degraded station."""
        self.progress += 1
        conversation = self._desk.conversation
        troubled = conversation is not None and conversation.failures > 0
        if troubled and self.state is StationState.READY:
            self._set_state(StationState.DEGRADED, "the radio leaves commands unanswered")
        elif not troubled and self.state is StationState.DEGRADED:
            self._set_state(StationState.READY, "the radio answers again")

    def _set_state(self, state: StationState, detail: str) -> None:
        if state is not self.state:
            self.state = state
            self._emit(StationChanged(self.name, state, detail))

    def _emit(self, event: DriverEvent) -> None:
        try:
            self._on_event(event)
        except Exception:  # a sink must not raise; one that does must not cost us the line
            self._log.exception("event sink raised", event_type=type(event).__name__)


def _cancelled() -> bool:
    """Whether somebody cancelled this very task; a `CancelledError` may also come out of a link by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
