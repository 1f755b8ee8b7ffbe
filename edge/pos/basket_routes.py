"""`POST /v1/baskets/price`: the whole receipt for what is in a basket (DESIGN.md section 8)."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from edge.domain.barcode import CODE_LENGTH_MAX
from edge.domain.basket import BasketLine, PricedBasket, ReceiptLine, Rules, price_basket
from edge.domain.promotion import Applied, PricedLine
from edge.errors import Rejected
from edge.limits import BASKET_LINES_MAX, BASKET_PIECES_MAX, KEY_CHARACTERS_MAX
from edge.pos.app import Handler, body_of, json_response
from edge.prices.price_desk import PriceDesk, Sold
from edge.prices.promotion_book import kind_of
from edge.store import Store

_QUANTITY_MILLI_MAX = BASKET_PIECES_MAX * 1000


class BasketLineIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line: `code` as scanned, or `sku`. Quantity in thousandths; below nothing for what is brought back."""

    line: Annotated[int, msgspec.Meta(ge=0, le=2**31)]
    code: Annotated[str, msgspec.Meta(max_length=CODE_LENGTH_MAX)] = ""
    sku: Annotated[str, msgspec.Meta(max_length=KEY_CHARACTERS_MAX)] = ""
    quantity_milli: Annotated[int, msgspec.Meta(ge=-_QUANTITY_MILLI_MAX, le=_QUANTITY_MILLI_MAX)] = 1000


class BasketIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body. `member`: the customer showed a card; whose, the store need not know."""

    lines: Annotated[list[BasketLineIn], msgspec.Meta(max_length=BASKET_LINES_MAX)]
    coupons: Annotated[list[Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(max_length=50)] = []
    member: bool = False


class ReceiptLineOut(msgspec.Struct, frozen=True):
    """A line of the receipt. `list_price_minor` above `unit_minor`: the shelf may still show less (`held_low`)."""

    line: int
    sku: str
    name: str
    quantity_milli: int
    unit_minor: int
    list_price_minor: int
    price_version: str
    held_low: bool
    gross_minor: int
    off_minor: int
    net_minor: int
    deposit_minor: int
    tax_class: str


class AppliedOut(msgspec.Struct, frozen=True):
    """A promotion and why: which one, how often, and what it took off which line."""

    promotion: str
    version: int
    kind: str
    text: str
    times: int
    off_minor: int
    lines: dict[int, int]


class TaxOut(msgspec.Struct, frozen=True):
    """One rate, in hundredths of a percent: what is taxed, without the tax, and the tax."""

    tax_class: str
    basis_points: int
    taxed_minor: int
    tax_minor: int


class ReceiptOut(msgspec.Struct, frozen=True):
    """The receipt. `unknown`: lines whose code means nothing here or that have no price; they are in no sum.

    `coupons_unused`: no promotion asked for them, or it did not apply. `p3`: no line is above what its shelf may show.
    """

    currency: str
    lines: list[ReceiptLineOut]
    promotions: list[AppliedOut]
    taxes: list[TaxOut]
    deposits_minor: int
    total_minor: int
    cash_minor: int
    unknown: list[int]
    coupons_unused: list[str]
    p3: bool


class BasketDesk:
    """Prices baskets."""

    def __init__(self, store: Store, prices: PriceDesk) -> None:
        self._store = store
        self._prices = prices

    def price(self, body: BasketIn) -> ReceiptOut:
        """Raises `Rejected` for what is no basket: a line number twice, or more pieces than anybody carries."""
        if len({line.line for line in body.lines}) < len(body.lines):
            raise Rejected("two lines of the basket have the same number")
        if sum(abs(line.quantity_milli) for line in body.lines) > _QUANTITY_MILLI_MAX:
            raise Rejected(f"a basket has at most {BASKET_PIECES_MAX} pieces")
        skus = {line.line: line.sku or self._prices.sku_of(line.code) for line in body.lines}
        sold = self._prices.sold(set(skus.values()))
        lines = [_basket_line(line, sold[skus[line.line]]) for line in body.lines if skus[line.line] in sold]
        coupons = frozenset(body.coupons)
        promotions = self._prices.promotions.active_for(sold)
        basket = price_basket(lines, promotions, coupons, self._rules(), member=body.member)
        unused = coupons - {one.promotion.terms.coupon for one in basket.applied}
        unknown = [line.line for line in body.lines if skus[line.line] not in sold]
        return self._receipt(basket, sold, unknown, sorted(unused))

    def _rules(self) -> Rules:
        policy = self._store.policy
        return Rules(self._store.identity.currency, {rate.tax_class: rate.basis_points for rate in policy.taxes},
                     policy.prices_include_tax, policy.cash_step_minor)

    def _receipt(self, basket: PricedBasket, sold: Mapping[str, Sold], unknown: list[int],
                 coupons_unused: list[str]) -> ReceiptOut:
        printed = [_printed(line, sold[line.sku]) for line in basket.lines]
        taxes = [TaxOut(tax.tax_class, tax.basis_points, tax.taxed_minor, tax.tax_minor) for tax in basket.taxes]
        return ReceiptOut(self._store.identity.currency, printed, [_applied(one) for one in basket.applied], taxes,
                          basket.deposits_minor, basket.total_minor, basket.cash_minor, unknown, coupons_unused,
                          all(each.quote.p3 for each in sold.values()))


def _basket_line(line: BasketLineIn, sold: Sold) -> BasketLine:
    priced = PricedLine(line.line, sold.quote.sku, line.quantity_milli, sold.quote.charge_minor)
    return BasketLine(priced, sold.tax_class, sold.deposit_minor)


def _printed(line: ReceiptLine, sold: Sold) -> ReceiptLineOut:
    quote = sold.quote
    return ReceiptLineOut(line.line, line.sku, quote.name, line.quantity_milli, line.unit_minor, quote.list_price_minor,
                          quote.price_version, quote.held_low, line.gross_minor, line.off_minor, line.net_minor,
                          line.deposit_minor, sold.tax_class)


def _applied(one: Applied) -> AppliedOut:
    promotion = one.promotion
    return AppliedOut(promotion.id, promotion.version, kind_of(promotion.terms), promotion.terms.text, one.times,
                      one.total_minor, dict(one.off_minor))


def basket_handlers(desk: BasketDesk) -> Mapping[str, Handler]:
    """The handler of baskets, by its name in `edge.pos.access.RULES`."""
    decoder = msgspec.json.Decoder(BasketIn)

    async def price(request: Request) -> Response:
        return json_response(desk.price(decoder.decode(await body_of(request))))

    return {"price_basket": price}
