"""Where the units of every order are, by the witness's own arithmetic: what each step in the ledger must move.

Only whole, disjoint buckets: sellable, reserved, staged, quarantine, in thousandths. A step of an order moves units
between them, and out of the store only where goods leave it or never were there (retail.md 2.1 and 2.4.3).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edge.proving.sightings import WitnessedPickup

SELLABLE, RESERVED, STAGED, QUARANTINE = range(4)
NEVER_THERE = frozenset({"not_in_stock", "mismatch"})
UNFIT = frozenset({"damaged", "worn_display"})
STAYS = frozenset({"no_variance"})
SHORT_REASONS = NEVER_THERE | UNFIT | STAYS
ENDS = frozenset({"expire", "reject"})

Moved = dict[str, list[int]]
"""SKU → change of the four buckets."""


@dataclass(slots=True)
class _Line:
    """`unwanted`: nobody is going to collect it."""

    sku: str
    ordered_milli: int
    replaces: int | None = None
    reserved_milli: int = 0
    staged_milli: int = 0
    handed_milli: int = 0
    short_milli: int = 0
    unwanted: bool = False


@dataclass(slots=True)
class _Order:
    lines: dict[int, _Line]
    over: bool = False


@dataclass(slots=True)
class UnitBooks:
    """Told every step in the ledger's order. `ordered`: order → its lines, as the customer ordered them."""

    ordered: Callable[[str], Mapping[int, tuple[str, int]]]
    _orders: dict[str, _Order] = field(default_factory=dict)

    def take(self, step: WitnessedPickup) -> list[str]:
        """What is wrong with a step: it moved other units than it had to, or more than there were."""
        order = self._orders.get(step.order_id)
        if order is None:
            lines = {number: _Line(*line) for number, line in self.ordered(step.order_id).items()}
            order = self._orders[step.order_id] = _Order(lines)
        wanted: Moved = defaultdict(lambda: [0, 0, 0, 0])
        wrong = [f"it names line {part.line}, which was not ordered" for part in step.lines
                 if part.line not in order.lines]
        if not wrong:
            self._move(order, step, wanted)
            self._release(order, wanted)
        wrong += [f"line {number} is kept {line.reserved_milli} and {line.staged_milli}, and {line.handed_milli} of "
                  f"{line.ordered_milli} left the store" for number, line in order.lines.items()
                  if min(line.reserved_milli, line.staged_milli) < 0 or line.handed_milli > line.ordered_milli]
        moved, had_to_move = _moved(step), {sku: move for sku, move in wanted.items() if any(move)}
        if not wrong and moved != had_to_move:
            wrong.append(f"it moved {moved}, it had to move {had_to_move}")
        return [f"{step.step} of order {step.order_id} ({step.state}): {each}" for each in wrong]

    def _move(self, order: _Order, step: WitnessedPickup, wanted: Moved) -> None:
        for part in step.lines:
            line, milli = order.lines[part.line], part.quantity_milli
            move = wanted[line.sku]
            match step.step:
                case "accept":
                    _to(move, SELLABLE, RESERVED, milli)
                    line.reserved_milli += milli
                case "pick":
                    kept = min(line.reserved_milli, milli)
                    _to(move, RESERVED, STAGED, kept)
                    _to(move, SELLABLE, STAGED, milli - kept)
                    line.reserved_milli -= kept
                    line.staged_milli += milli
                case "short" | "offer":
                    _short(line, move, step, milli)
                case "hand_over":
                    kept = min(line.staged_milli, milli)
                    move[STAGED] -= kept
                    move[SELLABLE] -= milli - kept
                    line.staged_milli -= kept
                    line.handed_milli += milli
                case "put_back":
                    move[STAGED] -= milli
                    line.staged_milli -= milli
                    _lands(move, step.short_reason or "no_variance", milli)
                case "decide":
                    line.unwanted = not step.accept
                case "cancel":
                    for number, each in order.lines.items():  # and whatever was offered instead
                        each.unwanted = each.unwanted or part.line in (number, each.replaces)
                case "refuse":
                    line.unwanted = True
        if step.step == "offer" and (offer := step.substitute) is not None:
            order.lines[offer.line] = _Line(offer.sku, offer.quantity_milli, offer.replaces,
                                            reserved_milli=offer.quantity_milli)
            _to(wanted[offer.sku], SELLABLE, RESERVED, offer.quantity_milli)
        order.over = order.over or step.step in ENDS or step.state == "reassigned"

    def _release(self, order: _Order, wanted: Moved) -> None:
        """What is reserved for nobody is sold to somebody else; what was put aside waits for hands."""
        for line in order.lines.values():
            if line.reserved_milli and (order.over or line.unwanted):
                _to(wanted[line.sku], RESERVED, SELLABLE, line.reserved_milli)
                line.reserved_milli = 0


def _short(line: _Line, move: list[int], step: WitnessedPickup, milli: int) -> None:
    """Units that do not come: the reason says whether they never were there, are unfit, or go back to the shelf."""
    line.short_milli += milli
    bucket = STAGED if step.from_staged else RESERVED
    kept = min(line.staged_milli if step.from_staged else line.reserved_milli, milli)
    move[bucket] -= kept
    move[SELLABLE] -= milli - kept + step.written_off_milli
    if step.from_staged:
        line.staged_milli -= kept
    else:
        line.reserved_milli -= kept
    _lands(move, step.short_reason, milli)


def _lands(move: list[int], reason: str, milli: int) -> None:
    if reason in UNFIT:
        move[QUARANTINE] += milli
    elif reason in STAYS:
        move[SELLABLE] += milli


def _to(move: list[int], source: int, target: int, milli: int) -> None:
    move[source] -= milli
    move[target] += milli


def _moved(step: WitnessedPickup) -> Moved:
    moved: Moved = {}
    for move in step.moves:
        sums = moved.setdefault(move.sku, [0, 0, 0, 0])
        for bucket, milli in enumerate((move.sellable_milli, move.reserved_milli, move.staged_milli,
                                        move.quarantine_milli)):
            sums[bucket] += milli
    return {sku: sums for sku, sums in moved.items() if any(sums)}
