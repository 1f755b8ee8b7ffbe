"""Byte links: a serial port on its thread, and pairs in memory."""

import asyncio
import os
import socket
import threading
import tty

import pytest

from drivers.serial_link import UNREAD_BYTES_MAX, LinkLost, SerialLink, memory_link_pair
from edge import virtual_time


@pytest.fixture
def pty():
    master, slave = os.openpty()
    tty.setraw(slave)
    descriptors = [master, slave]
    yield master, os.ttyname(slave), lambda: descriptors and [os.close(descriptors.pop()) for _ in range(2)]
    for descriptor in descriptors:
        os.close(descriptor)


async def read_exactly(link, count):
    data = b""
    while len(data) < count:
        data += await link.read()
    return data


def serial_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("serial ")]


async def gone(within_s=3.0):
    async with asyncio.timeout(within_s):
        while serial_threads():  # noqa: ASYNC110 - a thread cannot set our event
            await asyncio.sleep(0.01)


async def test_bytes_pass_both_ways(pty):
    master, device, _ = pty
    link = await SerialLink.open(device)
    os.write(master, b"hello")
    assert await read_exactly(link, 5) == b"hello"
    await link.write(b"x" * 4100)
    assert len(os.read(master, 8192)) > 0
    await link.set_baud_rate(2_000_000)
    link.close()
    await gone()


async def test_a_write_does_not_wait_for_something_to_read(pty):
    _, device, _ = pty
    link = await SerialLink.open(device)
    started = asyncio.get_running_loop().time()
    for _ in range(20):
        await link.write(b"RDY?")
    assert asyncio.get_running_loop().time() - started < 0.5
    link.close()
    await gone()


async def test_a_device_that_is_not_there_is_a_lost_link(tmp_path):
    with pytest.raises(LinkLost, match="nothing-here"):
        await SerialLink.open(str(tmp_path / "nothing-here"))
    await gone()


async def test_a_nonsense_url_is_a_lost_link():
    with pytest.raises(LinkLost):
        await SerialLink.open("nonsense://x")
    await gone()


async def test_a_device_that_is_pulled_out_is_a_lost_link(pty):
    _, device, unplug = pty
    link = await SerialLink.open(device)
    reading = asyncio.create_task(link.read())
    await asyncio.sleep(0.05)
    unplug()
    with pytest.raises(LinkLost):
        await asyncio.wait_for(reading, 5)
    with pytest.raises(LinkLost):
        await link.write(b"RDY?")
    await gone()


async def test_closing_ends_a_pending_read(pty):
    _, device, _ = pty
    link = await SerialLink.open(device)
    reading = asyncio.create_task(link.read())
    await asyncio.sleep(0.02)
    link.close()
    link.close()
    with pytest.raises(LinkLost):
        await asyncio.wait_for(reading, 1)
    await gone()


async def test_a_serial_port_behind_a_socket():
    server = socket.create_server(("127.0.0.1", 0))
    link = await SerialLink.open(f"socket://127.0.0.1:{server.getsockname()[1]}")
    peer, _ = server.accept()
    await link.write(b"RDY?")
    assert peer.recv(4) == b"RDY?"
    peer.sendall(b"ACK>")
    assert await asyncio.wait_for(read_exactly(link, 4), 2) == b"ACK>"
    peer.close()
    with pytest.raises(LinkLost):
        await asyncio.wait_for(link.read(), 5)
    server.close()
    await gone()


def test_a_pair_in_memory_runs_under_virtual_time():
    async def scene():
        host, radio = memory_link_pair()
        await host.write(b"RDY?")
        assert await radio.read() == b"RDY?"
        waiting = asyncio.create_task(host.read())
        await asyncio.sleep(3600)
        radio.send(b"ACK>")
        assert await waiting == b"ACK>"

    virtual_time.run(scene())


def test_a_paced_pair_takes_the_lines_time():
    async def scene():
        host, radio = memory_link_pair(paced=True)
        now = asyncio.get_running_loop().time
        started = now()
        await host.write(bytes(4100))
        assert now() - started == pytest.approx(0.356, abs=0.001)
        await host.set_baud_rate(2_000_000)
        started = now()
        await host.write(bytes(4100))
        assert now() - started == pytest.approx(0.0205, abs=0.0001)
        assert len(await radio.read()) == 8200

    virtual_time.run(scene())


def test_what_arrived_before_the_end_can_still_be_read():
    async def scene():
        host, radio = memory_link_pair()
        radio.send(b"XFC>")
        radio.close()
        assert await host.read() == b"XFC>"
        with pytest.raises(LinkLost):
            await host.read()
        with pytest.raises(LinkLost):
            await host.write(b"x")

    virtual_time.run(scene())


def test_p10_a_reader_that_never_comes_costs_the_link_and_no_memory():
    async def scene():
        host, radio = memory_link_pair()
        for _ in range(UNREAD_BYTES_MAX // 4096 + 1):
            if host.inbox.closed:
                break
            radio.send(bytes(4096))
        assert host.inbox.closed
        assert len(await host.read()) <= UNREAD_BYTES_MAX
        with pytest.raises(LinkLost, match="unread"):
            await host.read()

    virtual_time.run(scene())
