"""The processes that draw: what kills one costs a picture, and none outlives the daemon."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drivers.openepaperlink.picture_codec import encode_picture, tag_types
from drivers.port import Blob, Picture
from edge.errors import Transient
from edge.labels.artist import InlineArtist, PoolArtist
from edge.labels.content import label_content
from edge.labels.template import load_templates
from edge.shipped import shipped

DRAWS_UNTIL_KILLED = """
import asyncio, contextlib, signal
from edge.labels.artist import PoolArtist
from tests.daemon.test_artist import draw

async def main() -> None:
    artist = PoolArtist(1)
    try:
        await draw(artist)
        print("drawing", flush=True)
        await asyncio.sleep(60)
    finally:
        artist.close()  # as the daemon does; an executor left to the collector races with the interpreter's end

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell put in the background
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
"""


async def draw(artist: PoolArtist | InlineArtist) -> tuple[Picture, Blob]:
    description = tag_types()[0x01].describe("0000021b1ad03b17")
    content = label_content(sku="1001", name="Milk", gtin=None, package_text="1 L", price_minor=99, currency="EUR",
                            language="en", unit_system="metric", link_domain="id.gs1.org")
    template = load_templates([shipped("config/templates")]).select("regular", description)
    return await artist.draw(template, content, description, encode_picture)


def family(process_id: int) -> set[int]:
    """All processes of the session that this one leads, itself included."""
    rows = subprocess.run(["ps", "-eo", "pid=,sess=,stat="], capture_output=True, text=True, check=True).stdout
    return {int(pid) for pid, session, state in map(str.split, rows.splitlines())
            if int(session) == process_id and not state.startswith("Z")}


async def test_a_worker_that_is_killed_costs_one_picture() -> None:
    artist = PoolArtist(1)
    try:
        drawn = await draw(artist)
        assert drawn == await draw(InlineArtist())
        (worker,) = artist._pool._processes
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(Transient, match="killed"):
            await draw(artist)
        assert await draw(artist) == drawn
    finally:
        artist.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_a_daemon_that_was_killed(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "draws.py"
    script.write_text(DRAWS_UNTIL_KILLED)
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": str(root)}, text=True,
                          stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "drawing\n"
        assert len(family(process.pid)) > 1
        process.send_signal(number)
        process.wait(60)
        deadline_s = time.monotonic() + 60
        while family(process.pid) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert family(process.pid) == set()


def test_an_interrupt_at_the_terminal_is_left_to_the_daemon(tmp_path: Path) -> None:
    """Ctrl-C goes to every process of the terminal; a worker says nothing about it."""
    script = tmp_path / "draws.py"
    script.write_text(DRAWS_UNTIL_KILLED)
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": str(root)}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "drawing\n"
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert said == ""
