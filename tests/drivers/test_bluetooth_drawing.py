"""When it is doubtful that a label drew what it proved: only its silence tells. Rules only, no station."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.ble.drawing import SILENT_S_MAX, Drawing

LABEL, VERSION = "ffff92000001", "aa"
settle_times = st.floats(0, 300)
gaps = st.lists(st.floats(0, 1000), max_size=20)


@given(settle_s=settle_times, gaps=gaps)
def test_p7_a_label_is_doubted_exactly_when_it_was_silent_for_long_before_it_was_heard_with_its_picture_drawn(
        settle_s: float, gaps: list[float]) -> None:
    drawing, now_s = Drawing(), 1000.0
    drawing.proven(LABEL, VERSION, settle_s, now_s)
    drawn_s, silent_s_max = now_s + settle_s, max(settle_s, SILENT_S_MAX)
    expected, is_over = False, False
    doubted: list[str] = []
    for gap in gaps:
        before_s, now_s = now_s, now_s + gap
        if not is_over:
            expected = now_s - before_s > silent_s_max
            is_over = expected or now_s >= drawn_s
        drawing.heard(LABEL, now_s)
        doubted += drawing.doubtful(now_s)
    assert doubted == ([LABEL] if expected else [])


@given(settle_s=settle_times, times=gaps)
def test_a_label_is_doubted_once_for_a_picture_and_anew_for_the_next(settle_s: float, times: list[float]) -> None:
    drawing = Drawing()
    for version in ("aa", "bb"):
        doubted: list[str] = []
        for _given in ("first", "again because it was doubted"):
            drawing.proven(LABEL, version, settle_s, 0.0)
            for now_s in [*sorted(times), 10_000.0]:
                doubted += drawing.doubtful(now_s)
        assert doubted == [LABEL]


def test_a_picture_that_follows_at_once_is_the_one_that_counts() -> None:
    drawing = Drawing()
    drawing.proven(LABEL, "aa", 60.0, 0.0)
    drawing.proven(LABEL, "bb", 60.0, 100.0)
    assert drawing.doubtful(100.0 + SILENT_S_MAX) == []
    assert drawing.doubtful(100.1 + SILENT_S_MAX) == [LABEL]


def test_labels_are_told_apart_and_what_was_never_proven_is_never_doubted() -> None:
    drawing = Drawing()
    drawing.proven(LABEL, VERSION, 60.0, 0.0)
    drawing.heard("ffff92000002", 1.0)
    assert drawing.doubtful(10_000.0) == [LABEL]
    assert drawing.doubtful(20_000.0) == []
