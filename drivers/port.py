"""What every base-station driver offers the store (DESIGN.md section 7).

The port fits radios that labels poll (OpenEPaperLink) and labels that are pushed to (BLE) alike: the store
says what a label should show, the driver says what it heard. Values only; no driver's bytes pass here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Protocol

LabelId = str
"""A label's printed address, lower case, unique in a store: `0000021b1ad03b17`."""

PictureVersion = str
"""Names an encoded picture exactly, as lower-case hex: for OpenEPaperLink the dataVer."""


class Colour(IntEnum):
    """Palette index of a picture's pixel."""

    WHITE = 0
    BLACK = 1
    RED = 2
    YELLOW = 3


class Feature(Enum):
    """What a label can do besides showing a picture."""

    LED = "led"
    BUTTON = "button"
    NFC = "nfc"


class StationState(Enum):
    """Where a base station's connection stands."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture: one byte per pixel, each a `Colour`, rows from the top, `width * height` bytes."""

    width: int
    height: int
    pixels: bytes

    def __post_init__(self) -> None:
        if len(self.pixels) != self.width * self.height:
            raise ValueError(f"picture of {self.width}x{self.height} needs {self.width * self.height} pixels, "
                             f"got {len(self.pixels)}")


@dataclass(frozen=True, slots=True)
class LabelDescription:
    """What a label is, as its driver knows it. `settle_s`: longest time from the label's word that it has a
    picture to the picture standing; a driver may prove it only then, or at once.

    `type_name` is the driver's own word, to be given back to `adopt`; it holds all that `encode` must know, so it may
    change when the label is heard (`oepl:33` becomes `oepl:33/zlib` once its firmware is known to inflate).
    """

    label: LabelId
    type_name: str
    width: int
    height: int
    colours: frozenset[Colour]
    features: frozenset[Feature]
    settle_s: float


@dataclass(frozen=True, slots=True)
class Blob:
    """An encoded picture, opaque to everybody but its driver. `encoding` is the driver's own format number."""

    version: PictureVersion
    encoding: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """A label was heard. `description` is `None` while its type is unknown, `rssi_dbm` where nothing says how well."""

    label: LabelId
    description: LabelDescription | None
    rssi_dbm: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """A label asked for part `part` (from 0) of `parts` of the picture it is being given."""

    label: LabelId
    version: PictureVersion
    part: int
    parts: int


@dataclass(frozen=True, slots=True)
class Shown:
    """Delivery proof: the label holds exactly this version (P7), and draws it within `settle_s` if it has not yet.

    A driver that says so before the picture stands says `Ambiguous` when the label falls silent meanwhile (P3).
    """

    label: LabelId
    version: PictureVersion


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """What the label shows has become doubtful: offer again. It finished one of several outstanding versions and the
    protocol does not say which, or it restarted and may have lost what it was about to draw. Ends what was offered."""

    label: LabelId


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """This version can no longer come to be shown; only sent where the protocol rules a later display out."""

    label: LabelId
    version: PictureVersion


@dataclass(frozen=True, slots=True)
class Failed:
    """The offer came to nothing; the label may still show it later unless `Withdrawn` says otherwise."""

    label: LabelId
    version: PictureVersion
    reason: str


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a label said of itself; `None` where it said nothing."""

    label: LabelId
    battery_mv: int | None
    temperature_c: int | None
    rssi_dbm: int | None


@dataclass(frozen=True, slots=True)
class StationChanged:
    """The base station's connection changed; `detail` is for a person."""

    station: str
    state: StationState
    detail: str


DriverEvent = Seen | Progress | Shown | Ambiguous | Withdrawn | Failed | Telemetry | StationChanged

EventSink = Callable[[DriverEvent], None]
"""Called in the event loop for every event; must return at once and never raise."""


Encoder = Callable[[LabelDescription, Picture], Blob]


class OfferRefused(Exception):
    """The base station could not take the offer now (line down, no free slot): offer again later."""


class BaseStation(Protocol):
    """One base station. The constructor stores; `run()` connects, reconnects and never ends by itself."""

    name: str
    state: StationState
    progress: int
    """Grows while the station's loop makes progress, connected or not; the watchdog reads it."""

    async def run(self) -> None:
        """Keep the station connected until cancelled. No exception of any type ends it."""
        ...

    def describe(self, label: LabelId) -> LabelDescription | None:
        """Geometry, colours and features of a label heard or adopted; `None` when its type is unknown."""
        ...

    def adopt(self, label: LabelId, type_name: str) -> None:
        """Serve this label from now on; labels not adopted are reported by `Seen` and otherwise ignored."""
        ...

    @property
    def encode(self) -> "Encoder":
        """Turns a picture into what its labels understand: a module-level function, so a process pool can call it."""
        ...

    async def offer(self, label: LabelId, blob: Blob, *, urgent: bool = False) -> None:
        """Replace whatever is outstanding for the label. Raises `OfferRefused`; the proof comes as an event.

        `urgent` offers go before others where not all can go at once.
        """
        ...

    async def withdraw(self, label: LabelId) -> None:
        """Take back whatever is outstanding for the label, adopted or not.

        Once this returns, nothing that was offered before can begin to be fetched from this station: another one may
        serve the label. Raises `OfferRefused` while that cannot be said (line down, the label is at it); then an offer
        may stand or not.
        """
        ...

    async def light(self, label: LabelId, colour: Colour, seconds: float) -> None:
        """Flash the label's LED (pick-to-light). Raises `OfferRefused`."""
        ...

    async def sleep(self, label: LabelId, minutes: int) -> None:
        """Let a label in a drawer check in only every so many minutes, to spare its battery; 0 wakes it when it does.

        It ends with the next offer, and with a restart of the daemon. Raises `OfferRefused`, always where labels cannot
        be told.
        """
        ...
