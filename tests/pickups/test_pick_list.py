"""Several orders on one walk: the way past the shelves, and whose each unit is (DESIGN.md section 9)."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.contract.pickup import PickupState
from cloud_sync.contract.pickup_order import Answer, Line, PickupOrder
from edge.pickups.pick_list import ListedOrder, missing, next_unit, stops
from edge.pickups.shelf import ShelfPlace, walk_key

MILK, BREAD, HAM = "milk", "bread", "ham"


def listed(order_id: str, tote: int, *lines: Line) -> ListedOrder:
    return ListedOrder(PickupOrder(order_id, lines, PickupState.ACCEPTED), tote, f"A{tote}")


def line(number: int, sku: str, pieces: float, **more: object) -> Line:
    milli = int(pieces * 1000)
    return replace(Line(number, sku, milli, 100, reserved_milli=milli), **more)  # type: ignore[arg-type]


def test_one_walks_past_each_shelf_once_in_the_planograms_order() -> None:
    orders = [listed("O-1", 1, line(1, HAM, 1), line(2, MILK, 2)),
              listed("O-2", 2, line(1, BREAD, 1), line(2, MILK, 1))]
    places = {MILK: ShelfPlace("10", "1"), BREAD: ShelfPlace("2", "12"), HAM: ShelfPlace("2", "3")}

    found = stops(orders, places)

    assert [stop.sku for stop in found] == [HAM, BREAD, MILK], "aisle 2 before aisle 10, bay 3 before bay 12"
    assert [(each.where, each.left_milli) for each in found[-1].portions] == [("A1", 2000), ("A2", 1000)]


def test_a_walk_that_the_planogram_names_wins_and_what_has_no_place_comes_last() -> None:
    frozen, first = ShelfPlace("1", walk=90), ShelfPlace("7", walk=10)
    places = [None, frozen, ShelfPlace("3"), first]

    assert sorted(places, key=walk_key) == [first, frozen, ShelfPlace("3"), None]


def test_units_fill_one_tote_after_the_other() -> None:
    (stop,) = stops([listed("O-1", 1, line(1, MILK, 1)), listed("O-2", 2, line(4, MILK, 2))], {})
    portion, milli = next_unit(stop)
    assert (portion.order_id, milli) == ("O-1", 1000)

    (stop,) = stops([listed("O-1", 1, line(1, MILK, 1, reserved_milli=0, staged_milli=1000)),
                     listed("O-2", 2, line(4, MILK, 2))], {})
    portion, milli = next_unit(stop)
    assert (portion.order_id, portion.line, milli) == ("O-2", 4, 1000)
    assert (stop.left_milli, stop.total_milli) == (2000, 3000)


def test_what_is_weighed_is_picked_whole() -> None:
    (stop,) = stops([listed("O-1", 1, line(1, HAM, 0.35))], {})

    assert next_unit(stop)[1] == 350


def test_who_came_last_goes_without() -> None:
    (stop,) = stops([listed("O-1", 1, line(1, MILK, 2)), listed("O-2", 2, line(1, MILK, 2))], {})

    assert [(portion.order_id, milli) for portion, milli in missing(stop, 3000)] == [("O-2", 2000), ("O-1", 1000)]


def test_nothing_is_picked_that_nobody_waits_for() -> None:
    orders = [listed("O-1", 1, line(1, MILK, 1, cancelled=True, reserved_milli=0),
                     line(2, BREAD, 1, answer=Answer.OFFERED), line(3, HAM, 1))]

    assert [stop.sku for stop in stops(orders, {})] == [HAM]


@given(st.lists(st.tuples(st.sampled_from([MILK, BREAD, HAM]), st.integers(1, 3)), min_size=1, max_size=8),
       st.integers(1, 4))
def test_every_unit_is_somebodys_and_scans_end(wanted: list[tuple[str, int]], count: int) -> None:
    """Scan whatever is left until nothing is: as many scans as units, and each order has what it ordered."""
    totes: dict[int, list[Line]] = {}
    for number, (sku, pieces) in enumerate(wanted):
        totes.setdefault(number % count, []).append(line(number, sku, pieces))
    orders = [listed(f"O-{tote}", tote + 1, *lines) for tote, lines in totes.items()]
    scans = 0
    while left := [stop for stop in stops(orders, {}) if stop.left_milli]:
        portion, milli = next_unit(left[0])
        orders = [replace(order, value=replace(order.value, lines=tuple(
            replace(each, reserved_milli=each.reserved_milli - milli, staged_milli=each.staged_milli + milli)
            if (order.order_id, each.line) == (portion.order_id, portion.line) else each
            for each in order.value.lines))) for order in orders]
        scans += 1

    assert scans == sum(pieces for _, pieces in wanted)
    assert all(each.staged_milli == each.ordered_milli for order in orders for each in order.value.lines)
