"""Promotions over a basket: which apply, to which pieces, and how much each takes off (DESIGN.md sections 2 and 5).

Rules of combination. Higher priority first; of equal priority, the one that saves the customer most goes first, then
the lower id. A piece counts for one promotion only, except that a stackable one goes on top of the others and takes no
piece away. Thresholds come last, over what is left to pay. This is greedy: where promotions of one priority compete for
the same pieces another assignment may save more; a chain that wants one to win says so by priority.

All money is integer minor units. What a group of pieces saves is shared out by largest remainder, so that the shares
add up to exactly what was saved. No piece costs less than nothing.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cloud_sync.contract.promotions import AmountOff, BuyGet, FixedPrice, MultiBuy, PercentOff, Terms, Threshold

MILLI = 1000


@dataclass(frozen=True, slots=True)
class ActivePromotion:
    """A promotion that may apply now."""

    id: str
    version: int
    terms: Terms


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line of a basket with the price per unit that is charged without promotions (`edge.domain.claims.charge`)."""

    line: int
    sku: str
    quantity_milli: int
    unit_minor: int


@dataclass(frozen=True, slots=True)
class Applied:
    """One promotion as it was applied: how often, to how many pieces, and what it took off which line."""

    promotion: ActivePromotion
    times: int
    off_minor: Mapping[int, int]

    @property
    def total_minor(self) -> int:
        """All it took off."""
        return sum(self.off_minor.values())


@dataclass(slots=True)
class Piece:
    """A piece, or all of a weighed line: what is still to pay for it, and whether a promotion has it."""

    line: int
    sku: str
    quantity_milli: int
    left_minor: int
    taken: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it can be counted: what is weighed cannot."""
        return self.quantity_milli == MILLI


@dataclass(slots=True)
class _Trial:
    """What a promotion would do: pieces it takes, and what it takes off each."""

    times: int = 0
    off: list[tuple[Piece, int]] = field(default_factory=list)

    @property
    def total_minor(self) -> int:
        return sum(off for _, off in self.off)


def pieces_of(lines: Iterable[PricedLine]) -> list[Piece]:
    """Lines as single pieces; a line whose quantity is no whole number stays one. Rounded half up, once."""
    found: list[Piece] = []
    for line in lines:
        if line.quantity_milli > 0 and line.quantity_milli % MILLI == 0:
            found += [Piece(line.line, line.sku, MILLI, line.unit_minor) for _ in range(line.quantity_milli // MILLI)]
        else:
            found.append(Piece(line.line, line.sku, line.quantity_milli,
                               rounded(line.unit_minor * line.quantity_milli, MILLI)))
    return found


def apply_promotions(pieces: Sequence[Piece], promotions: Iterable[ActivePromotion], coupons: frozenset[str],
                     *, member: bool) -> list[Applied]:
    """Apply what may be applied, and leave in each piece what is still to pay. Deterministic."""
    eligible = [each for each in promotions if _is_eligible(each.terms, coupons, member=member)]
    applied: list[Applied] = []
    for priority in sorted({each.terms.priority for each in eligible}, reverse=True):
        at_once = [each for each in eligible if each.terms.priority == priority]
        applied += _apply_best_first([each for each in at_once if not isinstance(each.terms, Threshold)], pieces)
    for each in sorted((each for each in eligible if isinstance(each.terms, Threshold)),
                       key=lambda each: (-each.terms.priority, each.id)):
        applied += _take(each, _try(each.terms, pieces))
    return applied


def _apply_best_first(promotions: list[ActivePromotion], pieces: Sequence[Piece]) -> list[Applied]:
    """What others took can only lessen what a promotion saves, so one that was best when it was last tried, and whose
    products nobody touched since, is the best there is."""
    by_sku: dict[str, list[Piece]] = defaultdict(list)
    for piece in pieces:
        by_sku[piece.sku].append(piece)
    touched: Counter[str] = Counter()
    waiting: list[tuple[int, str, int, ActivePromotion, _Trial]] = []

    def wait(promotion: ActivePromotion) -> None:
        trial = _try(promotion.terms, _of_skus(promotion.terms, by_sku))
        if trial.total_minor > 0:
            stamp = sum(touched[sku] for sku in promotion.terms.skus if sku in by_sku)
            heapq.heappush(waiting, (-trial.total_minor, promotion.id, stamp, promotion, trial))

    for promotion in promotions:
        wait(promotion)
    applied: list[Applied] = []
    while waiting:
        _, _, stamp, promotion, trial = heapq.heappop(waiting)
        if stamp != sum(touched[sku] for sku in promotion.terms.skus if sku in by_sku):
            wait(promotion)
            continue
        applied += _take(promotion, trial)
        touched.update({piece.sku for piece, _ in trial.off})
    return applied


def _of_skus(terms: Terms, by_sku: Mapping[str, list[Piece]]) -> list[Piece]:
    return [piece for sku in dict.fromkeys(terms.skus) for piece in by_sku.get(sku, ())]


def _take(promotion: ActivePromotion, trial: _Trial) -> list[Applied]:
    """Do what was tried; nothing when it saves nothing."""
    if trial.total_minor <= 0:
        return []
    off_minor: dict[int, int] = defaultdict(int)
    for piece, off in trial.off:
        piece.left_minor -= off
        off_minor[piece.line] += off
        if not promotion.terms.stackable and not isinstance(promotion.terms, Threshold):
            piece.taken = True
    return [Applied(promotion, trial.times, {line: off for line, off in off_minor.items() if off})]


def _is_eligible(terms: Terms, coupons: frozenset[str], *, member: bool) -> bool:
    return (not terms.coupon or terms.coupon in coupons) and (member or not terms.member_only)


def _try(terms: Terms, pieces: Sequence[Piece]) -> _Trial:
    free = [piece for piece in pieces if terms.stackable or isinstance(terms, Threshold) or not piece.taken]
    match terms:
        case PercentOff() | AmountOff() | FixedPrice():
            return _each(terms, free)
        case MultiBuy() | BuyGet():
            return _groups(terms, [piece for piece in free if piece.is_whole])
        case Threshold():
            return _threshold(terms, free)


def _each(terms: PercentOff | AmountOff | FixedPrice, pieces: Sequence[Piece]) -> _Trial:
    trial = _Trial()
    for piece in pieces:
        if terms.times_max and trial.times >= terms.times_max:
            break
        off = _off_one(terms, piece)
        if off > 0:
            trial.times += 1
            trial.off.append((piece, off))
    return trial


def _off_one(terms: PercentOff | AmountOff | FixedPrice, piece: Piece) -> int:
    match terms:
        case PercentOff():
            return rounded(piece.left_minor * terms.percent, 100)
        case AmountOff():
            return min(piece.left_minor, rounded(terms.amount_minor * piece.quantity_milli, MILLI))
        case FixedPrice():
            return max(0, piece.left_minor - rounded(terms.price_minor * piece.quantity_milli, MILLI))


def _groups(terms: MultiBuy | BuyGet, pieces: Sequence[Piece]) -> _Trial:
    """The dearest pieces together first: so the customer saves most."""
    size = terms.pieces if isinstance(terms, MultiBuy) else terms.buy + terms.get
    trial = _Trial()
    for kin in _kins(pieces, mixed=terms.mixed):
        kin.sort(key=lambda piece: (-piece.left_minor, piece.line))
        for start in range(0, len(kin) - size + 1, size):
            group = kin[start : start + size]
            off = _off_group(terms, group)
            if off <= 0 or (terms.times_max and trial.times >= terms.times_max):
                break
            trial.times += 1
            trial.off += zip(group, shared_out(off, [piece.left_minor for piece in group]), strict=True)
    return trial


def _kins(pieces: Sequence[Piece], *, mixed: bool) -> list[list[Piece]]:
    if mixed:
        return [list(pieces)]
    kins: dict[str, list[Piece]] = defaultdict(list)
    for piece in pieces:
        kins[piece.sku].append(piece)
    return list(kins.values())


def _off_group(terms: MultiBuy | BuyGet, group: Sequence[Piece]) -> int:
    if isinstance(terms, MultiBuy):
        return sum(piece.left_minor for piece in group) - terms.price_minor
    return sum(rounded(piece.left_minor * terms.percent, 100) for piece in group[terms.buy :])


def _threshold(terms: Threshold, pieces: Sequence[Piece]) -> _Trial:
    counted = [piece for piece in pieces if not terms.skus or piece.sku in terms.skus]
    spent = sum(piece.left_minor for piece in counted)
    times = spent // terms.spend_minor if terms.repeats else int(spent >= terms.spend_minor)
    times = min(times, terms.times_max) if terms.times_max else times
    if times <= 0:
        return _Trial()
    off = min(spent, times * terms.off_minor + rounded(spent * terms.percent, 100))
    return _Trial(times, list(zip(counted, shared_out(off, [piece.left_minor for piece in counted]), strict=True)))


def shared_out(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in parts as near to the weights as whole numbers can be: the largest remainders get what is over, the
    first of equals first. No part is larger than its weight while `total` is not larger than their sum."""
    whole = sum(weights)
    if whole <= 0:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    left = total - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda place: (-(total * weights[place] % whole), place))
    for place in by_remainder[:left]:
        parts[place] += 1
    return parts


def rounded(numerator: int, denominator: int) -> int:
    """Half up, away from nothing for what is below it: a return costs what its sale did."""
    if numerator < 0:
        return -rounded(-numerator, denominator)
    return (2 * numerator + denominator) // (2 * denominator)
