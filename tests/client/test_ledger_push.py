"""The engine behind the ledger push: what to send, and when to stop for good."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.client.errors import BadAnswer
from cloud_sync.client.ledger import LedgerPush, PushState
from cloud_sync.client.limits import PUSH_BYTES_MAX, PUSH_ENTRIES_MAX
from cloud_sync.client.link_state import FenceReason
from cloud_sync.client.port import Stretch
from cloud_sync.contract.ledger import GENESIS_HASH, Entry, Gap, Head, Push, Pushed
from tests.client.fakes import chain, head_of

OURS = chain(["milk", "bread", "eggs", "salt", "soap"])
THEIRS = chain(["milk", "bread", "wine", "cork"])


def stretch(entries: tuple[Entry, ...], after: int, count_max: int = PUSH_ENTRIES_MAX) -> Stretch | None:
    if after > len(entries):
        return None
    before = entries[after - 1].hash if after else GENESIS_HASH
    return Stretch(1, before, entries[after:after + count_max])


def offer(engine: LedgerPush, entries: tuple[Entry, ...] = OURS) -> Push | None:
    assert engine.position is not None
    return engine.offer(stretch(entries, engine.position, engine.entries_max), head_of(entries))


def gap_at(entries: tuple[Entry, ...], reason: str = "gap") -> Gap:
    head = head_of(entries)
    return Gap(head.sequence + 1, head.hash, reason)


def welcomed_at(sequence: int, entries: tuple[Entry, ...] = OURS) -> LedgerPush:
    engine = LedgerPush()
    engine.welcomed(1, Head(sequence, entries[sequence - 1].hash if sequence else GENESIS_HASH))
    return engine


def test_what_the_hub_lacks_is_pushed_behind_its_head() -> None:
    engine = welcomed_at(2)
    push = offer(engine)
    assert push == Push(1, 3, OURS[1].hash, OURS[2:])
    engine.pushed(push, Pushed(5))
    assert engine.position == 5
    assert engine.resting
    assert offer(engine) is None


def test_after_a_hello_an_empty_push_has_the_hub_compare_hashes() -> None:
    engine = welcomed_at(5)
    assert offer(engine) == Push(1, 6, OURS[4].hash, ())


def test_a_push_is_bounded_by_bytes_but_never_empty() -> None:
    long_text = "x" * PUSH_BYTES_MAX
    entries = chain([f"1{long_text}", f"2{long_text}", "short"])
    push = offer(welcomed_at(0), entries)
    assert push is not None
    assert [entry.sequence for entry in push.entries] == [1]


def test_a_hub_that_takes_less_is_sent_less_until_one_entry_is_left() -> None:
    engine = welcomed_at(0)
    while engine.too_large():
        assert engine.entries_max >= 1
    assert engine.entries_max == 1
    push = offer(engine)
    assert push is not None
    assert len(push.entries) == 1
    engine.pushed(push, Pushed(1))
    assert engine.entries_max == 2


def test_a_gap_moves_back_to_the_hubs_head_where_the_hashes_agree() -> None:
    engine = welcomed_at(4)
    push = offer(engine)
    assert push is not None
    engine.gap(push, gap_at(OURS[:1]), stretch(OURS, 1, 0), head_of(OURS))
    assert engine.state is PushState.PUSHING
    assert offer(engine) == Push(1, 2, OURS[0].hash, OURS[1:])


def fenced(engine: LedgerPush) -> FenceReason:
    assert engine.state is PushState.FENCED
    assert engine.fence is not None
    return engine.fence.reason


def test_another_entry_under_our_sequence_is_a_fork() -> None:
    engine = welcomed_at(4, THEIRS)
    push = offer(engine)
    assert push is not None
    engine.gap(push, gap_at(THEIRS, "fork"), stretch(OURS, 4, 0), head_of(OURS))
    assert fenced(engine) is FenceReason.FORK


def test_a_hub_with_more_of_our_epoch_than_we_have_means_a_restored_box() -> None:
    engine = LedgerPush()
    engine.welcomed(1, Head(9, "f" * 64))
    assert offer(engine) is None
    assert fenced(engine) is FenceReason.AHEAD


def test_a_hub_that_lacks_what_we_no_longer_keep_cannot_be_served() -> None:
    engine = welcomed_at(1)
    assert engine.offer(None, head_of(OURS)) is None
    assert fenced(engine) is FenceReason.PRUNED


def test_heads_that_agree_where_the_hub_still_refuses_mean_a_broken_chain_and_no_endless_pushing() -> None:
    engine = welcomed_at(2)
    push = offer(engine)
    assert push is not None
    engine.gap(push, gap_at(OURS[:2], "fork"), stretch(OURS, 2, 0), head_of(OURS))
    assert fenced(engine) is FenceReason.BROKEN


def test_a_fence_falls_when_the_hub_agrees_again() -> None:
    engine = LedgerPush()
    engine.welcomed(1, Head(9, "f" * 64))
    offer(engine)
    engine.welcomed(1, head_of(OURS[:2]))
    push = offer(engine)
    assert push is not None
    assert engine.fence is not None, "not before the hub has compared"
    engine.pushed(push, Pushed(5))
    assert engine.fence is None


@pytest.mark.parametrize("acked", [0, 2, 6, 2**40], ids=["the past", "nothing", "one too many", "far too many"])
def test_an_acknowledgement_of_what_was_not_sent_is_not_believed(acked: int) -> None:
    engine = welcomed_at(2)
    push = offer(engine)
    assert push is not None
    with pytest.raises(BadAnswer):
        engine.pushed(push, Pushed(acked))
    assert engine.position == 2


def test_a_new_epoch_waits_for_a_hello_of_its_own() -> None:
    engine = welcomed_at(2)
    assert engine.offer(Stretch(2, GENESIS_HASH, ()), Head()) is None
    assert engine.state is PushState.UNKNOWN


def test_a_ledger_with_a_hole_is_not_pushed() -> None:
    with pytest.raises(ValueError, match="stands where"):
        welcomed_at(0).offer(Stretch(1, GENESIS_HASH, (OURS[0], OURS[2])), head_of(OURS))


class Hub:
    """The contract's other side, in ten lines."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries

    def takes(self, push: Push) -> Pushed | Gap:
        first, held = push.first_sequence, self.entries
        if first > len(held) + 1:
            return gap_at(held)
        sent = {first - 1: push.previous_hash, **{entry.sequence: entry.hash for entry in push.entries}}
        if any(sent.get(entry.sequence, entry.hash) != entry.hash for entry in held):
            return gap_at(held, "fork")
        self.entries += push.entries[len(held) + 1 - first:]
        return Pushed(first - 1 + len(push.entries))


@given(held=st.integers(0, 5), entries_max=st.integers(1, 3),
       troubles=st.lists(st.sampled_from(["lost before", "lost after", "hub restored", "hello repeated"]), max_size=8))
def test_p2_whatever_is_lost_the_hub_ends_with_every_entry_once(held: int, entries_max: int,
                                                                troubles: list[str]) -> None:
    engine, hub = welcomed_at(held), Hub(OURS[:held])
    for turn in range(40):
        engine.entries_max = entries_max
        trouble = troubles[turn] if turn < len(troubles) else ""
        if trouble == "hub restored":
            hub.entries = hub.entries[:len(hub.entries) // 2]
        every_five_minutes = turn % 10 == 9
        if trouble == "hello repeated" or every_five_minutes or engine.state is PushState.UNKNOWN:
            engine.welcomed(1, head_of(hub.entries))
        push = offer(engine)
        if push is None:
            continue
        answer = None if trouble == "lost before" else hub.takes(push)
        if answer is None or trouble == "lost after":
            engine.lose_place()
        elif isinstance(answer, Gap):
            engine.gap(push, answer, stretch(OURS, answer.expected_sequence - 1, 0), head_of(OURS))
        else:
            engine.pushed(push, answer)
        assert engine.state is not PushState.FENCED
    assert hub.entries == OURS
    assert engine.position == len(OURS)
