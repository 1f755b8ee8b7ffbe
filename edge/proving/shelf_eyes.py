"""Looks at virtual labels and tells the witness what their screens really did."""

from collections.abc import Callable, Iterable

from drivers.port import LabelId
from drivers.virtual.label import ScreenChange, VirtualLabel
from edge.proving.picture_reader import Printed
from edge.proving.witness import Witness

OnScreen = Callable[[LabelId, Printed, float], None]
"""Called for every readable picture that came up, with the second at which its label began to say that it holds it."""


def _as_it_is(at_s: float) -> float:
    return at_s


class ShelfEyes:
    """`to_store_s` turns a label's time (its loop's) into seconds on the store's powered clock."""

    def __init__(self, witness: Witness, labels: Iterable[VirtualLabel] = (),
                 to_store_s: Callable[[float], float] = _as_it_is, on_screen: OnScreen | None = None) -> None:
        self._witness = witness
        self._to_store_s = to_store_s
        self._on_screen = on_screen
        self._seen: list[_SeenLabel] = [_SeenLabel(label) for label in labels]

    def add(self, label: VirtualLabel) -> None:
        """One more label to look at."""
        self._seen.append(_SeenLabel(label))

    def look(self) -> None:
        """Tell everything that happened since the last look. Call before `Witness.look_back` and before anything
        about a label's place on the shelf is told."""
        for seen in self._seen:
            self._look_at(seen)

    def _look_at(self, seen: "_SeenLabel") -> None:
        label = seen.label
        for done in label.said_done[seen.done:]:
            self._witness.held(label.address, done.version, self._to_store_s(done.at_s))
        for change in label.history[seen.changes:]:
            self._witness.saw_screen(label.address, self._to_store_s(change.at_s), change.version, change.picture,
                                     spoilt=change.spoilt)
            self._pass_on(label, change)
        seen.done, seen.changes = len(label.said_done), len(label.history)


    def _pass_on(self, label: VirtualLabel, change: ScreenChange) -> None:
        printed = self._witness.printed(label.address, change.version) if self._on_screen else None
        if self._on_screen is None or printed is None:
            return
        done = [done.at_s for done in label.said_done if done.version == change.version and done.at_s <= change.at_s]
        if done:
            self._on_screen(label.address, printed, self._to_store_s(done[-1]))


class _SeenLabel:
    """How far a label's own record was told."""

    def __init__(self, label: VirtualLabel) -> None:
        self.label = label
        self.done = 0
        self.changes = 0
