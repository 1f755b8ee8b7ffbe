"""Promotions over a basket: which apply, to which pieces, and how much each takes off (DESIGN.md sections 2 and 5).

Rules of combination. Higher priority first; of equal priority, the one that saves the customer most goes first, then
the lower id. A piece counts for one promotion only, except that a stackable one goes on top of the others and takes no
piece away. Thresholds come last, over what is left to pay. This is greedy: where promotions of one priority compete for
the same pieces another assignment may save more; a chain that wants one to win says so by priority.

All money is integer minor units. What a group of pieces saves is shared out by largest remainder, so that the shares
add up to exactly what was saved. No piece costs less than nothing.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from cloud_sync.contract.promotions import AmountOff, BuyGet, FixedPrice, MultiBuy, PercentOff, Terms, Threshold

MILLI = 1000
_GROUPS = (MultiBuy, BuyGet)


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


@dataclass(slots=True)
class _Trial:
    """What a promotion would do: what it takes off which piece, all of it together, and how often it would apply."""

    times: int = 0
    total_minor: int = 0
    off: list[tuple[Piece, int]] = field(default_factory=list)

    def take(self, piece: Piece, off_minor: int) -> None:
        self.total_minor += off_minor
        self.off.append((piece, off_minor))


Alike = tuple[int, int, int]
"""What is left to pay for each of some pieces of one SKU, the quantity of each, and how many they are."""

_UNLIKE: Alike = (0, 0, 0)
"""Pieces of one SKU that differ: they have to be looked at one by one."""


class _Shelf:
    """The basket's pieces by SKU: all of them, and those that no promotion has taken; and whether they are alike, as
    they mostly are."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._all: dict[str, list[Piece]] = {}
        for piece in pieces:
            self._all.setdefault(piece.sku, []).append(piece)
        self._free = dict(self._all)
        self._all_alike: dict[str, Alike] = {}
        self._free_alike: dict[str, Alike] = {}
        self.touched(self._all)

    def of(self, terms: Terms) -> list[list[Piece]]:
        """The pieces that these terms may touch, those of one SKU together."""
        shelf = self._all if terms.stackable else self._free
        return [kin for sku in terms.skus if (kin := shelf.get(sku))]

    def alike(self, terms: Terms) -> list[Alike]:
        """The same, counted; `_UNLIKE` among them where that is not enough to know."""
        shelf = self._all_alike if terms.stackable else self._free_alike
        return [alike for sku in terms.skus if (alike := shelf.get(sku))]

    def touched(self, skus: Iterable[str]) -> None:
        """Something was taken off pieces of these, or they were taken."""
        for sku in skus:
            every = self._all[sku]
            free = self._free[sku] = [piece for piece in every if not piece.taken]
            self._all_alike[sku] = _alike(every)
            if free:
                self._free_alike[sku] = _alike(free)
            else:
                self._free_alike.pop(sku, None)


def _alike(pieces: Sequence[Piece]) -> Alike:
    first = pieces[0]
    left, quantity = first.left_minor, first.quantity_milli
    for piece in pieces:
        if piece.left_minor != left or piece.quantity_milli != quantity:
            return _UNLIKE
    return left, quantity, len(pieces)


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
    shelf = _Shelf(pieces)
    for priority in sorted({each.terms.priority for each in eligible}, reverse=True):
        at_once = [each for each in eligible if each.terms.priority == priority]
        applied += _apply_best_first([each for each in at_once if not isinstance(each.terms, Threshold)], shelf)
    for each in sorted((each for each in eligible if isinstance(each.terms, Threshold)),
                       key=lambda each: (-each.terms.priority, each.id)):
        applied += _take(each, _try(each.terms, [list(pieces)]))
    return applied


def _apply_best_first(promotions: list[ActivePromotion], shelf: _Shelf) -> list[Applied]:
    """What others took can only lessen what a promotion saves, so one that was best when it was last tried, and whose
    products nobody touched since, is the best there is."""
    touched_at, turn = dict[str, int](), 0
    waiting: list[tuple[int, str, int, int]] = []

    def wait(place: int) -> None:
        promotion = promotions[place]
        saves = _saves(promotion.terms, shelf)
        if saves > 0:
            heapq.heappush(waiting, (-saves, promotion.id, place, turn))

    def touched_last(skus: Iterable[str]) -> int:
        return max([touched_at.get(sku, -1) for sku in skus])

    for place in range(len(promotions)):
        wait(place)
    applied: list[Applied] = []
    while waiting:
        _, _, place, tried_at = heapq.heappop(waiting)
        promotion = promotions[place]
        if touched_last(promotion.terms.skus) >= tried_at:
            wait(place)
            continue
        trial = _try(promotion.terms, shelf.of(promotion.terms))
        applied += _take(promotion, trial)
        skus = {piece.sku for piece, _ in trial.off}
        touched_at.update(dict.fromkeys(skus, turn))
        turn += 1
        shelf.touched(skus)
    return applied


def _saves(terms: Terms, shelf: _Shelf) -> int:
    """What `_try` would take off in all, without saying off what: by counting where pieces are alike."""
    found = shelf.alike(terms)
    if not found:
        return 0
    if _UNLIKE in found:
        return _try(terms, shelf.of(terms)).total_minor
    if isinstance(terms, _GROUPS):
        return _saves_in_mixed_groups(terms, found) if terms.mixed else _saves_in_groups(terms, found)
    if isinstance(terms, PercentOff) and not terms.times_max:
        percent = terms.percent
        return sum([count * ((2 * left * percent + 100) // 200) for left, _, count in found])
    if isinstance(terms, Threshold) or terms.times_max:
        return _try(terms, shelf.of(terms)).total_minor
    return sum([count * _off_alike(terms, left, quantity) for left, quantity, count in found])


def _saves_in_groups(terms: MultiBuy | BuyGet, found: Sequence[Alike]) -> int:
    """For SKUs whose pieces are all alike."""
    size, times, saves = _size(terms), 0, 0
    for left, quantity, count in found:
        off = terms.pieces * left - terms.price_minor if isinstance(terms, MultiBuy) else \
            terms.get * rounded(left * terms.percent, 100)
        groups = count // size if quantity == MILLI and off > 0 else 0
        if terms.times_max:
            groups = min(groups, terms.times_max - times)
        times += groups
        saves += groups * off
    return saves


def _saves_in_mixed_groups(terms: MultiBuy | BuyGet, found: Sequence[Alike]) -> int:
    """For pieces of any SKU together, the dearest first."""
    size, saves = _size(terms), 0
    lefts = list(chain.from_iterable([[left] * count for left, quantity, count in sorted(found, reverse=True)
                                      if quantity == MILLI]))
    groups = len(lefts) // size
    for start in range(0, min(groups, terms.times_max or groups) * size, size):
        if isinstance(terms, MultiBuy):
            off = sum(lefts[start : start + size]) - terms.price_minor
        else:
            off = sum([rounded(left * terms.percent, 100) for left in lefts[start + terms.buy : start + size]])
        if off <= 0:
            break
        saves += off
    return saves


def _size(terms: MultiBuy | BuyGet) -> int:
    """Pieces of a group."""
    return terms.pieces if isinstance(terms, MultiBuy) else terms.buy + terms.get


def _take(promotion: ActivePromotion, trial: _Trial) -> list[Applied]:
    """Do what was tried; nothing when it saves nothing."""
    if trial.total_minor <= 0:
        return []
    keeps = promotion.terms.stackable or isinstance(promotion.terms, Threshold)
    off_minor: dict[int, int] = {}
    for piece, off in trial.off:
        piece.left_minor -= off
        piece.taken = piece.taken or not keeps
        if off:
            off_minor[piece.line] = off_minor.get(piece.line, 0) + off
    return [Applied(promotion, trial.times, off_minor)]


def _is_eligible(terms: Terms, coupons: frozenset[str], *, member: bool) -> bool:
    return (not terms.coupon or terms.coupon in coupons) and (member or not terms.member_only)


def _try(terms: Terms, kins: Sequence[list[Piece]]) -> _Trial:
    match terms:
        case MultiBuy() | BuyGet():
            return _groups(terms, kins)
        case Threshold():
            return _threshold(terms, [piece for kin in kins for piece in kin])
        case _:
            return _each(terms, kins)


def _each(terms: PercentOff | AmountOff | FixedPrice, kins: Sequence[list[Piece]]) -> _Trial:
    trial = _Trial()
    for kin in kins:
        for piece in kin:
            if terms.times_max and trial.times >= terms.times_max:
                return trial
            off = _off_alike(terms, piece.left_minor, piece.quantity_milli)
            if off > 0:
                trial.times += 1
                trial.take(piece, off)
    return trial


def _off_alike(terms: PercentOff | AmountOff | FixedPrice, left_minor: int, quantity_milli: int) -> int:
    """What it takes off a piece of which so much is left to pay."""
    if isinstance(terms, PercentOff):
        return rounded(left_minor * terms.percent, 100)
    if isinstance(terms, AmountOff):
        return min(left_minor, rounded(terms.amount_minor * quantity_milli, MILLI))
    return max(0, left_minor - rounded(terms.price_minor * quantity_milli, MILLI))


def _groups(terms: MultiBuy | BuyGet, kins: Sequence[list[Piece]]) -> _Trial:
    """The dearest pieces together first: so the customer saves most."""
    size, trial = _size(terms), _Trial()
    for kin in [list(chain.from_iterable(kins))] if terms.mixed else kins:
        if len(kin) < size:
            continue
        whole = sorted((piece for piece in kin if piece.quantity_milli == MILLI), key=_dearest_first)
        for start in range(0, len(whole) - size + 1, size):
            group = whole[start : start + size]
            off = _off_group(terms, group)
            if off <= 0 or (terms.times_max and trial.times >= terms.times_max):
                break
            trial.times += 1
            for piece, share in zip(group, shared_out(off, [piece.left_minor for piece in group]), strict=True):
                trial.take(piece, share)
    return trial


def _dearest_first(piece: Piece) -> tuple[int, int]:
    return -piece.left_minor, piece.line


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
    trial = _Trial(times)
    for piece, share in zip(counted, shared_out(off, [piece.left_minor for piece in counted]), strict=True):
        trial.take(piece, share)
    return trial


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
