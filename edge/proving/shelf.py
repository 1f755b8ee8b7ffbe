"""What stood on the shelf and when: screens as labels really showed them, and what shoppers may have read (P3, P7)."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from drivers.port import LabelId, Picture, PictureVersion
from edge.proving.picture_reader import ItemKey, PictureReader, Printed
from edge.proving.sightings import Span

STOOD_TOO_LONG_AGO_S = 300.0
"""Exposures are forgotten when the grace and this much more have passed: no lookup is judged so late."""

HELD_PER_LABEL_MAX = 64
"""How often a label is remembered to have said "done"; the oldest goes, and no claim about it is judged any more."""


KNOWN_TO_COPIES_S = 5.0
"""A label that a person put back counts at once; so long after it every price book that a till loads says so too."""


def _never_over(_item: ItemKey, _price_minor: int) -> float | None:
    """No picture names a last day."""
    return None


@dataclass(slots=True)
class Exposure:
    """A price that shoppers could read; `ended_s` is `None` while they still can.

    `by_hand`: it began because a person put the label back, not because the label drew something.
    """

    label: LabelId
    price_minor: int
    began_s: float
    ended_s: float | None = None
    by_hand: bool = False

    def is_known_to(self, copied_s: float | None) -> bool:
        """Whether a till must know of it whose copy of the price book was loaded then, and is not late; without a copy
        every till must. What a label draws waited for the copies."""
        return copied_s is None or not self.by_hand or self.began_s <= copied_s - KNOWN_TO_COPIES_S


@dataclass(frozen=True, slots=True)
class Reading:
    """A customer read this price, of this item, at that moment. `life`: of what screens are held against the store."""

    item: ItemKey
    price_minor: int
    at_s: float
    exposure: Exposure
    life: int


@dataclass(slots=True)
class _LabelRecord:
    """`printed`: what its screen says; `exposure`: since when that counts, `None` off the shelf or blank."""

    printed: Printed | None = None
    exposure: Exposure | None = None
    off_shelf: bool = False
    held: list[tuple[float, PictureVersion]] = field(default_factory=list)
    first_held_s: dict[PictureVersion, float] = field(default_factory=dict)
    says: dict[PictureVersion, Printed | None] = field(default_factory=dict)


class ShelfRecord:
    """Told in order of time for each label; different labels may be told in any order.

    `over_s`: when the last day that an item's pictures name with a price was over; `None`: it is not, or they name
    none.
    """

    def __init__(self, grace_s: float, reader: PictureReader) -> None:
        self._grace_s = grace_s
        self._reader = reader
        self._labels: dict[LabelId, _LabelRecord] = defaultdict(_LabelRecord)
        self._exposures: dict[ItemKey, list[Exposure]] = defaultdict(list)
        self._nobody_there: list[Span] = []
        self._life = 0
        self.over_s: Callable[[ItemKey, int], float | None] = _never_over
        self.unreadable: list[str] = []

    def saw_screen(self, label: LabelId, at_s: float, version: PictureVersion, picture: Picture | None, *,
                   spoilt: bool = False) -> None:
        """The screen changed; `None`: it shows rubbish, which promises nothing. `spoilt`: it was sent something else,
        and the protocol's proof cannot tell: what it says then is held against nobody."""
        record = self._labels[label]
        self._end_exposure(record, at_s)
        record.printed = self._reader.read(picture) if picture is not None and not spoilt else None
        if spoilt:
            record.says.pop(version, None)
            return
        if picture is not None and record.printed is None:
            self.unreadable.append(f"label {label} shows a picture without a readable price since {at_s:.1f} s")
        record.says[version] = record.printed
        self._begin_exposure(label, record, at_s)

    def held(self, label: LabelId, version: PictureVersion, at_s: float) -> None:
        """The label holds this picture whole and says so; its screen follows."""
        record = self._labels[label]
        record.first_held_s.setdefault(version, at_s)
        held = record.held
        held.append((at_s, version))
        if len(held) > HELD_PER_LABEL_MAX:
            del held[0]

    def off_shelf(self, label: LabelId, at_s: float) -> None:
        """A person excluded or unbound it: from then on what it shows binds nobody."""
        record = self._labels[label]
        self._end_exposure(record, at_s)
        record.off_shelf = True

    def on_shelf(self, label: LabelId, at_s: float) -> None:
        """It counts again."""
        record = self._labels[label]
        if record.off_shelf:
            record.off_shelf = False
            self._begin_exposure(label, record, at_s, by_hand=True)

    def disregard_screens(self) -> None:
        """What stands on any screen, or was read on one, binds nobody until that screen changes."""
        self._life += 1
        self._exposures.clear()
        for record in self._labels.values():
            record.exposure = record.printed = None
            record.held.clear()

    def nobody_there(self, away: Span) -> None:
        """The store is closed and cleared out: nobody reads a screen, nobody still walks to a till."""
        self._nobody_there.append(away)

    def lowest_read(self, item: ItemKey, asked: Span, copied_s: float | None = None) -> Exposure | None:
        """The cheapest that a shopper at the till certainly may have read, whenever in `asked` the price was said.

        `copied_s`: when the copy of the price book was loaded that said it.
        """
        since_s = self._read_since(asked.ended_s)
        read = [exposure for exposure in self._exposures.get(item, ())
                if exposure.began_s <= asked.began_s and (exposure.ended_s is None or exposure.ended_s >= since_s)
                and exposure.is_known_to(copied_s) and not self._is_over(item, exposure.price_minor, since_s)]
        return min(read, key=lambda exposure: exposure.price_minor, default=None)

    def read(self, label: LabelId, at_s: float) -> Reading | None:
        """Somebody stands before the label now; `None`: it is blank, off the shelf, or nobody is in the store."""
        record = self._labels[label]
        if record.exposure is None or record.printed is None or any(
                away.began_s <= at_s < away.ended_s for away in self._nobody_there):
            return None
        return Reading(record.printed.item, record.printed.price_minor, at_s, record.exposure, self._life)

    def binds(self, reading: Reading, asked: Span, copied_s: float | None = None) -> bool:
        """Whether a customer who read this may be charged no more by what a till was told in `asked`."""
        return (reading.life == self._life and reading.at_s >= self._read_since(asked.ended_s)
                and reading.exposure.is_known_to(copied_s)
                and not self._is_over(reading.item, reading.price_minor, reading.at_s))

    def standing(self) -> Iterator[tuple[LabelId, ItemKey, int]]:
        """Every price that shoppers can read now."""
        for label, record in self._labels.items():
            if record.exposure is not None and record.printed is not None and self.over_s(
                    record.printed.item, record.printed.price_minor) is None:
                yield label, record.printed.item, record.printed.price_minor

    def held_during(self, label: LabelId, asked: Span) -> list[PictureVersion]:
        """The pictures that the label held at some moment of `asked`."""
        held = self._labels[label].held
        before = [version for at_s, version in held if at_s <= asked.began_s]
        return [*before[-1:], *(version for at_s, version in held if asked.began_s < at_s <= asked.ended_s)]

    def ever_held(self, label: LabelId, version: PictureVersion) -> bool:
        """Whether the label held it at all."""
        return version in self._labels[label].first_held_s

    def held_by(self, label: LabelId, version: PictureVersion, at_s: float) -> bool:
        """Whether the label held it at `at_s` or before."""
        return self._labels[label].first_held_s.get(version, float("inf")) <= at_s

    def drawn(self, label: LabelId, version: PictureVersion) -> bool:
        """Whether the label's screen ever showed it."""
        return version in self._labels[label].says

    def says(self, label: LabelId, version: PictureVersion) -> Printed | None:
        """What a picture that was drawn promises."""
        return self._labels[label].says.get(version)

    def forget_before(self, now_s: float) -> None:
        """Drop what no lookup can be about any more."""
        oldest_s = now_s - self._grace_s - STOOD_TOO_LONG_AGO_S
        for item, exposures in list(self._exposures.items()):
            kept = [each for each in exposures if each.ended_s is None or each.ended_s >= oldest_s]
            if kept:
                self._exposures[item] = kept
            else:
                del self._exposures[item]

    def _is_over(self, item: ItemKey, price_minor: int, at_s: float) -> bool:
        """Whether the last day that an offer names was over by then."""
        over_s = self.over_s(item, price_minor)
        return over_s is not None and over_s < at_s

    def _read_since(self, at_s: float) -> float:
        """From when on somebody who is at a till now may have read a price."""
        since_s = at_s - self._grace_s
        for away in self._nobody_there:
            if away.began_s <= at_s:
                since_s = max(since_s, min(away.ended_s, at_s))
        return since_s

    def _begin_exposure(self, label: LabelId, record: _LabelRecord, at_s: float, *, by_hand: bool = False) -> None:
        if record.printed is not None and not record.off_shelf:
            record.exposure = Exposure(label, record.printed.price_minor, at_s, by_hand=by_hand)
            self._exposures[record.printed.item].append(record.exposure)

    @staticmethod
    def _end_exposure(record: _LabelRecord, at_s: float) -> None:
        if record.exposure is not None:
            record.exposure.ended_s = at_s
            record.exposure = None
