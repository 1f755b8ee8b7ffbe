"""What a label in software is to `bluetooth.VirtualAir`, and the makers' labels as such."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from drivers.port import LabelId
from drivers.virtual.easytag_label import VirtualEasyTag
from drivers.virtual.gicisky_label import VirtualGiciskyLabel

Services = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Service UUID → characteristic UUID → properties, in bleak's words."""

ANSWER_S = 0.002


@dataclass(frozen=True, slots=True)
class Advertised:
    """What a label calls out."""

    name: str = ""
    manufacturer_data: Mapping[int, bytes] = field(default_factory=dict)
    service_uuids: tuple[str, ...] = ()


class BluetoothLabel(Protocol):
    """A GATT server as a state machine over bytes. `answer_s`: from a write to the notification it causes."""

    address: LabelId
    answer_s: float
    services: Services

    @property
    def powered(self) -> bool: ...

    @property
    def advertised(self) -> Advertised: ...

    def written(self, characteristic: str, data: bytes) -> list[tuple[str, bytes]]:
        """A write; returns what is notified, as characteristic and bytes."""
        ...

    def read(self, characteristic: str) -> bytes: ...

    def disconnected(self) -> None: ...


@dataclass
class GiciskyOnAir:
    """A Gicisky label with its two characteristics (esl.md 3.2)."""

    label: VirtualGiciskyLabel
    answer_s: float = ANSWER_S

    @property
    def address(self) -> LabelId:
        return self.label.address

    @property
    def powered(self) -> bool:
        return self.label.powered

    @property
    def services(self) -> Services:
        return {self.label.service_uuid: {self.label.command_uuid: ("write", "notify"),
                                          self.label.image_uuid: ("write-without-response",)}}

    @property
    def advertised(self) -> Advertised:
        return Advertised(self.label.name, self.label.manufacturer_data)

    def written(self, characteristic: str, data: bytes) -> list[tuple[str, bytes]]:
        command = characteristic == self.label.command_uuid
        answers = self.label.command(data) if command else self.label.image_write(data)
        return [(self.label.command_uuid, answer) for answer in answers]

    def read(self, characteristic: str) -> bytes:
        del characteristic
        return b""

    def disconnected(self) -> None:
        self.label.disconnected()


@dataclass
class EasyTagOnAir:
    """An easyTag label with its two characteristics (esl.md 4.1)."""

    label: VirtualEasyTag
    answer_s: float = ANSWER_S

    @property
    def address(self) -> LabelId:
        return self.label.address

    @property
    def powered(self) -> bool:
        return self.label.powered

    @property
    def services(self) -> Services:
        return {self.label.service_uuid: {self.label.write_uuid: ("write",), self.label.notify_uuid: ("notify",)}}

    @property
    def advertised(self) -> Advertised:
        return Advertised(service_uuids=(self.label.service_uuid,))

    def written(self, characteristic: str, data: bytes) -> list[tuple[str, bytes]]:
        del characteristic
        return [(self.label.notify_uuid, answer) for answer in self.label.write(data)]

    def read(self, characteristic: str) -> bytes:
        del characteristic
        return b""

    def disconnected(self) -> None:
        self.label.disconnected()
