"""How events leave: signatures, pauses, addresses that must not be called, and several hubs at one outbox."""

import asyncio
import random
import ssl
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.hub import sender as sender_module
from cloud_sync.hub.courier import Courier, judge
from cloud_sync.hub.endpoints import may_be_called
from cloud_sync.hub.limits import (
    CLAIM_S,
    ENDPOINT_RETRY_FIRST_S,
    ENDPOINT_RETRY_MAX_S,
    EVENT_RETRY_FIRST_S,
    EVENT_RETRY_MAX_S,
    RETRY_AFTER_MAX_S,
    SEND_TIMEOUT_S,
)
from cloud_sync.hub.outbox import Delivery, Round
from cloud_sync.hub.sender import Outcome, Sender, retry_after_s
from cloud_sync.hub.signatures import secret_key, signed_headers
from tests.hub.processes import HubProcesses
from tests.hub.receiver import Answer, Received, Receiver
from tests.hub.test_webhooks import SECRET, listens, places, steps
from tests.hub.world import MONDAY_MS, HubWorld
from tests.postgres import PostgresServer

BODY = b'{"subject":"o1","type":"trastienda.order.ready"}'
FAILURES = st.integers(0, 100)


def round_of(attempts: list[int], failures: int = 0) -> Round:
    return Round("shop", "https://shop.example/", b"", failures, tuple(
        Delivery("store-1", "shop", f"o{number}", 1, f"e{number}", BODY, tried, 0)
        for number, tried in enumerate(attempts)))


async def sent(sender: Sender, url: str) -> Outcome:
    outcome = await sender.send(url, {"webhook-id": "e1"}, BODY, MONDAY_MS)
    await sender.close()
    return outcome


def test_a_signature_is_the_one_of_the_specifications_own_libraries():
    """The vector that their tests share."""
    key = secret_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(FAILURES, st.integers(0, 2**32))
def test_an_endpoint_that_is_away_is_left_alone_within_its_bound(failures: int, seed: int) -> None:
    verdict = judge(round_of([0], failures), [Outcome(0, "ConnectError")], random.Random(seed), MONDAY_MS)
    due_ms = verdict.endpoint["due_ms"]
    bound_s = min(ENDPOINT_RETRY_MAX_S, ENDPOINT_RETRY_FIRST_S * 2**failures)
    assert MONDAY_MS <= due_ms <= MONDAY_MS + 1000 * bound_s
    assert (verdict.endpoint["failures"], verdict.settled[0].due_ms) == (failures + 1, due_ms)


@given(FAILURES, st.integers(0, 2**32), st.sampled_from([301, 400, 401, 404, 422, 500]))
def test_an_event_that_is_refused_waits_within_its_bound_while_the_endpoint_hears_others(
        attempts: int, seed: int, status: int) -> None:
    verdict = judge(round_of([attempts, 0]), [Outcome(status), Outcome(200)], random.Random(seed), MONDAY_MS)
    bound_s = min(EVENT_RETRY_MAX_S, EVENT_RETRY_FIRST_S * 2**attempts)
    assert MONDAY_MS <= verdict.settled[0].due_ms <= MONDAY_MS + 1000 * bound_s
    assert (verdict.endpoint["due_ms"], verdict.endpoint["failures"]) == (MONDAY_MS, 0)


@given(FAILURES, st.integers(0, 2**32), st.sampled_from([0, 302, 401, 404, 500, 503]))
def test_an_endpoint_that_takes_nothing_is_not_stormed_with_everything(failures: int, seed: int, status: int) -> None:
    verdict = judge(round_of([0] * 5, failures), [Outcome(status)] * 5, random.Random(seed), MONDAY_MS)
    assert verdict.endpoint["failures"] == failures + 1
    assert verdict.endpoint["last_error"]
    assert MONDAY_MS <= verdict.endpoint["due_ms"] <= MONDAY_MS + 1000 * ENDPOINT_RETRY_MAX_S


@given(st.lists(st.sampled_from([0, 200, 204, 410, 422, 429, 500, 503]), min_size=1, max_size=6),
       st.integers(0, 2**32), st.sampled_from([0.0, 7.0, 3_600.0]))
def test_every_delivery_of_a_round_is_settled_and_only_the_heard_ones_end(statuses: list[int], seed: int,
                                                                         wait_s: float) -> None:
    outcomes = [Outcome(status, retry_after_s=0.0 if status in (0, 200, 204) else wait_s) for status in statuses]
    verdict = judge(round_of([0] * len(statuses)), outcomes, random.Random(seed), MONDAY_MS)
    assert [not one.error for one in verdict.settled] == [status in (200, 204) for status in statuses]
    for one, outcome in zip(verdict.settled, outcomes, strict=True):
        if one.error and outcome.status != 410:
            assert one.due_ms >= MONDAY_MS + 1000 * outcome.retry_after_s
    assert ("disabled_ms" in verdict.endpoint) == (410 in statuses)


@pytest.mark.parametrize(("text", "seconds"), [
    ("120", 120), (" 7 ", 7), ("", 0), ("soon", 0), ("-5", 0), ("9" * 400, RETRY_AFTER_MAX_S),
    ("Thu, 01 Jan 2026 00:01:30 GMT", 90), ("Wed, 31 Dec 2025 23:00:00 GMT", 0), ("Thu, 99 Jan 2026 00:01:30 GMT", 0),
])
def test_retry_after_is_read_in_both_of_its_forms(text: str, seconds: float):
    assert retry_after_s(text, MONDAY_MS) == seconds


def test_the_claim_outlives_a_round():
    assert CLAIM_S >= 2 * SEND_TIMEOUT_S


@pytest.mark.parametrize(("address", "may"), [
    ("127.0.0.1", False), ("127.8.9.1", False), ("::1", False), ("0.0.0.0", False), ("::", False),
    ("169.254.169.254", False), ("fe80::1%eth0", False), ("224.0.0.1", False), ("255.255.255.255", False),
    ("::ffff:169.254.169.254", False), ("2002:7f00:1::", False), ("fd00:ec2::254", False), ("100.100.100.200", False),
    ("93.184.216.34", True), ("10.1.2.3", True), ("2606:2800:220:1::1", True)])
def test_p11_the_hubs_own_machine_and_link_are_not_called(address: str, may: bool):
    assert may_be_called(address) is may


async def test_p11_a_name_that_leads_to_this_machine_is_not_called(monkeypatch: pytest.MonkeyPatch):
    async def leads_here(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1", "::1"]

    monkeypatch.setattr(sender_module, "_resolve", leads_here)
    with Receiver() as receiver:
        outcome = await sent(Sender(trial=False), f"https://shop.example:{receiver.port}/")
        assert (outcome.status, outcome.error) == (0, "shop.example leads to no address that may be called")
        plain = await sent(Sender(trial=False), receiver.url)
        assert (plain.status, plain.error) == (0, "events are sent over https only")
        assert receiver.received == []


async def test_the_address_that_was_judged_is_called_and_its_certificate_is_the_names(monkeypatch: pytest.MonkeyPatch):
    asked = []

    async def leads_here(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.2", "127.0.0.1"]  # nobody listens at the first

    monkeypatch.setattr(sender_module, "_resolve", leads_here)
    authority = trustme.CA()
    here, trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("shop.example").configure_cert(here)
    authority.configure_trust(trust)
    with Receiver(certificate=here) as receiver:
        outcome = await sent(Sender(trial=True, trust=trust), f"https://shop.example:{receiver.port}/hook?a=b")
        assert (outcome.heard, outcome.error) == (True, "")
        (request,) = receiver.received
        assert (request.path, request.body) == ("/hook?a=b", BODY)
        assert request.headers["host"] == f"shop.example:{receiver.port}"
        other = await sent(Sender(trial=True, trust=trust), f"https://other.example:{receiver.port}/hook")
        assert (other.status, "certificate" in other.error) == (0, True)
        unknown = await sent(Sender(trial=True), f"https://shop.example:{receiver.port}/hook")
        assert (unknown.status, "certificate" in unknown.error) == (0, True)
        assert len(receiver.received) == 1
    assert asked == ["shop.example", "other.example", "shop.example"]


async def test_p11_a_redirect_is_not_followed():
    with Receiver() as elsewhere, Receiver(lambda _: (307, {"Location": elsewhere.url})) as receiver:
        outcome = await sent(Sender(trial=True), receiver.url)
        assert (outcome.status, outcome.heard, outcome.away) == (307, False, False)
        assert elsewhere.received == []


async def test_p10_an_endpoint_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sender_module, "SEND_TIMEOUT_S", 0.3)

    async def drips(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"HTTP/1.1 200 OK\r\n"[:1])
                await asyncio.sleep(0.05)
                await writer.drain()
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(drips, "127.0.0.1", 0)
    began_s = time.monotonic()
    outcome = await sent(Sender(trial=True), f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert outcome.away
    assert time.monotonic() - began_s < 5
    server.close()


async def run_on_threads(function, *arguments):
    return await asyncio.to_thread(function, *arguments)


async def test_p2_several_hubs_tell_every_event_once_one_at_a_time_and_in_order(postgres: PostgresServer):
    url = postgres.new_database()
    hubs = [HubWorld(url, run_on_threads, seed) for seed in range(3)]
    chance, lock_s = random.Random(7), 0.01

    def answers(_request: Received) -> Answer:
        time.sleep(lock_s * chance.random())
        return 200, {}

    with Receiver(answers) as receiver:
        for hub in hubs:
            hub.trial = True
            hub.restart()
        store = await hubs[0].store()
        await listens(hubs[0], receiver.url)
        senders = [Sender(trial=True) for _ in hubs]
        couriers = [Courier(hub.storage.webhooks, run_on_threads, sender, random.Random(number), lambda: MONDAY_MS)
                    for number, (hub, sender) in enumerate(zip(hubs, senders, strict=True))]

        async def looks(courier: Courier) -> None:
            while True:
                await courier.look()
                await asyncio.sleep(lock_s)

        looking = [asyncio.create_task(looks(courier)) for courier in couriers]
        ledger, orders = store.ledger(), [f"o{number}" for number in range(30)]
        for order_id in orders:
            await places(hubs[chance.randrange(3)], order_id)
            await steps(store, ledger, (order_id, "accept", "accepted"), (order_id, "ready", "ready"),
                        (order_id, "hand_over", "handed_over"))
        await asyncio.to_thread(receiver.waits_for, 4 * len(orders))
        while hubs[0].storage.webhooks.all()[0].waiting:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(lock_s)
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)
        for sender in senders:
            await sender.close()
    life = ["order.placed", "order.accepted", "order.ready", "order.handed_over"]
    assert {order_id: receiver.types(order_id) for order_id in orders} == dict.fromkeys(orders, life)
    assert set(Counter(one.headers["webhook-id"] for one in receiver.received).values()) == {1}
    assert max(receiver.at_once_max.values()) == 1
    for hub in hubs:
        hub.stop()


async def test_p1_hub_processes_that_are_killed_leave_nothing_untold(postgres: PostgresServer, tmp_path: Path):
    """Real processes, real clock; what a killed one had claimed would come after `CLAIM_S`."""
    with Receiver() as receiver, HubProcesses(postgres.new_database(), 2, tmp_path) as hubs:
        with hubs.operator(0) as operator:
            operator.put("/v1/stores/store-1").raise_for_status()
            put = operator.put("/v1/webhooks/shop", json={"url": receiver.url, "secret": SECRET})
            assert put.status_code == 201, put.text
            place(operator, "before")
            receiver.waits_for(1)
            while operator.get("/v1/webhooks").json()[0]["waiting"]:
                time.sleep(0.05)  # noqa: ASYNC251 - the hubs are other processes
        hubs.kill(0)
        with hubs.operator(1) as operator:
            place(operator, "after")
            receiver.waits_for(2)
    assert [one.event["subject"] for one in receiver.received] == ["before", "after"]
    assert all(one.is_signed_with(SECRET) for one in receiver.received)


def place(operator: httpx.Client, order_id: str) -> None:
    line = {"line": 1, "sku": "milk", "quantity_milli": 1000, "price_minor": 99}
    operator.put(f"/v1/stores/store-1/orders/{order_id}", json={"currency": "EUR", "lines": [line]}).raise_for_status()
