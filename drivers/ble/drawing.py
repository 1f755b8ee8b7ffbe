"""Labels that proved a picture and may still be drawing it: their proof comes before the panel changes (esl.md 3.3).

One whose power fails then never draws it, and says nothing of that when its power is back. What tells is its silence:
what a label shows is doubtful when it was not heard for long before it was heard with its picture drawn. A power
failure shorter than that goes unnoticed. Doubted once for each picture: a label that only sleeps after it drew must not
be given the same picture again and again. Pure bookkeeping; times in seconds.
"""

from dataclasses import dataclass

from drivers.port import LabelId, PictureVersion

SILENT_S_MAX = 120.0  # eight times what BlueZ takes to report a label again
"""And so much longer tills keep to the old price after a proof (`BluetoothStation.describe`)."""


@dataclass(slots=True)
class _Proven:
    version: PictureVersion
    drawn_s: float
    silent_s_max: float
    heard_s: float


class Drawing:
    """At most one picture for each label: the one that it proved last."""

    def __init__(self) -> None:
        self._proven: dict[LabelId, _Proven] = {}
        self._doubted: dict[LabelId, PictureVersion] = {}

    def proven(self, label: LabelId, version: PictureVersion, settle_s: float, now_s: float) -> None:
        """The label begins to draw, for `settle_s` at most."""
        self._proven.pop(label, None)
        if self._doubted.pop(label, None) != version:
            self._proven[label] = _Proven(version, now_s + settle_s, max(settle_s, SILENT_S_MAX), now_s)

    def heard(self, label: LabelId, now_s: float) -> None:
        """The label has power."""
        proven = self._proven.get(label)
        if proven is None or now_s - proven.heard_s > proven.silent_s_max:
            return
        proven.heard_s = now_s
        if now_s >= proven.drawn_s:
            del self._proven[label]

    def doubtful(self, now_s: float) -> list[LabelId]:
        """Labels that were silent for too long; each is told once."""
        silent = [label for label, proven in self._proven.items() if now_s - proven.heard_s > proven.silent_s_max]
        for label in silent:
            self._doubted[label] = self._proven.pop(label).version
        return silent
