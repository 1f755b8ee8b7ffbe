"""`trastienda` as a service: started the way systemd starts it, heard on its notification socket, its log kept."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

COMMAND = Path(sys.executable).parent / "trastienda"
WATCHDOG_US = 1_500_000
WAIT_S = 30.0


class Service:
    """One service after the other in one directory. `hears` waits for datagrams, `log` is everything ever said."""

    def __init__(self, directory: Path) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._address = directory / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._address))
        self._log_path = directory / "log"
        self._log = self._log_path.open("wb")

    def start(self, *arguments: str | Path, prefix: tuple[str, ...] = (),
              **environment: str) -> "subprocess.Popen[bytes]":
        """Run the command, behind `prefix`, with nothing of the test's environment but PATH."""
        self.process = subprocess.Popen(
            [*prefix, COMMAND, *arguments], stdout=self._log, stderr=self._log, cwd="/",
            env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(self._address), "WATCHDOG_USEC": str(WATCHDOG_US),
                 **environment})
        return self.process

    def hears(self, wanted: str) -> str:
        """Wait for a datagram with this line in it."""
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s:
            self._socket.settimeout(max(0.01, deadline_s - time.monotonic()))
            try:
                datagram = self._socket.recv(4096).decode()
            except TimeoutError:
                break
            if wanted in datagram.splitlines():
                return datagram
        raise AssertionError(f"{wanted} was not heard:\n{self.log}")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None, "not started"
        self.process.send_signal(number)

    def ends(self) -> int:
        """Wait for the end; the exit code."""
        assert self.process is not None, "not started"
        return self.process.wait(WAIT_S)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return self.ends()

    @property
    def log(self) -> str:
        """Everything said so far, standard output included."""
        return self._log_path.read_text()

    def events(self, text: str = "") -> list[dict[str, object]]:
        """The log's JSON lines whose event has this text in it."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [line for line in lines if text in str(line.get("event", ""))]

    def says(self, text: str) -> dict[str, object]:
        """Wait for such an event in the log."""
        deadline_s = time.monotonic() + WAIT_S
        while not (found := self.events(text)):
            assert time.monotonic() < deadline_s, f"{text!r} was not said:\n{self.log}"
            time.sleep(0.02)
        return found[-1]

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._socket.close()
        self._log.close()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
