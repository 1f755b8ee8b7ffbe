"""Rounds, one after the other, until the process is told to end; what is away is waited for.

One line when something was carried, one when a system goes away and one when it is back, one per trouble when it
begins and when it is over; what troubles there are stands in the hub as notes of kind `trouble`, for operators.
Back-off with full jitter, never before `Retry-After`.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec
import structlog

from cloud_sync.connectors.errors import Fenced, Refused, Transient
from cloud_sync.connectors.hub import NOTES_AT_ONCE_MAX, Hub, NoteIn
from cloud_sync.connectors.port import Connector, Round, Trouble
from cloud_sync.connectors.settings import Rhythm

DOUBLINGS_MAX = 16
TROUBLE_KIND = "trouble"


_WORDS: dict[type[Exception], str] = {Transient: "away, waiting", Fenced: "another process is at work, waiting"}


class TroubleNote(msgspec.Struct, frozen=True):
    """What a person should look at; the note's key says what it is about."""

    what: str


@dataclass(slots=True)
class Runner:
    """`run()` goes on for ever, `once()` makes one round."""

    connector: Connector
    hub: Hub
    rhythm: Rhythm
    randomness: random.Random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _failures: int = field(default=0, init=False)
    _troubles: frozenset[Trouble] | None = field(default=None, init=False)

    async def once(self) -> Round:
        """Raises what ended the round: `Transient`, `Misconfigured`."""
        try:
            return await self._work()
        finally:
            await self._let_go()

    async def run(self) -> None:
        """Until cancelled. Raises `Misconfigured`, which a start would meet again."""
        try:
            while True:
                await self.sleep(await self._round())
        finally:
            await self._let_go()

    async def _round(self) -> float:
        """One round; returns how long to wait for the next."""
        log = structlog.get_logger("connector")
        try:
            done = await self._work()
        except (Transient, Refused) as error:
            self._failures += 1
            pause_s = max(self.pause_s(), error.retry_after_s if isinstance(error, Transient) else 0.0)
            if self._failures == 1:
                log.warning(_WORDS.get(type(error), "refused, trying again"),
                            connector=self.hub.connector, error=str(error))
            return pause_s
        if self._failures:
            log.info("back again", connector=self.hub.connector, attempts=self._failures)
            self._failures = 0
        if done.carried:
            log.info("carried", connector=self.hub.connector, **done.carried)
        return self.rhythm.every_s

    async def _work(self) -> Round:
        await self.hub.hold()
        done = await self.connector.round(self.hub)
        await self._tell_troubles(frozenset(done.troubles))
        return done

    def pause_s(self) -> float:
        """How long to wait after so many failures in a row: anything up to a bound that doubles."""
        bound_s = self.rhythm.retry_first_s * 2 ** min(self._failures - 1, DOUBLINGS_MAX)
        return self.randomness.uniform(0, min(bound_s, self.rhythm.retry_max_s))

    async def _tell_troubles(self, troubles: frozenset[Trouble]) -> None:
        log = structlog.get_logger("connector")
        if self._troubles is None:  # what the process before us told
            self._troubles = frozenset([Trouble(about, note.what) async for about, note in self.hub.notes(
                TROUBLE_KIND, TroubleNote)])
        over, begun = self._troubles - troubles, troubles - self._troubles
        notes = {about: NoteIn(TROUBLE_KIND, about, None) for about in sorted({trouble.about for trouble in over})}
        notes |= {trouble.about: NoteIn(TROUBLE_KIND, trouble.about, TroubleNote(trouble.what)) for trouble in begun}
        for start in range(0, len(notes), NOTES_AT_ONCE_MAX):
            await self.hub.put_notes(list(notes.values())[start:start + NOTES_AT_ONCE_MAX])
        for trouble in sorted(begun, key=lambda one: (one.about, one.what)):
            log.error("a person should look", about=trouble.about, what=trouble.what)
        for trouble in sorted(over, key=lambda one: (one.about, one.what)):
            log.info("no trouble any more", about=trouble.about, what=trouble.what)
        self._troubles = troubles

    async def _let_go(self) -> None:
        """The lease would end by itself; the connections do with the process."""
        with contextlib.suppress(Transient):
            await asyncio.shield(self.hub.let_go())
        await self.connector.close()
