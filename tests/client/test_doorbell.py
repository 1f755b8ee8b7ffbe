"""The doorbell over a real Mosquitto: rings, presence, and brokers that vanish, hang or refuse."""

import asyncio
import random
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest
import structlog
import trustme

from cloud_sync.client import doorbell
from cloud_sync.client.doorbell import ABSENT, PRESENT, Broker, MqttDoorbell, doorbell_topic, presence_topic
from cloud_sync.client.errors import BellLost
from cloud_sync.client.limits import BELL_FLOOD_MESSAGES, LONG_POLL_S
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
    async with listening(bell_at(broker)) as (ears, task):
        await publish(broker, count=500)
        await asyncio.sleep(0.5)
        before = ears.rings
        assert 0 < before <= 500
        await publish(broker)
        await until(lambda: ears.rings == before + 1)
        assert not task.done()


async def test_p10_a_flood_is_hung_up_on(broker: MosquittoServer) -> None:
    async with listening(bell_at(broker)) as (_, task):
        await publish(broker, count=BELL_FLOOD_MESSAGES + 10)
        with pytest.raises(BellLost, match="floods us"):
            await asyncio.wait_for(task, WITHIN_S)


async def test_p10_what_nobody_heard_yet_is_kept_once_for_each_topic() -> None:
    hints = doorbell._Hints(doorbell._Tally(), maxsize=2)
    for _ in range(1000):
        for topic in (doorbell_topic(STORE), presence_topic(STORE), "something else"):
            hints.put_nowait(aiomqtt.Message(topic, b"", 0, False, 1, None))
    assert [hints.get_nowait().topic.value for _ in range(hints.qsize())] == [doorbell_topic(STORE),
                                                                              presence_topic(STORE)]


async def test_rubbish_that_the_broker_keeps_is_one_ring_per_connection(broker: MosquittoServer) -> None:
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish(doorbell_topic(STORE), b"\x00" * 1000, qos=1, retain=True)
        await client.publish(presence_topic(STORE), b"\xff" * 1000, qos=1, retain=True)
    for _ in range(3):
        async with listening(bell_at(broker)) as (ears, task):
            await until(lambda: ears.rings == 1)
            await presence_becomes(broker, PRESENT)
            assert (ears.rings, task.done()) == (1, False)


async def test_presence_is_kept_by_the_broker_and_ends_with_a_proper_end(broker: MosquittoServer) -> None:
    async with listening(bell_at(broker)):
        await presence_becomes(broker, PRESENT)
    await presence_becomes(broker, ABSENT)


async def test_the_last_will_tells_of_a_box_that_died(broker: MosquittoServer) -> None:
    bell = bell_at(broker)
    client = bell._client(doorbell._Tally())
    await client.__aenter__()
    await bell._subscribe(client)
    await presence_becomes(broker, PRESENT)
    paho = client._client
    paho._sock_close()  # the socket is gone without a DISCONNECT, as when the power fails
    await presence_becomes(broker, ABSENT)


async def test_a_last_will_that_comes_after_we_are_back_is_taken_back(broker: MosquittoServer,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    """A box that lost its power is back before the broker misses the connection that it had."""
    monkeypatch.setattr(doorbell, "BELL_PRESENCE_S", 0.0)
    async with listening(bell_at(broker)):
        await presence_becomes(broker, PRESENT)
        async with aiomqtt.Client(broker.host, broker.port) as client, asyncio.timeout(WITHIN_S):
            await client.subscribe(presence_topic(STORE))
            await client.publish(presence_topic(STORE), ABSENT, qos=1, retain=True)
            heard: list[object] = []
            async for message in client.messages:
                heard.append(message.payload)
                if heard[-2:] == [ABSENT, PRESENT]:
                    break


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


async def test_p8_a_double_of_our_client_id_that_throws_us_out_again_and_again_harms_nothing(
        broker: MosquittoServer) -> None:
    """The line stays up, each is back with growing pauses, and it is said once however often it happens."""
    with structlog.testing.capture_logs() as said:
        async with Scene(bell=bell_at(broker)) as scene:
            scene.hub.holds_polls = False
            await until(lambda: scene.in_step() and scene.link.state.doorbell is DoorbellState.CONNECTED)
            for _ in range(3):
                async with listening(bell_at(broker)):  # the same random end
                    await until(lambda: scene.link.state.doorbell is DoorbellState.LOST)
                    assert scene.link.state.up
                await until(lambda: scene.link.state.doorbell is DoorbellState.CONNECTED)
            scene.hub.logs[Feed.PRICES].put({"milk": 99})
            await publish(broker)
            await until(scene.in_step)
    assert [each["event"] for each in said if each.get("part") == "doorbell"] == ["trouble on the hub line"]


# --- who may hear what ------------------------------------------------------------------------------------------------

WORDS = {"hub": "the hub's word", STORE: "the store's word", "another": "another word"}


@pytest.fixture
def guarded() -> Iterator[MosquittoServer]:
    """A broker as config/broker sets it up: TLS with its own authority, passwords, the access list."""
    with MosquittoServer(passwords=WORDS, as_shipped=True) as server:
        yield server


def bell_of(server: MosquittoServer, store_id: str, username: str = "", password: str = "") -> MqttDoorbell:
    """The bell of a store, heard under its own or another's name."""
    username = username or store_id
    return MqttDoorbell(Broker(server.host, server.port, username=username, password=password or WORDS[username],
                               certificate_authority=server.authority), store_id, random.Random(username))


@asynccontextmanager
async def somebody(server: MosquittoServer, name: str) -> AsyncIterator[aiomqtt.Client]:
    tls = ssl.create_default_context(cafile=server.authority)
    async with aiomqtt.Client(server.host, server.port, username=name, password=WORDS[name], tls_context=tls) as client:
        yield client


async def test_p11_with_the_shipped_broker_a_store_hears_its_own_bell_and_nobody_elses(
        guarded: MosquittoServer) -> None:
    async with (listening(bell_of(guarded, STORE)) as (ears, _), somebody(guarded, "hub") as hub,
                listening(bell_of(guarded, STORE, "another")) as (spy_ears, _)):
        await hub.publish(doorbell_topic("another"), b"", qos=1)
        await hub.publish(doorbell_topic(STORE), b"", qos=1)
        await until(lambda: ears.rings > 0)
        assert (ears.rings, spy_ears.rings) == (1, 0)


async def test_p11_a_store_rings_nobody_and_speaks_of_nobody_elses_presence(guarded: MosquittoServer) -> None:
    async with (listening(bell_of(guarded, STORE)) as (ears, _), somebody(guarded, "hub") as hub,
                somebody(guarded, "another") as rogue):
        await hub.subscribe("stores/+/presence")
        await rogue.publish(doorbell_topic(STORE), b"", qos=1)
        await rogue.publish(presence_topic(STORE), ABSENT, qos=1, retain=True)
        await rogue.publish(presence_topic("another"), PRESENT, qos=1, retain=True)
        heard: dict[str, object] = {}
        async with asyncio.timeout(WITHIN_S):
            async for message in hub.messages:
                heard[message.topic.value] = message.payload
                if presence_topic("another") in heard:
                    break
        assert heard == {presence_topic(STORE): PRESENT, presence_topic("another"): PRESENT}
        assert ears.rings == 0


async def test_p11_a_broker_that_another_authority_vouches_for_is_a_lost_bell_and_hears_no_password(
        guarded: MosquittoServer, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    for authority, says in ((stranger, "CERTIFICATE_VERIFY_FAILED"), (None, "CERTIFICATE_VERIFY_FAILED"),
                            (tmp_path / "absent.pem", "No such file")):
        broker = Broker(guarded.host, guarded.port, username=STORE, password=WORDS[STORE],
                        certificate_authority=authority)
        with pytest.raises(BellLost, match=says):
            await MqttDoorbell(broker, STORE, random.Random(1)).listen(print, print)
    with pytest.raises(BellLost):
        await bell_of(guarded, STORE, password="a guess").listen(print, print)


@pytest.mark.parametrize("kind", ["wrong password", "wrong authority"])
async def test_p8_a_bell_that_can_never_be_heard_leaves_the_line_alone_and_is_said_once(
        guarded: MosquittoServer, tmp_path: Path, kind: str) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    bell = bell_of(guarded, STORE, password="a guess") if kind == "wrong password" else MqttDoorbell(
        Broker(guarded.host, guarded.port, certificate_authority=stranger), STORE, random.Random(1))
    tries = 0

    class Counted:
        async def listen(self, connected: Callable[[], None], ring: Callable[[], None]) -> None:
            nonlocal tries
            tries += 1
            await bell.listen(connected, ring)

    with structlog.testing.capture_logs() as said:
        async with Scene(bell=Counted()) as scene:
            await until(lambda: tries >= 4 and scene.in_step())
            scene.hub.logs[Feed.PRICES].put({"milk": 99})
            await until(scene.in_step)
            assert scene.link.state.up
            assert scene.link.state.doorbell is DoorbellState.LOST
    assert [each["event"] for each in said if each.get("part") == "doorbell"] == ["trouble on the hub line"]


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
