"""SIGHUP: what changed is taken over in a running store, and nothing else is touched; a bad file changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from drivers.port import StationState
from edge.errors import ConfigurationError
from edge.virtual_time import run
from tests.daemon.virtual_box import AISLE, LABEL, MILK, SECRETS, TILL, YAML, VirtualBox, virtual_box

OTHER_TILL = 'tills: [{id: "2", token: !credential till-2}]\n'
TWO_STATIONS = """\
base_stations:
  - {name: counter, driver: openepaperlink, port: /dev/counter}
  - {name: aisle, driver: openepaperlink, port: /dev/aisle}
"""
OTHER_CHANNEL = "base_stations: [{name: aisle, driver: openepaperlink, port: /dev/aisle, channel: 25}]\n"


async def may_ask(box: VirtualBox, token: str) -> bool:
    """Whether this token opens the tills' door."""
    return (await box.ask("GET", f"/v1/lookup/{MILK}", token)).status == 200


def test_an_identical_file_changes_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            rooms, settings = replace(box.daemon.rooms), box.daemon.settings
            stations = dict(rooms.stations)
            since = {part.name: part.in_state_s for part in box.daemon.parts()}

            assert await box.daemon.reload(box.settings()) == []

            assert box.daemon.settings is settings
            assert box.daemon.rooms == rooms
            assert {name: id(each) for name, each in box.daemon.rooms.stations.items()} == {
                name: id(each) for name, each in stations.items()}
            assert box.port.opened == 1
            assert all(part.in_state_s >= since[part.name] for part in box.daemon.parts())
            assert len(box.hub.times("hello")) == 1
            assert await may_ask(box, "till 1")

    run(scene())


def test_the_order_of_a_list_and_the_form_of_the_file_say_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            await box.until(lambda: box.daemon.rooms.stations["aisle"].state is StationState.READY)
            till = 'tills:\n  - token: !credential till-1\n    id: "1"\n'
            again = "# the same, written otherwise\n" + AISLE + YAML + till
            assert await box.daemon.reload(box.settings(again)) == []
            assert box.port.opened == 1

    run(scene())


def test_a_tills_new_token_opens_the_door_and_the_old_one_no_longer_does(tmp_path: Path) -> None:
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            station = box.daemon.rooms.stations["aisle"]
            assert (await may_ask(box, "till 1"), await may_ask(box, "till 2")) == (True, False)

            assert await box.daemon.reload(box.settings(YAML + OTHER_TILL + AISLE)) == []

            assert (await may_ask(box, "till 1"), await may_ask(box, "till 2")) == (False, True)
            assert box.daemon.rooms.stations["aisle"] is station
            assert box.port.opened == 1

    run(scene())


def test_a_new_base_station_is_driven_and_the_old_one_stays_as_it_was(tmp_path: Path) -> None:
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            aisle = box.daemon.rooms.stations["aisle"]

            assert await box.daemon.reload(box.settings(YAML + TILL + TWO_STATIONS)) == []

            counter = box.daemon.rooms.stations["counter"]
            await box.until(lambda: counter.state is StationState.READY)
            assert box.daemon.rooms.stations["aisle"] is aisle
            assert (box.port.opened, box.other_port.opened) == (1, 1)
            assert {part.name for part in box.daemon.parts() if part.name.startswith("base")} == {
                "base station aisle", "base station counter"}

            assert await box.daemon.reload(box.settings()) == []
            assert list(box.daemon.rooms.stations) == ["aisle"]
            assert (box.port.opened, aisle.state) == (1, StationState.READY)
            assert counter.state is StationState.OFFLINE

    run(scene())


def test_a_base_station_that_changed_goes_on_with_its_labels(tmp_path: Path) -> None:
    """Also with what was on air: the new one offers it anew, at once and not when it has become stale."""
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            box.label.cut_power()
            box.sells_milk_at(109)
            await box.until(lambda: box.label_out().state == "on air")

            assert await box.daemon.reload(box.settings(YAML + TILL + OTHER_CHANNEL)) == []
            await box.until(lambda: box.radio.settings.channel == 25)
            box.label.restore_power()

            assert await box.until(lambda: box.label_out().state == "shown") < 60
            assert box.label.version == box.label.history[-1].version

    run(scene())


@pytest.mark.parametrize(("yaml", "says"), [
    (YAML + OTHER_TILL.replace("till-2", "till-3") + TWO_STATIONS, "till-3"),
    (YAML + 'tills: [{id: "2", token: !credential till-2}, {id: "9", token: !credential till-nine}]\n', "too"),
    (YAML + OTHER_TILL + TWO_STATIONS + "grace_s: 5\n", "policy feed"),
    (YAML + OTHER_TILL + TWO_STATIONS.replace("channel", "chanel").replace("counter}", "counter, chanel: 11}"),
     "did you mean channel"),
    ("store: {", "not YAML"),
])
def test_a_bad_file_is_refused_and_the_last_good_settings_stay(tmp_path: Path, yaml: str, says: str,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECRETS, "TRASTIENDA_TILL_NINE", "till 2")

    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            settings, stations = box.daemon.settings, dict(box.daemon.rooms.stations)

            with pytest.raises(ConfigurationError, match=says):
                await box.daemon.reload(box.settings(yaml))

            assert box.daemon.settings is settings
            assert box.daemon.rooms.stations == stations
            assert (await may_ask(box, "till 1"), await may_ask(box, "till 2")) == (True, False)
            assert box.port.opened == 1
            assert box.label_out().label == LABEL

    run(scene())


def test_what_needs_a_restart_is_named_every_time_until_there_is_one(tmp_path: Path) -> None:
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            moved = YAML.replace("8443", "9443").replace("Corner", "Corner shop") + OTHER_TILL + AISLE
            wanted = ["store.name", "listeners.tills.port", "listeners.staff.port"]

            assert await box.daemon.reload(box.settings(moved)) == wanted
            assert await box.daemon.reload(box.settings(moved)) == wanted
            assert box.daemon.settings.listeners.tills.port == 8443
            assert await box.daemon.reload(box.settings(YAML + OTHER_TILL + AISLE)) == []

    run(scene())
