"""The web address in a label's QR code, which also says what price was printed (GS1 Digital Link; retail.md 1.9, 4.1).

The address names the item (GS1 AI 01) and carries the printed price as AI 392n, "amount payable": `n` is the number
of decimals, so 3922 for euro and dollar, 3920 for yen, 3923 for dinar. It travels in the query, where attributes that
do not identify the item belong. GS1 means 392n for variable-measure items, where the amount is what this one unit
costs; a shelf price is just that, and 392n is the one identifier that reads as an amount without naming a currency,
which a shelf needs no more than a paper tag does. So an auditor's phone, a staff handheld or a camera reads from the
picture alone which price stood on the shelf, and a resolver that does not know the attribute ignores it.

An item without a GTIN has no GS1 key we may mint; it gets an address of our own, `/s/<sku>`, with the same attribute.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from edge.domain.barcode import canonical
from edge.domain.money import currency_exponent

_PRICE = re.compile(r"392(\d)=(\d{1,15})")
_GTIN14 = re.compile(r"/01/(\d{14})")
_SKU = re.compile(r"/s/([^/]+)")


@dataclass(frozen=True, slots=True)
class PrintedPrice:
    """What a label's QR code says: the item by GTIN-14 or else by SKU, and the price with its number of decimals."""

    gtin: str | None
    sku: str | None
    price_minor: int
    decimals: int


def digital_link(domain: str, gtin: str, price_minor: int, currency: str) -> str:
    """`https://<domain>/01/<gtin14>?392n=<price in minor units>`. Raises `UnknownCurrency`."""
    return f"https://{domain}/01/{canonical(gtin)}?{_price(price_minor, currency)}"


def sku_link(domain: str, sku: str, price_minor: int, currency: str) -> str:
    """`https://<domain>/s/<sku>?392n=<price in minor units>`, for an item without a GTIN. Raises `UnknownCurrency`."""
    return f"https://{domain}/s/{quote(sku, safe='')}?{_price(price_minor, currency)}"


def shelf_link(domain: str, sku: str, gtin: str | None, price_minor: int, currency: str) -> str:
    """The address for an item's label: by GTIN when it has one, else by SKU."""
    if gtin is not None:
        return digital_link(domain, gtin, price_minor, currency)
    return sku_link(domain, sku, price_minor, currency)


def read_link(link: str) -> PrintedPrice | None:
    """What a scanned shelf address says, `None` when it is none of ours. The inverse of `shelf_link`."""
    try:
        address = urlsplit(link)
    except ValueError:
        return None
    price = _PRICE.fullmatch(address.query)
    gtin, sku = _GTIN14.fullmatch(address.path), _SKU.fullmatch(address.path)
    if price is None or not (gtin or sku):
        return None
    return PrintedPrice(
        gtin=gtin[1] if gtin else None,
        sku=unquote(sku[1]) if sku else None,
        price_minor=int(price[2]),
        decimals=int(price[1]),
    )


def _price(price_minor: int, currency: str) -> str:
    return f"392{currency_exponent(currency)}={price_minor}"
