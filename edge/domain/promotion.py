"""Promotions over a basket: which apply, to which pieces, and how much each takes off (DESIGN.md sections 2 and 5).

Rules of combination. Higher priority first; of equal priority, the one that saves the customer most goes first, then
the lower id. A piece counts for one promotion only, except that a stackable one goes on top of the others and takes no
piece away. Thresholds come last, over what is left to pay. This is greedy: where promotions of one priority compete for
the same pieces another assignment may save more; a chain that wants one to win says so by priority.

All money is integer minor units. What a group of pieces saves is shared out by largest remainder, so that the shares
add up to exactly what was saved. No piece costs less than nothing.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import msgspec

from cloud_sync.contract.promotions import AmountOff, BuyGet, FixedPrice, MultiBuy, PercentOff, Terms, Threshold

MILLI = 1000


@dataclass(frozen=True, slots=True)
class ActivePromotion:
    """A promotion that may apply now. `saving`: what its terms do, made ready once for all the baskets to come."""

    id: str
    version: int
    terms: Terms
    saving: "_Saving" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "saving", _saving_of(self.terms))


class PricedLine(msgspec.Struct, frozen=True):
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


class Piece(msgspec.Struct):
    """A piece, or all of a weighed line: what is still to pay for it, and whether a promotion has it."""

    line: int
    sku: str
    quantity_milli: int
    left_minor: int
    taken: bool = False


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
    shelves = {stacks: _Shelf(pieces, stacks=stacks) for stacks in {each.terms.stackable for each in eligible}}
    by_priority, thresholds = defaultdict[int, list[_Ready]](list), list[tuple[ActivePromotion, _OffSpent]]()
    for each in eligible:
        if isinstance(each.saving, _OffSpent):
            thresholds.append((each, each.saving))
        else:
            by_priority[each.terms.priority].append((each, each.saving, shelves[each.terms.stackable]))
    applied: list[Applied] = []
    for priority in sorted(by_priority, reverse=True):
        applied += _apply_best_first(by_priority[priority], shelves.values())
    for promotion, spent in sorted(thresholds, key=lambda each: (-each[0].terms.priority, each[0].id)):
        trial = spent.trial(pieces)
        if trial.total_minor > 0:
            applied.append(_take(promotion, trial))
    return applied


def _apply_best_first(promotions: Sequence["_Ready"], shelves: Collection["_Shelf"]) -> list[Applied]:
    """What others took can only lessen what a promotion saves, so one that is tried again and still goes before all the
    others, by what those saved when they were last tried, is the best there is. (With `times_max` it may save more, on
    dearer pieces of its; then it still waits for the turn that it had.)"""
    waiting = [(-saves, promotion.id, place) for place, (promotion, saving, shelf) in enumerate(promotions)
               if (saves := saving.saves(shelf)) > 0]
    heapq.heapify(waiting)
    applied: list[Applied] = []
    while waiting:
        _, name, place = heapq.heappop(waiting)
        promotion, saving, shelf = promotions[place]
        saves = saving.saves(shelf)
        tried = -saves, name, place
        if saves > 0 and waiting and waiting[0] < tried:
            heapq.heappush(waiting, tried)
        elif saves > 0:
            trial = saving.trial(shelf)
            applied.append(_take(promotion, trial))
            skus = {piece.sku for piece, _ in trial.off}
            for each in shelves:
                each.touched(skus)
    return applied


def _take(promotion: ActivePromotion, trial: "_Trial") -> Applied:
    """Do what was tried."""
    takes = not promotion.terms.stackable and not isinstance(promotion.terms, Threshold)
    off_minor: dict[int, int] = {}
    for piece, off in trial.off:
        piece.left_minor -= off
        piece.taken |= takes
        if off:
            off_minor[piece.line] = off_minor.get(piece.line, 0) + off
    return Applied(promotion, trial.times, off_minor)


def _is_eligible(terms: Terms, coupons: frozenset[str], *, member: bool) -> bool:
    return (not terms.coupon or terms.coupon in coupons) and (member or not terms.member_only)


Run = tuple[int, int, int]
"""What is left to pay for each of some pieces in a row, the quantity of each, and how many they are."""


class _Shelf:
    """The pieces that promotions may touch, by SKU, and the same counted: all of them for those that stack, for the
    others what none has taken. A SKU without any is in neither."""

    def __init__(self, pieces: Iterable[Piece], *, stacks: bool) -> None:
        self._stacks = stacks
        self.pieces: dict[str, list[Piece]] = {}
        self.runs: dict[str, list[Run]] = {}
        for piece in pieces:
            self.pieces.setdefault(piece.sku, []).append(piece)
        self.touched(list(self.pieces))

    def touched(self, skus: Iterable[str]) -> None:
        """Something was taken off pieces of these, or they were taken."""
        for sku in skus:
            kin = [piece for piece in self.pieces.pop(sku, ()) if self._stacks or not piece.taken]
            self.runs.pop(sku, None)
            if kin:
                self.pieces[sku], self.runs[sku] = kin, _runs(kin)


def _runs(pieces: Sequence[Piece]) -> list[Run]:
    runs: list[Run] = []
    left, quantity, count = pieces[0].left_minor, pieces[0].quantity_milli, 0
    for piece in pieces:
        if piece.left_minor != left or piece.quantity_milli != quantity:
            runs.append((left, quantity, count))
            left, quantity, count = piece.left_minor, piece.quantity_milli, 0
        count += 1
    runs.append((left, quantity, count))
    return runs


class _Trial(msgspec.Struct):
    """What a promotion would do: how often it would apply, and what it would take off which piece."""

    times: int = 0
    off: list[tuple[Piece, int]] = []

    @property
    def total_minor(self) -> int:
        return sum([off for _, off in self.off])


@dataclass(frozen=True, slots=True)
class _OffEach:
    """So much off each piece. `off`: for what is left to pay for a piece, and its quantity."""

    skus: tuple[str, ...]
    times_max: int
    off: Callable[[int, int], int]

    def saves(self, shelf: _Shelf) -> int:
        """What `trial` would take off in all, by counting alone."""
        if self.times_max:
            return self.trial(shelf).total_minor
        saves, off, runs = 0, self.off, shelf.runs
        for sku in self.skus:
            if sku in runs:
                for left, quantity, count in runs[sku]:
                    saves += count * off(left, quantity)
        return saves

    def trial(self, shelf: _Shelf) -> _Trial:
        """What it would take off which pieces."""
        offs = [(piece, off) for sku in self.skus for piece in shelf.pieces.get(sku, ())
                if (off := self.off(piece.left_minor, piece.quantity_milli)) > 0]
        offs = offs[: self.times_max or len(offs)]
        return _Trial(len(offs), offs)


@dataclass(frozen=True, slots=True)
class _OffGroups:
    """So much off each group of pieces of one product, or `mixed`; the dearest together first: so the customer saves
    most. `off`: for what is left to pay for each piece of a group, the dearest first."""

    skus: tuple[str, ...]
    times_max: int
    size: int
    mixed: bool
    off: Callable[[Sequence[int]], int]

    def saves(self, shelf: _Shelf) -> int:
        """What `trial` would take off in all, by counting alone."""
        if self.times_max:
            return self.trial(shelf).total_minor
        runs, size, saves = shelf.runs, self.size, 0
        if self.mixed:
            return self._saves_together(self.skus, runs)
        for sku in self.skus:
            if sku in runs:
                left, quantity, count = runs[sku][0]
                if len(runs[sku]) > 1:
                    saves += self._saves_together((sku,), runs)
                elif count >= size and quantity == MILLI:
                    saves += count // size * max(0, self.off([left] * size))
        return saves

    def _saves_together(self, skus: Iterable[str], runs: Mapping[str, Sequence[Run]]) -> int:
        lefts: list[int] = []
        for sku in skus:
            if sku in runs:
                for left, quantity, count in runs[sku]:
                    if quantity == MILLI:
                        lefts += [left] * count
        lefts.sort(reverse=True)
        return sum(self._offs(lefts))

    def trial(self, shelf: _Shelf) -> _Trial:
        """What it would take off which pieces."""
        kins = [shelf.pieces[sku] for sku in self.skus if sku in shelf.pieces]
        trial = _Trial()
        for kin in [list(chain.from_iterable(kins))] if self.mixed else kins:
            if len(kin) < self.size:
                continue
            whole = sorted([piece for piece in kin if piece.quantity_milli == MILLI], key=_dearest_first)
            lefts = [piece.left_minor for piece in whole]
            offs = self._offs(lefts)
            offs = offs[: self.times_max - trial.times] if self.times_max else offs
            trial.times += len(offs)
            for start, off in zip(range(0, len(lefts), self.size), offs, strict=False):
                group = slice(start, start + self.size)
                trial.off += zip(whole[group], shared_out(off, lefts[group]), strict=True)
        return trial

    def _offs(self, lefts: Sequence[int]) -> list[int]:
        """What each group saves that saves anything: what comes after one that saves nothing does neither."""
        size = self.size
        return [off for start in range(0, len(lefts) - size + 1, size)
                if (off := self.off(lefts[start : start + size])) > 0]


def _dearest_first(piece: Piece) -> tuple[int, int]:
    return -piece.left_minor, piece.line


@dataclass(frozen=True, slots=True)
class _OffSpent:
    """So much off what is spent, once enough is."""

    terms: Threshold

    def trial(self, pieces: Sequence[Piece]) -> _Trial:
        """What it would take off which of all the pieces in the basket."""
        terms = self.terms
        counted = [piece for piece in pieces if not terms.skus or piece.sku in terms.skus]
        lefts = [piece.left_minor for piece in counted]
        spent = sum(lefts)
        times = spent // terms.spend_minor if terms.repeats else int(spent >= terms.spend_minor)
        times = min(times, terms.times_max) if terms.times_max else times
        if times <= 0:
            return _Trial()
        off = min(spent, times * terms.off_minor + rounded(spent * terms.percent, 100))
        return _Trial(times, list(zip(counted, shared_out(off, lefts), strict=True)))


_Saving = _OffEach | _OffGroups | _OffSpent
_Ready = tuple[ActivePromotion, _OffEach | _OffGroups, _Shelf]
"""A promotion that takes its turn, what it does, and where it finds its pieces."""


def _saving_of(terms: Terms) -> _Saving:
    skus = tuple(dict.fromkeys(terms.skus))  # one that is named twice is still touched once
    match terms:
        case PercentOff(percent=percent):
            return _OffEach(skus, terms.times_max, lambda left, _: rounded(left * percent, 100))
        case AmountOff(amount_minor=amount):
            return _OffEach(skus, terms.times_max,
                            lambda left, quantity: min(left, rounded(amount * quantity, MILLI)))
        case FixedPrice(price_minor=price):
            return _OffEach(skus, terms.times_max,
                            lambda left, quantity: max(0, left - rounded(price * quantity, MILLI)))
        case MultiBuy(price_minor=price):
            return _OffGroups(skus, terms.times_max, terms.pieces, terms.mixed, lambda lefts: sum(lefts) - price)
        case BuyGet(buy=buy, percent=percent):
            return _OffGroups(skus, terms.times_max, buy + terms.get, terms.mixed,
                              lambda lefts: sum([rounded(left * percent, 100) for left in lefts[buy:]]))
        case Threshold():
            return _OffSpent(terms)


def shared_out(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in parts as near to the weights as whole numbers can be: the largest remainders get what is over, the
    first of equals first. No part is larger than its weight while `total` is not larger than their sum."""
    if len(set(weights)) == 1 and weights[0] > 0:
        part, over = divmod(total, len(weights))
        return [part + 1] * over + [part] * (len(weights) - over)
    whole = sum(weights)
    if whole <= 0:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    left = total - sum(parts)
    if left:
        remainders = [total * weight % whole for weight in weights]
        for place in sorted(range(len(weights)), key=remainders.__getitem__, reverse=True)[:left]:
            parts[place] += 1
    return parts


def rounded(numerator: int, denominator: int) -> int:
    """Half up, away from nothing for what is below it: a return costs what its sale did."""
    if numerator < 0:
        return -rounded(-numerator, denominator)
    return (2 * numerator + denominator) // (2 * denominator)
