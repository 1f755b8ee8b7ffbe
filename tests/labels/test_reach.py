"""Who hears a label best (DESIGN.md section 6; `edge.labels.reach`)."""

from edge.labels.reach import Reach
from edge.limits import HEARD_ALONE_MIN, HEARD_BEFORE_COMPARED_MIN, STRONGER_BY_DB


class Ears:
    """A label that the aisle serves, and the back wall that may hear it too."""

    def __init__(self) -> None:
        self.reach = Reach()
        self.away = False
        self.serving = {"aisle", "back wall"}

    def hear(self, station: str, rssi_dbm: int | None = None, times: int = 1) -> None:
        for _ in range(times):
            self.reach.hear("label", "aisle", station, rssi_dbm)

    @property
    def better(self) -> str | None:
        return self.reach.better("label", "aisle", home_is_away=self.away, can_serve=self.serving.__contains__)


def test_a_label_that_only_its_own_station_hears_stays() -> None:
    ears = Ears()
    ears.hear("aisle", -90, 100)
    assert ears.better is None


def test_a_label_that_another_station_hears_again_and_again_alone_moves() -> None:
    ears = Ears()
    ears.hear("back wall", None, HEARD_ALONE_MIN - 1)
    ears.hear("aisle")
    ears.hear("back wall", None, HEARD_ALONE_MIN - 1)
    assert ears.better is None
    ears.hear("back wall")
    assert ears.better == "back wall"


def test_a_clearly_stronger_signal_moves_it_once_both_were_heard_enough() -> None:
    ears = Ears()
    for _ in range(HEARD_BEFORE_COMPARED_MIN - 1):
        ears.hear("back wall", -50)
        ears.hear("aisle", -80)
    assert ears.better is None
    ears.hear("back wall", -50)
    ears.hear("aisle", -80)
    assert ears.better == "back wall"


def test_a_signal_that_is_little_better_or_better_for_a_moment_moves_nothing() -> None:
    ears = Ears()
    for _ in range(50):
        ears.hear("back wall", -80 + int(STRONGER_BY_DB) - 1)
        ears.hear("aisle", -80)
        assert ears.better is None
    ears.hear("back wall", -71)  # somebody stepped out of the way, and back again
    ears.hear("aisle", -80)
    assert ears.better is None


def test_while_its_station_is_away_being_heard_once_is_enough() -> None:
    ears = Ears()
    ears.hear("back wall")
    assert ears.better is None
    ears.away = True
    assert ears.better == "back wall"


def test_a_station_that_cannot_serve_it_is_no_better() -> None:
    ears = Ears()
    ears.hear("back wall", -40, 50)
    ears.serving.remove("back wall")
    assert ears.better is None


def test_of_several_the_one_that_hears_best_takes_it() -> None:
    ears = Ears()
    ears.serving.add("checkout")
    for _ in range(10):
        ears.hear("back wall", -60)
        ears.hear("checkout", -50)
    assert ears.better == "checkout"


def test_after_a_move_comparing_begins_anew_so_that_it_does_not_go_to_and_fro() -> None:
    ears = Ears()
    ears.hear("back wall", -50, HEARD_ALONE_MIN)
    ears.reach.moved("label")
    assert ears.better is None
    ears.hear("back wall", -50)
    assert ears.better is None
