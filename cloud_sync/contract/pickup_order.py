"""An order as a pure value, and what a step does to it and to stock (DESIGN.md section 9, retail.md 2.1 and 2.4).

The value is made of parts that only grow or are owned by one side (quantities by the store, wishes by the hub), and
where the order *is* follows from them (`state_of`). So two steps that knew nothing of each other end in the same
order and the same stock, whichever is heard first. Nothing here refuses: a fact that happened is applied
(`pickup_rules` says who may ask for what). Quantities in thousandths, prices per unit in minor units.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from cloud_sync.contract.facts import StockMove
from cloud_sync.contract.pickup import DESTINATIONS, WAY, Destination, HubStep, PickupState, ShortReason, Step


class Answer(StrEnum):
    """What became of a substitute that was offered; `NONE` for what the customer ordered."""

    NONE = ""
    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Line:
    """One line and where its units are. `replaces`: the line it is a substitute for. `refused`: at the desk.

    `decided_here`: the store answered the offer by itself, because its time was over; that stands.
    """

    line: int
    sku: str
    ordered_milli: int
    price_minor: int
    may_substitute: bool = False
    reserved_milli: int = 0
    staged_milli: int = 0
    handed_milli: int = 0
    short_milli: int = 0
    cancelled: bool = False
    refused: bool = False
    replaces: int | None = None
    answer: Answer = Answer.NONE
    decided_here: bool = False

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still means to collect it."""
        return not (self.cancelled or self.refused or self.answer is Answer.DECLINED)

    @property
    def open_milli(self) -> int:
        """What is kept for the customer in the store."""
        return self.reserved_milli + self.staged_milli


@dataclass(frozen=True, slots=True)
class PickupOrder:
    """`progress`: the furthest of `WAY` that was reached. `end`: how the store ended it (`REJECTED`, `EXPIRED`,
    `NO_SHOW`). `notified_ms`, `arrived_ms`, `bay`, `reassigned`: what the hub says."""

    order_id: str
    lines: tuple[Line, ...]
    progress: PickupState = PickupState.PLACED
    end: PickupState | None = None
    notified_ms: int | None = None
    arrived_ms: int | None = None
    bay: str = ""
    reassigned: bool = False

    def line(self, number: int) -> Line | None:
        """The line of this number."""
        return next((line for line in self.lines if line.line == number), None)


@dataclass(frozen=True, slots=True)
class Taken:
    """A step of the store that was taken: which units of which lines (line, quantity), and why.

    `offer`: the substitute, its units not yet reserved. `accept`: what `DECIDE` decided. `from_staged`: the short
    units had been picked. `written_off_milli`: what an empty shelf takes off the book beyond the order
    (`NOT_IN_STOCK`), of the line's SKU.
    """

    step: Step
    quantities: tuple[tuple[int, int], ...] = ()
    reason: ShortReason | None = None
    offer: Line | None = None
    accept: bool = False
    from_staged: bool = False
    written_off_milli: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """A step of the hub. `lines` of a cancel request or an answer (none: all); `at_ms` of a notice or an arrival."""

    step: HubStep
    lines: tuple[int, ...] = ()
    at_ms: int = 0
    bay: str = ""
    accept: bool = False


@dataclass(frozen=True, slots=True)
class Applied:
    """The next order and what moved."""

    order: PickupOrder
    moves: tuple[StockMove, ...]


END_RANK: dict[PickupState, int] = {PickupState.NO_SHOW: 1, PickupState.EXPIRED: 2, PickupState.REJECTED: 3}
"""Of two ends the one with the higher rank stands."""


def is_outstanding(order: PickupOrder, line: Line) -> bool:
    """Whether the customer may still get something of this line."""
    return line.is_wanted and (order.progress is PickupState.PLACED or line.open_milli > 0)


def state_of(order: PickupOrder) -> PickupState:
    """Where the order is. Goods handed over come first (P6), then how the store ended it, then the hub's wishes."""
    outstanding = any(is_outstanding(order, line) for line in order.lines)
    if any(line.handed_milli for line in order.lines):
        over = order.reassigned or _end(order, outstanding) is not None
        return PickupState.PARTIALLY_HANDED_OVER if outstanding and not over else PickupState.HANDED_OVER
    if end := _end(order, outstanding):
        return end
    if order.reassigned and any(line.is_wanted and line.short_milli < line.ordered_milli for line in order.lines):
        return PickupState.REASSIGNED
    if not outstanding:
        return _without_goods(order)
    if any(line.answer is Answer.OFFERED and line.is_wanted for line in order.lines):
        return PickupState.AWAITING_SUBSTITUTION
    return order.progress


def _end(order: PickupOrder, outstanding: bool) -> PickupState | None:
    """A customer who is here after all takes a no-show back, as long as the goods are (retail.md 2.2: a missed
    pickup that nobody could reschedule)."""
    if order.end is PickupState.NO_SHOW and order.arrived_ms is not None and outstanding:
        return None
    return order.end


def _without_goods(order: PickupOrder) -> PickupState:
    if all(line.short_milli >= line.ordered_milli or line.answer is Answer.DECLINED for line in order.lines):
        return PickupState.REJECTED
    return PickupState.REFUSED if any(line.refused for line in order.lines) else PickupState.CANCELLED


def refund_milli(order: PickupOrder) -> Mapping[int, int]:
    """What was handed over although the customer's cancelling or declining stands: line → quantity to refund (P6)."""
    return {line.line: line.handed_milli for line in order.lines
            if line.handed_milli and (line.cancelled or line.answer is Answer.DECLINED)}


def is_to_charge_again(order: PickupOrder) -> bool:
    """Whether goods left although the order had ended, so that its money may have been given back already."""
    came_after_all = order.end is PickupState.NO_SHOW and order.arrived_ms is not None
    ended = order.end is not None and not came_after_all
    return any(line.handed_milli for line in order.lines) and (ended or order.reassigned)


def to_put_back(order: PickupOrder, final: bool) -> Iterable[tuple[int, int]]:
    """What stands put aside for nobody: line and quantity. `final`: the order has ended."""
    return ((line.line, line.staged_milli) for line in order.lines
            if line.staged_milli and (final or not line.is_wanted))


def taken(order: PickupOrder, step: Taken) -> Applied:
    """The order after a step of the store, whatever the hub has said meanwhile."""
    return _settled(*_TAKEN[step.step](order, step))


def said(order: PickupOrder, word: Said) -> Applied:
    """The order after the hub's word, whatever the store has done meanwhile. Said again it changes nothing."""
    return _settled(_SAID[word.step](order, word), ())


_Half = tuple[PickupOrder, tuple[StockMove, ...]]


def _accept(order: PickupOrder, step: Taken) -> _Half:
    def reserve(line: Line, quantity_milli: int) -> tuple[Line, StockMove]:
        return (replace(line, reserved_milli=line.reserved_milli + quantity_milli),
                StockMove(line.sku, sellable_milli=-quantity_milli, reserved_milli=quantity_milli))
    return _forward(_each(order, step, reserve), PickupState.ACCEPTED)


def _pick(order: PickupOrder, step: Taken) -> _Half:
    def pick(line: Line, quantity_milli: int) -> tuple[Line, StockMove]:
        reserved, released = _first(line.reserved_milli, quantity_milli)
        return (replace(line, reserved_milli=line.reserved_milli - reserved,
                        staged_milli=line.staged_milli + quantity_milli),
                StockMove(line.sku, -released, -reserved, quantity_milli))
    return _forward(_each(order, step, pick), PickupState.PICKING)


def _short(order: PickupOrder, step: Taken) -> _Half:
    """Each reason with its own effect; where a cancel had released the units before, they go from there."""
    assert step.reason is not None, "a short pick says why"
    destination, from_staged = DESTINATIONS[step.reason], step.from_staged

    def give_up(line: Line, quantity_milli: int) -> tuple[Line, StockMove]:
        kept = line.staged_milli if from_staged else line.reserved_milli
        held, released = _first(kept, quantity_milli)
        back = quantity_milli if destination is Destination.SELLABLE else 0
        move = StockMove(line.sku, back - released - step.written_off_milli, 0 if from_staged else -held,
                         -held if from_staged else 0, quantity_milli if destination is Destination.QUARANTINE else 0)
        return replace(line, short_milli=line.short_milli + quantity_milli,
                       reserved_milli=line.reserved_milli + move.reserved_milli,
                       staged_milli=line.staged_milli + move.staged_milli), move
    return _each(order, step, give_up)


def _offer(order: PickupOrder, step: Taken) -> _Half:
    """The substitute is reserved while the customer thinks, so that a yes can be kept."""
    offer = step.offer
    assert offer is not None, "an offer says what"
    assert offer.replaces is not None, "an offer says for what"
    order, moves = _short(order, step)
    original = order.line(offer.replaces)
    gone = original is not None and original.cancelled
    line = replace(offer, answer=Answer.OFFERED, reserved_milli=offer.ordered_milli, cancelled=gone)
    reserved = StockMove(offer.sku, sellable_milli=-offer.ordered_milli, reserved_milli=offer.ordered_milli)
    return replace(order, lines=(*order.lines, line)), (*moves, reserved)


def _decide(order: PickupOrder, step: Taken) -> _Half:
    """The store's own answer stands, because it may have been acted upon; units that an earlier no released are
    reserved again."""
    def decide(line: Line, _quantity_milli: int) -> tuple[Line, StockMove]:
        if not step.accept:
            return replace(line, answer=Answer.DECLINED, decided_here=True), StockMove(line.sku)
        back = line.ordered_milli if line.answer is Answer.DECLINED else 0
        return (replace(line, answer=Answer.ACCEPTED, decided_here=True, reserved_milli=line.reserved_milli + back),
                StockMove(line.sku, sellable_milli=-back, reserved_milli=back))
    return _each(order, step, decide)


def _hand_over(order: PickupOrder, step: Taken) -> _Half:
    """Stock leaves now (retail.md 2.4.3): from where it was put aside, or from the shelf if it was put back before."""
    def hand_over(line: Line, quantity_milli: int) -> tuple[Line, StockMove]:
        staged, shelf = _first(line.staged_milli, quantity_milli)
        return (replace(line, staged_milli=line.staged_milli - staged, handed_milli=line.handed_milli + quantity_milli),
                StockMove(line.sku, sellable_milli=-shelf, staged_milli=-staged))
    return _each(order, step, hand_over)


def _refuse(order: PickupOrder, step: Taken) -> _Half:
    return _each(order, step, lambda line, _quantity: (replace(line, refused=True), StockMove(line.sku)))


def _cancel(order: PickupOrder, step: Taken) -> _Half:
    return _cancel_lines(order, frozenset(number for number, _ in step.quantities)), ()


def _put_back(order: PickupOrder, step: Taken) -> _Half:
    """Back to the shelf, or wherever the reason says."""
    destination = DESTINATIONS[step.reason] if step.reason else Destination.SELLABLE

    def put_back(line: Line, quantity_milli: int) -> tuple[Line, StockMove]:
        move = StockMove(line.sku, quantity_milli if destination is Destination.SELLABLE else 0, 0, -quantity_milli,
                         quantity_milli if destination is Destination.QUARANTINE else 0)
        return replace(line, staged_milli=line.staged_milli - quantity_milli), move
    return _each(order, step, put_back)


def _ended(end: PickupState) -> Callable[[PickupOrder, Taken], _Half]:
    def ended(order: PickupOrder, _step: Taken) -> _Half:
        stands = order.end is not None and END_RANK[order.end] > END_RANK[end]
        return replace(order, end=order.end if stands else end), ()
    return ended


def _reached(progress: PickupState) -> Callable[[PickupOrder, Taken], _Half]:
    return lambda order, _step: _forward((order, ()), progress)


_TAKEN: Mapping[Step, Callable[[PickupOrder, Taken], _Half]] = {
    Step.ACCEPT: _accept, Step.PICK: _pick, Step.SHORT: _short, Step.OFFER: _offer, Step.DECIDE: _decide,
    Step.HAND_OVER: _hand_over, Step.REFUSE: _refuse, Step.CANCEL: _cancel, Step.PUT_BACK: _put_back,
    Step.STAGE: _reached(PickupState.STAGED), Step.READY: _reached(PickupState.READY),
    Step.REJECT: _ended(PickupState.REJECTED), Step.EXPIRE: _ended(PickupState.EXPIRED),
    Step.NO_SHOW: _ended(PickupState.NO_SHOW),
}


def _notify(order: PickupOrder, word: Said) -> PickupOrder:
    first_ms = word.at_ms if order.notified_ms is None else min(order.notified_ms, word.at_ms)
    return replace(order, notified_ms=first_ms)


def _arrive(order: PickupOrder, word: Said) -> PickupOrder:
    if order.arrived_ms is not None and (order.arrived_ms, order.bay) >= (word.at_ms, word.bay):
        return order
    return replace(order, arrived_ms=word.at_ms, bay=word.bay)


def _answer(order: PickupOrder, word: Said) -> PickupOrder:
    """The first answer counts; none does once the store had to decide by itself."""
    answer = Answer.ACCEPTED if word.accept else Answer.DECLINED
    lines = tuple(replace(line, answer=answer) if line.answer is Answer.OFFERED and word.lines in ((), (line.line,))
                  else line for line in order.lines)
    return replace(order, lines=lines)


_SAID: Mapping[HubStep, Callable[[PickupOrder, Said], PickupOrder]] = {
    HubStep.NOTIFY: _notify, HubStep.ARRIVE: _arrive, HubStep.ANSWER: _answer,
    HubStep.REQUEST_CANCEL: lambda order, word: _cancel_lines(order, frozenset(word.lines)),
    HubStep.REASSIGN: lambda order, _word: replace(order, reassigned=True),
}


def _cancel_lines(order: PickupOrder, numbers: frozenset[int]) -> PickupOrder:
    """The lines and what was offered for them; no numbers: all of them."""
    return replace(order, lines=tuple(
        replace(line, cancelled=True) if not numbers or {line.line, line.replaces} & numbers else line
        for line in order.lines))


def _settled(order: PickupOrder, moves: tuple[StockMove, ...]) -> Applied:
    """What is reserved for nobody is free again. What was picked stays put aside until somebody puts it back."""
    given_up = order.reassigned or (order.end is not None and order.end is not PickupState.NO_SHOW)
    lines = []
    for line in order.lines:
        if line.reserved_milli and (given_up or not line.is_wanted):
            moves = (*moves, StockMove(line.sku, line.reserved_milli, -line.reserved_milli))
            line = replace(line, reserved_milli=0)  # noqa: PLW2901
        lines.append(line)
    return Applied(replace(order, lines=tuple(lines)), summed(moves))


def summed(moves: Iterable[StockMove]) -> tuple[StockMove, ...]:
    """One move per SKU, in the order in which they first moved; what moved to and fro is left out."""
    sums: dict[str, list[int]] = {}
    for move in moves:
        each = sums.setdefault(move.sku, [0, 0, 0, 0])
        for place, change in enumerate((move.sellable_milli, move.reserved_milli, move.staged_milli,
                                        move.quarantine_milli)):
            each[place] += change
    return tuple(StockMove(sku, *each) for sku, each in sums.items() if any(each))


def _each(order: PickupOrder, step: Taken, act: Callable[[Line, int], tuple[Line, StockMove]]) -> _Half:
    quantities, moves, lines = dict(step.quantities), [], []
    for line in order.lines:
        after = line
        if line.line in quantities:
            after, move = act(line, quantities[line.line])
            moves.append(move)
        lines.append(after)
    return replace(order, lines=tuple(lines)), tuple(moves)


def _forward(half: _Half, progress: PickupState) -> _Half:
    order, moves = half
    return replace(order, progress=max(order.progress, progress, key=WAY.index)), moves


def _first(kept_milli: int, quantity_milli: int) -> tuple[int, int]:
    """How much of a quantity comes from what is kept, and how much must come from elsewhere."""
    held = min(kept_milli, quantity_milli)
    return held, quantity_milli - held
