"""What a label's "done" proves (P7). Pure; one object per label, told everything that is heard and sent.

`XFC>` names a label and no version (esl.md 1.2), and between us and the label stands a radio slot that we overwrite
at will. So the proof is kept as three sets that always contain the truth, whatever was lost on the line:

* `slot`: what the radio's slot for this label may hold now. Grows when an `SDA>` is *written* (its `ACK>` may be
  lost); becomes exactly one thing when the `ACK>` is heard; empties when the radio says that it did.
* `told`: what the label may have been told at the last check-in we heard, or the one thing whose block it asked for
  since. A label works only on what its last check-in told it.
* `since`: everything the slot may have held after that moment: what a check-in that we did *not* hear (a spoilt
  line, a lost connection) may have told the label.

`XFC>` means v exactly when `told` is {v} and nothing else can have come since. Everything else is ambiguous:

* the slot was overwritten while the label fetched the older picture;
* a label repeats its `XFC>` because the radio's answer was lost in the air, after the next picture was offered:
  nothing was told since the last "done", so this is not the new picture's proof, even if it is the only one offered;
* the label finds a version in its own memory and asks for no block: the check-in alone decides;
* after a start of this daemon the radio may hold an offer of the one before: both sets start with `UNKNOWN`, which
  only an acknowledged offer *and* a check-in (or block request) after it remove.

A label says `XFC>` *before* its panel changes, and its battery may be taken out in between: then the old price stays on
the shelf, and nothing will ever say so. So `XFC>` only tells what the label has `begun` to draw. That it stands is told
by its next check-in, since a label draws before it sleeps; unless that one says that the label restarted, or comes
after another that was not heard and may have told it of something else.
"""

from dataclasses import dataclass, field
from enum import Enum

Occupant = str
"""What a slot holds: a picture's version, or `COMMAND`."""

UNKNOWN: Occupant = "unknown"
COMMAND: Occupant = "command"

CANDIDATES_MAX = 16  # at the limit a set becomes {UNKNOWN}, which contains everything


class Verdict(Enum):
    """What an `XFC>` says about the label's picture."""

    BEGUN = "begun"
    """It has exactly this picture, and draws it now."""
    COMMAND_DONE = "command done"
    AMBIGUOUS = "ambiguous"
    REPEATED = "repeated"
    """Nothing was offered since the last "done": the label only says it again."""


class Sight(Enum):
    """What a check-in says about the picture that the label had begun to draw."""

    STANDS = "stands"
    DOUBTFUL = "doubtful"
    NOTHING = "nothing"
    """It had begun none."""


@dataclass(slots=True)
class Proof:
    """The three sets of one label. `told` decides, `since` doubts."""

    slot: frozenset[Occupant] = frozenset({UNKNOWN})
    told: frozenset[Occupant] = frozenset({UNKNOWN})
    since: frozenset[Occupant] = frozenset({UNKNOWN})
    in_flight: Occupant | None = field(default=None)
    """Written to the line, its answer not yet heard."""
    begun: Occupant | None = field(default=None)
    """The version that the label said to have, and was not heard after; `UNKNOWN` when we may have missed a word."""

    def writing(self, occupant: Occupant) -> None:
        """The first byte of an `SDA>` is about to go out: from now on the slot may hold it."""
        self.in_flight = occupant
        self.slot = _bounded(self.slot | {occupant})
        self.since = _bounded(self.since | {occupant})

    def acknowledged(self, occupant: Occupant) -> None:
        """`ACK>` for that `SDA>`: the slot holds it and nothing else."""
        self.in_flight = None
        self.slot = frozenset({occupant})
        self.since = _bounded(self.since | {occupant})

    def given_up(self) -> None:
        """No clear answer came: the slot may hold it or not."""
        self.in_flight = None

    def slot_emptied(self) -> None:
        """`CXD>` acknowledged, `XTO>`, or the radio restarted: only what is on the line can still get in."""
        self.slot = self._on_the_line()

    def checked_in(self, *, restarted: bool = False) -> tuple[Sight, Occupant | None]:
        """`ADR>`: the label was told what the slot holds, and nothing from before matters any more.

        Returns what became of the picture that it had begun to draw, and the version for `STANDS`.
        """
        begun, told_unheard = self.begun, self.since - {self.begun, COMMAND}
        self.begun = None
        self.told = self.slot
        self.since = self.slot
        if begun is None:
            return Sight.NOTHING, None
        return (Sight.DOUBTFUL, None) if restarted or told_unheard or begun == UNKNOWN else (Sight.STANDS, begun)

    def asked_for(self, occupant: Occupant) -> None:
        """`RQB>`: this is what the label works on. `UNKNOWN` for a version never offered."""
        self.lost_sight()
        self.told = frozenset({occupant})
        self.since = self.slot

    def done(self) -> tuple[Verdict, Occupant | None]:
        """`XFC>`: the verdict, and the version for `BEGUN`. The radio has freed the slot."""
        verdict, version = self._verdict()
        if verdict is not Verdict.REPEATED:
            self.begun = version
        self.told = frozenset()
        self.slot = self.since = self._on_the_line()
        return verdict, version

    def lost_sight(self) -> None:
        """The line was down, another base station may serve the label, or it is at something else already: what it had
        begun to draw may not stand when it is heard again."""
        if self.begun is not None:
            self.begun = UNKNOWN

    def _verdict(self) -> tuple[Verdict, Occupant | None]:
        if not self.told and not self.since:
            return Verdict.REPEATED, None
        if len(self.told) != 1 or not self.since <= self.told:
            return Verdict.AMBIGUOUS, None
        (occupant,) = self.told
        if occupant == UNKNOWN:
            return Verdict.AMBIGUOUS, None
        return (Verdict.COMMAND_DONE, None) if occupant == COMMAND else (Verdict.BEGUN, occupant)

    def _on_the_line(self) -> frozenset[Occupant]:
        return frozenset() if self.in_flight is None else frozenset({self.in_flight})


def _bounded(occupants: frozenset[Occupant]) -> frozenset[Occupant]:
    return occupants if len(occupants) <= CANDIDATES_MAX else frozenset({UNKNOWN})
