"""What to do next at Vendure so that an order agrees with what the store did. Pure, and decided anew after each deed.

Nothing is remembered of deeds: Vendure's own lines, refunds and fulfilments say what was done, so a process that was
killed before, in or after one goes on where Vendure stands. The order of the questions is the order in which Vendure's
books stay right: it counts a cancelled unit of a line twice once another unit of that line was fulfilled, so what does
not come is taken off first and what left is fulfilled last.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cloud_sync.connectors.told import Told, ToldLine
from cloud_sync.connectors.vendure.records import CANCELLED, MODIFYING, PENDING, REFUND_VOID, Order, OrderLine

TRACKING_PREFIX = "trastienda "
"""How the tracking codes of our fulfilments begin; those of others are let alone."""

REASON = "not available in the store"

Units = tuple[tuple[str, int], ...]
"""(order line, units)"""


@dataclass(frozen=True, slots=True)
class Substitute:
    """A product that came instead, at the price that was promised."""

    sku: str
    units: int
    price_minor: int


@dataclass(frozen=True, slots=True)
class AskCancel:
    """Somebody cancelled at Vendure: the store is asked to. No lines: all."""

    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BeginModifying:
    """Vendure modifies orders only in this state."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Old products off and new ones on, in one modification."""

    off: Units
    on: tuple[Substitute, ...]


@dataclass(frozen=True, slots=True)
class EndModifying:
    """Back to where the order was."""


@dataclass(frozen=True, slots=True)
class TakeOff:
    """Units that do not come. `all`: nothing is left, so shipping is cancelled too."""

    off: Units
    all: bool


@dataclass(frozen=True, slots=True)
class Refund:
    """What was paid too much."""

    payment: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class SettleRefund:
    """A refund of ours that Vendure left pending, because its payment method pays nothing out by itself."""

    refund: str


@dataclass(frozen=True, slots=True)
class Fulfil:
    """Goods that left the store."""

    units: Units


@dataclass(frozen=True, slots=True)
class Deliver:
    """A fulfilment of ours that is not yet said to be delivered."""

    fulfillment: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done now; `what` is for a person."""

    what: str


Deed = AskCancel | BeginModifying | Exchange | EndModifying | TakeOff | Refund | SettleRefund | Fulfil | Deliver | Wait


@dataclass(frozen=True, slots=True)
class Case:
    """An order of Vendure's beside what the store says of it.

    `links`: our line → order line. `modifying`, `cut`: we put the order into Modifying, we took something off it.
    """

    order: Order
    told: Told
    links: Mapping[int, str]
    modifying: bool = False
    cut: bool = False
    settle_refunds: bool = False


@dataclass(frozen=True, slots=True)
class Aim:
    """One line of Vendure's: what should stay on it, what has left, and how much of it are substitutes.

    `line` is `None` for a substitute that is not on the order yet.
    """

    line: OrderLine | None
    sku: str
    keep: int
    handed: int
    substituted: int
    price_minor: int


def next_deed(case: Case) -> Deed | None:
    """`None`: the order agrees."""
    return next(_deeds(case), None)


def aims(case: Case) -> Sequence[Aim]:
    """Our lines gathered by the line of Vendure's that they are on: a substitute joins a line of its product."""
    gathered: dict[str, list[ToldLine]] = {}
    for line in case.told.lines:
        place = case.links.get(line.line) or _line_of_sku(case.order, line.sku) or f"new {line.sku}"
        gathered.setdefault(place, []).append(line)
    return [Aim(case.order.line(place), lines[0].sku, sum(line.keep for line in lines),
                sum(line.handed for line in lines), sum(line.keep for line in lines if line.replaces is not None),
                next((line.price_minor for line in lines if line.replaces is not None), lines[0].price_minor))
            for place, lines in gathered.items()]


def _deeds(case: Case) -> Iterator[Deed]:
    order, told = case.order, case.told
    if order.state == MODIFYING and not case.modifying:
        yield Wait("somebody is modifying the order at Vendure: end that there")
        return
    found = aims(case)
    yield from _cancelled_there(case, found)
    if told.settled:
        yield from _modifications(case, found)
    elif order.state == MODIFYING:
        yield EndModifying()
    if told.settled and case.cut:
        yield from _refunds(case)
    yield from _fulfilments(case, found)
    yield from _reduced_there(case, found)


def _cancelled_there(case: Case, found: Sequence[Aim]) -> Iterator[Deed]:
    """We never take off more than the store said; who did was somebody at Vendure."""
    if case.told.ended:
        return
    if case.order.state == CANCELLED:
        if any(aim.keep > aim.handed for aim in found):
            yield AskCancel()
        return
    by_line = {line_id: number for number, line_id in case.links.items()}
    gone = tuple(sorted(by_line[aim.line.id] for aim in found if aim.line is not None and aim.line.id in by_line
                        and aim.line.quantity == 0 and not aim.substituted and aim.keep > aim.handed))
    if gone:
        yield AskCancel(gone)


def _reduced_there(case: Case, found: Sequence[Aim]) -> Iterator[Deed]:
    """Part of a line cannot be cancelled in the store: a person tells it."""
    for aim in () if case.told.ended else found:
        if aim.line is not None and 0 < aim.line.quantity < aim.keep - aim.substituted:
            yield Wait(f"{aim.sku} was reduced to {aim.line.quantity} at Vendure, which the store cannot be told: "
                       "tell it, and have it hand over no more")


def _modifications(case: Case, found: Sequence[Aim]) -> Iterator[Deed]:
    order = case.order
    fulfilled = order.fulfilled
    off = tuple((aim.line.id, units) for aim in found if aim.line is not None and (
        units := min(aim.line.quantity - aim.keep, aim.line.quantity - fulfilled.get(aim.line.id, 0))) > 0)
    on = tuple(Substitute(aim.sku, units, aim.price_minor) for aim in found if (
        units := min(aim.keep - (aim.line.quantity if aim.line else 0), aim.substituted)) > 0)
    if on and order.state != CANCELLED:
        yield Exchange(off, on) if order.state == MODIFYING else BeginModifying()
    if order.state == MODIFYING:
        yield EndModifying()
    if off:
        left = sum(line.quantity for line in order.lines) - sum(units for _, units in off)
        yield TakeOff(off, all=left == 0)


def _refunds(case: Case) -> Iterator[Deed]:
    payments = case.order.payments or ()
    too_much = sum(payment.left for payment in payments) - case.order.total_with_tax
    for payment in sorted(payments, key=lambda one: -one.left):
        if too_much > 0 and payment.left > 0:
            yield Refund(payment.id, min(too_much, payment.left))
    if case.settle_refunds:
        for payment in payments:
            yield from (SettleRefund(refund.id) for refund in payment.refunds
                        if refund.state == PENDING and refund.state not in REFUND_VOID
                        and (refund.reason or "").startswith(REASON))


def _fulfilments(case: Case, found: Sequence[Aim]) -> Iterator[Deed]:
    order = case.order
    fulfilled = order.fulfilled
    for fulfillment in order.fulfillments or ():
        if fulfillment.state == PENDING and (fulfillment.tracking_code or "").startswith(TRACKING_PREFIX):
            yield Deliver(fulfillment.id)
    left = [(aim, aim.handed - fulfilled.get(aim.line.id if aim.line else "", 0)) for aim in found]
    if order.state == CANCELLED:
        if any(units > 0 for _, units in left):
            yield Wait("goods left the store although the order is cancelled at Vendure: charge them, or get them back")
        return
    units = tuple((aim.line.id, min(number, aim.line.quantity - fulfilled.get(aim.line.id, 0)))
                  for aim, number in left if aim.line is not None and number > 0)
    if wanted := tuple((line, number) for line, number in units if number > 0):
        yield Fulfil(wanted)
    for aim, number in left:
        if number > 0 and (aim.line is None or aim.line.quantity < aim.handed):
            yield Wait(f"the store handed over more of {aim.sku} than is on the order at Vendure: charge it, or get it "
                       "back")


def _line_of_sku(order: Order, sku: str) -> str | None:
    """The first line of a product, which is where Vendure puts more of it."""
    return next((line.id for line in order.lines if line.product_variant.sku == sku), None)
