"""Every order that can be reached from a small one, and every step that may come next: for the tests of the lattice."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from cloud_sync.contract.facts import StockMove
from cloud_sync.contract.pickup import DESTINATIONS, Destination, HubStep, ShortReason, Step
from cloud_sync.contract.pickup_order import Answer, Line, PickupOrder, Said, Taken, said, taken
from cloud_sync.contract.pickup_rules import complete, refusal

SHELF = 10
"""Units of each product that lie on the shelf: enough for everybody."""

BUCKETS = ("sellable_milli", "reserved_milli", "staged_milli", "quarantine_milli")
Stock = dict[str, tuple[int, int, int, int]]


def store_steps(order: PickupOrder, available: Mapping[str, int] | None = None) -> Iterator[Taken]:
    """Every step that the store may take now, for whole orders, for single lines and for single units."""
    shelf = {line.sku: SHELF for line in order.lines} | {"other": SHELF} if available is None else dict(available)
    for asked in _asked(order):
        step = _of_what_there_is(order, complete(order, asked), shelf)
        if not refusal(order, step, shelf):
            yield step


def _of_what_there_is(order: PickupOrder, step: Taken, shelf: Mapping[str, int]) -> Taken:
    """An empty shelf takes off the book what stands there, not more (`PickupDesk`)."""
    if not step.written_off_milli or not step.quantities:
        return step
    line = order.line(step.quantities[0][0])
    stands_milli = max(0, shelf.get(line.sku, 0)) if line else 0
    return replace(step, written_off_milli=min(step.written_off_milli, stands_milli))


def _asked(order: PickupOrder) -> Iterator[Taken]:
    for step in Step:
        if step in (Step.SHORT, Step.OFFER):
            continue
        yield Taken(step, accept=False)
        if step is Step.DECIDE:
            yield Taken(step, accept=True)
    for line in order.lines:
        for quantity in range(1, line.ordered_milli + 1):
            some = ((line.line, quantity),)
            for step in (Step.PICK, Step.HAND_OVER, Step.REFUSE, Step.PUT_BACK, Step.CANCEL):
                yield Taken(step, some)
            yield Taken(Step.PUT_BACK, some, ShortReason.DAMAGED)
            for reason in (ShortReason.MISMATCH, ShortReason.DAMAGED, ShortReason.NO_VARIANCE):  # one per destination
                yield Taken(Step.SHORT, some, reason)
            yield Taken(Step.SHORT, some, ShortReason.DAMAGED, from_staged=True)
            yield Taken(Step.SHORT, some, ShortReason.NOT_IN_STOCK, written_off_milli=3)
            offer = Line(line.line + 10, "other", quantity, line.price_minor - 1, replaces=line.line)
            yield Taken(Step.OFFER, some, ShortReason.MISMATCH, offer)


def hub_words(order: PickupOrder) -> Iterator[Said]:
    """Everything the hub may say about the order now."""
    yield Said(HubStep.NOTIFY, at_ms=5)
    yield Said(HubStep.ARRIVE, at_ms=7, bay="3")
    yield Said(HubStep.REASSIGN)
    yield Said(HubStep.REQUEST_CANCEL)
    for line in order.lines:
        yield Said(HubStep.REQUEST_CANCEL, (line.line,))
        if line.answer is Answer.OFFERED:
            for accept in (True, False):
                yield Said(HubStep.ANSWER, (line.line,), accept=accept)


def reachable(first: PickupOrder, most: int) -> dict[PickupOrder, list[Taken]]:
    """Orders that any steps of both sides lead to, each with the store's steps from there.

    Asserts that there are no more than `most`.
    """
    seen: dict[PickupOrder, list[Taken]] = {first: []}
    waiting = deque([first])
    while waiting:
        order = waiting.popleft()
        seen[order] = list(store_steps(order))
        after = {taken(order, step).order for step in seen[order]}
        after |= {said(order, word).order for word in hub_words(order) if word.step is not HubStep.NOTIFY}
        for each in [each for each in after if each not in seen]:
            seen[each] = []
            waiting.append(each)
        assert len(seen) <= most, "too many to look at"
    return seen


def moved(stock: Mapping[str, tuple[int, int, int, int]], moves: Iterable[StockMove]) -> Stock:
    """The stock after the moves; SKUs without any left out."""
    after = {sku: list(buckets) for sku, buckets in stock.items()}
    for move in moves:
        buckets = after.setdefault(move.sku, [0, 0, 0, 0])
        for place, name in enumerate(BUCKETS):
            buckets[place] += getattr(move, name)
    return {sku: (b[0], b[1], b[2], b[3]) for sku, b in after.items() if any(b)}


def left_the_store(order: PickupOrder, step: Taken, sku: str) -> int:
    """How many units of a product the step takes out of all buckets: handed over, or found not to be there."""
    quantity = sum(quantity for number, quantity in step.quantities
                   if (line := order.line(number)) is not None and line.sku == sku)
    if step.step is Step.HAND_OVER:
        return quantity
    named = any((line := order.line(number)) is not None and line.sku == sku for number, _ in step.quantities)
    gone = step.reason is not None and DESTINATIONS[step.reason] is Destination.GONE
    if step.step in (Step.SHORT, Step.OFFER, Step.PUT_BACK) and gone:
        return quantity + (step.written_off_milli if named else 0)
    return 0
