"""The makers whose Bluetooth labels are known; a new one is a dialect and a line here."""

from collections.abc import Container

from drivers.ble.dialect import Dialect
from drivers.gicisky import picture_codec as gicisky
from drivers.gicisky.session import GiciskyDialect
from drivers.port import Blob, Encoder, LabelDescription, Picture
from drivers.zhsunyco import picture_codec as zhsunyco
from drivers.zhsunyco.session import EasyTagDialect

_ENCODERS: dict[str, Encoder] = {gicisky.MAKER: gicisky.encode_picture, zhsunyco.MAKER: zhsunyco.encode_picture}


def dialects(makers: Container[str] = frozenset(_ENCODERS)) -> tuple[Dialect, ...]:
    """One of each of these makers."""
    known: tuple[Dialect, ...] = (GiciskyDialect(), EasyTagDialect())
    return tuple(each for each in known if each.maker in makers)


def encode_picture(description: LabelDescription, picture: Picture) -> Blob:
    """The picture as the label's maker has it. Raises `ValueError` for a type of no maker that is known."""
    maker = description.type_name.partition(":")[0]
    encoder = _ENCODERS.get(maker)
    if encoder is None:
        raise ValueError(f"{description.type_name!r} is no Bluetooth label type; makers are {', '.join(_ENCODERS)}")
    return encoder(description, picture)
