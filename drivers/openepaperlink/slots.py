"""Which labels hold one of the radio's 250 slots, and who gives one up for whom (esl.md 1.2, 8).

A radio serves one label in 1.2 s and turns away whoever asks in between, until that label's next check-in; a label
without a slot asks for nothing. So when more is offered than `STREAMED_MAX`, a slot is worth something only to a label
that is about to check in: one that was turned away, or is silent, gives its slot to whoever is expected soonest.

Urgent offers go first. While one waits or is in a slot, others hold few, so that it is not turned away for them. One
whose label is silent, or that came to nothing for `URGENT_S`, is an offer like any other: an empty battery must not
stop a shop.
Pure bookkeeping: says who should get or lose a slot, sends nothing.
"""

from collections.abc import Callable

from drivers.openepaperlink.label_record import LabelRecord
from drivers.openepaperlink.waiting_offers import WaitingOffers
from drivers.port import LabelId

STREAMED_MAX = 120  # slots in use at once: enough check-ins to keep the radio busy, few enough to be turned away
URGENT_MAX = 240  # slots that urgent offers may use; the rest is for lights and for what an earlier host left
BESIDE_URGENT_MAX = 4  # slots of others while urgent ones are about: the radio does not idle, nor is it in the way
URGENT_S = 900.0  # how long an offer goes before others at most
URGENT_SILENT_S = 150.0  # and how long while its label is not heard: more than two check-ins of a slow one
SILENT_S = 15.0  # after a label was expected and not heard, its slot is another's
CLEARED_AT_ONCE_MAX = 25  # slots; a command and its reply take about 5 ms of a line of 115200 baud


class Slots:
    """The slots of one radio as far as this host uses them. Times are seconds on the loop's clock."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._held: dict[LabelId, LabelRecord] = {}
        self._records: dict[LabelId, LabelRecord] = {}
        self._urgent: dict[LabelId, LabelRecord] = {}
        self._waiting = WaitingOffers(self._rank)

    @property
    def anybody_waits(self) -> bool:
        """Whether an offer is in no slot."""
        return bool(self._waiting)

    @property
    def any_held(self) -> bool:
        """Whether some slot of ours will become free again."""
        return bool(self._held)

    def has_room(self, record: LabelRecord) -> bool:
        """Whether the label may have a slot now: one it already holds always."""
        if record.label in self._held:
            return True
        if self._is_urgent(record):
            return len(self._held) < URGENT_MAX
        if self._waiting and self._urgent_are_about() and self._plain_count() >= BESIDE_URGENT_MAX:
            return False
        return len(self._held) < STREAMED_MAX

    def hold(self, record: LabelRecord) -> None:
        """Something for the label is about to be put into its slot."""
        self._waiting.discard(record.label)
        self._note_urgent(record)
        if record.label not in self._held:
            now_s = self._now_s()
            record.slotted_s, record.expected_s = now_s, record.rhythm.next_s(now_s)
            self._held[record.label] = record

    def free(self, record: LabelRecord) -> None:
        """The label's slot is empty."""
        self._held.pop(record.label, None)

    def wait(self, record: LabelRecord) -> None:
        """The label's offer waits for a slot."""
        self._records[record.label] = record
        self._note_urgent(record)
        self._waiting.add(record.label)

    def leave(self, record: LabelRecord) -> None:
        """Nothing is offered to the label any more."""
        self._waiting.discard(record.label)
        self._urgent.pop(record.label, None)

    def heard(self, record: LabelRecord) -> None:
        """The label checked in."""
        self._waiting.heard(record.label)

    def next_one(self) -> LabelRecord | None:
        """Who may have a slot now; it waits no more. `None` when nobody waits or may."""
        if not self._waiting:
            return None
        record = self._records.pop(self._waiting.pop())
        if self.has_room(record):
            return record
        self.wait(record)
        return None

    def to_clear(self) -> list[LabelRecord]:
        """Who gives a slot up for those that wait; at most a line's worth. Never one that may be fetching."""
        if not self._waiting:
            return []
        now_s = self._now_s()
        idle = [record for record in self._held.values() if now_s >= record.awake_until_s and record.command is None]
        over = [record for record in idle if _was_turned_away(record) or now_s > record.expected_s + SILENT_S]
        if self._urgent_are_about():
            plain = [record for record in idle if not self._is_urgent(record) and record not in over]
            over += plain[: max(0, self._plain_count() - BESIDE_URGENT_MAX - len(over))]
        return over[:CLEARED_AT_ONCE_MAX]

    def forget(self) -> None:
        """Every slot is empty, and nobody waits."""
        self._held.clear()
        self._records.clear()
        self._urgent.clear()
        self._waiting.clear()

    def _is_urgent(self, record: LabelRecord) -> bool:
        now_s = self._now_s()
        if record.offer is None or now_s >= record.urgent_until_s:
            return False
        heard_s = record.rhythm.last_s
        return now_s - max(record.urgent_until_s - URGENT_S, 0.0 if heard_s is None else heard_s) < URGENT_SILENT_S

    def _note_urgent(self, record: LabelRecord) -> None:
        if self._is_urgent(record):
            self._urgent[record.label] = record

    def _urgent_are_about(self) -> bool:
        """Whether an urgent offer is outstanding. Those that are urgent no more are forgotten on the way."""
        while self._urgent:
            label, record = next(iter(self._urgent.items()))
            if self._is_urgent(record):
                return True
            del self._urgent[label]
        return False

    def _plain_count(self) -> int:
        return sum(not self._is_urgent(record) for record in self._held.values())

    def _rank(self, label: LabelId) -> tuple[bool, float]:
        record = self._records[label]
        return not self._is_urgent(record), record.rhythm.next_s(self._now_s())


def _was_turned_away(record: LabelRecord) -> bool:
    """It checked in while it held the slot, and no block was asked for after."""
    return record.rhythm.last_s is not None and record.rhythm.last_s > record.slotted_s
