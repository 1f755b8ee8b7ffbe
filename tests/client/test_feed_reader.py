"""The engine that judges feed pages: whole batches or nothing."""

import msgspec
import pytest

from cloud_sync.client.feeds import FeedReader
from cloud_sync.client.limits import LONG_POLL_S
from cloud_sync.contract.feeds import BadPage, Checkpoint, Cursor, Put, Record, encode_page, records_of


def milk(offset: int) -> Put:
    return Put(offset, "milk", offset, msgspec.Raw(b'{"price":99}'))


def page(*records: Record) -> bytes:
    return encode_page(records)


def reader_at(cursor: Cursor | None) -> FeedReader:
    reader = FeedReader()
    reader.resume(cursor)
    return reader


def test_a_page_moves_the_cursor_only_once_the_store_has_applied_it() -> None:
    reader = reader_at(Cursor("g1", 4))
    reading = reader.read(records_of(page(milk(5), milk(6), Checkpoint("g1", 6))))
    assert [change.offset for batch in reading.batches for change in batch.changes] == [5, 6]
    assert reader.cursor == Cursor("g1", 4)
    reader.applied(reading.batches)
    assert reader.cursor == Cursor("g1", 6)


def test_only_what_a_checkpoint_closes_is_applied() -> None:
    reading = reader_at(Cursor("g1", 4)).read(records_of(page(milk(5), Checkpoint("g1", 5), milk(6))))
    assert [batch.checkpoint.offset for batch in reading.batches] == [5]
    assert len(reading.batches[0].changes) == 1


@pytest.mark.parametrize("bad", [
    b"",
    page(milk(5)),
    page(milk(5), Checkpoint("g1", 5))[:-10],
    page(milk(5), Checkpoint("g1", 5)) + b"<html>log in to the guest network</html>\n",
    page(milk(4), Checkpoint("g1", 4)),
    page(milk(6), milk(5), Checkpoint("g1", 6)),
    page(milk(5), Checkpoint("g2", 5)),
    page(Checkpoint("g1", 3)),
], ids=["nothing", "no checkpoint", "cut", "garbage behind good", "old offset", "out of order", "other generation",
        "checkpoint of the past"])
def test_nothing_of_a_bad_page_may_be_applied(bad: bytes) -> None:
    reader = reader_at(Cursor("g1", 4))
    with pytest.raises(BadPage):
        reader.read(records_of(bad))
    assert reader.cursor == Cursor("g1", 4)


def test_a_first_page_of_two_generations_is_bad() -> None:
    with pytest.raises(BadPage, match="several generations"):
        reader_at(None).read(records_of(page(milk(1), Checkpoint("g1", 1), milk(2), Checkpoint("g2", 2))))


def test_an_empty_feed_gives_a_new_store_its_first_cursor() -> None:
    reader = reader_at(None)
    reading = reader.read(records_of(page(Checkpoint("g1", 0))))
    assert not reading.end
    reader.applied(reading.batches)
    assert reader.cursor == Cursor("g1", 0)
    assert reader.read(records_of(page(Checkpoint("g1", 0)))).end


def test_the_hub_may_hold_a_poll_only_once_the_end_was_reached() -> None:
    reader = reader_at(Cursor("g1", 4))
    assert reader.wait_s == 0
    assert reader.read(records_of(page(Checkpoint("g1", 4)))).end
    reader.reached_end()
    assert reader.wait_s == LONG_POLL_S
    reader.resume(Cursor("g1", 4))
    assert reader.wait_s == 0, "after a failure the end has to show itself again"


def test_a_retired_generation_is_read_from_the_start() -> None:
    reader = reader_at(Cursor("g1", 4))
    reader.retired()
    assert reader.cursor is None
    assert reader.wait_s == 0


def test_everything_there_is_comes_only_to_a_reader_who_has_nothing() -> None:
    whole = page(milk(5), Checkpoint("g1", 6, whole=True))
    assert reader_at(None).read(records_of(whole)).batches
    with pytest.raises(BadPage, match="everything there is"):
        reader_at(Cursor("g1", 4)).read(records_of(whole))
