"""P7: whatever is lost, late or repeated, what is called proven is what the label holds (DESIGN.md section 6)."""

from collections.abc import Iterator
from typing import NamedTuple

from drivers.openepaperlink.proof import CANDIDATES_MAX, COMMAND, UNKNOWN, Proof, Sight, Verdict

PICTURES = ("v1", "v2")
OCCUPANTS = (*PICTURES, COMMAND)


def after(*steps):
    proof = Proof()
    for step in steps:
        step(proof)
    return proof


def stored(occupant):
    def step(proof):
        proof.writing(occupant)
        proof.acknowledged(occupant)

    return step


def test_p7_a_label_has_a_picture_when_it_checked_in_after_its_offer_and_was_done():
    assert after(stored("v1"), Proof.checked_in).done() == (Verdict.BEGUN, "v1")


def test_p7_a_label_has_a_picture_when_it_asked_for_it():
    proof = after(stored("v1"), lambda proof: proof.asked_for("v1"))
    assert proof.done() == (Verdict.BEGUN, "v1")


BEGUN = (stored("v1"), Proof.checked_in, Proof.done)


def test_p7_what_a_label_has_stands_when_it_is_heard_again():
    proof = after(*BEGUN)
    assert proof.checked_in() == (Sight.STANDS, "v1")
    assert proof.checked_in() == (Sight.NOTHING, None)


def test_p7_a_label_that_repeats_its_word_still_has_the_picture():
    assert after(*BEGUN, Proof.done).checked_in() == (Sight.STANDS, "v1")


def test_p3_what_a_label_had_begun_to_draw_is_doubtful_when_it_restarted():
    assert after(*BEGUN).checked_in(restarted=True) == (Sight.DOUBTFUL, None)


def test_p3_what_a_label_had_begun_to_draw_is_doubtful_when_a_check_in_may_have_been_missed():
    assert after(*BEGUN, stored("v2")).checked_in() == (Sight.DOUBTFUL, None)
    assert after(*BEGUN, lambda proof: proof.writing("v2"), Proof.given_up).checked_in() == (Sight.DOUBTFUL, None)
    assert after(*BEGUN, stored(COMMAND)).checked_in() == (Sight.STANDS, "v1"), "a light changes no picture"
    assert after(*BEGUN, stored("v1")).checked_in() == (Sight.STANDS, "v1"), "nor does the same one"


def test_p3_what_a_label_had_begun_to_draw_is_doubtful_after_the_line_was_down_or_when_it_asked_for_blocks():
    assert after(*BEGUN, Proof.lost_sight).checked_in() == (Sight.DOUBTFUL, None)
    assert after(*BEGUN, lambda proof: proof.asked_for(UNKNOWN)).checked_in() == (Sight.DOUBTFUL, None)
    assert after(stored("v1"), Proof.lost_sight).checked_in() == (Sight.NOTHING, None)


def test_p7_done_right_after_the_offer_is_the_older_pictures_repeated_word():
    proof = after(stored("v1"), Proof.checked_in, Proof.done, stored("v2"))
    assert proof.done() == (Verdict.AMBIGUOUS, None)


def test_p7_done_after_the_slot_was_overwritten_is_ambiguous():
    proof = after(stored("v1"), Proof.checked_in, lambda proof: proof.asked_for("v1"), stored("v2"))
    assert proof.done() == (Verdict.AMBIGUOUS, None)


def test_p7_it_is_the_newer_picture_after_the_next_check_in():
    proof = after(stored("v1"), Proof.checked_in, stored("v2"), Proof.checked_in)
    assert proof.done() == (Verdict.BEGUN, "v2")


def test_p7_an_offer_without_a_clear_answer_leaves_both_pictures_possible():
    proof = after(stored("v1"), lambda proof: proof.writing("v2"), Proof.given_up, Proof.checked_in)
    assert proof.done() == (Verdict.AMBIGUOUS, None)


def test_p7_what_a_daemon_before_this_one_offered_is_never_taken_for_ours():
    assert after().done() == (Verdict.AMBIGUOUS, None)
    assert after(stored("v1")).done() == (Verdict.AMBIGUOUS, None)
    assert after(Proof.checked_in, lambda proof: proof.asked_for(UNKNOWN), stored("v1")).done() == (
        Verdict.AMBIGUOUS, None,
    )  # fmt: skip


def test_a_light_is_done_without_proving_a_picture():
    assert after(stored(COMMAND), Proof.checked_in).done() == (Verdict.COMMAND_DONE, None)


def test_the_same_word_twice_with_nothing_offered_in_between_says_nothing_new():
    assert after(stored("v1"), Proof.checked_in, Proof.done).done() == (Verdict.REPEATED, None)


def test_p10_offers_that_nobody_answers_do_not_pile_up():
    proof = after(stored("v0"), Proof.checked_in)
    for number in range(1000):
        proof.writing(f"v{number}")
        proof.given_up()
        assert len(proof.slot) <= CANDIDATES_MAX + 1
        assert len(proof.since) <= CANDIDATES_MAX + 1
    assert proof.done() == (Verdict.AMBIGUOUS, None)


# The whole little world of one label, every step that the protocol and its faults allow, and every state that these
# steps lead to. `slot`, `task`, `done_with`, `draws` and `screen` are the truth; the proof sees only what arrives. Its
# one word that it restarted is never spoilt here: nobody can tell then (ARCHITECTURE.md, a limit of the proof).

UNDERWAY_MAX = 2  # frames on their way to the host


class Said(NamedTuple):
    """A frame on its way to the host. `about` is the truth that the frame itself does not tell."""

    what: str
    about: str | None = None


class World(NamedTuple):
    """`command` is what the host waits for an answer to, `to_radio` the same while it is on its way."""

    told: frozenset[str]
    since: frozenset[str]
    believed_slot: frozenset[str]
    in_flight: str | None
    command: str | None
    to_radio: str | None
    to_host: tuple[Said, ...]
    slot: str | None
    task: str | None
    done_with: str | None
    begun: str | None = None
    draws: str | None = None
    screen: str | None = None

    @property
    def proof(self) -> Proof:
        return Proof(self.believed_slot, self.told, self.since, self.in_flight, self.begun)

    def believing(self, proof: Proof) -> "World":
        return self._replace(
            told=proof.told, since=proof.since, believed_slot=proof.slot, in_flight=proof.in_flight,
            begun=proof.begun,
        )

    def saying(self, what: str, about: str | None = None) -> "World":
        return self._replace(to_host=(*self.to_host, Said(what, about)))


def fresh(world: World) -> World:
    return world.believing(Proof())._replace(command=None, to_host=())


AT_FIRST = World(frozenset(), frozenset(), frozenset(), None, None, None, (), None, None, None).believing(Proof())


def host_steps(world: World) -> Iterator[World]:
    if world.command is None:
        for occupant in OCCUPANTS:
            proof = world.proof
            proof.writing(occupant)
            yield world.believing(proof)._replace(command=occupant, to_radio=occupant)
        yield world._replace(command="cancel", to_radio="cancel")
    elif world.to_radio is None and Said("ACK") not in world.to_host:  # lost there or lost back
        proof = world.proof
        if world.command != "cancel":
            proof.given_up()
        yield world.believing(proof)._replace(command=None)
    if world.to_radio is None:
        yield fresh(world)  # the daemon is started again


def radio_steps(world: World) -> Iterator[World]:
    if world.to_radio is not None:
        yield world._replace(to_radio=None)  # spoilt on the way
    if len(world.to_host) >= UNDERWAY_MAX:
        return
    if world.to_radio is not None:
        holds = None if world.to_radio == "cancel" else world.to_radio
        yield world._replace(to_radio=None, slot=holds).saying("ACK")
    yield world._replace(to_radio=None, slot=None).saying("RES")
    if world.slot is not None:
        yield world._replace(slot=None).saying("XTO")


def label_steps(world: World) -> Iterator[World]:
    if len(world.to_host) >= UNDERWAY_MAX:
        return
    screen = world.draws or world.screen
    yield world._replace(task=world.slot, done_with=None, draws=None, screen=screen).saying("ADR", screen)
    if world.draws is not None:  # its battery fell out
        yield world._replace(task=world.slot, done_with=None, draws=None).saying("RESTARTED", world.screen)
    if world.task in PICTURES:
        yield world.saying("RQB", world.task)
    if world.task is not None:  # from its own memory, or from blocks
        draws = world.task if world.task in PICTURES else world.draws
        yield world._replace(task=None, done_with=world.task, slot=None, draws=draws).saying("XFC", world.task)
    if world.done_with is not None:  # the radio's answer was lost in the air
        yield world._replace(slot=None).saying("XFC", world.done_with)


def line_steps(world: World) -> Iterator[World]:
    if not world.to_host:
        return
    said, world = world.to_host[0], world._replace(to_host=world.to_host[1:])
    if said.what != "RESTARTED":
        yield world  # spoilt
    proof = world.proof
    if said.what == "ACK" and world.command is not None:
        if world.command == "cancel":
            proof.slot_emptied()
        else:
            proof.acknowledged(world.command)
        world = world._replace(command=None)
    elif said.what in ("RES", "XTO"):
        proof.slot_emptied()
    elif said.what in ("ADR", "RESTARTED"):
        sight, version = proof.checked_in(restarted=said.what == "RESTARTED")
        assert sight is not Sight.STANDS or version == said.about, f"{version} stands, in truth {said.about}"
    elif said.what == "RQB":
        assert said.about is not None
        known = said.about in proof.slot | proof.told | proof.since
        proof.asked_for(said.about if known else UNKNOWN)
    elif said.what == "XFC":
        verdict, version = proof.done()
        truth = {Verdict.BEGUN: version, Verdict.COMMAND_DONE: COMMAND}
        assert truth.get(verdict, said.about) == said.about, f"{verdict} {version}, in truth {said.about}"
    yield world.believing(proof)


def test_p7_in_every_reachable_state_of_label_radio_and_a_faulty_line_what_is_proven_is_true():
    seen = {AT_FIRST}
    edge = [AT_FIRST]
    while edge:
        world = edge.pop()
        for steps in (host_steps, radio_steps, label_steps, line_steps):
            for after_step in steps(world):
                if after_step not in seen:
                    seen.add(after_step)
                    edge.append(after_step)
    assert len(seen) > 10_000
