"""Hub and daemon as processes of their own, as systemd would run them; ended properly, or killed.

They end with the process that started them, even when that one is killed: Linux sends them SIGTERM then.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge.errors import ConfigurationError

STOP_S = 15.0
"""A process that takes longer to end after SIGTERM is killed."""

LOG_TAIL_CHARACTERS = 2000
"""What is shown of the log of a process that failed."""

WRONG_USE = 2
_SAYS = "trastienda: "
"""How the command begins its one clear message."""

_SIGTERM_WITH_PARENT = "import ctypes; ctypes.CDLL(None).prctl(1, 15)"
_COMMAND = f"{_SIGTERM_WITH_PARENT}; from edge.cli import main; main()"


class ProcessFailed(OSError):
    """A process of the demo ended when it should not have."""


class Process:
    """One `trastienda` command. `environment`: what it gets beside ours. `log`: where its output goes; started again it
    goes on there."""

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self._arguments = tuple(arguments)
        self.environment = dict(environment)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Its process id; it has been started."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it; that it runs does not mean yet that it answers."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _COMMAND, *self._arguments, stdin=asyncio.subprocess.DEVNULL, stdout=log,
                stderr=log, env={**_inherited(), **self.environment}, start_new_session=True)

    def check(self) -> None:
        """Raises `ProcessFailed` when it ended by itself, `ConfigurationError` when it was used wrongly."""
        if self._process is not None and self._process.returncode is not None:
            tail = self.log.read_text("utf-8", errors="replace")[-LOG_TAIL_CHARACTERS:].strip()
            if self._process.returncode == WRONG_USE:
                raise ConfigurationError(tail.rpartition(_SAYS)[2])
            raise ProcessFailed(f"{self.name} ended with exit code {self._process.returncode}:\n{tail}")

    async def finish(self) -> None:
        """Wait until it ends by itself. Raises as `check` unless it ended well."""
        assert self._process is not None
        if await self._process.wait():
            self.check()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when that takes too long."""
        if self._process is None or not self.running:
            return
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL to it and everything it started, at this very moment."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)


def _inherited() -> dict[str, str]:
    """Our environment without what would lead a child to somebody else's secrets, sockets or watchdog."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("TRASTIENDA_", "NOTIFY_", "WATCHDOG_", "CREDENTIALS_"))}
