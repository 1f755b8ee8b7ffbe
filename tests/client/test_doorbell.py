"""The doorbell over a real Mosquitto: rings, presence, and brokers that vanish, hang or refuse."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import aiomqtt
import pytest
import structlog

from cloud_sync.client import doorbell
from cloud_sync.client.doorbell import ABSENT, PRESENT, Broker, MqttDoorbell, doorbell_topic, presence_topic
from cloud_sync.client.errors import BellLost
from cloud_sync.client.limits import LONG_POLL_S
from cloud_sync.client.link_state import DoorbellState
from cloud_sync.contract.feeds import Feed
from tests.client.fakes import STORE, Scene
from tests.mosquitto import MosquittoServer

WITHIN_S = 10


@pytest.fixture
def broker() -> Iterator[MosquittoServer]:
    with MosquittoServer() as server:
        yield server


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


def bell_at(server: MosquittoServer, username: str = "", password: str = "") -> MqttDoorbell:
    broker = Broker(server.host, server.port, tls=False, username=username, password=password)
    return MqttDoorbell(broker, STORE, random.Random(1))


class Ears:
    """What a doorbell told."""

    def __init__(self) -> None:
        self.connections = self.rings = 0

    def connected(self) -> None:
        self.connections += 1

    def ring(self) -> None:
        self.rings += 1


async def until(true: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - the scenes have no event for everything they wait for
            await asyncio.sleep(0.01)


@asynccontextmanager
async def listening(bell: MqttDoorbell) -> AsyncIterator[tuple[Ears, "asyncio.Task[None]"]]:
    ears = Ears()
    task = asyncio.create_task(bell.listen(ears.connected, ears.ring))
    try:
        await until(lambda: ears.connections == 1 or task.done())
        yield ears, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def publish(server: MosquittoServer, payload: bytes = b"", count: int = 1) -> None:
    async with aiomqtt.Client(server.host, server.port) as client:
        for _ in range(count):
            await client.publish(doorbell_topic(STORE), payload)


async def presence_becomes(server: MosquittoServer, expected: bytes) -> None:
    """Also true when the broker has kept it from before."""
    async with aiomqtt.Client(server.host, server.port) as client, asyncio.timeout(WITHIN_S):
        await client.subscribe(presence_topic(STORE))
        async for message in client.messages:
            if message.payload == expected:
                return


@pytest.mark.parametrize("payload", [b"", b'{"feeds":{"prices":7}}', b"\xff" * 100_000],
                         ids=["nothing", "what our hub sends", "garbage"])
async def test_a_ring_is_heard_whatever_it_carries(broker: MosquittoServer, payload: bytes) -> None:
    async with listening(bell_at(broker)) as (ears, _):
        await publish(broker, payload)
        await until(lambda: ears.rings == 1)


async def test_another_stores_bell_is_not_ours(broker: MosquittoServer) -> None:
    async with listening(bell_at(broker)) as (ears, _):
        async with aiomqtt.Client(broker.host, broker.port) as client:
            await client.publish(doorbell_topic("another"), b"", qos=1)
        await publish(broker)
        await until(lambda: ears.rings > 0)
        assert ears.rings == 1


async def test_p10_a_storm_of_rings_is_few_and_the_last_one_counts(broker: MosquittoServer) -> None:
    async with listening(bell_at(broker)) as (ears, _):
        await publish(broker, count=5000)
        await asyncio.sleep(0.5)
        before = ears.rings
        assert 0 < before <= 5000
        await publish(broker)
        await until(lambda: ears.rings == before + 1)


async def test_p10_rings_that_nobody_hears_yet_are_kept_once() -> None:
    hints = doorbell._Hints(maxsize=1)
    message = aiomqtt.Message(doorbell_topic(STORE), b"", 0, False, 1, None)
    for _ in range(1000):
        hints.put_nowait(message)
    assert hints.qsize() == 1


async def test_presence_is_kept_by_the_broker_and_ends_with_a_proper_end(broker: MosquittoServer) -> None:
    async with listening(bell_at(broker)):
        await presence_becomes(broker, PRESENT)
    await presence_becomes(broker, ABSENT)


async def test_the_last_will_tells_of_a_box_that_died(broker: MosquittoServer) -> None:
    bell = bell_at(broker)
    client = bell._client()
    await client.__aenter__()
    await bell._subscribe(client)
    await presence_becomes(broker, PRESENT)
    paho = client._client
    paho._sock_close()  # the socket is gone without a DISCONNECT, as when the power fails
    await presence_becomes(broker, ABSENT)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_broker_that_ends_is_a_lost_bell(broker: MosquittoServer, how: signal.Signals) -> None:
    async with listening(bell_at(broker)) as (_, task):
        broker.stop(how=how)
        with pytest.raises(BellLost):
            await asyncio.wait_for(task, WITHIN_S)


async def test_no_broker_is_a_lost_bell(broker: MosquittoServer) -> None:
    broker.stop()
    with pytest.raises(BellLost, match=str(broker.port)):
        await bell_at(broker).listen(lambda: None, lambda: None)


async def test_a_broker_that_hangs_is_noticed_by_keep_alive(broker: MosquittoServer,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorbell, "BELL_KEEPALIVE_S", 1)
    async with listening(bell_at(broker)) as (_, task):
        broker.stop(how=signal.SIGSTOP)
        with pytest.raises(BellLost):
            await asyncio.wait_for(task, WITHIN_S)


async def test_a_broker_that_hangs_does_not_keep_the_box_from_stopping(broker: MosquittoServer) -> None:
    async with Scene(bell=bell_at(broker)) as scene:
        await until(lambda: scene.link.state.doorbell is DoorbellState.CONNECTED)
        broker.stop(how=signal.SIGSTOP)
        async with asyncio.timeout(4):
            await scene.stop()
        scene.start()


async def test_a_broker_that_never_answers_is_a_lost_bell(broker: MosquittoServer,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorbell, "BELL_CALL_S", 0.3)
    broker.stop(how=signal.SIGSTOP)
    with pytest.raises(BellLost, match="timed out"):
        await asyncio.wait_for(bell_at(broker).listen(lambda: None, lambda: None), WITHIN_S)


async def test_p11_a_refused_password_is_a_lost_bell_and_is_not_shown() -> None:
    with MosquittoServer(passwords={"store": "the right one"}) as server:
        async with listening(bell_at(server, "store", "the right one")) as (ears, _):
            assert ears.connections == 1
        for username, password in (("store", "the wrong one"), ("", "")):
            with pytest.raises(BellLost) as lost:
                await bell_at(server, username, password).listen(lambda: None, lambda: None)
            assert "one" not in str(lost.value)


async def test_a_broker_that_refuses_the_topic_is_a_lost_bell() -> None:
    """Mosquitto's access list grants every subscription and then delivers nothing; EMQX and others say no."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(bytes.fromhex("20020000"))  # CONNACK: accepted
        subscribe = await reader.read(1000)
        writer.write(b"\x90\x03" + subscribe[2:4] + b"\x80")  # SUBACK: this packet's id, failure
        await reader.read()
        writer.close()

    running = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = running.sockets[0].getsockname()[1]
    with pytest.raises(BellLost, match="does not let us hear stores/store-7/doorbell"):
        await MqttDoorbell(Broker("127.0.0.1", port, tls=False), STORE, random.Random(1)).listen(print, print)
    running.close()


async def test_two_boxes_of_one_store_do_not_throw_each_other_out(broker: MosquittoServer) -> None:
    first = MqttDoorbell(Broker(broker.host, broker.port, tls=False), STORE, random.Random(1))
    second = MqttDoorbell(Broker(broker.host, broker.port, tls=False), STORE, random.Random(2))
    async with listening(first) as (ears, task), listening(second) as (other_ears, other_task):
        await publish(broker)
        await until(lambda: ears.rings == 1 and other_ears.rings == 1)
        assert not task.done()
        assert not other_task.done()


async def test_a_price_rings_through_to_the_store_and_the_bell_comes_back_after_its_broker(
        broker: MosquittoServer) -> None:
    async with Scene(bell=bell_at(broker)) as scene:
        scene.hub.holds_polls = False
        await until(lambda: scene.in_step() and scene.link.state.doorbell is DoorbellState.CONNECTED)
        for restart in (False, True):
            if restart:
                broker.stop(how=signal.SIGKILL)
                await until(lambda: scene.link.state.doorbell is DoorbellState.LOST)
                broker.start()
                await until(lambda: scene.link.state.doorbell is DoorbellState.CONNECTED)
            await asyncio.sleep(1.5)  # the ring that comes with every connection has had its effect
            scene.hub.logs[Feed.PRICES].put({"milk": 99})
            await publish(broker)
            await until(scene.in_step, within_s=LONG_POLL_S / 5)


def test_a_broker_does_not_show_its_password() -> None:
    assert "secret" not in repr(Broker("broker", password="secret"))
