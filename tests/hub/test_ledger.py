"""Every store's ledger in, exactly once (P2), and never refused for what stands in it (P4)."""

import threading

import msgspec
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_sync.contract.facts import (
    LineKind,
    Movement,
    PickupStep,
    SaleLine,
    StockMove,
    Transaction,
    TransactionKind,
    decode_fact,
    encode_fact,
)
from cloud_sync.contract.ledger import Gap, Head, Hello, Push, Welcome, chain_breaks_at
from cloud_sync.hub import effects, ledgers
from cloud_sync.hub.effects import Effects
from cloud_sync.hub.limits import PUSH_ENTRIES_MAX
from tests.hub.world import HubWorld, Ledger


def acked(answer) -> int:
    assert answer.status_code == 200, answer.text
    return answer.json()["acked_sequence"]


def gap(answer) -> Gap:
    assert answer.status_code == 409, answer.text
    return msgspec.json.decode(answer.content, type=Gap)


async def test_p2_a_sale_is_acknowledged_with_its_effect(hub: HubWorld):
    store = await hub.store()
    ledger = store.ledger()
    ledger.sells("milk", "bread")
    assert acked(await store.push(ledger.push())) == 1
    assert await hub.stock_milli("milk") == -1000
    status = await hub.status()
    assert (status.transactions, status.sale_lines, status.entries, status.facts) == (1, 2, 1, 1)


async def test_p2_the_same_push_twice_has_one_effect(hub: HubWorld):
    store = await hub.store()
    ledger = store.ledger()
    for _ in range(5):
        ledger.sells("milk")
    assert acked(await store.push(ledger.push())) == 5
    assert acked(await store.push(ledger.push())) == 5
    assert await hub.stock_milli("milk") == -5000
    assert (await hub.status()).sale_lines == 5


async def test_p2_overlapping_pushes_add_only_what_is_new(hub: HubWorld):
    store = await hub.store()
    ledger = store.ledger()
    for _ in range(10):
        ledger.sells("milk")
    for first, last in ((1, 4), (3, 7), (2, 6), (7, 10), (1, 10)):
        assert acked(await store.push(ledger.push(first, last))) == last
    assert await hub.stock_milli("milk") == -10_000


async def test_p2_a_push_that_overtook_another_is_asked_for_again(hub: HubWorld):
    store = await hub.store()
    ledger = store.ledger()
    for _ in range(8):
        ledger.sells("milk")
    early = gap(await store.push(ledger.push(5, 8)))
    assert early == Gap(1, ledger.hash_at(0), ledgers.GAP)
    assert await hub.stock_milli("milk") == 0
    acked(await store.push(ledger.push(1, 4)))
    acked(await store.push(ledger.push(5, 8)))
    assert await hub.stock_milli("milk") == -8000


async def test_p2_the_reply_is_lost_after_the_commit_and_the_hub_restarts(hub: HubWorld):
    store = await hub.store()
    ledger = store.ledger()
    ledger.sells("milk")
    ledger.sells("milk")
    await store.push(ledger.push())
    hub.restart()
    ledger.sells("milk")
    assert acked(await store.push(ledger.push())) == 3
    assert await hub.stock_milli("milk") == -3000


async def test_p2_a_crash_in_the_middle_leaves_nothing_behind(hub: HubWorld, monkeypatch: pytest.MonkeyPatch):
    store = await hub.store()
    ledger = store.ledger()
    ledger.sells("milk")

    def dies(*_arguments: object) -> frozenset[str]:
        raise RuntimeError("the power went")

    with monkeypatch.context() as broken:
        broken.setattr(Effects, "write", dies)
        with pytest.raises(RuntimeError, match="the power went"):
            await store.push(ledger.push())
    status = await hub.status()
    assert (status.entries, status.transactions, status.heads) == (0, 0, ())
    assert acked(await store.push(ledger.push())) == 1
    assert await hub.stock_milli("milk") == -1000


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 6)), max_size=20), data=st.data())
async def test_p2_any_order_of_any_pieces_ends_in_one_effect_per_fact(hub: HubWorld, cuts, data):
    name = f"store-{hub.storage.database.mint()}"
    store = await hub.store(name)
    ledger = store.ledger()
    for number in range(1, 13):
        # every fourth fact is a till's transaction that the box recorded before under another place
        ledger.sells("milk", "bread", sequence=number - 1 if number % 4 == 0 else number)
    for first, length in cuts:
        answer = await store.push(ledger.push(first, first + length))
        assert answer.status_code in (200, 409)
    acked(await store.push(ledger.push()))
    status = await hub.status(name)
    assert (status.entries, status.facts, status.transactions, status.sale_lines) == (12, 9, 9, 18)
    assert await hub.stock_milli("milk", name) == -9000


async def test_p2_a_fact_key_under_another_epoch_is_linked_without_effect(hub: HubWorld):
    store = await hub.store()
    old, new = store.ledger(1), store.ledger(2)
    old.sells("milk", sequence=7)
    new.sells("milk", sequence=7)
    new.sells("milk", sequence=8)
    acked(await store.push(old.push()))
    assert acked(await store.push(new.push())) == 2
    assert await hub.stock_milli("milk") == -2000
    page = (await hub.operator.get("/v1/stores/store-1/ledger?epoch=2")).json()
    assert [entry.get("repeat_of") for entry in page["entries"]] == [[1, 1], None]
    status = await hub.status()
    assert (status.entries, status.facts) == (3, 2)


async def test_p2_a_fact_key_twice_in_one_push_counts_once(hub: HubWorld):
    store = await hub.store()
    ledger = store.ledger()
    ledger.sells("milk", sequence=7)
    ledger.sells("milk", sequence=7)
    ledger.sells("milk", sequence=7)
    acked(await store.push(ledger.push(1, 2)))
    acked(await store.push(ledger.push(3, 3)))
    assert await hub.stock_milli("milk") == -1000
    page = (await hub.operator.get("/v1/stores/store-1/ledger")).json()
    assert [entry.get("repeat_of") for entry in page["entries"]] == [None, [1, 1], [1, 1]]


async def test_p2_the_same_fact_key_in_two_stores_is_two_facts(hub: HubWorld):
    for name in ("store-1", "store-2"):
        store = await hub.store(name)
        ledger = store.ledger()
        ledger.sells("milk")
        acked(await store.push(ledger.push()))
    assert await hub.stock_milli("milk", "store-1") == await hub.stock_milli("milk", "store-2") == -1000


async def test_p2_two_senders_at_the_same_time_have_one_effect(hub: HubWorld):
    store = await hub.store()
    ledger = store.ledger()
    for _ in range(40):
        ledger.sells("milk")
    failures: list[BaseException] = []

    def send() -> None:
        try:
            for first in range(1, 41, 4):
                hub.storage.ledgers.push("store-1", ledger.push(1, first + 3))
        except BaseException as error:
            failures.append(error)

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert not failures
    assert await hub.stock_milli("milk") == -40_000


async def test_a_gap_names_where_to_go_on_from(hub: HubWorld):
    store = await hub.store()
    ledger = store.ledger()
    for _ in range(6):
        ledger.sells("milk")
    acked(await store.push(ledger.push(1, 2)))
    answer = await store.push(ledger.push(5))
    assert gap(answer) == Gap(3, ledger.hash_at(2), "gap")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_restored_hub_is_sent_everything_again_from_its_older_head(hub: HubWorld):
    store = await hub.store()
    ledger = store.ledger()
    for _ in range(6):
        ledger.sells("milk")
    acked(await store.push(ledger.push(1, 3)))
    before = await hello(store)
    hub.storage.database.renew_after_restore()
    after = await hello(store)
    assert before.hub_epoch != after.hub_epoch
    assert after.head == Head(3, ledger.hash_at(3))
    acked(await store.push(ledger.push(after.head.sequence + 1)))
    assert await hub.stock_milli("milk") == -6000


async def hello(store) -> Welcome:
    answer = await store.http.post(f"/v1/stores/{store.name}/hello",
                                   content=msgspec.json.encode(Hello(1, Head(6, "x"), 1, {"items": ("g", 4)})))
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Welcome)


async def test_two_boxes_with_one_identity_are_a_fork_and_an_alarm(hub: HubWorld):
    store = await hub.store()
    one, other = store.ledger(), store.ledger()
    one.sells("milk")
    one.sells("milk")
    other.sells("milk")
    other.sells("bread")
    other.sells("bread")
    acked(await store.push(one.push()))
    with structlog.testing.capture_logs() as logged:
        for push in (other.push(), other.push(2), other.push(3)):
            assert gap(await store.push(push)) == Gap(3, one.hash_at(2), "fork")
    assert [line["store"] for line in logged if line.get("reason") == "fork"] == ["store-1"]
    assert await hub.stock_milli("bread") == 0
    alarms = (await hub.status()).alarms
    assert [(alarm.reason, alarm.epoch, alarm.count) for alarm in alarms] == [("fork", 1, 3)]


async def test_a_broken_chain_is_not_believed(hub: HubWorld):
    store = await hub.store()
    ledger = store.ledger()
    ledger.sells("milk")
    ledger.sells("milk")
    forged = msgspec.structs.replace(ledger.entries[1], payload=msgspec.Raw(encode_fact(Movement("gift", (), "me"))))
    assert gap(await store.push(ledger.push_of([ledger.entries[0], forged], 1))).reason == "fork"
    status = await hub.status()
    assert status.entries == 0
    assert "entry 2" in status.alarms[0].detail


@pytest.mark.parametrize("payload", [
    b'{"kind":"a kind of tomorrow"}', b'{"kind":"movement"}', b"[]", b"17", b'"text"', b"null", b"{}",
    encode_fact(Movement("x", (StockMove("milk", 2**63),), "me")),
    encode_fact(Movement("x", (StockMove("milk", -(10**30)),), "me")),
    encode_fact(Movement("x", (StockMove("nul\0", 1),), "me")),
    encode_fact(Movement("x", (StockMove("s" * 10_000, 1),), "me")),
    encode_fact(Transaction("1", "d", 1, TransactionKind.SALE, "EUR", 2**63, ())),
    encode_fact(Transaction("t\0", "d", 1, TransactionKind.SALE, "EUR", 2, ())),
    encode_fact(PickupStep("o\0", "t", "pick", "picking", 1, "me")),
    encode_fact(PickupStep("o", "t", "pick", "picking", 2**64 - 1, "me")),
])
async def test_p4_what_cannot_be_read_is_quarantined_and_the_line_goes_on(hub: HubWorld, payload: bytes):
    store = await hub.store()
    ledger = store.ledger()
    ledger.sells("bread")
    ledger.appends_bytes(payload, "odd one")
    ledger.sells("bread")
    assert acked(await store.push(ledger.push())) == 3
    assert await hub.stock_milli("bread") == -2000
    assert (await hub.status()).quarantined == 1
    page = (await hub.operator.get("/v1/stores/store-1/ledger")).json()
    assert [bool(entry.get("reason")) for entry in page["entries"]] == [False, True, False]
    assert acked(await store.push(ledger.push())) == 3


async def test_p4_an_operator_sees_what_was_quarantined_and_why_page_by_page(hub: HubWorld):
    store = await hub.store()
    for epoch in (1, 2):
        ledger = store.ledger(epoch)
        ledger.sells("bread", sequence=epoch)
        ledger.appends_bytes(b'{"kind":"a kind of tomorrow"}', f"odd {epoch}")
        ledger.appends_bytes(encode_fact(Movement("x", (StockMove("nul\0", 1),), "me")), f"nul {epoch}")
        assert acked(await store.push(ledger.push())) == 3
    seen, query = [], "?limit=3"
    while query:
        page = (await hub.operator.get(f"/v1/stores/store-1/quarantine{query}")).json()
        seen += [(each["epoch"], each["entry"]["sequence"], each["entry"]["fact_key"], each["reason"])
                 for each in page["quarantined"]]
        query = "?limit=3&epoch={}&after={}".format(*page["next_after"]) if page["next_after"] else ""
    assert [each[:3] for each in seen] == [(1, 2, "odd 1"), (1, 3, "nul 1"), (2, 2, "odd 2"), (2, 3, "nul 2")]
    assert "a kind of tomorrow" in seen[0][3]
    assert seen[1][3] == "sku holds a NUL character"
    assert (await hub.operator.get("/v1/stores/nobody/quarantine")).status_code == 404


@pytest.mark.parametrize(("fact_key", "kind"), [
    ("k" * 5000, "odd"), ("nul\0key", "odd"), ("key", "k\0" * 300), ("", "")])
async def test_p4_an_odd_header_does_not_stop_the_line_and_still_counts_once(hub: HubWorld, fact_key: str, kind: str):
    store = await hub.store()
    ledger = store.ledger()
    payload = encode_fact(Movement("delivery", (StockMove("milk", 5000),), "me"))
    ledger.appends_bytes(payload, fact_key, kind)
    ledger.appends_bytes(payload, fact_key, kind)
    ledger.sells("bread")
    assert acked(await store.push(ledger.push())) == 3
    status = await hub.status()
    assert (status.entries, status.facts) == (3, 2)
    assert await hub.stock_milli("milk") == (0 if status.quarantined else 5000)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(quantity=st.integers(-2**70, 2**70), amount=st.integers(-2**70, 2**70),
       text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
async def test_p4_whatever_stands_in_a_sale_is_taken(hub: HubWorld, quantity: int, amount: int, text: str):
    name = f"store-{hub.storage.database.mint()}"
    store = await hub.store(name)
    ledger = store.ledger()
    line = SaleLine(1, LineKind.SALE, quantity, amount, sku=text)
    sale = Transaction(text, text, 1, TransactionKind.SALE, text, amount, (line,))
    ledger.appends_bytes(msgspec.json.encode(sale), text, text)
    ledger.sells("bread")
    assert acked(await store.push(ledger.push())) == 2


async def test_a_newer_hub_gives_quarantined_facts_their_effect_once(hub: HubWorld, monkeypatch: pytest.MonkeyPatch):
    store = await hub.store()
    ledger = store.ledger()
    ledger.appends_bytes(b'{"kind":"still unknown"}', "d1")
    ledger.appends_bytes(b'{"kind":"delivery of tomorrow"}', "d2")
    ledger.appends_bytes(b'{"kind":"still unknown"}', "d3")
    ledger.appends_bytes(b'{"kind":"delivery of tomorrow"}', "d4")
    acked(await store.push(ledger.push()))

    def newer_decoder(payload: bytes) -> object:
        if b"tomorrow" in bytes(payload):
            return Movement("delivery", (StockMove("milk", 5000),), "me")
        return decode_fact(payload)

    monkeypatch.setattr(effects, "decode_fact", newer_decoder)
    monkeypatch.setattr(ledgers, "RETRY_ENTRIES_MAX", 1)  # so that it goes on over several transactions
    hub.restart()
    assert [hub.storage.ledgers.retry_quarantine() for _ in range(2)] == [2, 0]
    assert await hub.stock_milli("milk") == 10_000
    assert (await hub.status()).quarantined == 2


async def test_returns_and_voids_move_stock_as_the_store_moved_it(hub: HubWorld):
    store = await hub.store()
    ledger = store.ledger()
    sale = SaleLine(1, LineKind.SALE, 2000, 198, sku="milk")
    back = SaleLine(2, LineKind.RETURN, 1000, -99, sku="bread")
    ledger.appends(Transaction("1", "2026-01-05", 1, TransactionKind.SALE, "EUR", 99, (sale, back)), "a")
    ledger.appends(Transaction("1", "2026-01-05", 2, TransactionKind.VOID, "EUR", -99, (sale, back)), "b")
    acked(await store.push(ledger.push(1, 1)))
    bread = (await hub.operator.get("/v1/stores/store-1/stock/bread")).json()
    assert (bread["sellable_milli"], bread["quarantine_milli"], bread["sequence"]) == (0, 1000, 1)
    acked(await store.push(ledger.push(2, 2)))
    assert await hub.stock_milli("milk") == 0
    status = await hub.status()
    assert (status.transactions, status.sale_lines, status.return_lines) == (2, 1, 1)


@pytest.mark.parametrize("apart", [True, False])
async def test_p6_handed_over_stays_handed_over(hub: HubWorld, apart: bool):
    store = await hub.store()
    await hub.operator.put("/v1/stores/store-1/orders/o1", json={
        "currency": "EUR", "lines": [{"line": 1, "sku": "milk", "quantity_milli": 1000, "price_minor": 99}]})
    ledger = store.ledger()
    for number, (step, state) in enumerate([("ready", "ready"), ("hand_over", "handed_over"), ("cancel", "cancelled")]):
        ledger.appends(PickupStep("o1", f"t{number}", step, state, 1, "ana"), f"t{number}")
    for first, last in ([(1, 1), (2, 2), (3, 3)] if apart else [(1, 3)]):
        acked(await store.push(ledger.push(first, last)))
    order = (await hub.operator.get("/v1/stores/store-1/orders/o1")).json()
    assert (order["state"], order["step"]) == ("handed_over", "hand_over")
    assert (await hub.status()).open_orders == 0


async def test_p6_a_hand_over_that_arrives_late_from_an_older_epoch_still_counts(hub: HubWorld):
    store = await hub.store()
    await hub.operator.put("/v1/stores/store-1/orders/o1", json={
        "currency": "EUR", "lines": [{"line": 1, "sku": "milk", "quantity_milli": 1000, "price_minor": 99}]})
    old, new = store.ledger(1), store.ledger(2)
    old.appends(PickupStep("o1", "t1", "hand_over", "handed_over", 1, "ana"), "t1")
    new.appends(PickupStep("o1", "t2", "cancel", "cancelled", 1, "ana"), "t2")
    acked(await store.push(new.push()))
    acked(await store.push(old.push()))
    assert (await hub.operator.get("/v1/stores/store-1/orders/o1")).json()["state"] == "handed_over"


@pytest.mark.parametrize("push", [
    b"{}", b"", b"\xff", b'{"epoch":1,"first_sequence":0,"previous_hash":"","entries":[]}',
    b'{"epoch":-1,"first_sequence":1,"previous_hash":"","entries":[]}',
    b'{"epoch":9223372036854775808,"first_sequence":1,"previous_hash":"","entries":[]}',
    b'{"epoch":1,"first_sequence":9223372036854775807,"previous_hash":"","entries":[]}',
])
async def test_what_is_no_push_is_told_plainly(hub: HubWorld, push: bytes):
    store = await hub.store()
    answer = await store.http.post("/v1/stores/store-1/ledger", content=push)
    assert answer.status_code in (409, 422), answer.text
    assert answer.json()["detail"]


async def test_a_push_with_a_hole_or_too_many_entries_is_refused(hub: HubWorld):
    store = await hub.store()
    ledger = store.ledger()
    for _ in range(3):
        ledger.sells("milk")
    holed = ledger.push_of([ledger.entries[0], ledger.entries[2]], 1)
    assert (await store.push(holed)).status_code == 422
    with pytest.raises(ledgers.TooLarge):
        hub.storage.ledgers.push("store-1", Push(1, 1, "", (ledger.entries[0],) * (PUSH_ENTRIES_MAX + 1)))


async def test_the_audit_trail_verifies_page_by_page(hub: HubWorld):
    store = await hub.store()
    ledger = Ledger("store-1", 1)
    for _ in range(7):
        ledger.sells("milk")
    acked(await store.push(ledger.push()))
    after: int | None = 0
    previous = ledger.hash_at(0)
    pages = 0
    while after is not None:
        answer = await hub.operator.get(f"/v1/stores/store-1/ledger?epoch=1&after={after}&limit=3")
        page = msgspec.json.decode(answer.content, type=ledgers.AuditPage)
        assert chain_breaks_at("store-1", 1, previous, page.entries) is None
        previous = page.entries[-1].hash if page.entries else previous
        after, pages = page.next_after, pages + 1
    assert (previous, pages) == (ledger.hash_at(7), 3)


async def test_status_tells_backlog_and_when_the_store_was_last_seen(hub: HubWorld):
    store = await hub.store()
    ledger = store.ledger()
    for _ in range(6):
        ledger.sells("milk")
    acked(await store.push(ledger.push(1, 2)))
    hub.now_ms += 5000
    await hello(store)
    status = await hub.status()
    assert (status.box_epoch, status.backlog, status.last_seen_ms) == (1, 4, hub.now_ms)
