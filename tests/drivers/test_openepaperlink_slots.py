"""More pictures than a radio has slots: who gets one, and that everybody does (esl.md 1.2, 8)."""

import asyncio
import random

from hypothesis import given
from hypothesis import strategies as st

from drivers.openepaperlink.rhythm import INTERVAL_FIRST_S, Rhythm
from drivers.openepaperlink.slots import BESIDE_URGENT_MAX, STREAMED_MAX
from drivers.openepaperlink.waiting_offers import WaitingOffers
from drivers.port import Failed
from drivers.virtual.radio import REALISTIC
from tests.drivers.aisle import Aisle, an_aisle, virtually

MANY = STREAMED_MAX + 80


def test_a_rhythm_is_learnt_and_a_check_in_that_was_not_heard_does_not_double_it():
    rhythm = Rhythm()
    for at_s in (0.0, 40.0, 80.5, 160.0, 200.0):
        rhythm.checked_in(at_s)
    assert 39 < rhythm.interval_s < 41
    assert 239 < rhythm.next_s(200.0) < 241


def test_a_label_that_repeats_itself_teaches_nothing():
    rhythm = Rhythm()
    for at_s in (0.0, 0.1, 0.2, 50.0, 50.1):
        rhythm.checked_in(at_s)
    assert rhythm.interval_s == 50.0


def test_a_label_that_is_overdue_is_awaited_now_and_then_one_interval_later():
    rhythm = Rhythm()
    for at_s in (0.0, 40.0):
        rhythm.checked_in(at_s)
    assert rhythm.next_s(85.0) == 80.0
    assert rhythm.next_s(100.0) == 120.0
    assert rhythm.next_s(500.0) >= 500.0 - INTERVAL_FIRST_S


@given(st.lists(st.floats(0, 1e6)), st.floats(0, 2e6))
def test_the_next_check_in_is_never_long_past(at_s: list[float], later_s: float):
    rhythm = Rhythm()
    for each_s in sorted(at_s):
        rhythm.checked_in(each_s)
    now_s = max([later_s, *at_s])
    assert now_s - rhythm.interval_s <= rhythm.next_s(now_s) <= now_s + rhythm.interval_s * 1.001


def test_the_urgent_go_first_and_then_who_is_expected_soonest():
    ranks = {"late": (True, 30.0), "soon": (True, 10.0), "urgent": (False, 50.0), "urgent once": (False, 60.0)}
    waiting = WaitingOffers(ranks.__getitem__)
    for label in ranks:
        waiting.add(label)
    ranks["soon"] = (True, 40.0)
    ranks["urgent once"] = (True, 60.0)
    assert [waiting.pop() for _ in range(4)] == ["urgent", "late", "soon", "urgent once"]
    assert not waiting


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["add", "later", "discard", "heard", "pop"]),
                          st.booleans(), st.floats(0, 100))))
def test_a_label_waits_once_whatever_happens(steps: list[tuple[str, str, bool, float]]):
    ranks = dict.fromkeys("abcde", (True, 0.0))
    waiting, there = WaitingOffers(ranks.__getitem__), set[str]()
    for label, step, plain, at_s in steps:
        match step:
            case "add" | "heard":
                ranks[label] = (plain, at_s)
                if step == "add":
                    waiting.add(label)
                    there.add(label)
                else:
                    waiting.heard(label)
            case "later":
                ranks[label] = max(ranks[label], (plain, at_s))
            case "discard":
                waiting.discard(label)
                there.discard(label)
            case "pop" if there:
                popped = waiting.pop()
                there.remove(popped)
                assert all(ranks[popped] <= ranks[other] for other in there)
        assert len(waiting) == len(there)


@virtually
async def test_more_labels_than_slots_all_get_their_picture():
    async with an_aisle(MANY, check_in_s=20.0) as aisle:
        await aisle.ready()
        wanted = [await aisle.offer(number, label) for number, label in enumerate(aisle.shelf.labels)]
        assert len(aisle.radio.slots) == STREAMED_MAX
        for label, (picture, blob) in zip(aisle.shelf.labels, wanted, strict=True):
            await aisle.proven(blob, label)
            assert aisle.label(label).picture == picture
        assert aisle.wrong_proofs == []
        assert aisle.heard(Failed) == []


@virtually
async def test_labels_that_are_silent_do_not_keep_others_from_a_slot():
    async with an_aisle(MANY, check_in_s=20.0) as aisle:
        await aisle.ready()
        labels = list(aisle.shelf.labels)
        silent, heard = labels[:STREAMED_MAX], labels[STREAMED_MAX:]
        for label in silent:
            aisle.label(label).cut_power()
        for number, label in enumerate(labels):
            await aisle.offer(number, label)
        await aisle.until(lambda: all(aisle.label(label).picture for label in heard), within_s=300)
        for label in silent:
            aisle.label(label).restore_power()
        await aisle.until(lambda: all(aisle.label(label).picture for label in silent), within_s=300)


@virtually
async def test_a_radio_that_restarts_forgets_the_slots_and_all_is_offered_again():
    async with an_aisle(MANY, check_in_s=20.0) as aisle:
        await aisle.ready()
        for number, label in enumerate(aisle.shelf.labels):
            await aisle.offer(number, label)
        await asyncio.sleep(12)
        await aisle.radio.restart()
        await aisle.until(lambda: all(label.picture for label in aisle.shelf.labels.values()), within_s=300)
        assert aisle.wrong_proofs == []


@virtually
async def test_an_urgent_picture_overtakes_a_shop_that_is_repriced():
    """An air like the real one: one label in 1.2 s, the others turned away until their next check-in."""
    async with an_aisle(MANY, check_in_s=20.0, timing=REALISTIC, high_speed=True, paced=True) as aisle:
        await aisle.ready()
        *plain, urgent = aisle.shelf.labels
        for number, label in enumerate(plain):
            await aisle.offer(number, label)
        await asyncio.sleep(60)
        shown_before = _shown(aisle)
        picture, blob = aisle.draw(999, urgent)
        await aisle.station.offer(urgent, blob, urgent=True)
        await aisle.until(lambda: len(aisle.radio.slots) <= BESIDE_URGENT_MAX + 2, within_s=15)
        await aisle.shows(picture, urgent, within_s=90)
        assert _shown(aisle) < shown_before + 40
        await aisle.until(lambda: len(aisle.radio.slots) > BESIDE_URGENT_MAX + 2, within_s=10)
        await aisle.until(lambda: _shown(aisle) == MANY, within_s=1200)


@virtually
async def test_what_is_offered_anew_while_it_waits_is_what_is_shown():
    async with an_aisle(MANY, check_in_s=20.0) as aisle:
        await aisle.ready()
        labels, chance = list(aisle.shelf.labels), random.Random(3)
        last = {}
        for number in range(3 * MANY):
            label = chance.choice(labels)
            last[label], _ = await aisle.offer(number, label)
            if number % 50 == 0:
                await asyncio.sleep(2)
        await aisle.until(lambda: all(aisle.label(label).picture == picture for label, picture in last.items()),
                          within_s=300)
        assert aisle.wrong_proofs == []


def _shown(aisle: Aisle) -> int:
    return sum(label.picture is not None for label in aisle.shelf.labels.values())


