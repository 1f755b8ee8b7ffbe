"""What callers are told when the store itself is in trouble: never "stored" for what is not (P1), lookups go on."""

import pytest
from structlog.testing import capture_logs

from edge.errors import Corrupt
from edge.pos.access import Role
from edge.store import News, Topic
from tests.store_kit import StoreKit


async def test_p1_once_the_ledger_is_damaged_facts_are_503_and_prices_are_still_told(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    with pytest.raises(Corrupt):                       # as the disk would, under any statement
        await store.books.ledger.submit(lambda connection: connection.execute("PRAGMA query_only = ON") and
                                        connection.execute("INSERT INTO meta VALUES ('a', 'b')"))
    for _ in range(3):
        answer = await store.till().sells(1, "milk")
        assert (answer.status_code, answer.json()["recorded"]) == (503, False)
    assert store.books.ledger.broken
    assert store.till().asks("milk") == "0.99"
    await store.time_passes(120)                       # planner and housekeeper sit it out
    assert store.till().asks("bread") == "1.89"
    await store.label("aisle 4").proves()
    await store.time_passes(2 * 3600)
    assert store.till().asks("milk") == "0.99"         # a proof that could not be stored frees nothing


async def test_books_that_cannot_be_read_are_503_and_no_bug(store: StoreKit) -> None:
    store.books.replica_reader.close()
    async with store.caller(Role.TILL, "1") as client:
        answer = await client.get("/v1/lookup/milk")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")


async def test_p1_a_listener_that_breaks_takes_no_answer_back(store: StoreKit) -> None:
    heard: list[Topic] = []

    def breaks(news: News) -> None:
        raise RuntimeError("a page went away")
    store.store.listeners[:0] = [breaks]
    store.store.listeners.append(lambda news: heard.append(news.topic))
    with capture_logs() as logs:
        assert (await store.till().sells(1, "milk")).status_code == 201
    assert heard == [Topic.FACT]
    assert [line["event"] for line in logs] == ["a listener broke"]
