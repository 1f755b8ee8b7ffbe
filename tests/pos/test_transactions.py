"""What tills send: once each, in any order, whatever is odd about it; repeats, conflicts, voids (P1, P2, P4)."""

import asyncio
import random
from typing import Any

import pytest

from cloud_sync.contract.ledger import GENESIS_HASH, chain_breaks_at
from edge.pos.access import Role
from tests.store_kit import BUSINESS_DAY, StoreKit, gtin_of


async def test_p2_a_repeat_gets_the_first_answer_to_the_byte_and_has_no_effect(store: StoreKit) -> None:
    await store.receives("milk", 10)
    first = await store.till().sells(1, "milk", 2)
    assert first.status_code == 201
    assert first.json() == {"recorded": True, "fact_key": "till/1/2026-11-23/0000000001", "epoch": 1, "sequence": 2,
                            "flags": []}
    for _ in range(3):
        again = await store.till().sells(1, "milk", 2)
        assert (again.status_code, again.content) == (first.status_code, first.content)
    assert store.stock("milk") == (8, 0, 0, 0)
    assert len(store.entries()) == 2


async def test_p2_a_repeat_after_a_restart_is_still_a_repeat(store: StoreKit) -> None:
    first = await store.till().sells(1, "milk")
    await store.restarts()
    assert (await store.till().sells(1, "milk")).content == first.content


async def test_p2_times_formats_and_flags_are_no_other_meaning(store: StoreKit) -> None:
    first = await store.till().sells(1, "milk", occurred_at="2026-11-23T12:00:00+01:00")
    later = await store.till().sells(1, "milk", occurred_at="2026-11-23T11:59:00Z", operator="luis")
    assert later.content == first.content
    store.clock.put_wrong(-86_400_000)
    await store.time_passes(60)
    assert (await store.till().sells(1, "milk")).content == first.content


async def test_p2_a_repeat_is_one_even_when_the_catalogue_has_learned_the_code_meanwhile(store: StoreKit) -> None:
    """The reply was lost, the item arrived from the hub, the till sends the same sale again."""
    line = {"code": gtin_of("caviar"), "quantity_milli": 1000, "amount_minor": 4000}
    first = await store.till().sends(1, line)
    await store.hub.has_items("caviar")
    again = await store.till().sends(1, line)
    assert (again.status_code, again.content) == (201, first.content)
    assert store.exceptions() == ["unknown-item"]


async def test_p2_the_same_number_with_another_meaning_is_kept_for_a_person_once(store: StoreKit) -> None:
    await store.receives("milk", 10)
    await store.till().sells(1, "milk", 2)
    for _ in range(3):
        conflict = await store.till().sells(1, "milk", 3)
        assert conflict.status_code == 409
        assert conflict.headers["content-type"] == "application/problem+json"
        assert conflict.json()["recorded"] is True
    await store.till().sells(1, "milk", 3, occurred_at="2026-11-23T15:00:00Z")    # the same other meaning, later
    assert store.exceptions() == ["conflict"]
    assert b'\\"quantity_milli\\":3000' in bytes(store.entries()[-1].payload)     # both versions are in the ledger
    await store.till().sells(1, "milk", 4)
    assert store.exceptions() == ["conflict", "conflict"]
    assert store.stock("milk") == (8, 0, 0, 0)
    assert (await store.till().sells(1, "milk", 2)).status_code == 201


@pytest.mark.parametrize("void_first", [False, True])
async def test_p2_a_void_takes_its_sale_back_whichever_comes_first(store: StoreKit, void_first: bool) -> None:
    await store.receives("milk", 10)
    sends = [lambda: store.till().sells(1, "milk", 3), lambda: store.till().voids(2, 1)]
    for send in reversed(sends) if void_first else sends:
        assert (await send()).status_code == 201
    assert store.stock("milk") == (10, 0, 0, 0)
    for send in sends:                                     # and again, in the other order
        assert (await send()).status_code == 201
    assert store.stock("milk") == (10, 0, 0, 0)
    assert store.exceptions() == (["void-before-original"] if void_first else [])


@pytest.mark.parametrize("void_first", [False, True])
async def test_p2_lines_that_a_till_puts_into_its_void_do_not_count_on_top(store: StoreKit, void_first: bool) -> None:
    await store.receives("milk", 10)
    line = {"sku": "milk", "quantity_milli": 3000, "amount_minor": 300}

    async def void() -> None:
        await store.till().sends(2, line, type="void", voids_sequence=1, total_minor=-300)
    if void_first:
        await void()
        assert store.stock("milk") == (10, 0, 0, 0)
        await store.till().sells(1, "milk", 3)
    else:
        await store.till().sells(1, "milk", 3)
        await void()
    assert store.stock("milk") == (10, 0, 0, 0)


async def test_p2_a_second_void_of_the_same_sale_takes_nothing_back(store: StoreKit) -> None:
    await store.receives("milk", 10)
    await store.till().sells(1, "milk", 3)
    await store.till().voids(2, 1)
    second = await store.till().voids(3, 1)
    assert (second.status_code, second.json()["flags"]) == (201, ["already-voided"])
    assert store.stock("milk") == (10, 0, 0, 0)


@pytest.mark.parametrize("voided", [None, 2])
async def test_p4_a_void_of_nothing_or_of_a_void_is_kept_and_moves_nothing(store: StoreKit, voided: int | None) -> None:
    await store.receives("milk", 10)
    await store.till().sells(1, "milk", 3)
    await store.till().voids(2, 1)
    odd = await store.till().voids(3, voided)
    assert (odd.status_code, odd.json()["flags"]) == (201, ["voids-no-sale"])
    assert store.stock("milk") == (10, 0, 0, 0)


async def test_p2_a_void_reaches_only_its_own_till_and_day(store: StoreKit) -> None:
    await store.receives("milk", 10)
    await store.till(1).sells(1, "milk", 3)
    await store.till(2).voids(2, 1)
    await store.till(1).voids(2, 1, day="2026-11-24")
    assert store.stock("milk") == (7, 0, 0, 0)


async def test_p2_any_order_of_everything_ends_the_same(store: StoreKit) -> None:
    """Sales, returns and voids of two tills, each sent one to three times, shuffled."""
    sends: list[Any] = []
    for till in (1, 2):
        for sequence in range(1, 11):
            sends.append(lambda till=till, sequence=sequence: store.till(till).sells(sequence, "milk", sequence))
        for sequence in (11, 12):
            sends.append(lambda till=till, sequence=sequence: store.till(till).voids(sequence, sequence - 10))
        sends.append(lambda till=till: store.till(till).sends(
            13, {"sku": "milk", "kind": "return", "quantity_milli": 1000, "amount_minor": 100},
            type="return", total_minor=-100))
    chance = random.Random(11)
    shuffled = [send for send in sends for _ in range(chance.randint(1, 3))]
    chance.shuffle(shuffled)
    for begin in range(0, len(shuffled), 7):
        await asyncio.gather(*(send() for send in shuffled[begin:begin + 7]))
    sold = 2 * (sum(range(1, 11)) - 1 - 2)
    assert store.stock("milk") == (-sold, 0, 0, 2)
    assert len({entry.fact_key for entry in store.entries()}) == len(store.entries())
    assert chain_breaks_at("0042", 1, GENESIS_HASH, store.entries()) is None


@pytest.mark.parametrize(("quantity", "flag", "moved"), [
    (0, "zero-quantity", 0), (-2000, "negative-quantity", 2000), (1_000_000, "odd-quantity", -1_000_000),
    (32_623_000, "odd-quantity", -32_623_000), (10**12, "odd-quantity", -10**12), (10**12 + 1, "odd-quantity", 0),
    (2**63 - 1, "odd-quantity", 0), (-2**63, "negative-quantity", 0)])
async def test_p4_odd_quantities_are_kept_and_shown_to_a_person(
        store: StoreKit, quantity: int, flag: str, moved: int) -> None:
    answer = await store.till().sends(1, {"sku": "milk", "quantity_milli": quantity, "amount_minor": 99})
    assert (answer.status_code, answer.json()["flags"]) == (201, [flag])
    assert store.exceptions() == [flag]
    row = store.books.ledger_reader.execute("SELECT sellable_milli FROM stock WHERE sku = 'milk'").fetchone()
    assert (row[0] if row else 0) == moved
    assert str(quantity).encode() in bytes(store.entries()[0].payload)


async def test_p4_unknown_products_and_wrong_totals_are_kept_and_shown_to_a_person(store: StoreKit) -> None:
    answer = await store.till().sends(
        1, {"code": "no such thing", "quantity_milli": 1000, "amount_minor": 500},
        {"sku": "a sku of tomorrow", "quantity_milli": 1000, "amount_minor": 700}, total_minor=99)
    assert (answer.status_code, answer.json()["flags"]) == (201, ["total-differs", "unknown-item"])
    assert sorted(store.exceptions()) == ["total-differs", "unknown-item"]
    assert store.stock("a sku of tomorrow") == (-1, 0, 0, 0)


async def test_a_code_means_its_product_and_a_sku_is_a_sku(store: StoreKit) -> None:
    """A SKU may look like another product's number."""
    await store.hub.has_items(gtin_of("milk"))
    await store.till().sends(1, {"code": gtin_of("milk"), "quantity_milli": 1000, "amount_minor": 99},
                             {"sku": gtin_of("milk"), "quantity_milli": 2000, "amount_minor": 99})
    assert store.stock("milk") == (-1, 0, 0, 0)
    assert store.stock(gtin_of("milk")) == (-2, 0, 0, 0)


async def test_returned_goods_wait_ungraded(store: StoreKit) -> None:
    await store.till().sends(1, {"sku": "milk", "kind": "return", "quantity_milli": 2000, "amount_minor": 198},
                             type="return", total_minor=-198)
    assert store.stock("milk") == (0, 0, 0, 2)
    assert store.exceptions() == []


async def test_p4_p5_a_walk_in_sale_of_reserved_goods_stands_and_names_the_order(store: StoreKit) -> None:
    await store.receives("milk", 3)
    await store.hub.places_order("A-1", {"milk": 2})
    await store.till().sells(1, "milk", 3)
    assert store.stock("milk") == (-2, 2, 0, 0)
    (row,) = store.books.ledger_reader.execute("SELECT reason, detail FROM exception").fetchall()
    assert row[0] == "available-below-zero"
    assert "A-1" in row[1]


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"type":"sale"}', b"[" * 100_000, b'{"type":' * 10_000,
    b'{"type":"gift","currency":"EUR","total_minor":1,"occurred_at":"2026-11-23T12:00:00Z","lines":[]}',
    b'{"type":"sale","currency":"euro","total_minor":1,"occurred_at":"2026-11-23T12:00:00Z","lines":[]}',
    b'{"type":"sale","currency":"EUR","total_minor":1.5,"occurred_at":"2026-11-23T12:00:00Z","lines":[]}',
    b'{"type":"sale","currency":"EUR","total_minor":1,"occurred_at":"yesterday","lines":[]}',
    b'{"type":"sale","currency":"EUR","total_minor":1,"occurred_at":"2026-11-23T12:00:00Z","lines":[],"pan":"4111"}',
    b'{"type":"sale","currency":"EUR","total_minor":1,"occurred_at":"2026-11-23T12:00:00Z","lines":[{"line":1}]}',
    b'{"type":"sale","currency":"EUR","total_minor":1e400,"occurred_at":"2026-11-23T12:00:00Z","lines":[]}',
    b'{"type":"sale","currency":"EUR","total_minor":99999999999999999999,"occurred_at":"2026-11-23T12:00:00Z",'
    b'"lines":[]}',
    b'{"type":"sale","currency":"EUR","total_minor":1,"occurred_at":"2026-11-23T12:00:00Z","lines":[],'
    b'"operator":"\\ud800"}',
])
async def test_a_malformed_body_is_a_problem_and_not_recorded(store: StoreKit, body: bytes) -> None:
    async with store.caller(Role.TILL, "1") as client:
        answer = await client.put(f"/v1/transactions/1/{BUSINESS_DAY}/1", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["recorded"] is False
    assert store.entries() == []


@pytest.mark.parametrize("day", ["20261123", "2026-W48-1", "2026-11-31", "2026-1-1", "today", "２０２６-11-23",
                                 "2026-11-23T00:00"])
async def test_p2_a_day_has_one_spelling(store: StoreKit, day: str) -> None:
    """Under a second spelling a repeat would be another sale."""
    assert (await store.till().sells(1, "milk", day=day)).status_code == 400
    assert store.entries() == []


@pytest.mark.parametrize("sequence", ["-1", "1.0", "0x1", "12345678901", "١"])
async def test_a_sequence_is_up_to_ten_digits(store: StoreKit, sequence: str) -> None:
    assert (await store.till().sells(sequence, "milk")).status_code == 400  # type: ignore[arg-type]  # on purpose
    assert store.entries() == []


async def test_p2_zeros_before_a_sequence_are_the_same_sequence(store: StoreKit) -> None:
    first = await store.till().sells(7, "milk")
    assert (await store.till().sells("0000000007", "milk")).content == first.content  # type: ignore[arg-type]  # as a till may write it


@pytest.mark.parametrize("occurred_at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59+00:00", "2026-11-23T12:00:00",
                                         "1969-12-31T23:59:59.9999Z"])
async def test_p4_any_date_a_till_believes_in_is_kept(store: StoreKit, occurred_at: str) -> None:
    assert (await store.till().sells(1, "milk", occurred_at=occurred_at)).status_code == 201


async def test_a_time_without_an_offset_is_the_stores_own(store: StoreKit) -> None:
    await store.till().sells(1, "milk", occurred_at="2026-11-23T12:00:00")
    await store.till().sells(2, "milk", occurred_at="2026-11-23T11:00:00Z")
    assert store.entries()[0].occurred_ms == store.entries()[1].occurred_ms


async def test_p10_a_body_beyond_the_bound_is_refused_unread_declared_or_not(store: StoreKit) -> None:
    async def endless() -> Any:
        for _ in range(40):
            yield b" " * 65_536
    async with store.caller(Role.TILL, "1") as client:
        path = f"/v1/transactions/1/{BUSINESS_DAY}/1"
        declared = await client.put(path, content=b" " * (1024 * 1024 + 1))
        streamed = await client.put(path, content=endless())
    assert (declared.status_code, streamed.status_code) == (413, 413)
    assert declared.json()["recorded"] is False


async def test_p10_a_transaction_has_a_bounded_number_of_lines(store: StoreKit) -> None:
    line = {"sku": "milk", "quantity_milli": 1, "amount_minor": 0}
    assert (await store.till().sends(1, *[line] * 2000)).status_code == 201
    too_many = await store.till().sends(2, *[line] * 2001)
    assert (too_many.status_code, too_many.json()["recorded"]) == (400, False)


async def test_p1_a_full_disk_is_503_and_the_same_works_later(store: StoreKit) -> None:
    connection = store.books._connections[0]
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    line = {"code": "9" * 500, "quantity_milli": 1000, "amount_minor": 1}
    full = await store.till().sends(1, *[line] * 200)
    assert (full.status_code, full.json()["recorded"]) == (503, False)
    assert int(full.headers["retry-after"]) > 0
    connection.execute("PRAGMA max_page_count = 1000000")
    assert (await store.till().sends(1, *[line] * 200)).status_code == 201
