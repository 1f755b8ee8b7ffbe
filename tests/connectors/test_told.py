"""What became of an order, as a commerce system hears it (DESIGN.md section 9, retail.md 2.1)."""

from cloud_sync.connectors.told import Told, after_step, new_order, open_units, tell
from cloud_sync.contract.documents import Order, OrderLine, SubstituteAnswer
from cloud_sync.contract.facts import PickupStep, StepLine, Substitute
from cloud_sync.contract.pickup import PickupState

LINES = (OrderLine(1, "milk", 3000, 199, may_substitute=True), OrderLine(2, "bread", 2000, 120))
WORDS = Order("o1", 1, 0, LINES, "EUR")
OAT = Substitute(3, "oat", 1000, 179, 1)


def step(name: str, *lines: tuple[int, int], **more: object) -> PickupStep:
    return PickupStep("o1", f"t-{name}", name, "", 1, "ana", lines=tuple(StepLine(*line) for line in lines), **more)


def told(*steps: PickupStep, words: Order = WORDS) -> Told:
    order = new_order("o1", LINES)
    for each in steps:
        order = after_step(order, each)
    return tell(order, words)


def kept(told: Told) -> dict[int, tuple[int, int, int]]:
    """Line → keep, handed, open."""
    return {line.line: (line.keep, line.handed, line.open) for line in told.lines}


ACCEPT = step("accept", (1, 3000), (2, 2000))
OFFER = step("offer", (1, 1000), short_reason="mismatch", substitute=OAT)
ANSWERED = Order("o1", 2, 0, LINES, "EUR", answers=(SubstituteAnswer(3, True),))
PICKED = (ACCEPT, OFFER, step("short", (2, 1000), short_reason="damaged"),
          step("pick", (1, 2000), (2, 1000), (3, 1000)))
READY = (*PICKED, step("stage"), step("ready"))


def test_nothing_is_taken_off_before_the_picking_is_over():
    now = told(*PICKED, words=ANSWERED)
    assert not now.settled
    assert kept(now) == {1: (3, 0, 2), 2: (2, 0, 1), 3: (1, 0, 1)}


def test_what_is_ready_is_what_was_found():
    now = told(*READY, words=ANSWERED)
    assert (now.state, now.settled, now.ready, now.ended) == (PickupState.READY, True, True, False)
    assert kept(now) == {1: (2, 0, 2), 2: (1, 0, 1), 3: (1, 0, 1)}
    assert open_units(now.lines) == {"milk": 2, "bread": 1, "oat": 1}


def test_a_substitute_waits_for_a_word_and_a_no_keeps_nothing_of_it():
    waiting = told(ACCEPT, OFFER)
    assert (waiting.asks, waiting.settled) == ((3,), False)
    declined = told(ACCEPT, OFFER, words=Order("o1", 2, 0, LINES, "EUR", answers=(SubstituteAnswer(3, False),)))
    assert declined.asks == ()
    assert kept(declined)[3] == (0, 0, 0)


def test_p6_what_was_handed_over_counts_although_the_rest_expired():
    now = told(*READY, step("hand_over", (1, 1000)), step("expire"), words=ANSWERED)
    assert (now.ended, now.handed) == (True, True)
    assert kept(now) == {1: (1, 1, 0), 2: (0, 0, 0), 3: (0, 0, 0)}


def test_an_order_that_was_not_answered_yet_keeps_everything_open():
    assert kept(told()) == {1: (3, 0, 3), 2: (2, 0, 2)}


def test_a_rejected_order_keeps_nothing():
    now = told(step("reject"))
    assert (now.ended, now.state) == (True, PickupState.REJECTED)
    assert kept(now) == {1: (0, 0, 0), 2: (0, 0, 0)}


def test_a_cancelled_line_keeps_nothing_and_a_cancelled_order_ends():
    assert kept(told(ACCEPT, words=Order("o1", 2, 0, LINES, "EUR", cancel_lines=(2,))))[2] == (0, 0, 0)
    assert told(ACCEPT, words=Order("o1", 2, 0, LINES, "EUR", cancel_requested=True)).state is PickupState.CANCELLED


def test_a_later_versions_step_and_one_without_what_it_needs_change_nothing():
    before = told(ACCEPT)
    assert told(ACCEPT, step("juggle", (1, 1000)), step("short", (1, 1000)), step("offer", (1, 1000),
                                                                                 short_reason="mismatch")) == before
