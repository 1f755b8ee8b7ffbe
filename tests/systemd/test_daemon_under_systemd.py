"""The real daemon as systemd sees it: ready, watched, reloaded, stopped, and exit code 2 for a bad configuration."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.credentials import variable_name
from edge.settings import credentials_of, load

COMMAND = Path(sys.executable).parent / "trastienda"
WATCHDOG_US = 1_500_000
WAIT_S = 30.0


class Systemd:
    """Starts the daemon as the unit does and listens on its notification socket."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(directory / "notify"))
        self._log = (directory / "log").open("wb")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, config: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen(
            [COMMAND, "run", config], stdout=self._log, stderr=self._log, cwd="/",
            env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(self._directory / "notify"),
                 "WATCHDOG_USEC": str(WATCHDOG_US), **environment})
        return self.process

    def hears(self, wanted: str) -> str:
        """Wait for a datagram with this line in it."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                datagram = self._socket.recv(4096).decode()
            except TimeoutError:
                break
            if wanted in datagram.splitlines():
                return datagram
        raise AssertionError(f"{wanted} was not heard:\n{(self._directory / 'log').read_text()}")

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._socket.close()
        self._log.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    service = Systemd(tmp_path)
    yield service
    service.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A store whose hub and base station are absent; neither keeps it from starting."""
    path = tmp_path / "store.yaml"
    path.write_text(f"""\
store: {{id: "7", name: Corner, time_zone: Europe/Madrid, currency: EUR, language: en}}
state_directory: {tmp_path / "state"}
hub: {{url: "http://127.0.0.1:9", token: !credential hub-token}}
listeners:
  tills: {{host: 127.0.0.1, port: {free_port()}}}
  staff: {{host: 127.0.0.1, port: {free_port()}}}
database_key: !credential database-key
store_key: !credential store-key
base_stations:
  - {{name: aisle, driver: openepaperlink, port: /dev/serial/by-id/absent}}
""")
    (tmp_path / "state").mkdir()
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def secrets(config: Path) -> dict[str, str]:
    return {variable_name(credential): "5e" * 32 for _, credential in credentials_of(load(config))}


def test_it_is_ready_watched_reloaded_and_stopped(systemd: Systemd, config: Path) -> None:
    process = systemd.start(config, secrets(config))

    systemd.hears("READY=1")
    systemd.hears("WATCHDOG=1")

    process.send_signal(signal.SIGHUP)
    systemd.hears("RELOADING=1")
    systemd.hears("READY=1")

    process.send_signal(signal.SIGTERM)
    systemd.hears("STOPPING=1")
    assert process.wait(WAIT_S) == 0


def test_a_bad_configuration_is_exit_code_2_with_every_mistake(systemd: Systemd, config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text().replace("Europe/Madrid", "Europe/Madird")
                      + "grace_s: 5\n")

    assert systemd.start(config, {}).wait(WAIT_S) == 2

    said = (tmp_path / "log").read_text()
    assert "did you mean Europe/Madrid?" in said
    assert "belongs to the policy feed" in said


def test_missing_credentials_are_exit_code_2_and_all_named(systemd: Systemd, config: Path, tmp_path: Path) -> None:
    assert systemd.start(config, {}).wait(WAIT_S) == 2

    said = (tmp_path / "log").read_text()
    assert all(name in said for name in ("hub-token", "database-key", "store-key"))
