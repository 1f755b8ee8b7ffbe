"""One Gicisky label over one connection: `GiciskyDialect`, what a Bluetooth station needs of this maker.

Source: esl.md 3.1 to 3.3. The label asks for the parts, and only its `05 08`, after it was given every one of them, is
proof. Its panel begins to change then, so the picture stands up to the type's `settle_s` later.
"""

import asyncio
from collections import Counter, deque
from typing import TypeVar

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic

from drivers.ble.dialect import Advertisement, DeliveryFailed, Heard, PartAsked
from drivers.gicisky import codec
from drivers.gicisky.codec import (
    Announced,
    BadFrame,
    BlockSize,
    Complete,
    LabelReport,
    Notice,
    PartWanted,
    StreamFormat,
)
from drivers.gicisky.picture_codec import (
    MAKER,
    label_type_named,
    type_name_heard,
    version_of,
)
from drivers.port import Blob, Colour, LabelDescription, LabelId

AFTER_SUBSCRIBE_S = 1.0  # labels are not ready at once (3.3)
NOTIFY_TIMEOUT_S = 5.0
PART_ASKS_MAX = 2  # the third time that a label asks for the same part it is stuck
DELIVERY_S_MAX = 30.0  # and longer for a long stream:
SLOWEST_BYTES_PER_S = 500  # a sixth of what uncompressed pictures take (3.7)
NOTICES_WAITING_MAX = 16  # an honest label has one
SERVICE_PREFIX = "0000f"

_N = TypeVar("_N", bound=Notice)


class GiciskyDialect:
    """See `drivers.ble.dialect.Dialect`. `after_subscribe_s`, `notify_timeout_s`: waits of a test are shorter."""

    maker = MAKER
    service_uuids = (codec.SERVICE_UUID,)

    def __init__(
        self, *, after_subscribe_s: float = AFTER_SUBSCRIBE_S, notify_timeout_s: float = NOTIFY_TIMEOUT_S
    ) -> None:
        self._after_subscribe_s = after_subscribe_s
        self._notify_timeout_s = notify_timeout_s

    def hear(self, advertisement: Advertisement) -> Heard | None:
        """See the dialect (3.1)."""
        try:
            report = LabelReport.from_bytes(advertisement.manufacturer_data.get(codec.COMPANY_ID, b""))
        except BadFrame:
            return None
        return Heard(type_name_heard(report), report.battery_mv)

    def describe(self, label: LabelId, type_name: str) -> LabelDescription | None:
        """See the dialect."""
        try:
            label_type, stream_format = label_type_named(type_name)
        except ValueError:
            return None
        return label_type.describe(label, stream_format)

    async def deliver(self, client: BleakClient, label: LabelDescription, blob: Blob, asked: PartAsked) -> None:
        """See the dialect. Also raises `DeliveryFailed` when the picture was encoded for another type than the label's:
        it would prove what cannot be read on it."""
        short = _announced_shortly(label, blob)
        command, image = _characteristics(client)
        line = _Line(client, command, image, self._notify_timeout_s)
        limit_s = DELIVERY_S_MAX + len(blob.payload) / SLOWEST_BYTES_PER_S
        try:
            async with asyncio.timeout(limit_s) as limit:
                await line.subscribe(self._after_subscribe_s)
                part_bytes = await _agreed_part_bytes(line, len(blob.payload), short)
                await _give(line, blob.payload, part_bytes, asked)
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeliveryFailed(f"not complete within {limit_s:.0f} s") from None

    async def light(self, client: BleakClient, label: LabelDescription, colour: Colour, seconds: float) -> None:
        """Raises `DeliveryFailed`: no light of these labels is documented."""
        del client, colour, seconds
        raise DeliveryFailed(f"{label.type_name}: these labels have no light that is documented")


class _Line:
    """A connected label: what is written to it, and what it notifies. Rubbish between notifications is skipped."""

    def __init__(
        self,
        client: BleakClient,
        command: BleakGATTCharacteristic,
        image: BleakGATTCharacteristic,
        notify_timeout_s: float,
    ) -> None:
        self._client = client
        self._command = command
        self._image = image
        self._notify_timeout_s = notify_timeout_s
        self._heard: deque[bytes] = deque(maxlen=NOTICES_WAITING_MAX)
        self._news = asyncio.Event()

    @property
    def write_bytes_max(self) -> int:
        """Longest write to the image characteristic that the connection carries."""
        return self._image.max_write_without_response_size

    async def subscribe(self, settle_s: float) -> None:
        """From here on everything that the label notifies is heard."""
        await self._client.start_notify(self._command, self._on_notify)
        await asyncio.sleep(settle_s)

    async def command(self, command: bytes, *answers: type[_N]) -> _N:
        """Send a command and wait for its answer. Raises `DeliveryFailed` when none comes in time."""
        self._heard.clear()
        await self._client.write_gatt_char(self._command, command, response="write" in self._command.properties)
        return await self.answer(f"to command {command[0]:02x}", *answers)

    async def part(self, part: int, data: bytes) -> PartWanted | Complete:
        """Give the label a part and hear what it wants next. Raises `DeliveryFailed`."""
        self._heard.clear()
        await self._client.write_gatt_char(self._image, codec.part_write(part, data), response=False)
        return await self.answer(f"to part {part}", PartWanted, Complete)

    async def answer(self, to_what: str, *answers: type[_N]) -> _N:
        """The next notification of these kinds. Raises `DeliveryFailed` when none comes in time."""
        try:
            async with asyncio.timeout(self._notify_timeout_s):
                while True:
                    while self._heard:
                        notice = _understood(self._heard.popleft())
                        if isinstance(notice, answers):
                            return notice
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise DeliveryFailed(f"no answer {to_what} within {self._notify_timeout_s:g} s") from None

    def _on_notify(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        self._heard.append(bytes(data))
        self._news.set()


def _understood(payload: bytes) -> Notice | None:
    try:
        return codec.notice_from_bytes(payload)
    except BadFrame:
        return None


def _announced_shortly(label: LabelDescription, blob: Blob) -> bool:
    """Whether the label wants the short `02` for this picture (3.3). Raises `DeliveryFailed` when it is not for it."""
    if version_of(label.type_name, blob.payload) != blob.version:
        raise DeliveryFailed(f"the picture was not encoded for {label.type_name}")
    label_type, stream_format = label_type_named(label.type_name)
    return label_type.short_announcement and stream_format is StreamFormat.CHUNKS


def _characteristics(client: BleakClient) -> tuple[BleakGATTCharacteristic, BleakGATTCharacteristic]:
    """For commands and for images: the two lowest of the maker's services, whatever their numbers are (3.2)."""
    found = sorted(
        (
            characteristic
            for service in client.services
            if service.uuid.lower().startswith(SERVICE_PREFIX)
            for characteristic in service.characteristics
        ),
        key=lambda characteristic: (characteristic.uuid.lower(), characteristic.handle),
    )
    if len(found) < 2:
        raise DeliveryFailed("the label has no characteristics for commands and images")
    return found[0], found[1]


async def _agreed_part_bytes(line: _Line, stream_bytes: int, short: bool) -> int:
    """Tells the label what is coming; returns how much of it goes into one part. Raises `DeliveryFailed`."""
    block = await line.command(codec.ask_block_size(), BlockSize)
    part_bytes = min(block.block_bytes, line.write_bytes_max, codec.BLOCK_BYTES_MAX) - codec.PART_HEADER_BYTES
    if part_bytes < 1:
        raise DeliveryFailed(f"the label takes writes of {block.block_bytes} bytes, the line {line.write_bytes_max}")
    answer = await line.command(codec.announce(stream_bytes, short=short), Announced)
    if answer.status != codec.STATUS_OK:
        raise DeliveryFailed(f"the label refuses a stream of {stream_bytes} bytes: status {answer.status:#04x}")
    return part_bytes


async def _give(line: _Line, stream: bytes, part_bytes: int, asked: PartAsked) -> None:
    """Gives the label the parts that it asks for, in its order, until it is complete. Raises `DeliveryFailed`."""
    parts = -(-len(stream) // part_bytes)
    asks: Counter[int] = Counter()
    wanted = await line.command(codec.start(), PartWanted, Complete)
    while isinstance(wanted, PartWanted):
        part = min(wanted.part, parts)
        asks[part] += 1
        if asks[part] > PART_ASKS_MAX:
            raise DeliveryFailed(f"the label asks for part {wanted.part} of {parts} again and again")
        if part == parts:  # it has all of them, and has yet to say so
            wanted = await line.answer("to the last part", PartWanted, Complete)
            continue
        asked(part, parts)
        wanted = await line.part(part, stream[part * part_bytes : (part + 1) * part_bytes])
    given = sum(1 for part in asks if part < parts)
    if given < parts:
        raise DeliveryFailed(f"the label says it is complete after {given} of {parts} parts")
