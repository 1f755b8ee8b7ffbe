"""What makers of Bluetooth labels differ in: how one advertises, what a picture is in bytes, how it is delivered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bleak import BleakClient

from drivers.port import Blob, Colour, LabelDescription, LabelId


@dataclass(frozen=True, slots=True)
class Advertisement:
    """What a label called out. `address`: lower case with colons; `manufacturer_data` by company id."""

    address: str
    name: str | None
    manufacturer_data: Mapping[int, bytes]
    service_uuids: tuple[str, ...]
    rssi_dbm: int


@dataclass(frozen=True, slots=True)
class Heard:
    """An advertisement understood. `type_name` is `None` when the label does not say (or nobody knows) its type."""

    type_name: str | None
    battery_mv: int | None = None


class DeliveryFailed(Exception):
    """The label did not take the picture; says why, and at which step. It may show it later."""


PartAsked = Callable[[int, int], None]
"""Told `part` (from 0) and `parts` of the picture whenever the label asks for one, or is sent one."""


class Dialect(Protocol):
    """One maker's labels. Has no state: everything about a label is in its description's `type_name`."""

    @property
    def maker(self) -> str:
        """First part of its type names: `gicisky` of `gicisky:012b/lines`."""
        ...

    @property
    def service_uuids(self) -> tuple[str, ...]:
        """What its labels offer when connected: by these a connection that an earlier run left behind is found."""
        ...

    def hear(self, advertisement: Advertisement) -> Heard | None:
        """What the advertisement says; `None` when it is not this maker's. Never raises, whatever was received."""
        ...

    def describe(self, label: LabelId, type_name: str) -> LabelDescription | None:
        """Geometry, colours and settle time of a type; `None` when it is unknown."""
        ...

    async def deliver(self, client: BleakClient, label: LabelDescription, blob: Blob, asked: PartAsked) -> None:
        """Give a connected label the picture; returns once the label proved it. Raises `DeliveryFailed`.

        What bleak raises passes through. The caller connects before and disconnects after.
        """
        ...

    async def light(self, client: BleakClient, label: LabelDescription, colour: Colour, seconds: float) -> None:
        """Flash a connected label's LED. Raises `DeliveryFailed` where the maker's labels have none."""
        ...
