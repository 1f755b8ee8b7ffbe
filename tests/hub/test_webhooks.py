"""Events out: written with their cause, told at least once, in order per order, signed, and without anybody in them."""

import asyncio
import random
import threading
import time
from collections.abc import Iterator

import pytest

from cloud_sync.contract.facts import ExceptionRaised, PickupStep
from cloud_sync.hub.courier import Courier
from cloud_sync.hub.happenings import EventType
from cloud_sync.hub.limits import (
    CLAIM_S,
    DEAD_LETTER_KEEP_S,
    DELIVERY_DEAD_AFTER_S,
    EVENT_RETRY_MAX_S,
    STORE_SILENT_S,
    WEBHOOKS_MAX,
)
from cloud_sync.hub.outbox import Settled
from cloud_sync.hub.sender import Sender
from cloud_sync.hub.silence import Silences
from tests.hub.receiver import Answer, Received, Receiver
from tests.hub.test_orders import CODE, NAME, PLACED, dump
from tests.hub.world import MONDAY_MS, HubWorld, Ledger, StoreWorld

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_" + "QUJD" * 10


@pytest.fixture
def trial(hub: HubWorld) -> HubWorld:
    """A hub that may call this machine."""
    hub.trial = True
    hub.restart()
    return hub


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


async def listens(hub: HubWorld, url: str, webhook: str = "shop", **more: object) -> None:
    answer = await hub.operator.put(f"/v1/webhooks/{webhook}", json={"url": url, "secret": SECRET, **more})
    assert answer.status_code in (200, 201), answer.text


async def places(hub: HubWorld, *orders: str, store: str = "store-1") -> None:
    for order_id in orders:
        answer = await hub.operator.put(f"/v1/stores/{store}/orders/{order_id}", json=PLACED)
        assert answer.status_code in (200, 201), answer.text


async def steps(store: StoreWorld, ledger: Ledger, *steps: tuple[str, str, str]) -> None:
    """(order, step, state): all of them in one push."""
    first = len(ledger.entries) + 1
    for order_id, step, state in steps:
        ledger.appends(PickupStep(order_id, f"{order_id}/{step}", step, state, 1, "ana", reason=NAME),
                       f"{order_id}/{step}")
    answer = await store.push(ledger.push(first))
    assert answer.status_code == 200, answer.text


async def tells(hub: HubWorld, *, seed: int = 1) -> None:
    """Call every endpoint until nothing more is due at this moment of the hub's clock."""
    sender = Sender(trial=True)
    courier = Courier(hub.storage.webhooks, hub._run, sender, random.Random(seed), lambda: hub.now_ms)
    while hub.storage.webhooks.claimable():
        await courier.look()
        await asyncio.gather(*courier._calling.values())
    await sender.close()


async def status(hub: HubWorld, webhook: str = "shop") -> dict[str, object]:
    (found,) = [one for one in (await hub.operator.get("/v1/webhooks")).json() if one["webhook"] == webhook]
    return found


async def test_the_life_of_an_order_is_told_in_order_and_signed(trial: HubWorld, receiver: Receiver):
    store = await trial.store()
    await listens(trial, receiver.url)
    await places(trial, "o1")
    trial.now_ms += 5000
    ledger = store.ledger()
    await steps(store, ledger, ("o1", "accept", "accepted"), ("o1", "pick", "picking"), ("o1", "short", "picking"),
                ("o1", "offer", "awaiting_substitution"), ("o1", "stage", "staged"), ("o1", "ready", "ready"))
    await steps(store, ledger, ("o1", "hand_over", "handed_over"))
    await tells(trial)
    assert receiver.types("o1") == ["order.placed", "order.accepted", "order.short_picked",
                                    "order.substitution_asked", "order.ready", "order.handed_over"]
    first = receiver.received[1]
    assert first.event == {
        "specversion": "1.0", "id": first.headers["webhook-id"], "source": "/v1/stores/store-1",
        "type": "trastienda.order.accepted", "subject": "o1", "time": "2026-01-01T00:00:00.000Z",
        "datacontenttype": "application/json",
        "data": {"store": "store-1", "order_id": "o1", "state": "accepted", "revision": 1}}
    assert (first.path, first.headers["content-type"]) == ("/events", "application/cloudevents+json")
    assert first.headers["webhook-timestamp"] == str((MONDAY_MS + 5000) // 1000)
    assert all(one.is_signed_with(SECRET) for one in receiver.received)
    assert not first.is_signed_with(OTHER_SECRET)
    assert len({one.headers["webhook-id"] for one in receiver.received}) == len(receiver.received)
    assert (await status(trial))["waiting"] == 0


@pytest.mark.parametrize(("step", "state", "type_"), [
    ("reject", "rejected", "order.rejected"), ("cancel", "cancelled", "order.cancelled"),
    ("expire", "expired", "order.expired"), ("no_show", "no_show", "order.no_show"),
    ("refuse", "refused", "order.refused")])
async def test_every_other_end_of_an_order_is_told(trial: HubWorld, receiver: Receiver, step: str, state: str,
                                                   type_: str):
    store = await trial.store()
    await listens(trial, receiver.url)
    await steps(store, store.ledger(), ("o1", step, state))
    await tells(trial)
    assert receiver.types("o1") == [type_]


async def test_p6_goods_that_left_are_not_told_to_be_cancelled_but_a_refund_is_asked_for(trial: HubWorld,
                                                                                        receiver: Receiver):
    store = await trial.store()
    await listens(trial, receiver.url)
    ledger = store.ledger()
    await steps(store, ledger, ("o1", "hand_over", "handed_over"), ("o1", "cancel", "cancelled"))
    ledger.appends(ExceptionRaised("late-cancel", "o1", f"refund {NAME}"), "late-cancel/o1")
    ledger.appends(ExceptionRaised("late-cancel", "a\0b", "no database takes this"), "late-cancel/o2")
    ledger.appends(ExceptionRaised("till-gap", "o1", "about something else"), "till-gap/o1")
    assert (await store.push(ledger.push(3))).status_code == 200
    await tells(trial)
    assert receiver.types("o1") == ["order.handed_over", "order.refund_requested"]


async def test_p2_what_comes_twice_is_told_once(trial: HubWorld, receiver: Receiver):
    store = await trial.store()
    await listens(trial, receiver.url)
    await places(trial, "o1", "o1")
    ledger = store.ledger()
    await steps(store, ledger, ("o1", "accept", "accepted"))
    assert (await store.push(ledger.push())).status_code == 200
    other_life = store.ledger(epoch=2)
    await steps(store, other_life, ("o1", "accept", "accepted"))
    await tells(trial)
    assert receiver.types("o1") == ["order.placed", "order.accepted"]


async def test_p11_no_person_code_or_typed_text_is_in_an_event_and_no_secret_in_clear(trial: HubWorld,
                                                                                     receiver: Receiver):
    store = await trial.store()
    await listens(trial, receiver.url)
    await places(trial, "o1")
    await steps(store, store.ledger(), ("o1", "cancel", "cancelled"))
    with trial.storage.database.transaction() as connection:
        waiting = [bytes(body).decode() for body in connection.exec_driver_sql("SELECT body FROM delivery").scalars()]
    assert len(waiting) == 2
    await tells(trial)
    sent = "".join(one.body.decode() for one in receiver.received) + "".join(waiting)
    for personal in (NAME, "Quiroga", "4711", CODE):
        assert personal not in sent
    shown = (await trial.operator.get("/v1/webhooks")).text
    for secret in (SECRET, SECRET.removeprefix("whsec_")):
        assert secret not in dump(trial) + shown


async def test_an_endpoint_hears_only_the_types_it_asked_for(trial: HubWorld, receiver: Receiver):
    store = await trial.store()
    await listens(trial, receiver.url, event_types=["trastienda.order.ready"])
    await places(trial, "o1")
    await steps(store, store.ledger(), ("o1", "accept", "accepted"), ("o1", "ready", "ready"))
    await tells(trial)
    assert receiver.types("o1") == ["order.ready"]


async def test_an_event_and_its_cause_are_kept_together_or_not_at_all(trial: HubWorld, receiver: Receiver,
                                                                     monkeypatch: pytest.MonkeyPatch):
    store = await trial.store()
    await listens(trial, receiver.url)

    def fails(*_arguments: object) -> None:
        raise RuntimeError("the process dies here")

    with monkeypatch.context() as death:
        death.setattr("cloud_sync.hub.ledgers.let_go", fails)
        with pytest.raises(RuntimeError):
            await steps(store, store.ledger(), ("o1", "reject", "rejected"))
    await tells(trial)
    assert receiver.received == []
    assert (await trial.status()).entries == 0
    await steps(store, store.ledger(), ("o1", "reject", "rejected"))
    await tells(trial)
    assert receiver.types("o1") == ["order.rejected"]


async def test_an_event_that_is_refused_comes_again_and_holds_back_only_its_own_order(trial: HubWorld,
                                                                                     receiver: Receiver):
    store = await trial.store()
    await listens(trial, receiver.url)
    refused = 3

    def answers(request: Received) -> Answer:
        nonlocal refused
        if request.event["subject"] == "o1" and refused:
            refused -= 1
            return 500, {}
        return 200, {}

    receiver.answers = answers
    await places(trial, "o1", "o2")
    ledger = store.ledger()
    await steps(store, ledger, ("o1", "accept", "accepted"), ("o2", "accept", "accepted"))
    await tells(trial)
    assert receiver.types("o2") == ["order.placed", "order.accepted"]
    attempts = len(receiver.types("o1"))
    assert set(receiver.types("o1")) == {"order.placed"}
    assert (await status(trial))["last_error"] in ("", "answered 500")
    while "order.accepted" not in receiver.types("o1"):
        trial.now_ms += int(1000 * EVENT_RETRY_MAX_S)
        await tells(trial)
        assert len(receiver.types("o1")) > attempts
        attempts = len(receiver.types("o1"))
    assert receiver.types("o1") == ["order.placed"] * 4 + ["order.accepted"]
    repeats = [one for one in receiver.received if one.type == "order.placed" and one.event["subject"] == "o1"]
    assert len({one.headers["webhook-id"] for one in repeats}) == 1
    assert len({one.body for one in repeats}) == 1
    assert all(one.is_signed_with(SECRET) for one in repeats)


async def test_an_endpoint_that_is_away_is_tried_by_one_event_alone_until_it_is_back(trial: HubWorld):
    await trial.store()
    orders = [f"o{number}" for number in range(5)]
    with Receiver() as gone:
        url, port = gone.url, gone.port
    await listens(trial, url)
    await places(trial, *orders)
    for _ in range(6):
        await tells(trial)
        trial.now_ms += 300_000
    seen = await status(trial)
    assert seen["failures"] >= 6
    assert (seen["waiting"], seen["dead"]) == (5, 0)
    assert str(seen["last_error"]).startswith("ConnectError")
    with Receiver() as back:
        await listens(trial, url.replace(str(port), str(back.port)))
        await tells(trial)
        assert sorted(str(one.event["subject"]) for one in back.received) == orders
    assert (await status(trial))["failures"] == 0


async def test_retry_after_is_obeyed(trial: HubWorld, receiver: Receiver):
    await trial.store()
    await listens(trial, receiver.url)
    receiver.answers = lambda _: (503, {"Retry-After": "120"})
    await places(trial, "o1")
    await tells(trial)
    await places(trial, "o2")
    for _ in range(11):
        trial.now_ms += 10_000
        await tells(trial)
    assert len(receiver.received) == 1
    receiver.answers = lambda _: (200, {})
    trial.now_ms += 10_000
    await tells(trial)
    assert [one.event["subject"] for one in receiver.received] == ["o1", "o1", "o2"]


async def test_what_is_never_heard_is_given_up_seen_and_sent_again(trial: HubWorld, receiver: Receiver):
    store = await trial.store()
    await listens(trial, receiver.url)
    receiver.answers = lambda _: (422, {})
    await places(trial, "o1", "o2")
    await tells(trial)
    trial.now_ms += 1000 * DELIVERY_DEAD_AFTER_S
    for _ in range(2):  # one event alone, because nothing was heard
        await tells(trial)
        trial.now_ms += 300_000
    letters = (await trial.operator.get("/v1/webhooks/shop/dead-letters")).json()
    assert [(one["type"], one["store"], one["subject"], one["last_error"]) for one in letters] == [
        ("trastienda.order.placed", "store-1", name, "answered 422") for name in ("o1", "o2")]
    assert all(one["attempts"] >= 2 for one in letters)
    seen = await status(trial)
    assert (seen["waiting"], seen["dead"]) == (0, 2)
    receiver.answers = lambda _: (200, {})
    receiver.received.clear()
    await steps(store, store.ledger(), ("o1", "accept", "accepted"))
    again = await trial.operator.post("/v1/webhooks/shop/send-again", json={"events": [letters[0]["event"]]})
    assert again.json() == {"waiting": 1}
    await tells(trial)
    assert receiver.types("o1") == ["order.placed", "order.accepted"]
    assert receiver.types("o2") == []
    assert (await trial.operator.post("/v1/webhooks/shop/send-again")).json() == {"waiting": 1}
    await tells(trial)
    assert receiver.types("o2") == ["order.placed"]
    assert (await trial.operator.get("/v1/webhooks/shop/dead-letters")).json() == []


async def test_p10_what_nobody_can_be_told_is_given_up_and_forgotten(trial: HubWorld, receiver: Receiver):
    await trial.store()
    await listens(trial, receiver.url)
    receiver.answers = lambda _: (410, {})
    await places(trial, "o1")
    await tells(trial)
    await places(trial, "o2")
    await tells(trial)
    assert len(receiver.received) == 1  # it said that it is gone
    assert (await status(trial))["disabled_ms"] == trial.now_ms
    trial.now_ms += 1000 * DELIVERY_DEAD_AFTER_S
    assert trial.storage.webhooks.keep() == 2
    assert (await status(trial))["dead"] == 2
    trial.now_ms += 1000 * DEAD_LETTER_KEEP_S
    assert trial.storage.webhooks.keep() == 0
    assert (await status(trial))["dead"] == 0
    receiver.answers = lambda _: (200, {})
    await listens(trial, receiver.url)
    await places(trial, "o3")
    await tells(trial)
    assert receiver.types("o3") == ["order.placed"]


async def test_a_hub_process_that_died_in_the_middle_is_followed_by_another(trial: HubWorld, receiver: Receiver):
    await trial.store()
    await listens(trial, receiver.url)
    await places(trial, "o1")
    claimed = trial.storage.webhooks.claim("shop")
    assert claimed is not None
    (delivery,) = claimed[0].deliveries
    trial.restart()
    assert trial.storage.webhooks.claimable() == []
    assert trial.storage.webhooks.claim("shop") is None
    trial.now_ms += 1000 * CLAIM_S
    await tells(trial)
    assert receiver.types("o1") == ["order.placed"]
    await places(trial, "o2")
    assert trial.storage.webhooks.claim("shop") is not None
    late = Settled(delivery, "it was slow, not dead", trial.now_ms)
    with trial.storage.database.transaction() as connection:
        from cloud_sync.hub import outbox
        outbox.settle(connection, "shop", "the slow one", [late], {"failures": 9}, trial.now_ms)
    assert trial.storage.webhooks.claimable() == []  # the claim of the other stands
    assert (await status(trial))["failures"] == 0


async def test_a_hub_that_is_stopped_lets_go_of_what_it_was_telling(trial: HubWorld, receiver: Receiver):
    await trial.store()
    await listens(trial, receiver.url)
    asked = threading.Event()

    def hesitates(_request: Received) -> Answer:
        asked.set()
        time.sleep(0.5)
        return 200, {}

    receiver.answers = hesitates
    await places(trial, "o1")
    sender = Sender(trial=True)
    courier = Courier(trial.storage.webhooks, trial._run, sender, random.Random(1), lambda: trial.now_ms)
    running = asyncio.create_task(courier.run())
    assert await asyncio.to_thread(asked.wait, 10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await sender.close()
    assert trial.storage.webhooks.claimable() == ["shop"]
    await tells(trial)
    assert receiver.types("o1") == ["order.placed", "order.placed"]  # at least once
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 1


async def test_a_store_that_falls_silent_and_comes_back_is_told_once_each(trial: HubWorld, receiver: Receiver):
    store = await trial.store()
    await trial.store("never-heard-of")
    await listens(trial, receiver.url)
    silences = Silences(trial.storage.database)
    await store.feed("items")
    trial.now_ms += 1000 * STORE_SILENT_S
    assert silences.look() == []
    trial.now_ms += 1
    assert (silences.look(), silences.look()) == (["store-1"], [])
    await store.feed("items")
    assert (silences.look(), silences.look()) == (["store-1"], [])
    await tells(trial)
    assert receiver.types("store-1") == ["store.silent", "store.back"]
    assert receiver.received[0].event["data"] == {"store": "store-1", "last_seen": "2026-01-01T00:00:00.000Z"}


async def test_a_minted_secret_is_shown_once_and_signs(trial: HubWorld, receiver: Receiver):
    await trial.store()
    minted = await trial.operator.put("/v1/webhooks/shop", json={"url": receiver.url})
    assert (minted.status_code, minted.json()["secret"][:6]) == (201, "whsec_")
    again = await trial.operator.put("/v1/webhooks/shop", json={"url": receiver.url})
    assert (again.status_code, again.json()["secret"]) == (200, None)
    await places(trial, "o1")
    await tells(trial)
    fresh = (await trial.operator.put("/v1/webhooks/shop", json={"url": receiver.url, "fresh_secret": True})).json()
    await places(trial, "o2")
    await tells(trial)
    first, second = receiver.received
    assert first.is_signed_with(minted.json()["secret"])
    assert second.is_signed_with(fresh["secret"])
    assert not second.is_signed_with(minted.json()["secret"])


async def test_an_endpoint_that_is_removed_hears_nothing_more(trial: HubWorld, receiver: Receiver):
    await trial.store()
    await listens(trial, receiver.url)
    await places(trial, "o1")
    assert (await trial.operator.delete("/v1/webhooks/shop")).status_code == 204
    await places(trial, "o2")
    await listens(trial, receiver.url)
    await tells(trial)
    assert receiver.received == []
    for method, path in (("DELETE", "other"), ("GET", "other/dead-letters"), ("POST", "other/send-again")):
        assert (await trial.operator.request(method, f"/v1/webhooks/{path}")).status_code == 404


@pytest.mark.parametrize(("body", "says"), [
    ({"url": "http://shop.example/hook"}, "https only"), ({"url": "ftp://shop.example"}, "https only"),
    ({"url": "https://127.0.0.1/hook"}, "own machine"), ({"url": "https://[::1]/"}, "own machine"),
    ({"url": "https://169.254.169.254/latest"}, "own machine"), ({"url": "https://[::ffff:127.0.0.1]/"}, "own machine"),
    ({"url": "https://user:word@shop.example/"}, "without user"), ({"url": "https:///hook"}, "host is needed"),
    ({"url": "nonsense"}, "https only"), ({"url": "https://shop.example/" + "x" * 2000}, "characters"),
    ({"url": "https://shop.example/", "secret": "short"}, "whsec_"),
    ({"url": "https://shop.example/", "secret": "whsec_QUJD"}, "24 to 64 bytes"),
    ({"url": "https://shop.example/", "event_types": ["order.placed"]}, "event_types"),
])
async def test_p11_endpoints_that_must_not_be_called_are_refused(hub: HubWorld, body: dict[str, object], says: str):
    answer = await hub.operator.put("/v1/webhooks/shop", json=body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert (await hub.operator.get("/v1/webhooks")).json() == []


async def test_p10_there_are_only_so_many_endpoints(hub: HubWorld):
    for number in range(WEBHOOKS_MAX):
        await listens(hub, "https://shop.example/hook", f"shop-{number}", event_types=list(EventType))
    answer = await hub.operator.put("/v1/webhooks/one-more", json={"url": "https://shop.example/hook"})
    assert answer.status_code == 413
    await listens(hub, "https://shop.example/other", "shop-0")
