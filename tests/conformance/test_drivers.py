"""Every driver through the same situations (DESIGN.md section 7): what a store may rely on, whatever hangs on its wall.

`rigs.py` is the table of drivers, this file the table of situations; each pair is a test.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from drivers.port import (
    Ambiguous,
    Blob,
    Colour,
    Feature,
    OfferRefused,
    Progress,
    Seen,
    Shown,
    StationChanged,
    StationState,
)
from edge import virtual_time
from tests.conformance.rigs import DRIVERS, LABELS, OFFER_AGAIN_S, RIGS, Rig

Scene = Callable[[Rig], Awaitable[None]]
FAULTS = [RuntimeError("x"), KeyError("x"), ZeroDivisionError(), asyncio.CancelledError(), BaseException("x"),
          MemoryError(), OSError("x"), RecursionError()]


@pytest.fixture(params=RIGS)
def on_rig(request: pytest.FixtureRequest) -> Callable[[Scene], None]:
    """Plays a scene on a rig of each driver, under virtual time."""
    def play(scene: Scene) -> None:
        async def on_stage() -> None:
            async with RIGS[request.param]() as rig:
                await rig.ready()
                await scene(rig)
                assert rig.wrong_proofs == []
        virtual_time.run(on_stage())
    return play


def test_each_rig_runs_the_driver_it_is_named_for(on_rig: Callable[[Scene], None]) -> None:
    kinds = set(DRIVERS.values())

    async def scene(rig: Rig) -> None:
        assert type(rig.station) in kinds

    on_rig(scene)


def test_a_label_is_reported_and_served_only_when_adopted(on_rig: Callable[[Scene], None]) -> None:
    async def scene(rig: Rig) -> None:
        label, *_ = rig.labels
        assert {event.label for event in rig.heard(Seen)} == set(rig.labels)
        picture, blob = rig.draw(label, 1)
        with pytest.raises(OfferRefused, match="adopted"):
            await rig.station.offer(label, blob)
        await asyncio.sleep(300)
        assert rig.devices.screen(label) is None
        rig.adopt_all()
        await rig.station.offer(label, blob)
        await rig.until(lambda: rig.devices.screen(label) == picture)

    on_rig(scene)


def test_what_was_offered_is_shown_proven_and_told_in_parts(on_rig: Callable[[Scene], None]) -> None:
    async def scene(rig: Rig) -> None:
        rig.adopt_all()
        wanted = {label: rig.draw(label, seed) for seed, label in enumerate(rig.labels)}
        for label, (_, blob) in wanted.items():
            await rig.station.offer(label, blob)
        for label, (picture, blob) in wanted.items():
            await rig.until(lambda label=label, blob=blob: Shown(label, blob.version) in rig.events)
            await rig.until(lambda label=label, picture=picture: rig.devices.screen(label) == picture)
            parts = [event for event in rig.heard(Progress) if event.label == label]
            assert {event.version for event in parts} == {blob.version}
            assert sorted({event.part for event in parts}) == list(range(parts[0].parts))

    on_rig(scene)


def test_a_newer_offer_replaces_the_older(on_rig: Callable[[Scene], None]) -> None:
    async def scene(rig: Rig) -> None:
        rig.adopt_all()
        label = rig.labels[0]
        for seed in range(5):
            picture, blob = rig.draw(label, seed)
            await rig.station.offer(label, blob)
            await asyncio.sleep(seed)
        await rig.shown_in_the_end(label, blob)
        await rig.until(lambda: rig.devices.screen(label) == picture)

    on_rig(scene)


def test_p3_what_was_taken_back_is_not_shown_later_however_far_the_label_was_with_it(
        on_rig: Callable[[Scene], None]) -> None:
    """Another station serves the label then, and its proof closes the claim of what was taken back."""
    async def scene(rig: Rig) -> None:
        rig.adopt_all()
        label, taken_back = rig.labels[0], 0
        for step in STEPS:
            _, old = rig.draw(label, 2 * step)
            await rig.shown_in_the_end(label, old)
            _, blob = rig.draw(label, 2 * step + 1)
            begun = len(rig.heard(Progress))
            await rig.station.offer(label, blob)
            await rig.until(_Reached(rig, begun + step))
            try:
                await rig.station.withdraw(label)
            except OfferRefused:
                continue
            taken_back += 1
            await asyncio.sleep(60)  # what it held whole by then it may still draw
            stands = rig.devices.screen(label)
            await asyncio.sleep(600)
            assert rig.devices.screen(label) == stands
        assert taken_back > 0

    on_rig(scene)


def test_p3_what_waits_for_a_label_that_is_not_heard_can_be_taken_back(
        on_rig: Callable[[Scene], None]) -> None:
    async def scene(rig: Rig) -> None:
        rig.adopt_all()
        label = rig.labels[0]
        _, known = rig.draw(label, 1)  # the label may find it in its own memory, and ask nobody for it
        shown, blob = rig.draw(label, 2)
        await rig.shown_in_the_end(label, known)
        await rig.shown_in_the_end(label, blob)
        await rig.until(lambda: rig.devices.screen(label) == shown)
        rig.devices.label_silent(label, silent=True)
        await asyncio.sleep(60)
        await rig.station.offer(label, known)
        await asyncio.sleep(5)
        await rig.station.withdraw(label)
        await rig.station.withdraw(label)
        rig.devices.label_silent(label, silent=False)
        rig.events.clear()
        await asyncio.sleep(600)
        assert rig.devices.screen(label) == shown
        assert rig.heard(Shown) == []
        await rig.shown_in_the_end(label, known)

    on_rig(scene)


def test_a_light_flashes_or_is_refused_with_a_reason(on_rig: Callable[[Scene], None]) -> None:
    async def scene(rig: Rig) -> None:
        rig.adopt_all()
        label = rig.labels[0]
        description = rig.station.describe(label)
        assert description is not None
        if Feature.LED in description.features:
            await rig.station.light(label, Colour.RED, 5.0)
            return
        with pytest.raises(OfferRefused, match="no LED"):
            await rig.station.light(label, Colour.RED, 5.0)

    on_rig(scene)


STEPS = range(0, 60, 4)


@pytest.mark.parametrize("what", ["label loses power", "label is silent", "station away", "station restarts"])
def test_p7_whatever_breaks_at_any_step_of_a_picture_it_is_shown_in_the_end_and_proven_when_it_is(
        on_rig: Callable[[Scene], None], what: str) -> None:
    async def scene(rig: Rig) -> None:
        rig.adopt_all()
        label, chance = rig.labels[0], random.Random(what)
        for step in STEPS:
            _, old = rig.draw(label, 2 * step)
            await rig.shown_in_the_end(label, old)
            picture, blob = rig.draw(label, 2 * step + 1)
            begun = len(rig.heard(Progress))
            await rig.station.offer(label, blob)
            reached = _Reached(rig, begun + step)
            await rig.until(reached)
            await asyncio.sleep(chance.uniform(0, 0.05))
            await _break(rig, what)
            await asyncio.sleep(chance.uniform(0, 40))
            await _mend(rig, what)
            await rig.shown_in_the_end(label, blob)
            await rig.until(lambda picture=picture: rig.devices.screen(label) == picture)

    on_rig(scene)


class _Reached:
    """So many parts were asked for, or the picture is through before."""

    def __init__(self, rig: Rig, parts: int) -> None:
        self._rig = rig
        self._parts = parts
        self._shown = len(rig.heard(Shown))

    def __call__(self) -> bool:
        return len(self._rig.heard(Progress)) >= self._parts or len(self._rig.heard(Shown)) > self._shown


async def _break(rig: Rig, what: str) -> None:
    match what:
        case "label loses power":
            rig.devices.label_power(rig.labels[0], on=False)
        case "label is silent":
            rig.devices.label_silent(rig.labels[0], silent=True)
        case "station away":
            await rig.devices.station_away()
        case "station restarts":
            await rig.devices.station_restarts()


async def _mend(rig: Rig, what: str) -> None:
    match what:
        case "label loses power":
            rig.devices.label_power(rig.labels[0], on=True)
        case "label is silent":
            rig.devices.label_silent(rig.labels[0], silent=False)
        case "station away":
            await rig.devices.station_back()


def test_p7_a_label_whose_power_fails_between_its_word_and_its_picture_is_doubted_and_given_it_again(
        on_rig: Callable[[Scene], None]) -> None:
    async def scene(rig: Rig) -> None:
        rig.adopt_all()
        label = rig.labels[0]
        rig.devices.label_draws_for(label, 3600.0)
        picture, blob = rig.draw(label, 1)
        await rig.station.offer(label, blob)
        await rig.until(lambda: rig.devices.holds(label, picture))
        await asyncio.sleep(1)  # its word is heard
        rig.devices.label_power(label, on=False)
        await asyncio.sleep(600)
        rig.devices.label_power(label, on=True)
        rig.devices.label_draws_for(label, 0.0)
        await rig.until(lambda: Ambiguous(label) in rig.events)
        assert rig.devices.screen(label) is None
        rig.events.clear()
        await rig.shown_in_the_end(label, blob)
        await rig.until(lambda: rig.devices.screen(label) == picture)

    on_rig(scene)


def test_a_label_that_is_away_for_an_hour_proves_nothing_and_keeps_nobody_waiting(
        on_rig: Callable[[Scene], None]) -> None:
    async def scene(rig: Rig) -> None:
        rig.adopt_all()
        away, *others = rig.labels
        rig.devices.label_power(away, on=False)
        await asyncio.sleep(120)
        _, blob = rig.draw(away, 1)
        await rig.station.offer(away, blob)
        for seed, label in enumerate(others):
            _, other = rig.draw(label, seed + 2)
            await rig.shown_in_the_end(label, other, within_s=240)
        await asyncio.sleep(3600)
        assert away not in {event.label for event in rig.heard(Shown)}
        rig.devices.label_power(away, on=True)
        await rig.shown_in_the_end(away, blob)

    on_rig(scene)


def test_garbage_between_frames_is_skipped(on_rig: Callable[[Scene], None]) -> None:
    async def scene(rig: Rig) -> None:
        rig.adopt_all()
        rig.devices.noise(on=True)
        for seed, label in enumerate(rig.labels):
            picture, blob = rig.draw(label, seed)
            await rig.shown_in_the_end(label, blob)
            await rig.until(lambda label=label, picture=picture: rig.devices.screen(label) == picture)

    on_rig(scene)


def test_p7_what_arrives_wrong_is_no_proof_and_the_picture_comes_when_the_line_is_good_again(
        on_rig: Callable[[Scene], None]) -> None:
    async def scene(rig: Rig) -> None:
        rig.adopt_all()
        rig.devices.spoil(on=True)
        wanted = {label: rig.draw(label, seed) for seed, label in enumerate(rig.labels)}
        for label, (_, blob) in wanted.items():
            await _offered(rig, label, blob)
        await asyncio.sleep(120)
        rig.devices.spoil(on=False)
        for label, (_, blob) in wanted.items():
            await rig.shown_in_the_end(label, blob)

    on_rig(scene)


async def _offered(rig: Rig, label: str, blob: Blob) -> None:
    while True:
        try:
            await rig.station.offer(label, blob)
        except OfferRefused:
            await asyncio.sleep(OFFER_AGAIN_S)
        else:
            return


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_fault_of_any_type_in_the_session_is_outlived(on_rig: Callable[[Scene], None], fault: BaseException) -> None:
    async def scene(rig: Rig) -> None:
        rig.adopt_all()
        label = rig.labels[0]
        picture, blob = rig.draw(label, 1)
        rig.devices.surprise(fault)
        await rig.shown_in_the_end(label, blob)
        await rig.until(lambda: rig.devices.screen(label) == picture)

    on_rig(scene)


def test_a_station_that_goes_again_and_again_is_waited_for_told_once_each_and_shows_progress(
        on_rig: Callable[[Scene], None]) -> None:
    async def scene(rig: Rig) -> None:
        rig.adopt_all()
        rig.events.clear()
        for _ in range(5):
            await rig.devices.station_away()
            await rig.until(lambda: rig.station.state is not StationState.READY)
            for _ in range(10):
                before = rig.station.progress
                await asyncio.sleep(10)
                assert rig.station.progress > before, "the watchdog would take this for a hang"
            await rig.devices.station_back()
            await rig.until(lambda: rig.station.state is StationState.READY)
        states = [event.state for event in rig.heard(StationChanged)]
        assert states.count(StationState.READY) == 5
        label = rig.labels[-1]
        _, blob = rig.draw(label, 3)
        await rig.shown_in_the_end(label, blob)

    on_rig(scene)


def test_offers_while_the_station_is_away_are_refused_and_forgotten(on_rig: Callable[[Scene], None]) -> None:
    async def scene(rig: Rig) -> None:
        rig.adopt_all()
        label = rig.labels[0]
        _, blob = rig.draw(label, 1)
        await rig.devices.station_away()
        await rig.until(lambda: rig.station.state is not StationState.READY)
        with pytest.raises(OfferRefused):
            await rig.station.offer(label, blob)
        await rig.devices.station_back()
        await rig.until(lambda: rig.station.state is StationState.READY)
        await asyncio.sleep(300)
        assert rig.devices.screen(label) is None

    on_rig(scene)


def test_the_table_has_labels_enough_to_tell_one_from_the_others() -> None:
    assert LABELS >= 2
