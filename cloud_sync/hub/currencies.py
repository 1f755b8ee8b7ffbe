"""Decimal text → minor units, exactly. ISO 4217 decides how many decimals a currency has."""

import re
from decimal import Decimal

from cloud_sync.hub.limits import MINOR_MAX

_DECIMALS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF",
                     "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_DECIMALS_USUAL = 2
_AMOUNT = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")


class BadAmount(ValueError):
    """Why a text is no price; `str()` continues a sentence that begins with "price"."""


def minor_units(text: str, currency: str) -> int:
    """`4.96` USD → 496. Raises `BadAmount` for anything that is not a plain, exact amount."""
    if not text:
        raise BadAmount("is empty")
    if not _AMOUNT.fullmatch(text):
        hint = ": write decimals with a point" if "," in text else ""
        raise BadAmount(f"{text[:50]!r} is not a decimal number like 4.96{hint}")
    decimals = _DECIMALS.get(currency, _DECIMALS_USUAL)
    amount = Decimal(text).scaleb(decimals)
    if amount != amount.to_integral_value():
        raise BadAmount(f"{text} has more than {decimals} decimals, which {currency} does not have")
    if amount > MINOR_MAX:
        raise BadAmount(f"{text} is beyond {MINOR_MAX} minor units")
    return int(amount)
