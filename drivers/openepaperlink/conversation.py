"""One open line to a radio: one command at a time, its reply, and everything the radio says meanwhile.

Source: esl.md 1.2 (replies, attempts, silence) and 1.4 (blocks). Replies carry no name, so a command that got none
is followed by quiet before the next one: a late `ACK>` must never count for somebody else's `SDA>`. Blocks carry no
name either: the radio puts what comes into its one buffer, for whoever asked last. So only the newest request is
answered, and only while it is fresh; within that time the radio lets no second label ask (1.2).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from drivers.openepaperlink import codec
from drivers.openepaperlink.codec import RadioFrame, Signal
from drivers.openepaperlink.frame_reader import SILENCE_S, FrameReader
from drivers.port import LabelId
from drivers.serial_link import BITS_PER_BYTE, ByteLink, LinkLost

REPLY_TIMEOUT_S = 0.2  # per attempt, after the last byte has had time to leave (1.2)
ATTEMPTS = 5  # SDA>, CXD>, SCP>, NFO?, HSPD
PING_ATTEMPTS = 3
LOAD_ATTEMPTS = 1  # a repeated >D> would collide with the label
QUIET_AFTER_FAILURE_S = SILENCE_S + 0.1  # lets the radio drop half a command and late replies pass
FAILURES_MAX = 5  # more in a row and the radio is taken for dead (1.2)
PING_AFTER_S = 30.0  # nothing heard for so long: ask whether anybody is there (1.2)
PING_AGAIN_S = 1.0  # the same once a command went unanswered
TICK_S = 0.5  # how often an idle line is looked at
COMMANDS_WAITING_MAX = 1024  # beyond it a command is refused at once
BLOCK_FRESH_S = 0.5  # an older request is let go: its label has stopped waiting, and asks again (1.4)

_REPLIES = frozenset({codec.ACKNOWLEDGED, codec.NOT_OK, codec.NO_SLOT})

_log = structlog.get_logger(__name__)


class NoReply(Exception):
    """The radio answered none of the attempts, or the queue of commands is full."""


@dataclass(slots=True)
class _Job:
    """A command on its way. The hooks run in the order of the line: `sending` before its first byte, `replied`
    before any later frame is looked at: for every reply (a `NOK>` is tried again), and with `None` when no
    attempt is left. One that is no longer `wanted` when its turn comes is never written."""

    wire: bytes
    attempts: int
    wanted: Callable[[], bool]
    sending: Callable[[], None]
    replied: Callable[[Signal | None], None]
    outcome: "asyncio.Future[Signal]"


@dataclass(frozen=True, slots=True)
class _BlockAnswer:
    label: LabelId
    wire_block: bytes
    asked_at: float


def _always() -> bool:
    return True


def _nothing() -> None:
    pass


def _no_reply_wanted(reply: Signal | None) -> None:
    del reply


class Conversation:
    """`listen` and `talk` are to run side by side until one raises; then the line is done for.

    `on_frame` gets every frame but replies, in line order. `beat` is called whenever the talker comes round.
    """

    def __init__(self, link: ByteLink, baud_rate: int, on_frame: Callable[[RadioFrame], None],
                 beat: Callable[[], None]) -> None:  # fmt: skip
        self._link = link
        self._baud_rate = baud_rate
        self._on_frame = on_frame
        self._beat = beat
        self._reader = FrameReader()
        self._commands: deque[_Job] = deque()
        self._block: _BlockAnswer | None = None
        self._wake = asyncio.Event()
        self._job: _Job | None = None
        self._reply: asyncio.Future[Signal] | None = None
        self._line_free_at = 0.0
        self._last_byte_at = self._now()
        self._last_frame_at = self._now()
        self._last_ping_at = self._now()
        self.failures = 0

    @property
    def bad_frames(self) -> int:
        """Frames dropped for a wrong body since the line opened."""
        return self._reader.bad_frames

    def answer_block(self, label: LabelId, wire_block: bytes) -> None:
        """Send this block as soon as the line is free, before any waiting command; an older answer is let go."""
        self._block = _BlockAnswer(label, wire_block, self._now())
        self._wake.set()

    def enqueue(self, wire: bytes, attempts: int = ATTEMPTS, *, wanted: Callable[[], bool] = _always,
                sending: Callable[[], None] = _nothing,
                replied: Callable[[Signal | None], None] = _no_reply_wanted) -> "asyncio.Future[Signal]":  # fmt: skip
        """Queues a command; the future gives the radio's reply or raises `NoReply` or `LinkLost`. See `_Job`."""
        outcome: asyncio.Future[Signal] = asyncio.get_running_loop().create_future()
        outcome.add_done_callback(_retrieve)
        if len(self._commands) >= COMMANDS_WAITING_MAX:
            outcome.set_exception(NoReply("too many commands waiting"))
        else:
            self._commands.append(_Job(wire, attempts, wanted, sending, replied, outcome))
            self._wake.set()
        return outcome

    async def ask(self, wire: bytes, attempts: int = ATTEMPTS) -> Signal:
        """A command without hooks, and its reply. Raises `NoReply`, `LinkLost`."""
        return await self.enqueue(wire, attempts)

    async def set_baud_rate(self, baud_rate: int) -> None:
        """Both the link and the reckoning of how long bytes take."""
        await self._link.set_baud_rate(baud_rate)
        self._baud_rate = baud_rate

    def expect_reply(self) -> "Awaitable[Signal]":
        """The next reply on the line, without a command: the second `ACK>` of `HSPD` (1.1)."""
        self._reply = asyncio.get_running_loop().create_future()
        return self._reply

    async def listen(self) -> None:
        """Reads until the line is lost. Raises `LinkLost`."""
        while True:
            data = await self._link.read()
            self._last_byte_at = self._now()
            self._hear(self._reader.feed(data))

    async def talk(self) -> None:
        """Writes whatever is due, blocks first. Raises `LinkLost`, also when the radio no longer answers."""
        try:
            while True:
                self._beat()
                await self._look_around()
                if self._block is not None:
                    await self._send_block(self._block)
                elif self._commands:
                    await self._run_job(self._commands.popleft())
                else:
                    await self._rest()
        finally:
            self._drop_everything()

    def _hear(self, frames: list[RadioFrame]) -> None:
        for frame in frames:
            self._last_frame_at = self._now()
            if isinstance(frame, Signal) and frame in _REPLIES:
                self._hear_reply(frame)
            else:
                self._on_frame(frame)

    def _hear_reply(self, reply: Signal) -> None:
        if self._reply is None or self._reply.done():
            return
        self._reply.set_result(reply)
        self._line_free_at = self._now()  # it has read everything we wrote
        if self._job is not None:
            self._job.replied(reply)

    async def _look_around(self) -> None:
        """What time does to a line: partial payloads expire, silence asks for a ping, a dead radio for a new line."""
        now = self._now()
        if self._reader.in_payload and now - self._last_byte_at >= SILENCE_S:
            self._hear(self._reader.silence())
        if self.failures > FAILURES_MAX:
            await self._link.write(codec.RESET_RADIO)
            raise LinkLost(f"no answer to {self.failures} commands in a row")
        patience_s = PING_AGAIN_S if self.failures else PING_AFTER_S
        if now - max(self._last_frame_at, self._last_ping_at) >= patience_s and not self._commands:
            self._last_ping_at = now
            self.enqueue(codec.PING, PING_ATTEMPTS)

    async def _rest(self) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(TICK_S):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _send_block(self, answer: _BlockAnswer) -> None:
        self._block = None
        if self._now() - answer.asked_at > BLOCK_FRESH_S:
            _log.debug("block request too old", label=answer.label)
            return
        reply = await self._attempt(codec.LOAD_BLOCK)
        if reply == codec.ACKNOWLEDGED:
            self.failures = 0
            await self._write(answer.wire_block)
            return
        _log.debug("block not taken", label=answer.label)
        if reply is None:
            await self._be_quiet()

    async def _run_job(self, job: _Job) -> None:
        if not job.wanted():
            _settle(job, NoReply("no longer wanted"))
            return
        self._job = job  # stays set when the line breaks: `_drop_everything` answers it then
        job.sending()
        reply = await self._converse(job)
        self._job = None
        if reply is None:
            job.replied(None)
            _settle(job, NoReply(f"no answer to {job.wire[:4].decode('latin-1')}"))
            await self._be_quiet()
        elif not job.outcome.done():
            job.outcome.set_result(reply)

    async def _converse(self, job: _Job) -> Signal | None:
        for attempt in range(job.attempts):
            self._beat()
            reply = await self._attempt(job.wire)
            if reply is None or (reply == codec.NOT_OK and attempt + 1 < job.attempts):
                continue
            self.failures = 0
            if attempt:
                await asyncio.sleep(REPLY_TIMEOUT_S)  # the earlier attempts' replies, if they were only late
            return reply
        return None

    async def _attempt(self, wire: bytes) -> Signal | None:
        """Writes once and waits for one reply; `None` when none comes in time."""
        self._reply = asyncio.get_running_loop().create_future()
        await self._write(wire)
        try:
            async with asyncio.timeout(self._line_free_at - self._now() + REPLY_TIMEOUT_S):
                return await self._reply
        except TimeoutError:
            return None
        finally:
            self._reply = None

    async def _be_quiet(self) -> None:
        self.failures += 1
        await asyncio.sleep(QUIET_AFTER_FAILURE_S)

    async def _write(self, data: bytes) -> None:
        """Keeps count of when the last byte can have left: a pty and a kernel buffer take bytes faster than a line."""
        start = max(self._line_free_at, self._now())
        self._line_free_at = start + len(data) * BITS_PER_BYTE / self._baud_rate
        await self._link.write(data)
        self._line_free_at = max(self._line_free_at, self._now())

    def _drop_everything(self) -> None:
        if self._job is not None:
            self._commands.appendleft(self._job)
        self._block = None
        while self._commands:
            job = self._commands.popleft()
            job.replied(None)
            _settle(job, LinkLost("the line was lost"))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _settle(job: _Job, error: Exception) -> None:
    if not job.outcome.done():
        job.outcome.set_exception(error)


def _retrieve(outcome: "asyncio.Future[Signal]") -> None:
    """Nobody may be waiting for it any more; that is no error."""
    if not outcome.cancelled():
        outcome.exception()
