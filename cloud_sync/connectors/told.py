"""What became of an order in the store, told in the words that a commerce system needs. Pure.

Folded from the store's own facts and the hub's own words, by the contract's rules: no connector decides for itself
what a step means. Quantities outside are whole units; the contract's are thousandths.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cloud_sync.contract.documents import Order, OrderLine
from cloud_sync.contract.facts import PickupStep
from cloud_sync.contract.pickup import FINAL, HubStep, PickupState, ShortReason, Step
from cloud_sync.contract.pickup_order import Answer, Line, PickupOrder, Said, Taken, said, state_of, taken
from cloud_sync.contract.pickup_rules import complete

UNIT_MILLI = 1_000

SETTLED = FINAL | {PickupState.STAGED, PickupState.READY, PickupState.PARTIALLY_HANDED_OVER}
"""From here on what does not come is taken off the order outside: once, not again with each product that is missing."""


@dataclass(frozen=True, slots=True)
class ToldLine:
    """A line in whole units. `keep`: what the customer gets or has got, `handed`: of it, what she has got.

    `open`: what is kept for her in the store. `price_minor`: per unit. `replaces`: the line it stands for.
    """

    line: int
    sku: str
    keep: int
    handed: int
    open: int
    price_minor: int
    replaces: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An order. `settled`: what is missing can be taken off by now; `ended`: nothing more is expected of the store.

    `asks`: lines of substitutes that wait for the customer's word.
    """

    state: PickupState
    lines: tuple[ToldLine, ...]
    settled: bool
    ended: bool
    ready: bool
    asks: tuple[int, ...]

    @property
    def handed(self) -> bool:
        """Whether anything has left the store."""
        return any(line.handed for line in self.lines)


def new_order(order_id: str, lines: Iterable[OrderLine]) -> PickupOrder:
    """An order of which the store has said nothing yet."""
    return PickupOrder(order_id, tuple(
        Line(line.line, line.sku, line.quantity_milli, line.price_minor, line.may_substitute) for line in lines))


def after_step(order: PickupOrder, fact: PickupStep) -> PickupOrder:
    """The order after a step of the store. A later version's step, which nobody here knows, changes nothing."""
    if fact.step not in frozenset(Step):
        return order
    step, offer = Step(fact.step), fact.substitute
    reason = ShortReason(fact.short_reason) if fact.short_reason in frozenset(ShortReason) else None
    if step in (Step.SHORT, Step.OFFER) and (reason is None or (step is Step.OFFER and offer is None)):
        return order
    instead = Line(offer.line, offer.sku, offer.quantity_milli, offer.price_minor, replaces=offer.replaces) \
        if offer else None
    wanted = Taken(step, tuple((line.line, line.quantity_milli) for line in fact.lines), reason, instead, fact.accept,
                   fact.from_staged, fact.written_off_milli)
    return taken(order, complete(order, wanted)).order


def tell(order: PickupOrder, words: Order) -> Told:
    """What there is to tell outside, with the hub's words heard; `words`: the order as the hub has it."""
    heard = _heard(order, words)
    state = state_of(heard)
    ended, settled = state in FINAL, state in SETTLED
    return Told(
        state, tuple(_line(heard, line, ended, settled) for line in heard.lines), settled, ended,
        state is PickupState.READY,
        tuple(line.line for line in heard.lines if line.answer is Answer.OFFERED and line.is_wanted))


def open_units(lines: Sequence[ToldLine]) -> dict[str, int]:
    """SKU → units that the store keeps for this order."""
    found: dict[str, int] = {}
    for line in lines:
        found[line.sku] = found.get(line.sku, 0) + line.open
    return found


def _heard(order: PickupOrder, words: Order) -> PickupOrder:
    """Heard again, words change nothing; so it does not matter that they are heard after all steps."""
    for answer in words.answers:
        order = said(order, Said(HubStep.ANSWER, (answer.line,), accept=answer.accepted)).order
    if words.cancel_requested:
        order = said(order, Said(HubStep.REQUEST_CANCEL)).order
    elif words.cancel_lines:
        order = said(order, Said(HubStep.REQUEST_CANCEL, words.cancel_lines)).order
    if words.arrived_ms is not None:
        order = replace(order, arrived_ms=words.arrived_ms)
    return replace(order, reassigned=words.reassigned)


def _line(order: PickupOrder, line: Line, ended: bool, settled: bool) -> ToldLine:
    placed = order.progress is PickupState.PLACED and not ended
    if ended or not line.is_wanted:
        keep_milli = line.handed_milli
    elif settled:
        keep_milli = line.ordered_milli - line.short_milli
    else:
        keep_milli = 0 if line.answer is Answer.OFFERED else line.ordered_milli
    open_milli = 0 if ended or not line.is_wanted else line.ordered_milli if placed else line.open_milli
    return ToldLine(line.line, line.sku, max(keep_milli, line.handed_milli) // UNIT_MILLI,
                    line.handed_milli // UNIT_MILLI, open_milli // UNIT_MILLI, line.price_minor, line.replaces)
