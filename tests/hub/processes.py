"""Several `trastienda hub` processes on one PostgreSQL, each of which may be killed and started again."""

import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.service import COMMAND, free_port

OPERATOR_TOKEN = "the operator of these hub processes"
HUB_KEY = "0123456789abcdef" * 4
START_TIMEOUT_S = 60


class HubProcesses:
    """`with HubProcesses(url, 2, directory) as hubs: hubs.urls`. Addresses stay the same over kills and restarts."""

    def __init__(self, database_url: str, count: int, directory: Path) -> None:
        """`directory`: where their logs go, one file each."""
        self._database_url = database_url
        self._ports = [free_port() for _ in range(count)]
        self._logs = [directory / f"hub-{number}.log" for number in range(count)]
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self._ports]

    def __enter__(self) -> Self:
        for number in range(len(self._ports)):
            self.start(number)
        for number in range(len(self._ports)):
            self.wait_until_it_answers(number)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        for number in list(self._running):
            self.kill(number)

    def operator(self, number: int = 0) -> httpx.Client:
        return httpx.Client(base_url=self.urls[number], headers={"Authorization": f"Bearer {OPERATOR_TOKEN}"},
                            timeout=START_TIMEOUT_S, trust_env=False)

    def start(self, number: int) -> None:
        environment = {**os.environ, "TRASTIENDA_HUB_KEY": HUB_KEY, "TRASTIENDA_HUB_OPERATOR_TOKEN": OPERATOR_TOKEN}
        command = [COMMAND, "hub", "--database", self._database_url, "--port", str(self._ports[number]), "--json"]
        with self._logs[number].open("ab") as log:
            self._running[number] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def wait_until_it_answers(self, number: int) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            process = self._running[number]
            assert process.poll() is None, f"hub {number} ended:\n{self._logs[number].read_text()}"
            try:
                if httpx.get(f"{self.urls[number]}/healthz", trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
            assert time.monotonic() < deadline_s, f"hub {number} did not start:\n{self._logs[number].read_text()}"

    def kill(self, number: int) -> None:
        """SIGKILL: nothing gets a chance to say goodbye."""
        process = self._running.pop(number)
        process.kill()
        process.wait()

    def cpu_s(self) -> float:
        """What the running processes have used so far."""
        ticks = 0
        for process in self._running.values():
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # proc(5): utime, stime
        return ticks / os.sysconf("SC_CLK_TCK")
