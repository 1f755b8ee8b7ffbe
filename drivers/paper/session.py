"""`PaperStation`: people as a base station. It keeps what waits to be printed and hung, and hears of their scans."""

import asyncio
from dataclasses import dataclass

from drivers.paper.codec import ProofCode, describe, encode_picture
from drivers.port import (
    Blob,
    Colour,
    Encoder,
    EventSink,
    LabelDescription,
    LabelId,
    OfferRefused,
    PictureVersion,
    Progress,
    Shown,
    StationChanged,
    StationState,
)

OFFERS_MAX = 2048  # prints held in memory; a shop that waits with more has to print first
BEAT_S = 1.0


@dataclass(frozen=True, slots=True)
class WaitingTag:
    """A tag to be printed and hung. `since_s`: on the loop's clock; `urgent`: a till waits for it."""

    label: LabelId
    blob: Blob
    since_s: float
    urgent: bool

    @property
    def code(self) -> ProofCode:
        """What stands beside its picture."""
        return ProofCode(self.label, self.blob.version)


class PaperStation:
    """See `drivers.port.BaseStation` for what each method promises.

    A picture stays offered until it is scanned on the shelf or another replaces it. It cannot be withdrawn: what was
    printed may be hung at any time, so its claim stands until another print is proven.
    """

    def __init__(self, name: str, on_event: EventSink) -> None:
        self.name = name
        self.state = StationState.OFFLINE
        self.progress = 0
        self._on_event = on_event
        self._adopted: set[LabelId] = set()
        self._waiting: dict[LabelId, WaitingTag] = {}

    @property
    def encode(self) -> Encoder:
        """See the port."""
        return encode_picture

    def describe(self, label: LabelId) -> LabelDescription | None:
        """See the port. A tag's identity says all of it."""
        return describe(label)

    def adopt(self, label: LabelId, type_name: str) -> None:  # noqa: ARG002 - the identity says it too
        """See the port."""
        if describe(label) is not None:
            self._adopted.add(label)

    async def offer(self, label: LabelId, blob: Blob, *, urgent: bool = False) -> None:
        """See the port."""
        before = self._waiting.pop(label, None)
        if label not in self._adopted:
            raise OfferRefused(f"label {label} was not adopted")
        if self.state is not StationState.READY:
            raise OfferRefused(f"{self.name} is {self.state.value}")
        if len(self._waiting) >= OFFERS_MAX:
            raise OfferRefused(f"{OFFERS_MAX} tags wait to be printed already")
        since_s = before.since_s if before else asyncio.get_running_loop().time()
        self._waiting[label] = WaitingTag(label, blob, since_s, urgent)

    async def withdraw(self, label: LabelId) -> None:
        """See the port: refused for every tag of this station."""
        raise OfferRefused(f"label {label} is of paper: what was printed may be hung")

    async def light(self, label: LabelId, colour: Colour, seconds: float) -> None:  # noqa: ARG002
        """See the port: paper does not shine."""
        raise OfferRefused(f"label {label} has no LED")

    async def sleep(self, label: LabelId, minutes: int) -> None:  # noqa: ARG002
        """See the port: refused for every tag."""
        raise OfferRefused(f"label {label} is of paper and needs no sleep")

    async def run(self) -> None:
        """See the port."""
        self._set_state(StationState.READY, "waits for people")
        try:
            while True:
                self.progress += 1
                await asyncio.sleep(BEAT_S)
        finally:
            self._set_state(StationState.OFFLINE, "stopped")

    def waiting(self) -> list[WaitingTag]:
        """What is to be printed and hung, what a till waits for first, then the oldest."""
        return sorted(self._waiting.values(), key=lambda tag: (not tag.urgent, tag.since_s, tag.label))

    def to_print(self, label: LabelId, version: PictureVersion) -> WaitingTag | None:
        """This very print, which is about to be made; `None` when it no longer waits."""
        tag = self._waiting.get(label)
        if tag is None or tag.blob.version != version:
            return None
        self._on_event(Progress(label, version, 0, 1))
        return tag

    def scanned(self, code: ProofCode) -> None:
        """Somebody scanned this print on the shelf. Whether it is the newest one is the store's to say."""
        tag = self._waiting.get(code.label)
        if tag is not None and tag.blob.version == code.version:
            del self._waiting[code.label]
        self._on_event(Shown(code.label, code.version))

    def _set_state(self, state: StationState, detail: str) -> None:
        self.state = state
        self._on_event(StationChanged(self.name, state, detail))
