"""Bar codes and QR codes as modules, one array element each; scaling to pixels is the canvas's business.

zxing-cpp makes them, and reads them again in the tests. An item's bars do not change with its price, so they are kept.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import zxingcpp

from edge.labels.elements import CorrectionLevel

Modules = npt.NDArray[np.bool_]
"""True where a module is dark."""

SYMBOLS_MAX = 4_096
"""Symbols kept of each kind; at the limit the least recently used is made again when asked for."""

EAN_GUARD_MODULES = {13: (0, 3, 45, 50, 92, 95), 8: (0, 3, 31, 36, 64, 67)}
"""By digits: start and end of the left, centre and right guard bars (GS1 General Specifications 5.2.1)."""

EAN_QUIET_MODULES = {13: (11, 7), 8: (7, 7)}
"""By digits: the quiet zone left and right of the bars (GS1 General Specifications 5.2.3.4)."""

QR_QUIET_MODULES = 4
"""On every side (ISO/IEC 18004, 6.3.8)."""

QR_LEVELS: tuple[CorrectionLevel, ...] = ("H", "Q", "M", "L")
"""Strongest error correction first."""


@lru_cache(maxsize=SYMBOLS_MAX)
def ean_modules(digits: str) -> Modules:
    """The bars of 8 or 13 digits (check digit included and right), one row of 67 or 95 modules."""
    kind = zxingcpp.BarcodeFormat.EAN13 if len(digits) == 13 else zxingcpp.BarcodeFormat.EAN8
    image = zxingcpp.create_barcode(digits, kind).to_image(scale=1, add_hrt=False, add_quiet_zones=False)
    row: Modules = np.asarray(image)[0] == 0
    return row


@lru_cache(maxsize=SYMBOLS_MAX)
def qr_modules(text: str, level: CorrectionLevel) -> Modules:
    """A square QR code without its quiet zone; no modules at all when the text is too long for any."""
    try:
        symbol = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level=level)
    except ValueError:
        return np.zeros((0, 0), np.bool_)
    modules: Modules = np.asarray(symbol.to_image(scale=1, add_hrt=False, add_quiet_zones=False)) == 0
    return modules


def scaled(modules: Modules, pixels: int) -> Modules:
    """Every module as `pixels` × `pixels`."""
    return modules.repeat(pixels, axis=0).repeat(pixels, axis=1) if pixels > 1 else modules
