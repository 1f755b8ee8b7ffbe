"""Who may ask for which step now, and for how much (retail.md 2.4). A refusal is a text for a person.

Refusals hold for requests only: what happened is applied by `pickup_order.taken` whatever stands here.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

from cloud_sync.contract.pickup import FINAL, PHYSICAL, PickupState, ShortReason, Step
from cloud_sync.contract.pickup_order import Answer, Line, PickupOrder, Taken, is_outstanding, state_of, to_put_back

_S = PickupState
_BEFORE_STAGED = frozenset({_S.ACCEPTED, _S.PICKING, _S.AWAITING_SUBSTITUTION})
_PUT_ASIDE = frozenset({_S.STAGED, _S.READY, _S.PARTIALLY_HANDED_OVER})

SOURCES: dict[Step, frozenset[PickupState]] = {
    Step.ACCEPT: frozenset({_S.PLACED}),
    Step.REJECT: frozenset({_S.PLACED}),
    Step.PICK: _BEFORE_STAGED | {_S.PARTIALLY_HANDED_OVER},
    Step.SHORT: _BEFORE_STAGED | _PUT_ASIDE,
    Step.OFFER: _BEFORE_STAGED,
    Step.DECIDE: frozenset({_S.AWAITING_SUBSTITUTION, _S.PARTIALLY_HANDED_OVER}),
    Step.STAGE: frozenset({_S.PICKING}),
    Step.READY: frozenset({_S.STAGED}),
    Step.HAND_OVER: _PUT_ASIDE | (FINAL - {_S.REJECTED, _S.HANDED_OVER}),
    Step.REFUSE: _PUT_ASIDE,
    Step.CANCEL: frozenset(_S) - FINAL - {_S.PARTIALLY_HANDED_OVER},
    Step.EXPIRE: frozenset(_S) - FINAL,
    Step.NO_SHOW: frozenset({_S.READY}),
    Step.PUT_BACK: frozenset(_S) - {_S.PLACED},
}
"""From which states a step may be asked for. Handing over counts from an ended order too: the customer holds the
goods (P6)."""


def refusal(order: PickupOrder, step: Taken, available_milli: Mapping[str, int]) -> str:
    """Why the step may not be taken now; an empty text if it may.

    `available_milli`: per SKU what may still be promised, for steps that promise (P5). Quantities must be complete
    (`complete`).
    """
    state = state_of(order)
    if state not in SOURCES[step.step]:
        return f"order {order.order_id} is {state}: it cannot {step.step.value.replace('_', ' ')} now"
    for number, quantity_milli in step.quantities:
        line = order.line(number)
        if line is None:
            return f"order {order.order_id} has no line {number}"
        if quantity_milli <= 0 and step.step is Step.PICK:
            return f"order {order.order_id} has nothing left to pick on line {number}"
        if quantity_milli <= 0 and step.step not in (Step.DECIDE, Step.CANCEL, Step.REFUSE):
            return f"order {order.order_id}: the quantity of line {number} is not above zero"
    if len({number for number, _ in step.quantities}) < len(step.quantities):
        return f"order {order.order_id}: a line is named twice"
    guard = _GUARDS.get(step.step)
    return guard(order, step, available_milli) if guard else ""


def complete(order: PickupOrder, step: Taken, lines: tuple[int, ...] = ()) -> Taken:
    """The step with the quantities of whole lines, where the caller named none. `lines`: only these, and all of
    them, so that a refusal can name the one that has nothing."""
    if step.quantities:
        return step
    final = state_of(order) in FINAL
    wanted = _staged if step.from_staged else _WHOLE.get(step.step)
    found = tuple((line.line, quantity) for line in order.lines if wanted is not None
                  and ((quantity := wanted(order, line, final)) or line.line in lines)
                  and (not lines or line.line in lines))
    return replace(step, quantities=found)


def is_refused_by_revision(step: Step, expected_rev: int | None, revision: int) -> bool:
    """Whether somebody asks on the ground of an order that the hub has changed since; never for what happened."""
    return expected_rev is not None and expected_rev != revision and step not in PHYSICAL


def _pick(order: PickupOrder, step: Taken, _available: Mapping[str, int]) -> str:
    for number, quantity_milli in step.quantities:
        line = order.line(number)
        assert line is not None
        if line.answer is Answer.OFFERED:
            return f"order {order.order_id}: the customer has not answered about line {number}"
        if quantity_milli > line.reserved_milli:
            return f"order {order.order_id} has nothing left to pick on line {number}"
    return "" if step.quantities else f"order {order.order_id} has nothing left to pick"


def _short(order: PickupOrder, step: Taken, _available: Mapping[str, int]) -> str:
    if step.reason is None:
        return "goods that do not come need a reason"
    if not step.quantities:
        return f"order {order.order_id} has nothing there that could be missing"
    for number, quantity_milli in step.quantities:
        line = order.line(number)
        assert line is not None
        if quantity_milli > (line.staged_milli if step.from_staged else line.reserved_milli):
            return f"order {order.order_id} has less than that on line {number}"
        if line.answer is Answer.OFFERED:
            return f"order {order.order_id}: the customer has not answered about line {number}"
    if step.written_off_milli and (step.reason is not ShortReason.NOT_IN_STOCK or len(step.quantities) != 1):
        return "only an empty shelf takes more off the book, one line at a time"
    return ""


def _offer(order: PickupOrder, step: Taken, available_milli: Mapping[str, int]) -> str:
    """Another product instead: only where the customer allows it, and never dearer (retail.md 2.4.2)."""
    offer = step.offer
    if offer is None or len(step.quantities) != 1:
        return "an offer needs one line and one product"
    (number, missing_milli), original = step.quantities[0], order.line(step.quantities[0][0])
    if original is None or not original.may_substitute or not original.is_wanted:
        return f"order {order.order_id}: the customer wants nothing else for line {number}"
    if offer.replaces != number or order.line(offer.line) is not None or offer.sku == original.sku:
        return f"order {order.order_id}: this is no substitute for line {number}"
    if offer.price_minor > original.price_minor or not 0 < offer.ordered_milli <= missing_milli:
        return f"order {order.order_id}: a substitute is neither dearer nor more than what it stands for"
    if available_milli.get(offer.sku, 0) < offer.ordered_milli:
        return f"not available: {offer.sku}"
    return _short(order, step, available_milli)


def _decide(order: PickupOrder, step: Taken, _available: Mapping[str, int]) -> str:
    offered = [line.line for line in order.lines if line.answer is Answer.OFFERED and line.is_wanted]
    if not step.quantities or any(number not in offered for number, _ in step.quantities):
        return f"order {order.order_id} waits for no answer there"
    return ""


def _accept(order: PickupOrder, step: Taken, available_milli: Mapping[str, int]) -> str:
    """A reservation may not take available-to-promise below zero (P5)."""
    wanted: dict[str, int] = defaultdict(int)
    for line in order.lines:
        wanted[line.sku] += dict(step.quantities).get(line.line, 0)
    short = sorted(sku for sku, quantity in wanted.items() if available_milli.get(sku, 0) < quantity)
    return f"not available: {', '.join(short)}" if short else ""


def _stage(order: PickupOrder, _step: Taken, _available: Mapping[str, int]) -> str:
    left = [str(line.line) for line in order.lines if line.is_wanted and line.reserved_milli]
    return f"order {order.order_id}: pick line {', '.join(left)} first" if left else ""


def _hand_over(order: PickupOrder, step: Taken, _available: Mapping[str, int]) -> str:
    final = state_of(order) in FINAL
    for number, quantity_milli in step.quantities:
        line = order.line(number)
        assert line is not None
        if quantity_milli > _in_hand(order, line, final):
            return f"order {order.order_id}: there is less than that on line {number}"
    return "" if step.quantities else f"order {order.order_id} has nothing to hand over"


def _refuse(order: PickupOrder, step: Taken, _available: Mapping[str, int]) -> str:
    there = {line.line for line in order.lines if line.staged_milli and not line.refused}
    if not step.quantities or any(number not in there for number, _ in step.quantities):
        return f"order {order.order_id} has nothing there that could be refused"
    return ""


def _no_show(order: PickupOrder, _step: Taken, _available: Mapping[str, int]) -> str:
    return f"order {order.order_id}: the customer is here" if order.arrived_ms is not None else ""


def _put_back(order: PickupOrder, step: Taken, _available: Mapping[str, int]) -> str:
    there = dict(to_put_back(order, state_of(order) in FINAL))
    if not step.quantities or any(quantity > there.get(number, 0) for number, quantity in step.quantities):
        return f"order {order.order_id} has nothing there that goes back"
    return ""


def _cancel(order: PickupOrder, step: Taken, _available: Mapping[str, int]) -> str:
    return "" if step.quantities else f"order {order.order_id} has nothing there to cancel"


_GUARDS: Mapping[Step, Callable[[PickupOrder, Taken, Mapping[str, int]], str]] = {
    Step.ACCEPT: _accept, Step.PICK: _pick, Step.SHORT: _short, Step.OFFER: _offer, Step.DECIDE: _decide,
    Step.STAGE: _stage, Step.HAND_OVER: _hand_over, Step.REFUSE: _refuse, Step.NO_SHOW: _no_show,
    Step.CANCEL: _cancel,
    Step.PUT_BACK: _put_back}


def _in_hand(order: PickupOrder, line: Line, final: bool) -> int:
    """What a customer may have been given: what is put aside for her; of an ended order also what was put back."""
    if line.staged_milli and (line.is_wanted or final):
        return line.staged_milli
    if not final or line.answer in (Answer.OFFERED, Answer.DECLINED):
        return 0
    return 0 if order.progress is PickupState.PLACED else line.ordered_milli - line.short_milli - line.handed_milli


def _pickable(_order: PickupOrder, line: Line, _final: bool) -> int:
    return line.reserved_milli if line.is_wanted and line.answer is not Answer.OFFERED else 0


def _staged(_order: PickupOrder, line: Line, _final: bool) -> int:
    return line.staged_milli


_WHOLE: Mapping[Step, Callable[[PickupOrder, Line, bool], int]] = {
    Step.ACCEPT: lambda _order, line, _final: line.ordered_milli if line.is_wanted else 0,
    Step.PICK: _pickable,
    Step.SHORT: _pickable,
    Step.OFFER: _pickable,
    Step.DECIDE: lambda _order, line, _final: line.ordered_milli if line.answer is Answer.OFFERED else 0,
    Step.HAND_OVER: _in_hand,
    Step.REFUSE: lambda _order, line, _final: line.staged_milli if line.is_wanted else 0,
    Step.CANCEL: lambda order, line, _final: line.ordered_milli if is_outstanding(order, line) else 0,
    Step.PUT_BACK: lambda _order, line, final: line.staged_milli if final or not line.is_wanted else 0,
}
