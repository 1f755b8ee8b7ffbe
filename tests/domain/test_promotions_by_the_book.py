"""The promotions of a basket against the plainest way to work them out: every piece looked at, nothing remembered."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from math import floor

from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_sync.contract.promotions import AmountOff, BuyGet, FixedPrice, MultiBuy, PercentOff, Terms, Threshold
from edge.domain.promotion import ActivePromotion, Applied, PricedLine, _OffSpent, _Shelf, apply_promotions, pieces_of
from tests.domain.any_promotions import SKUS, any_terms

Off = list[tuple["Thing", int]]


@dataclass(eq=False)
class Thing:
    """A piece, or a weight."""

    line: int
    sku: str
    kilos: Fraction
    left: int
    free: bool = True


def half_up(exact: Fraction | int) -> int:
    return floor(exact + Fraction(1, 2))


def shares(total: int, weights: list[int]) -> list[int]:
    exact = [Fraction(total * weight, sum(weights) or 1) for weight in weights]
    parts = [floor(each) for each in exact]
    for _ in range(total - sum(parts)):
        short = [each - part for each, part in zip(exact, parts, strict=True)]
        parts[short.index(max(short))] += 1
    return parts


def shared(total: int, things: list[Thing]) -> Off:
    return list(zip(things, shares(total, [thing.left for thing in things]), strict=True))


def off_of_one(terms: PercentOff | AmountOff | FixedPrice, thing: Thing) -> int:
    if isinstance(terms, PercentOff):
        return half_up(Fraction(thing.left * terms.percent, 100))
    if isinstance(terms, AmountOff):
        return min(thing.left, half_up(terms.amount_minor * thing.kilos))
    return max(0, thing.left - half_up(terms.price_minor * thing.kilos))


def off_of_group(terms: MultiBuy | BuyGet, group: list[Thing]) -> int:
    if isinstance(terms, MultiBuy):
        return sum(thing.left for thing in group) - terms.price_minor
    return sum(half_up(Fraction(thing.left * terms.percent, 100)) for thing in group[terms.buy :])


def trial(terms: Terms, things: list[Thing]) -> tuple[int, Off]:
    """How often these terms apply, and what they take off what."""
    times, off = 0, Off()
    if isinstance(terms, Threshold):
        counted = [thing for thing in things if not terms.skus or thing.sku in terms.skus]
        spent = sum(thing.left for thing in counted)
        times = spent // terms.spend_minor if terms.repeats else int(spent >= terms.spend_minor)
        times = min(times, terms.times_max or times)
        saved = min(spent, times * terms.off_minor + half_up(Fraction(spent * terms.percent, 100)))
        return times, shared(saved, counted) if times else []
    kins = [[thing for thing in things if thing.sku == sku and (thing.free or terms.stackable)] for sku in terms.skus]
    if isinstance(terms, PercentOff | AmountOff | FixedPrice):
        offs = [(thing, off_of_one(terms, thing)) for kin in kins for thing in kin]
        off = [each for each in offs if each[1] > 0][: terms.times_max or len(offs)]
        return len(off), off
    size = terms.pieces if isinstance(terms, MultiBuy) else terms.buy + terms.get
    for together in [list(chain(*kins))] if terms.mixed else kins:
        whole = sorted((thing for thing in together if thing.kilos == 1), key=lambda thing: (-thing.left, thing.line))
        while len(whole) >= size and off_of_group(terms, whole[:size]) > 0 and times < (terms.times_max or times + 1):
            off += shared(off_of_group(terms, whole[:size]), whole[:size])
            whole, times = whole[size:], times + 1
    return times, off


def saves(terms: Terms, things: list[Thing]) -> int:
    return sum(off for _, off in trial(terms, things)[1])


def by_the_book(things: list[Thing], promotions: list[ActivePromotion]) -> list[Applied]:
    """The rules at the head of `edge.domain.promotion`. What a promotion saves is told before its priority's turn, and
    told again whenever it seems to be the best."""
    applied: list[Applied] = []
    last = [each for each in promotions if isinstance(each.terms, Threshold)]
    for priority in (2, 1, 0):
        told = {each.id: (saves(each.terms, things), each) for each in promotions
                if each.terms.priority == priority and each not in last}
        while told := {name: each for name, each in told.items() if each[0] > 0}:
            said, best = max((each for _, each in sorted(told.items())), key=lambda each: each[0])
            told[best.id] = saves(best.terms, things), best
            if told[best.id][0] == said:
                del told[best.id]
                applied.append(take(best, things))
    for each in sorted(last, key=lambda each: (-each.terms.priority, each.id)):
        if saves(each.terms, things) > 0:
            applied.append(take(each, things))
    return applied


def take(promotion: ActivePromotion, things: list[Thing]) -> Applied:
    times, off = trial(promotion.terms, things)
    off_minor: dict[int, int] = {}
    for thing, minor in off:
        thing.left -= minor
        thing.free = thing.free and promotion.terms.stackable
        off_minor[thing.line] = off_minor.get(thing.line, 0) + minor
    return Applied(promotion, times, {line: minor for line, minor in off_minor.items() if minor})


seldom = st.integers(0, 3).map(lambda number: number == 3)
limits = st.sampled_from((0, 0, 0, 1, 2, 3))
conditions = {"priority": st.integers(0, 2), "stackable": seldom, "times_max": limits}
terms_of_any_kind = any_terms(conditions)
quantities = st.one_of(st.integers(1, 5).map(lambda pieces: pieces * 1000), st.integers(1, 3999))
prices = st.one_of(st.sampled_from((99, 100, 199, 499)), st.integers(0, 2000))
rows = st.lists(st.tuples(st.sampled_from(SKUS), quantities, prices), max_size=8)


@settings(deadline=None, max_examples=500)
@given(rows=rows, terms=st.lists(terms_of_any_kind, max_size=10))
def test_the_quick_way_applies_what_the_plain_one_does(rows: list[tuple[str, int, int]], terms: list[Terms]) -> None:
    lines = [PricedLine(-number, *row) for number, row in enumerate(rows)]
    promotions = [ActivePromotion(f"p{number}", 1, each) for number, each in enumerate(terms)]
    things = [thing for line in lines for thing in things_of(line)]
    pieces = pieces_of(lines)
    assert apply_promotions(pieces, reversed(promotions), frozenset(), member=True) == by_the_book(things, promotions)
    assert [piece.left_minor for piece in pieces] == [thing.left for thing in things]


@settings(deadline=None, max_examples=300)
@given(rows=rows, terms=st.lists(terms_of_any_kind, min_size=1, max_size=10))
def test_what_is_counted_is_what_the_plain_way_takes_off(rows: list[tuple[str, int, int]], terms: list[Terms]) -> None:
    lines = [PricedLine(number, *row) for number, row in enumerate(rows)]
    things = [thing for line in lines for thing in things_of(line)]
    shelf = _Shelf(pieces_of(lines), stacks=False)
    for saving, each in [(ActivePromotion("", 1, each).saving, each) for each in terms]:
        assert isinstance(saving, _OffSpent) or saving.saves(shelf) == saves(each, things)


def things_of(line: PricedLine) -> list[Thing]:
    kilos = Fraction(line.quantity_milli, 1000)
    if kilos.denominator == 1:
        return [Thing(line.line, line.sku, Fraction(1), line.unit_minor) for _ in range(int(kilos))]
    return [Thing(line.line, line.sku, kilos, half_up(line.unit_minor * kilos))]
