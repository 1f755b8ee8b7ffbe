"""The labels of one radio: what they are, what is offered to them, what they said (esl.md 1.4, 1.5).

Outlives the lines: `conversation` is the open one or `None`. Every method runs in the loop; the handlers of frames
run in line order and never wait.
"""

import asyncio
from collections.abc import Callable

import structlog

from drivers.openepaperlink import codec
from drivers.openepaperlink.codec import BlockRequest, CheckInHeard, PendingData, Signal
from drivers.openepaperlink.conversation import Conversation
from drivers.openepaperlink.label_record import IDLE_MINUTES, LabelRecord, Offer, flash_command, heard_features
from drivers.openepaperlink.picture_codec import tag_types
from drivers.openepaperlink.proof import COMMAND, UNKNOWN, Occupant, Sight, Verdict
from drivers.openepaperlink.slots import URGENT_S, Slots
from drivers.port import (
    Ambiguous,
    Blob,
    Colour,
    DriverEvent,
    Failed,
    Feature,
    LabelDescription,
    LabelId,
    OfferRefused,
    Progress,
    Seen,
    Shown,
    Telemetry,
)
from drivers.serial_link import LinkLost

AWAKE_AFTER_CHECK_IN_S = 2.0  # a label that was told of a picture asks for it within this
AWAKE_AFTER_BLOCK_S = 10.0  # and is at it for so long after each block
LIGHT_PATIENCE_S = 20.0  # a light waits for a label that is fetching, but no longer than this
OFFERS_MAX = 1500  # pictures held in memory: what is in slots, and what waits for one
SWEEP_S = 1.0  # between looks for slots that are another's turn
SLEEP_MINUTES_MAX = 1440  # a day
HEARD_MAX = 4096  # labels heard and not adopted whose description is kept; the oldest goes

_REFUSALS = {
    codec.NO_SLOT: "the radio has no free slot",
    codec.NOT_OK: "the radio keeps hearing a wrong checksum",
}

_log = structlog.get_logger(__name__)


class LabelDesk:
    """See the module; `session` documents what the store may rely on."""

    def __init__(self, emit: Callable[[DriverEvent], None]) -> None:
        self.conversation: Conversation | None = None
        self._emit = emit
        self._labels: dict[LabelId, LabelRecord] = {}
        self._heard: dict[LabelId, LabelDescription] = {}
        self._cancelling: set[LabelId] = set()
        self._slots = Slots(self._now)
        self._sweep: asyncio.TimerHandle | None = None

    # What the store asks for.

    def describe(self, label: LabelId) -> LabelDescription | None:
        """`None` while the type is unknown."""
        record = self._labels.get(label)
        return self._heard.get(label) if record is None else record.describe()

    def adopt(self, label: LabelId, type_name: str) -> None:
        """Adopting again changes the type only. Raises `ValueError` for an impossible address."""
        codec.address_to_wire(label)
        fresh = LabelRecord.adopted(label, type_name)
        known = self._labels.setdefault(label, fresh)
        if fresh.tag_type is not None and fresh.tag_type is not known.tag_type:
            known.tag_type, known.compressed = fresh.tag_type, fresh.compressed
        self._heard.pop(label, None)

    def record(self, label: LabelId) -> LabelRecord:
        """The label's record. Raises `OfferRefused` when it was never adopted."""
        record = self._labels.get(label)
        if record is None:
            raise OfferRefused(f"label {label} was not adopted")
        return record

    async def offer(self, conversation: Conversation, record: LabelRecord, blob: Blob, *, urgent: bool = False) -> None:
        """Raises `OfferRefused`, and then offers nothing; `ValueError` for a blob that is none of this driver's."""
        offer = Offer.of(blob)
        record.offer = None
        self._slots.leave(record)
        if sum(other.offer is not None for other in self._labels.values()) >= OFFERS_MAX:
            raise OfferRefused(f"{OFFERS_MAX} pictures are already offered")
        record.offer = offer
        record.sleep_minutes, record.told_to_sleep = 0, False
        record.urgent_until_s = self._now() + URGENT_S if urgent else 0.0
        if record.command is not None:
            return
        if not self._slots.has_room(record):
            self._wait_for_slot(record)
            return
        refusal = await _refused(self._send_offer(conversation, record, offer))
        if refusal and record.offer is offer:
            record.offer = None
            raise OfferRefused(refusal)

    async def withdraw(self, conversation: Conversation, label: LabelId) -> None:
        """Empties the label's slot, whoever filled it. Raises `OfferRefused`."""
        record = self._labels.get(label)
        if record is not None and self._now() < record.awake_until_s:
            raise OfferRefused(f"label {label} is fetching")
        if record is not None:
            record.offer = record.command = None
            record.sleep_minutes, record.told_to_sleep = 0, False
            record.proof.lost_sight()
            self._slots.leave(record)

        def replied(reply: Signal | None) -> None:
            if reply == codec.ACKNOWLEDGED and record is not None:
                record.proof.slot_emptied()
                self._slots.free(record)

        refusal = await _refused(conversation.enqueue(codec.cancel_data(label), replied=replied))
        if refusal:
            raise OfferRefused(refusal)
        self._fill_slots()

    async def light(self, conversation: Conversation, record: LabelRecord, colour: Colour, seconds: float) -> None:
        """Raises `OfferRefused`."""
        description = record.describe()
        if description is not None and Feature.LED not in description.features:
            raise OfferRefused(f"label {record.label} has no LED")
        next_check_in = codec.NEXT_CHECK_IN_SOON if record.offer else 0
        record.command = command = flash_command(record.label, colour, seconds, next_check_in)
        if self._now() < record.awake_until_s:
            self._light_once_asleep(record, command, self._now() + LIGHT_PATIENCE_S)
            return
        refusal = await _refused(self._send_command(conversation, record, command))
        if refusal and record.command is command:
            record.command = None
            raise OfferRefused(refusal)

    async def sleep(self, conversation: Conversation, record: LabelRecord, minutes: int) -> None:
        """Raises `OfferRefused`; `ValueError` for what two bytes of minutes do not hold."""
        if not 0 <= minutes <= SLEEP_MINUTES_MAX:
            raise ValueError(f"a label sleeps 0 to {SLEEP_MINUTES_MAX} minutes, not {minutes}")
        if record.offer is not None or record.command is not None:
            raise OfferRefused(f"something waits for label {record.label}")
        record.sleep_minutes = minutes
        if not minutes:
            await self.withdraw(conversation, record.label)
        elif not self._slots.has_room(record):
            raise OfferRefused("the radio has no free slot")
        else:
            refusal = await _refused(self._send_to_sleep(conversation, record))
            if refusal:
                record.sleep_minutes = 0
                raise OfferRefused(refusal)

    # What happens to the line.

    def restock_all(self) -> None:
        """The radio may have forgotten everything: offer it again."""
        self._slots.forget()
        for record in self._labels.values():
            self._restock(record)

    def radio_forgot(self) -> None:
        """The radio restarted: every slot is empty."""
        self._slots.forget()
        for record in self._labels.values():
            record.proof.slot_emptied()
            record.told_to_sleep = False

    def line_lost(self) -> None:
        """Nothing can be sent until `conversation` is set again."""
        self.conversation = None
        self._cancelling.clear()
        for record in self._labels.values():
            record.proof.lost_sight()

    # What labels say.

    def hear_check_in(self, heard: CheckInHeard) -> None:
        """`ADR>`: the label was told what its slot holds."""
        record = self._labels.get(heard.label)
        if record is None:
            self._hear_stranger(heard)
            return
        restarted = record.hear(heard.check_in)
        sight, version = record.proof.checked_in(restarted=restarted)
        record.rhythm.checked_in(self._now())
        self._slots.heard(record)
        if record.offer is not None and record.offer.blob.version in record.proof.told:
            record.awake_until_s = max(record.awake_until_s, self._now() + AWAKE_AFTER_CHECK_IN_S)
        if version is not None:
            self._emit(Shown(heard.label, version))
        self._emit(Seen(heard.label, record.describe(), _signal_dbm(heard)))
        if not heard.check_in.is_short:
            self._emit(_telemetry(heard))
        if record.offer is None and (restarted or sight is Sight.DOUBTFUL):
            self._emit(Ambiguous(heard.label))
        self._sleep_on(record)

    def hear_block_request(self, request: BlockRequest) -> None:
        """`RQB>`: answered at once when it is for the picture on offer."""
        record = self._labels.get(request.label)
        offer = record.offer if record else None
        if record is None or offer is None or offer.blob.version != request.version:
            self._refuse_block(request, record)
            return
        record.proof.asked_for(request.version)
        record.awake_until_s = self._now() + AWAKE_AFTER_BLOCK_S
        if self.conversation is not None:
            self.conversation.answer_block(request.label, offer.wire_block(request.block))
        part = min(request.block, offer.block_count - 1)
        self._emit(Progress(request.label, request.version, part, offer.block_count))

    def hear_done(self, label: LabelId) -> None:
        """`XFC>`: the label has something, and draws it now; `proof` knows what. The radio has freed the slot."""
        record = self._labels.get(label)
        if record is None:
            return
        verdict, version = record.proof.done()
        record.awake_until_s = 0.0
        self._slots.free(record)
        if verdict is Verdict.BEGUN:
            if record.offer is not None and record.offer.blob.version == version:
                record.offer = None
        elif verdict is Verdict.COMMAND_DONE:
            record.command = None
        elif verdict is Verdict.AMBIGUOUS:
            record.offer = None
            self._emit(Ambiguous(label))
        self._restock(record)
        self._fill_slots()

    def hear_expired(self, label: LabelId) -> None:
        """`XTO>`: the label did not come for what its slot held."""
        record = self._labels.get(label)
        if record is None:
            return
        held_command = record.proof.slot == {COMMAND}
        record.proof.slot_emptied()
        self._slots.free(record)
        if held_command:
            record.command = None
            self._restock(record)
        elif record.offer is not None:
            self._fail(record, record.offer, "the label did not fetch it in time")
        self._fill_slots()

    def _hear_stranger(self, heard: CheckInHeard) -> None:
        tag_type = None if heard.check_in.is_short else tag_types().get(heard.check_in.hardware_type)
        if tag_type is None:
            self._emit(Seen(heard.label, self._heard.get(heard.label), _signal_dbm(heard)))
            return
        compressed = tag_type.compresses(heard.check_in.firmware_version)
        description = tag_type.describe(heard.label, heard_features(heard.check_in), compressed=compressed)
        self._heard.pop(heard.label, None)
        while len(self._heard) >= HEARD_MAX:
            self._heard.pop(next(iter(self._heard)))
        self._heard[heard.label] = description
        self._emit(Seen(heard.label, description, _signal_dbm(heard)))

    def _refuse_block(self, request: BlockRequest, record: LabelRecord | None) -> None:
        """A version we do not hold (any more): cancel it, and put back what the cancelling takes with it (1.5)."""
        if record is not None:
            known = request.version in record.proof.slot | record.proof.told | record.proof.since
            record.proof.asked_for(request.version if known else UNKNOWN)
        if self.conversation is None or request.label in self._cancelling:
            return
        self._cancelling.add(request.label)

        def replied(reply: Signal | None) -> None:
            self._cancelling.discard(request.label)
            if reply == codec.ACKNOWLEDGED and record is not None:
                record.proof.slot_emptied()

        self.conversation.enqueue(codec.cancel_data(request.label), replied=replied)
        if record is not None:
            self._restock(record)

    # Putting things into slots.

    def _send_offer(self, conversation: Conversation, record: LabelRecord, offer: Offer) -> "asyncio.Future[Signal]":
        return self._send(
            conversation, record, offer.pending(record.label), offer.blob.version, lambda: record.offer is offer
        )

    def _send_command(self, conversation: Conversation, record: LabelRecord,
                      command: PendingData) -> "asyncio.Future[Signal]":  # fmt: skip
        return self._send(conversation, record, command, COMMAND, lambda: record.command is command)

    def _send(self, conversation: Conversation, record: LabelRecord, pending: PendingData, occupant: Occupant,
              wanted: Callable[[], bool]) -> "asyncio.Future[Signal]":  # fmt: skip
        """`SDA>`; the proof hears of it in the order of the line. What was replaced while it waited is not sent."""
        self._slots.hold(record)

        def replied(reply: Signal | None) -> None:
            if reply == codec.ACKNOWLEDGED:
                record.proof.acknowledged(occupant)
            elif reply != codec.NOT_OK:  # after NOK> it is tried again
                record.proof.given_up()
            if reply == codec.NO_SLOT:
                self._slots.free(record)

        return conversation.enqueue(
            codec.send_data(pending), wanted=wanted, sending=lambda: record.proof.writing(occupant), replied=replied
        )

    def _send_to_sleep(self, conversation: Conversation, record: LabelRecord) -> "asyncio.Future[Signal]":
        """`SDA>` with nothing in it but when to come back; a label that is told so says nothing of it."""
        idle = PendingData.idle(record.label, record.sleep_minutes, record.sleep_minutes + IDLE_MINUTES)
        self._slots.hold(record)

        def replied(reply: Signal | None) -> None:
            if reply == codec.ACKNOWLEDGED:
                record.proof.slot_emptied()
                record.told_to_sleep = True
            else:
                self._slots.free(record)

        def wanted() -> bool:
            return record.offer is None and record.command is None

        return conversation.enqueue(codec.send_data(idle), wanted=wanted, replied=replied)

    def _sleep_on(self, record: LabelRecord) -> None:
        """A label that is to sleep checked in: it was told just now, or its slot is to tell it the next time."""
        if not record.sleep_minutes or self.conversation is None or record.offer or record.command:
            return
        if record.told_to_sleep:
            record.told_to_sleep = False
            self._clear_slot(self.conversation, record)
        elif self._slots.has_room(record):
            self._send_to_sleep(self.conversation, record)

    def _restock(self, record: LabelRecord) -> None:
        """The label's slot may be empty: put in what waits for it, a light before a picture."""
        conversation, command, offer = self.conversation, record.command, record.offer
        if conversation is None:
            return
        if command is not None:
            self._send_command(conversation, record, command).add_done_callback(
                lambda reply: self._command_restocked(record, command, reply)
            )
        elif offer is not None:
            if not self._slots.has_room(record):
                self._wait_for_slot(record)
                return
            self._send_offer(conversation, record, offer).add_done_callback(
                lambda reply: self._offer_restocked(record, offer, reply)
            )

    # More offers than slots (`slots`).

    def _wait_for_slot(self, record: LabelRecord) -> None:
        self._slots.wait(record)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep_slots)

    def _fill_slots(self) -> None:
        while self.conversation is not None and (record := self._slots.next_one()) is not None:
            self._restock(record)

    def _sweep_slots(self) -> None:
        """Slots that are another's turn are cleared; again as long as somebody waits."""
        self._sweep = None
        if self.conversation is None or not self._slots.anybody_waits:
            return
        for record in self._slots.to_clear():
            self._clear_slot(self.conversation, record)
        self._fill_slots()
        self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep_slots)

    def _clear_slot(self, conversation: Conversation, record: LabelRecord) -> None:
        """`CXD>`: the offer stands, and waits for its next turn."""
        if record.label in self._cancelling:
            return
        self._cancelling.add(record.label)

        def wanted() -> bool:
            return self._now() >= record.awake_until_s and record.command is None

        def replied(reply: Signal | None) -> None:
            if reply != codec.ACKNOWLEDGED:
                return
            record.proof.slot_emptied()
            self._slots.free(record)
            if record.offer is not None:
                self._wait_for_slot(record)
            self._fill_slots()

        outcome = conversation.enqueue(codec.cancel_data(record.label), wanted=wanted, replied=replied)
        outcome.add_done_callback(lambda _: self._cancelling.discard(record.label))

    def _offer_restocked(self, record: LabelRecord, offer: Offer, reply: "asyncio.Future[Signal]") -> None:
        refusal = _refusal(reply)
        if record.offer is offer and not reply.exception() and reply.result() == codec.NO_SLOT and self._slots.any_held:
            self._wait_for_slot(record)
        elif refusal and record.offer is offer and not _line_was_lost(reply):  # else the next line takes it up again
            self._fail(record, offer, refusal)

    def _command_restocked(self, record: LabelRecord, command: PendingData, reply: "asyncio.Future[Signal]") -> None:
        refusal = _refusal(reply)
        if refusal and record.command is command and not _line_was_lost(reply):
            _log.info("light dropped", label=record.label, reason=refusal)
            record.command = None
            self._restock(record)

    def _light_once_asleep(self, record: LabelRecord, command: PendingData, latest_s: float) -> None:
        """A light that overwrote the slot while the label fetches a picture would make that picture's proof
        ambiguous. `hear_done` sends it as soon as the label is through; this, when it gave up."""

        def look_again() -> None:
            if record.command is not command or record.proof.slot == {COMMAND}:
                return
            if self._now() < min(record.awake_until_s, latest_s):
                self._light_once_asleep(record, command, latest_s)
            else:
                self._restock(record)

        asyncio.get_running_loop().call_at(min(record.awake_until_s, latest_s), look_again)

    def _fail(self, record: LabelRecord, offer: Offer, reason: str) -> None:
        record.offer = None
        self._emit(Failed(record.label, offer.blob.version, reason))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _signal_dbm(heard: CheckInHeard) -> int | None:
    return None if heard.check_in.is_short else heard.check_in.rssi_dbm


def _telemetry(heard: CheckInHeard) -> Telemetry:
    check_in = heard.check_in
    return Telemetry(heard.label, check_in.battery_mv or None, check_in.temperature_c, check_in.rssi_dbm)


async def _refused(reply: "asyncio.Future[Signal]") -> str:
    """Waits for the reply; why it is no `ACK>`, or nothing."""
    await asyncio.wait({reply})
    return _refusal(reply)


def _refusal(reply: "asyncio.Future[Signal]") -> str:
    error = reply.exception()
    return str(error) if error is not None else _REFUSALS.get(reply.result(), "")


def _line_was_lost(reply: "asyncio.Future[Signal]") -> bool:
    return isinstance(reply.exception(), LinkLost)
