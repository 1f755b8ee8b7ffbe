"""Money: integer minor units with an ISO 4217 currency, and how a shopper reads them (DESIGN.md section 2).

Exponents are ISO 4217's, not CLDR's: the till, the hub and the label must agree on what one minor unit is, while CLDR
rounds some currencies for display. Signs, separators and their order are CLDR's, through Babel.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency, format_decimal, get_currency_symbol, get_decimal_symbol, list_currencies

NO_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF",
     "XPF"}
)
THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})

AMOUNT_DIGITS_MAX = 15
"""Digits before the decimals; more is refused, no till and no bar code can say it."""

FORMATTED_PRICES_MAX = 16_384
"""Formatted prices kept; at the limit the least recently used is formatted again when asked for."""

FALLBACK_LANGUAGE = "en"

SIGN = "\N{CURRENCY SIGN}"
"""Where a CLDR pattern wants the currency's sign."""


class UnknownCurrency(ValueError):
    """Not an ISO 4217 code that money can be counted in."""


@dataclass(frozen=True, slots=True)
class MoneyText:
    """A price as its reader writes it, whole and in the parts a price block sets apart.

    `text` is the whole ("$1,299.99", "1.299,99 €"); `units` has its grouping; `decimals` and `separator` are empty for
    a currency without decimals; `sign_first` tells on which side the sign stands.
    """

    text: str
    sign: str
    sign_first: bool
    units: str
    separator: str
    decimals: str


def currency_exponent(currency: str) -> int:
    """Decimals of a currency's minor unit: 0, 2 or 3. Raises `UnknownCurrency`."""
    if currency in NO_DECIMALS:
        return 0
    if currency in THREE_DECIMALS:
        return 3
    if currency not in _known_currencies():
        raise UnknownCurrency(f"{currency!r} is not an ISO 4217 currency; write it as three capitals, as in EUR")
    return 2


def minor_units(amount: str | Decimal, currency: str) -> int:
    """`"3.39"` of a currency in minor units. Raises `ValueError` for what is no amount or has too many decimals."""
    exponent = currency_exponent(currency)
    try:
        parsed = Decimal(amount)
    except InvalidOperation as error:
        raise ValueError(f"{amount!r} is not an amount of money") from error
    if not parsed.is_finite() or parsed.adjusted() >= AMOUNT_DIGITS_MAX:
        raise ValueError(f"{amount!r} is not an amount of money below {AMOUNT_DIGITS_MAX + 1} digits")
    scaled = parsed.scaleb(exponent)
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} has more decimals than {currency} has")
    return int(scaled)


@lru_cache(maxsize=FORMATTED_PRICES_MAX)
def format_money(price_minor: int, currency: str, language: str) -> MoneyText:
    """A price in the reader's language (BCP 47, `es` or `es-ES`; an unknown one reads as English).

    Raises `ValueError` for a negative price and `UnknownCurrency`.
    """
    if price_minor < 0:
        raise ValueError(f"a price is not negative: {price_minor} {currency}")
    exponent = currency_exponent(currency)
    locale = _locale(language)
    amount = Decimal(price_minor).scaleb(-exponent)
    pattern = _pattern(locale, exponent)
    separator = str(get_decimal_symbol(locale)) if exponent else ""
    number = format_decimal(amount, format=pattern.replace(SIGN, "").strip(), locale=locale, decimal_quantization=False)
    units, _, decimals = number.partition(separator) if separator else (number, "", "")
    return MoneyText(
        text=format_currency(amount, currency, format=pattern, locale=locale, currency_digits=False),
        sign=str(get_currency_symbol(currency, locale)),
        sign_first=pattern.startswith(SIGN),
        units=units,
        separator=separator,
        decimals=decimals,
    )


@lru_cache(maxsize=256)
def _pattern(locale: Locale, exponent: int) -> str:
    """The language's currency pattern with exactly `exponent` decimals, without the part for negative amounts."""
    standard = str(locale.currency_formats["standard"].pattern).split(";")[0]
    decimals = "." + "0" * exponent if exponent else ""
    return "".join(char for char in standard.replace("#0.00", f"#0{decimals}") if char not in "\u200e\u200f\u061c")


@lru_cache(maxsize=256)
def _locale(language: str) -> Locale:
    """The closest locale Babel knows: as named, else the bare language, else English."""
    tag = language.replace("_", "-")
    for candidate in (tag, tag.split("-")[0], FALLBACK_LANGUAGE):
        try:
            return Locale.parse(candidate, sep="-")
        except (ValueError, UnknownLocaleError):
            continue
    raise AssertionError("Babel has no English")


@lru_cache(maxsize=1)
def _known_currencies() -> frozenset[str]:
    return frozenset(list_currencies())
