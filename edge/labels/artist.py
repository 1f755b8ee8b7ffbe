"""Who draws the pictures: a small process pool in a running store, the event loop itself in the simulator."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections import OrderedDict
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

from drivers.port import Blob, Encoder, LabelDescription, Picture
from edge.errors import Transient
from edge.labels.content import LabelContent
from edge.labels.render import draw
from edge.labels.template import Template
from edge.limits import ARTIST_REST, ARTIST_REST_MAX_S, PICTURE_CACHE_MAX


class Artist(Protocol):
    """Draws and encodes a picture off the event loop. Raises `edge.labels.render.CannotDraw`."""

    async def draw(self, template: Template, content: LabelContent, description: LabelDescription,
                   encoder: Encoder) -> tuple[Picture, Blob]: ...

    def close(self) -> None: ...


class PoolArtist:
    """Draws in worker processes: threads would hold up the tills (glyphs are drawn under the interpreter lock).

    A worker that was killed (out of memory) takes its pool with it; the next picture gets a new one.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._context = multiprocessing.get_context("forkserver")
        self._pool = self._new_pool()

    async def draw(self, template: Template, content: LabelContent, description: LabelDescription,
                   encoder: Encoder) -> tuple[Picture, Blob]:
        pool, loop = self._pool, asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(pool, _draw_at_leisure, template, content, description, encoder)
        except BrokenProcessPool as error:
            if self._pool is pool:
                self._pool = self._new_pool()
                pool.shutdown(wait=False)
            raise Transient(f"the process that draws pictures was killed: {error}") from error

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._workers, mp_context=self._context, initializer=_begin_worker)


def _draw_at_leisure(template: Template, content: LabelContent, description: LabelDescription,
                     encoder: Encoder) -> tuple[Picture, Blob]:
    """In the worker: draw, then rest."""
    began_s = time.perf_counter()
    drawn = draw(template, content, description, encoder)
    time.sleep(min(ARTIST_REST_MAX_S, ARTIST_REST * (time.perf_counter() - began_s)))
    return drawn


def _begin_worker() -> None:
    """In the worker: Ctrl-C is the daemon's to hear, and the worker ends when the daemon has, however that ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in workers only"
    parent.join()
    os._exit(0)


class InlineArtist:
    """Draws at once, and remembers: the simulator shows the same few pictures over and over."""

    def __init__(self) -> None:
        self._drawn: OrderedDict[tuple[str, LabelContent, str, Encoder], tuple[Picture, Blob]] = OrderedDict()

    async def draw(self, template: Template, content: LabelContent, description: LabelDescription,
                   encoder: Encoder) -> tuple[Picture, Blob]:
        key = (template.version, content, description.type_name, encoder)
        if key not in self._drawn:
            self._drawn[key] = draw(template, content, description, encoder)
            if len(self._drawn) > PICTURE_CACHE_MAX:
                self._drawn.popitem(last=False)
        return self._drawn[key]

    def close(self) -> None:
        self._drawn.clear()
