"""An easyTag label in software: bytes written to it, bytes it notifies, a panel (esl.md 4.1).

Written from there; checksum and scrambling are the driver's, which the published vectors prove, the order of things is
its own. Knows no radio: whoever puts it on the air calls `write`, notifies what it returns, and calls `disconnected`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from drivers.port import Colour, LabelId, Picture
from drivers.zhsunyco import easytag
from drivers.zhsunyco.easytag import BadFrame, Command, Header
from drivers.zhsunyco.picture_codec import LabelType


@dataclass
class LabelFaults:
    """What is wrong with a label; may be changed at any time. Packets count from 1."""

    never_notifies: bool = False
    loses: set[int] = field(default_factory=set)
    """Packets that it never gets, the link's acknowledgement notwithstanding."""
    notifies_after: int | None = None
    """Notifies after this packet already, as if it were through."""
    noise: bytes | None = None
    """Notified after every write."""


@dataclass(frozen=True, slots=True)
class ScreenChange:
    """The panel changed."""

    at_s: float
    picture: Picture | None
    """`None` when what was sent cannot be drawn."""


class VirtualEasyTag:
    """One label. `now` is the clock that its panel refreshes by; `refresh_s` the time from its word to the picture."""

    service_uuid = easytag.SERVICE_UUID
    write_uuid = easytag.WRITE_UUID
    notify_uuid = easytag.NOTIFY_UUID
    name = "easyTag"

    def __init__(self, address: LabelId, label_type: LabelType, now: Callable[[], float], *, battery_mv: int = 3000,
                 temperature_c: int = 21, refresh_s: float = 0.0, faults: LabelFaults | None = None) -> None:
        self.address = address
        self.label_type = label_type
        self.battery_mv = battery_mv
        self.temperature_c = temperature_c
        self.refresh_s = refresh_s
        self.faults = faults or LabelFaults()
        self.powered = True
        self.bad_frames = 0
        self._now = now
        self._screen: list[ScreenChange] = []
        self._header: Header | None = None
        self._received: dict[int, bytes] = {}
        self._address = bytes.fromhex(address.replace(":", ""))

    @property
    def history(self) -> list[ScreenChange]:
        """Everything that the panel has shown until now, the oldest first."""
        return [change for change in self._screen if change.at_s <= self._now()]

    @property
    def coming(self) -> ScreenChange | None:
        """The newest picture that it took, on the panel or about to be."""
        return self._screen[-1] if self._screen else None

    @property
    def picture(self) -> Picture | None:
        """What stands on the panel now; `None` while blank or rubbish."""
        history = self.history
        return history[-1].picture if history else None

    def write(self, wire: bytes) -> list[bytes]:
        """A write to the write characteristic; returns what is notified."""
        if not self.powered:
            return []
        try:
            said = self._take_header(wire) if len(wire) == easytag.HEADER_BYTES else self._take_packet(wire)
        except BadFrame:
            self.bad_frames += 1
            said = []
        return said if self.faults.noise is None else [self.faults.noise, *said]

    def disconnected(self) -> None:
        """The connection is gone, and with it what was being sent."""
        self._header = None
        self._received.clear()

    def cut_power(self) -> None:
        """The battery is out: what it was drawing is never seen."""
        self.powered = False
        self._screen = self.history
        self.disconnected()

    def restore_power(self) -> None:
        """The battery is back."""
        self.powered = True

    def _take_header(self, wire: bytes) -> list[bytes]:
        self.disconnected()
        key = easytag.image_key(self._address, self.label_type.type_id)
        self._header = easytag.read_header(easytag.scrambled_header(wire, key))
        return []

    def _take_packet(self, wire: bytes) -> list[bytes]:
        header = self._header
        if header is None:
            raise BadFrame("a packet without a header")
        key = easytag.image_key(self._address, self.label_type.type_id)
        number, data = easytag.read_packet(easytag.scrambled(wire, key))
        if number not in self.faults.loses:
            self._received[number] = data
        if number == self.faults.notifies_after:
            return [self._word()]
        if set(self._received) != set(range(1, header.packet_count + 1)):
            return []
        if header.command is Command.IMAGE:
            payload = b"".join(self._received[each] for each in sorted(self._received))[: header.payload_bytes]
            self._screen.append(ScreenChange(self._now() + self.refresh_s, self._drawn(payload)))
        self.disconnected()
        return [] if self.faults.never_notifies else [self._word()]

    def _word(self) -> bytes:
        temperature = self.temperature_c.to_bytes(1, "big", signed=True)
        plain = (bytes((0xFF, 0xF0, self.battery_mv // 100)) + temperature).ljust(easytag.NOTIFICATION_BYTES, b"\0")
        return easytag.scrambled(plain, easytag.notification_key(self._address))

    def _drawn(self, payload: bytes) -> Picture | None:
        width, height = self.label_type.width, self.label_type.height
        try:
            sections = easytag.read_image_payload(payload)
        except BadFrame:
            return None
        if [section[:2] for section in sections] != [(width, height)] * (1 + (Colour.RED in self.label_type.colours)):
            return None
        pixels = np.zeros((height, width), np.uint8)
        for colour, (_, _, plane) in zip((Colour.BLACK, Colour.RED), sections, strict=False):
            ink = np.unpackbits(np.frombuffer(plane, np.uint8)).reshape(-1, easytag.padded(width))
            pixels[ink[:height, :width] == 1] = colour
        return Picture(width, height, pixels.tobytes())
