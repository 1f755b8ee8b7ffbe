"""An OpenEPaperLink radio as a base station: connects for ever, offers pictures, hears proofs.

Source: esl.md 1.2, 1.4, 1.5; what an `XFC>` proves is decided in `proof`.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence

import structlog

from drivers.openepaperlink import codec
from drivers.openepaperlink.codec import (
    BlockRequest,
    CheckInHeard,
    PendingData,
    RadioField,
    RadioFrame,
    RadioSettings,
    ReturnData,
    Signal,
    TransferComplete,
    TransferTimedOut,
)
from drivers.openepaperlink.conversation import PING_ATTEMPTS, Conversation, NoReply
from drivers.openepaperlink.label_record import LabelRecord, Offer, flash_command, heard_features
from drivers.openepaperlink.picture_codec import encode_picture, tag_types
from drivers.openepaperlink.proof import COMMAND, UNKNOWN, Occupant, Verdict
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
from drivers.serial_link import ByteLink, LinkLost

BACK_OFF_FIRST_S = 0.5  # full jitter: the wait is anything up to this, doubled with every failure in a row
BACK_OFF_MAX_S = 15.0
WAIT_SLICE_S = 0.5  # a waiting station still shows progress this often
INFO_WAIT_S = 0.5  # how long the fields of NFO? may take after its ACK>
BOOT_WAIT_S = 2.0  # RES> without RDY> for so long: go on as if it had come
HIGH_SPEED_SWITCH_S = 0.01  # after the first ACK> of HSPD (1.1)
HIGH_SPEED_REPLY_S = 1.0  # until its second
FETCH_S = 10.0  # a label that asked for a block this recently is still at it: a light waits for it
OFFERS_MAX = 1000  # pictures held in memory; the radio's own limit (250 slots) says NOQ> long before
HEARD_MAX = 4096  # labels heard and not adopted whose description is kept; the oldest goes

_HIGH_SPEED_RADIOS = frozenset({"C6"})  # TYP> of radios known to switch (1.1)

_SERVING = frozenset({StationState.READY, StationState.DEGRADED})
_REFUSALS = {
    codec.NO_SLOT: "the radio has no free slot",
    codec.NOT_OK: "the radio keeps hearing a wrong checksum",
}

_log = structlog.get_logger(__name__)


class OpenEPaperLinkStation:
    """One radio. See `drivers.port.BaseStation` for what each method promises.

    A picture stays offered (across lost lines and radio restarts) until `Shown`, `Ambiguous` or `Failed` names its
    label, until another `offer` replaces it, or until `offer` itself raises; then the caller offers again.
    `Shown` may also name an older version than the one offered: the label finished that one first, and the newer
    one stays offered.

    `Ambiguous` comes when an `XFC>` cannot be pinned to one version (`proof` lists the cases), and when a label
    restarted after its proof: a label whose power failed while it drew has proven what it may never show.
    After a start of the daemon nothing need be told about older offers that the radio may still hold: each label
    starts with an unknown occupant in its slot, and only an acknowledged offer plus a later sign that the label
    works on it count as proof.
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
        self._settings = RadioSettings(channel, power)
        self._high_speed = high_speed
        self._at_high_speed = False
        self._labels: dict[LabelId, LabelRecord] = {}
        self._heard: dict[LabelId, LabelDescription] = {}
        self._cancelling: set[LabelId] = set()
        self._conversation: Conversation | None = None
        self._radio_info: dict[str, str] = {}
        self._info_complete = asyncio.Event()
        self._radio_restarted = asyncio.Event()
        self._radio_ready = asyncio.Event()
        self._failures_in_a_row = 0
        self._told_lost = False
        self._log = _log.bind(station=name)

    # What the store asks for.

    @property
    def encode(self) -> Encoder:
        """See the port: `picture_codec.encode_picture`."""
        return encode_picture

    def describe(self, label: LabelId) -> LabelDescription | None:
        """See the port."""
        record = self._labels.get(label)
        return self._heard.get(label) if record is None else record.describe()

    def adopt(self, label: LabelId, type_name: str) -> None:
        """See the port. Adopting again changes the type only. Raises `ValueError` for an impossible address."""
        codec.address_to_wire(label)
        fresh = LabelRecord.adopted(label, type_name)
        known = self._labels.setdefault(label, fresh)
        known.tag_type, known.compressed = fresh.tag_type or known.tag_type, fresh.compressed
        self._heard.pop(label, None)

    async def offer(self, label: LabelId, blob: Blob) -> None:
        """See the port. When it raises, nothing is offered to the label any more. A light that the label has not
        fetched yet goes first; the picture then waits in memory and follows by itself."""
        record = self._record(label)
        offer = Offer.of(blob)
        record.offer = None
        conversation = self._ready()
        if sum(other.offer is not None for other in self._labels.values()) >= OFFERS_MAX:
            raise OfferRefused(f"{OFFERS_MAX} pictures are already offered")
        record.offer = offer
        if record.command is not None:
            return
        refusal = await _refused(self._send_offer(conversation, record, offer))
        if refusal and record.offer is offer:
            record.offer = None
            raise OfferRefused(refusal)

    async def light(self, label: LabelId, colour: Colour, seconds: float) -> None:
        """See the port. The light takes the label's slot and the picture follows it; a label that is fetching a
        picture right now gets the light afterwards."""
        record = self._record(label)
        description = record.describe()
        if description is not None and Feature.LED not in description.features:
            raise OfferRefused(f"label {label} has no LED")
        conversation = self._ready()
        next_check_in = codec.NEXT_CHECK_IN_SOON if record.offer else 0
        record.command = command = flash_command(label, colour, seconds, next_check_in)
        if self._now() < record.fetching_until_s:
            return
        refusal = await _refused(self._send_command(conversation, record, command))
        if refusal and record.command is command:
            record.command = None
            raise OfferRefused(refusal)

    # Staying connected.

    async def run(self) -> None:
        """See the port."""
        while True:
            self.progress += 1
            reason = await self._connect_once()
            self._lost(reason)
            await self._wait_before_retry()

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
        self._at_high_speed = False
        conversation = Conversation(link, codec.BAUD_RATE_AFTER_RESET, self._hear, self._beat)
        listen = asyncio.create_task(conversation.listen(), name=f"{self.name} listens")
        talk = asyncio.create_task(conversation.talk(), name=f"{self.name} talks")
        keep = asyncio.create_task(self._keep_ready(conversation), name=f"{self.name} keeps the radio ready")
        self._conversation = conversation
        try:
            await asyncio.wait({listen, talk, keep}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._conversation = None
            self._cancelling.clear()
            for task in (keep, talk, listen):
                task.cancel()
            outcomes = await asyncio.gather(listen, talk, keep, return_exceptions=True)
        return self._why(outcomes)

    def _why(self, outcomes: Sequence[BaseException | None]) -> str:
        """The reason the line ended, for people; a fault that is no lost line is a bug somewhere and gets logged."""
        faults = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        telling = [fault for fault in faults if not isinstance(fault, asyncio.CancelledError)]
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

    async def _wait_before_retry(self) -> None:
        longest = min(BACK_OFF_MAX_S, BACK_OFF_FIRST_S * 2 ** min(self._failures_in_a_row, 10))
        until = self._now() + self._randomness.uniform(0, longest)
        while (left := until - self._now()) > 0:
            self.progress += 1
            await asyncio.sleep(min(left, WAIT_SLICE_S))

    async def _keep_ready(self, conversation: Conversation) -> None:
        """From an open line to a ready station, and again after every restart of the radio (1.5). Never returns;
        raises `NoReply` or `LinkLost`."""
        self._set_state(StationState.CONNECTING, "line open")
        await self._find_radio(conversation)
        await self._read_info(conversation)
        if self._high_speed and self._radio_info.get("TYP") in _HIGH_SPEED_RADIOS and not self._at_high_speed:
            await self._go_high_speed(conversation)
        while True:
            self._radio_restarted.clear()
            await self._synchronise(conversation)
            await self._radio_restarted.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BOOT_WAIT_S):
                    await self._radio_ready.wait()

    async def _find_radio(self, conversation: Conversation) -> None:
        """A radio that was left at high speed by an earlier run does not hear us at the low one."""
        try:
            await conversation.ask(codec.PING, PING_ATTEMPTS)
        except NoReply:
            if not self._high_speed:
                raise
            await conversation.set_baud_rate(codec.BAUD_RATE_HIGH)
            await conversation.ask(codec.PING, PING_ATTEMPTS)
            self._at_high_speed = True

    async def _read_info(self, conversation: Conversation) -> None:
        """What radio this is; one that does not say is served all the same."""
        self._radio_info.clear()
        self._info_complete.clear()
        with contextlib.suppress(NoReply, TimeoutError):
            await conversation.ask(codec.ASK_RADIO_INFO)
            async with asyncio.timeout(INFO_WAIT_S):
                await self._info_complete.wait()

    async def _go_high_speed(self, conversation: Conversation) -> None:
        await conversation.ask(codec.GO_HIGH_SPEED)
        await asyncio.sleep(HIGH_SPEED_SWITCH_S)
        await conversation.set_baud_rate(codec.BAUD_RATE_HIGH)
        try:
            async with asyncio.timeout(HIGH_SPEED_REPLY_S):
                await conversation.expect_reply()
        except TimeoutError:
            raise LinkLost("the radio did not follow to high speed") from None
        self._at_high_speed = True

    async def _synchronise(self, conversation: Conversation) -> None:
        """Channel and power, then everything that is offered: the radio keeps nothing over a restart (1.2)."""
        reply = await conversation.ask(codec.set_channel(self._settings))
        if reply != codec.ACKNOWLEDGED:
            raise LinkLost(f"the radio refuses channel {self._settings.channel}")
        for record in self._labels.values():
            self._restock(record)
        self._failures_in_a_row = 0
        if self._told_lost:
            self._told_lost = False
            self._log.info("base station back", radio=self._radio_info)
        self._set_state(StationState.READY, f"radio {self._radio_info.get('TYP', 'unknown')}")

    # What the radio says.

    def _hear(self, frame: RadioFrame) -> None:
        match frame:
            case CheckInHeard():
                self._hear_check_in(frame)
            case BlockRequest():
                self._hear_block_request(frame)
            case TransferComplete():
                self._hear_done(frame.label)
            case TransferTimedOut():
                self._hear_expired(frame.label)
            case RadioField(name, value):
                self._radio_info[name] = value
                if name == "NOP":
                    self._info_complete.set()
            case ReturnData():
                self._log.debug("label returned data", label=frame.label, data_type=frame.data_type)
            case Signal():
                self._hear_restart(frame)

    def _hear_check_in(self, heard: CheckInHeard) -> None:
        label, check_in = heard.label, heard.check_in
        record = self._labels.get(label)
        if record is None:
            self._hear_stranger(heard)
            return
        record.proof.checked_in()
        restarted = record.hear(check_in)
        self._emit(Seen(label, record.describe()))
        if not check_in.is_short:
            self._emit(Telemetry(label, check_in.battery_mv or None, check_in.temperature_c, check_in.rssi_dbm))
        if restarted and record.shown is not None:
            record.shown = None
            if record.offer is None:
                self._emit(Ambiguous(label))
        if record.command is not None and record.proof.slot != {COMMAND}:
            self._restock(record)

    def _hear_stranger(self, heard: CheckInHeard) -> None:
        tag_type = None if heard.check_in.is_short else tag_types().get(heard.check_in.hardware_type)
        if tag_type is None:
            self._emit(Seen(heard.label, self._heard.get(heard.label)))
            return
        compressed = tag_type.compresses(heard.check_in.firmware_version)
        description = tag_type.describe(heard.label, heard_features(heard.check_in), compressed=compressed)
        self._heard.pop(heard.label, None)
        while len(self._heard) >= HEARD_MAX:
            self._heard.pop(next(iter(self._heard)))
        self._heard[heard.label] = description
        self._emit(Seen(heard.label, description))

    def _hear_block_request(self, request: BlockRequest) -> None:
        record = self._labels.get(request.label)
        offer = record.offer if record else None
        if record is None or offer is None or offer.blob.version != request.version:
            self._refuse_block(request, record)
            return
        record.proof.asked_for(request.version)
        record.fetching_until_s = self._now() + FETCH_S
        block = min(request.block, len(offer.blocks) - 1)
        if self._conversation is not None:
            self._conversation.answer_block(request.label, offer.blocks[block])
        self._emit(Progress(request.label, request.version, block, len(offer.blocks)))

    def _refuse_block(self, request: BlockRequest, record: LabelRecord | None) -> None:
        """A version we do not hold (any more): cancel it, and put back what the cancelling took with it (1.5)."""
        if record is not None:
            known = request.version in record.proof.slot | record.proof.told | record.proof.since
            record.proof.asked_for(request.version if known else UNKNOWN)
        if self._conversation is None or request.label in self._cancelling:
            return
        self._cancelling.add(request.label)

        def replied(reply: Signal | None) -> None:
            self._cancelling.discard(request.label)
            if reply == codec.ACKNOWLEDGED and record is not None:
                record.proof.slot_emptied()

        self._conversation.enqueue(codec.cancel_data(request.label), replied=replied)
        if record is not None:
            self._restock(record)

    def _hear_done(self, label: LabelId) -> None:
        record = self._labels.get(label)
        if record is None:
            return
        verdict, version = record.proof.done()
        record.fetching_until_s = 0.0
        if verdict is Verdict.PROVEN and version is not None:
            record.shown = version
            if record.offer is not None and record.offer.blob.version == version:
                record.offer = None
            self._emit(Shown(label, version))
        elif verdict is Verdict.COMMAND_DONE:
            record.command = None
        elif verdict is Verdict.AMBIGUOUS:
            record.shown = record.offer = None
            self._emit(Ambiguous(label))
        self._restock(record)

    def _hear_expired(self, label: LabelId) -> None:
        record = self._labels.get(label)
        if record is None:
            return
        held_command = record.proof.slot == {COMMAND}
        record.proof.slot_emptied()
        if held_command:
            record.command = None
            self._restock(record)
        elif record.offer is not None:
            self._fail(record, record.offer, "the label did not fetch it in time")

    def _hear_restart(self, signal: Signal) -> None:
        """`RES>` or `RDY>`: the radio restarted, keeps nothing, and is back at the low speed."""
        if signal not in (codec.RADIO_RESET, codec.RADIO_READY):
            return
        if self._at_high_speed:
            raise LinkLost("the radio restarted")
        for record in self._labels.values():
            record.proof.slot_emptied()
        if self.state is not StationState.CONNECTING:
            self._log.info("radio restarted")
            self._set_state(StationState.CONNECTING, "the radio restarted")
        self._radio_restarted.set()
        if signal == codec.RADIO_READY:
            self._radio_ready.set()
        else:
            self._radio_ready.clear()

    # Small parts.

    def _send_offer(self, conversation: Conversation, record: LabelRecord, offer: Offer) -> "asyncio.Future[Signal]":
        return self._send(conversation, record, offer.pending(record.label), offer.blob.version)

    def _send_command(self, conversation: Conversation, record: LabelRecord,
                      command: PendingData) -> "asyncio.Future[Signal]":  # fmt: skip
        return self._send(conversation, record, command, COMMAND)

    def _send(self, conversation: Conversation, record: LabelRecord, pending: PendingData,
              occupant: Occupant) -> "asyncio.Future[Signal]":  # fmt: skip
        """`SDA>`; the proof hears of it in the order of the line."""

        def replied(reply: Signal | None) -> None:
            if reply == codec.ACKNOWLEDGED:
                record.proof.acknowledged(occupant)
            elif reply != codec.NOT_OK:  # after NOK> it is tried again
                record.proof.given_up()

        return conversation.enqueue(
            codec.send_data(pending), sending=lambda: record.proof.writing(occupant), replied=replied
        )

    def _restock(self, record: LabelRecord) -> None:
        """The label's slot may be empty: put in what waits for it, a light before a picture."""
        conversation, command, offer = self._conversation, record.command, record.offer
        if conversation is None:
            return
        if command is not None:
            self._send_command(conversation, record, command).add_done_callback(
                lambda reply: self._command_restocked(record, command, reply)
            )
        elif offer is not None:
            self._send_offer(conversation, record, offer).add_done_callback(
                lambda reply: self._offer_restocked(record, offer, reply)
            )

    def _offer_restocked(self, record: LabelRecord, offer: Offer, reply: "asyncio.Future[Signal]") -> None:
        refusal = _refusal(reply)
        if refusal and record.offer is offer and not _line_lost(reply):  # else the next line takes it up again
            self._fail(record, offer, refusal)

    def _command_restocked(self, record: LabelRecord, command: PendingData, reply: "asyncio.Future[Signal]") -> None:
        refusal = _refusal(reply)
        if refusal and record.command is command and not _line_lost(reply):
            self._log.info("light dropped", label=record.label, reason=refusal)
            record.command = None
            self._restock(record)

    def _fail(self, record: LabelRecord, offer: Offer, reason: str) -> None:
        record.offer = None
        self._emit(Failed(record.label, offer.blob.version, reason))

    def _record(self, label: LabelId) -> LabelRecord:
        record = self._labels.get(label)
        if record is None:
            raise OfferRefused(f"label {label} is not adopted by {self.name}")
        return record

    def _ready(self) -> Conversation:
        if self._conversation is None or self.state not in _SERVING:
            raise OfferRefused(f"{self.name} is {self.state.value}")
        return self._conversation

    def _beat(self) -> None:
        """The talker came round. Commands that go unanswered show as a degraded station."""
        self.progress += 1
        troubled = self._conversation is not None and self._conversation.failures > 0
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

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _refused(reply: "asyncio.Future[Signal]") -> str:
    """Waits for the reply; why it is no `ACK>`, or nothing."""
    await asyncio.wait({reply})
    return _refusal(reply)


def _refusal(reply: "asyncio.Future[Signal]") -> str:
    if reply.cancelled():
        return "the line was lost"
    error = reply.exception()
    return str(error) if error is not None else _REFUSALS.get(reply.result(), "")


def _line_lost(reply: "asyncio.Future[Signal]") -> bool:
    return reply.cancelled() or isinstance(reply.exception(), LinkLost)


def _cancelled() -> bool:
    """Whether somebody cancelled this very task; a `CancelledError` may also come out of a link by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
