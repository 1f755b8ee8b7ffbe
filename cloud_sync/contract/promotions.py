"""What a promotion promises: one struct per kind, as the hub publishes it in `documents.Promotion.terms`.

Money in minor units, percentages whole, counts of pieces. Every kind has `Conditions`; an empty `skus` means every
product (thresholds only). A member price is a `FixedPrice` with `member_only`.
"""

from typing import Annotated, Literal

import msgspec

Sku = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Skus = Annotated[tuple[Sku, ...], msgspec.Meta(min_length=1, max_length=5000)]
Minor = Annotated[int, msgspec.Meta(ge=1, le=10**12)]
Percent = Annotated[int, msgspec.Meta(ge=1, le=100)]
Pieces = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Conditions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who gets it, and what it goes with.

    `priority`: the higher one is applied first. `stackable`: goes on top of whatever else was applied to a piece, and
    leaves it to others; else a piece counts for one promotion only. `coupon`: must be in the basket. `times_max`: how
    often in one basket, 0 for any number.
    """

    priority: Annotated[int, msgspec.Meta(ge=-1000, le=1000)] = 0
    stackable: bool = False
    coupon: Annotated[str, msgspec.Meta(max_length=64)] = ""
    member_only: bool = False
    times_max: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    text: Annotated[str, msgspec.Meta(max_length=200)] = ""


class PercentOff(Conditions, frozen=True, kw_only=True, tag_field="kind", tag="percent"):
    """So many percent off each piece or weight."""

    skus: Skus
    percent: Percent


class AmountOff(Conditions, frozen=True, kw_only=True, tag_field="kind", tag="amount"):
    """So much off each piece; of what is weighed, off each kilogram or whatever its price is for."""

    skus: Skus
    amount_minor: Minor


class FixedPrice(Conditions, frozen=True, kw_only=True, tag_field="kind", tag="price"):
    """This price instead, where it is lower."""

    skus: Skus
    price_minor: Annotated[int, msgspec.Meta(ge=0, le=10**12)]


class MultiBuy(Conditions, frozen=True, kw_only=True, tag_field="kind", tag="multi-buy"):
    """`pieces` for `price_minor`: of one product, or with `mixed` of any of them together (mix and match)."""

    skus: Skus
    pieces: Annotated[int, msgspec.Meta(ge=2, le=1000)]
    price_minor: Minor
    mixed: bool = False


class BuyGet(Conditions, frozen=True, kw_only=True, tag_field="kind", tag="buy-get"):
    """Buy `buy` pieces, get `get` more for `percent` off (100: free). The cheapest of a group are the ones got."""

    skus: Skus
    buy: Pieces
    get: Pieces
    percent: Percent = 100
    mixed: bool = False


class Threshold(Conditions, frozen=True, kw_only=True, tag_field="kind", tag="threshold"):
    """Spend `spend_minor` on `skus` (none: on anything), get `off_minor` or `percent` off them. Once per basket, unless
    `repeats` for each time that the sum is reached."""

    skus: Annotated[tuple[Sku, ...], msgspec.Meta(max_length=5000)] = ()
    spend_minor: Minor
    off_minor: Annotated[int, msgspec.Meta(ge=0, le=10**12)] = 0
    percent: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    repeats: bool = False


Terms = PercentOff | AmountOff | FixedPrice | MultiBuy | BuyGet | Threshold
KINDS: tuple[Literal["percent", "amount", "price", "multi-buy", "buy-get", "threshold"], ...] = (
    "percent", "amount", "price", "multi-buy", "buy-get", "threshold")

_decoder: msgspec.json.Decoder[Terms] = msgspec.json.Decoder(Terms)


def terms_of(kind: str, terms: bytes | msgspec.Raw) -> Terms:
    """The terms of a promotion of this kind. Raises `msgspec.MsgspecError` for what is none.

    The kind stands beside the terms in a document, and may stand in them too.
    """
    said = msgspec.json.decode(bytes(terms) or b"{}", type=dict[str, msgspec.Raw])
    said["kind"] = msgspec.Raw(msgspec.json.encode(kind))
    return _decoder.decode(msgspec.json.encode(said))
