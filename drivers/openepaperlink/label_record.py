"""What the session remembers of one label it serves."""

from dataclasses import dataclass, field
from typing import Self

from drivers.openepaperlink import codec
from drivers.openepaperlink.codec import Capability, CheckIn, DataType, LedFlash, PendingData
from drivers.openepaperlink.picture_codec import TagType, tag_type_named, tag_types
from drivers.openepaperlink.proof import Proof
from drivers.openepaperlink.rhythm import Rhythm
from drivers.port import Blob, Colour, Feature, LabelDescription, LabelId

OFFER_MINUTES = 1440  # attemptsLeft of a picture: the radio forgets it after a day (1.3)
IDLE_MINUTES = 10  # attemptsLeft of "come back later", beyond its own sleep (1.3)
COMMAND_MINUTES = 10  # attemptsLeft of a light: later nobody is looking for it
IMAGE_ARGUMENT = 1  # dataTypeArgument: second waveform, draw now; what all known hosts send (1.3, 1.9)

FLASH_SPEED = 3  # tenths of a second per flash
FLASH_COUNT = 2
FLASH_DELAY = 4  # tenths of a second; one round is then nominally a second
FLASH_ROUND_S = (FLASH_SPEED * FLASH_COUNT + FLASH_DELAY) / 10
FLASH_REPEATS_MAX = 254
LED_COLOURS = {Colour.WHITE: 0xFF, Colour.RED: 0xE0, Colour.YELLOW: 0xFC, Colour.BLACK: 0x00}

_FEATURES = {Capability.LED: Feature.LED, Capability.BUTTON: Feature.BUTTON, Capability.NFC: Feature.NFC}
_FRESH_STARTS = frozenset({codec.WakeupReason.FIRST_BOOT, codec.WakeupReason.WATCHDOG_RESET})


@dataclass(frozen=True, slots=True)
class Offer:
    """A picture in memory: a block must be answered within 115 ms (1.4)."""

    blob: Blob
    block_count: int

    @classmethod
    def of(cls, blob: Blob) -> Self:
        """Raises `ValueError` when the blob is none of this driver's."""
        codec.version_to_wire(blob.version)
        return cls(blob, codec.block_count(blob.payload))

    def wire_block(self, number: int) -> bytes:
        """A block as it goes over the line. Coded anew each time: that takes some 50 µs, and a thousand pictures kept
        as 4100 bytes and more each would fill a small box."""
        return codec.wire_block_of(self.blob.payload, number)

    def pending(self, label: LabelId) -> PendingData:
        """The `SDA>` body for it."""
        version = codec.version_to_wire(self.blob.version)
        return PendingData(
            label, version, len(self.blob.payload), self.blob.encoding, IMAGE_ARGUMENT, 0, OFFER_MINUTES
        )


@dataclass(slots=True)
class LabelRecord:
    """One adopted label. `command` is a light that waits for its turn; it goes before the picture in `offer`."""

    label: LabelId
    tag_type: TagType | None
    compressed: bool
    features: frozenset[Feature] = frozenset()
    proof: Proof = field(default_factory=Proof)
    offer: Offer | None = None
    command: PendingData | None = None
    awake_until_s: float = 0.0
    """Loop time until which the label may be fetching a picture."""
    started_fresh: bool = False
    rhythm: Rhythm = field(default_factory=Rhythm)
    urgent_until_s: float = 0.0
    """Loop time until which its offer goes before others."""
    sleep_minutes: int = 0
    """How long it is to sleep each time; 0: as it likes. `told_to_sleep`: its slot says so."""
    told_to_sleep: bool = False
    slotted_s: float = 0.0
    """Loop time when it last got a slot, and (`expected_s`) when it was then expected to check in."""
    expected_s: float = 0.0

    @classmethod
    def adopted(cls, label: LabelId, type_name: str) -> Self:
        """A type name this driver does not know is no error: the label will tell its type itself."""
        try:
            tag_type, compressed = tag_type_named(type_name)
        except ValueError:
            return cls(label, None, compressed=False)
        return cls(label, tag_type, compressed)

    def hear(self, check_in: CheckIn) -> bool:
        """Learns from a check-in; true when the label restarted and what it shows has become doubtful."""
        if check_in.is_short:
            return False
        if self.tag_type is None:
            self.tag_type = tag_types().get(check_in.hardware_type)
        if self.tag_type is not None:
            self.compressed = self.tag_type.compresses(check_in.firmware_version)
        self.features = heard_features(check_in)
        was_fresh, self.started_fresh = self.started_fresh, check_in.wakeup_reason in _FRESH_STARTS
        return self.started_fresh and not was_fresh

    def describe(self) -> LabelDescription | None:
        """`None` while the type is unknown."""
        if self.tag_type is None:
            return None
        return self.tag_type.describe(self.label, self.features, compressed=self.compressed)


def heard_features(check_in: CheckIn) -> frozenset[Feature]:
    """What the label says it can do."""
    return frozenset(feature for bit, feature in _FEATURES.items() if check_in.capabilities & bit)


def flash_command(label: LabelId, colour: Colour, seconds: float, next_check_in: int) -> PendingData:
    """The `SDA>` body that makes a label flash for about `seconds`; black or no time at all stops it (1.3, 1.6)."""
    repeats = min(FLASH_REPEATS_MAX, max(0, round(seconds / FLASH_ROUND_S) - 1))
    mode = 0 if colour == Colour.BLACK or seconds <= 0 else 1
    flash = LedFlash(LED_COLOURS[colour], FLASH_COUNT, FLASH_SPEED, FLASH_DELAY, repeats, mode)
    pending = PendingData.command(
        label, codec.LabelCommand.LED_FLASH, COMMAND_MINUTES, flash.to_bytes(), next_check_in
    )
    assert pending.data_type == DataType.COMMAND
    return pending
