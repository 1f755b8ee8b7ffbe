"""A private Mosquitto for tests: a free loopback port, a process that this object alone owns, gone afterwards."""

import getpass
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme

from edge.shipped import shipped
from tests.needs import need

START_TIMEOUT_S = 10
STOP_TIMEOUT_S = 5


class MosquittoServer:
    """`with MosquittoServer() as broker: broker.port`. Without Mosquitto the test is left out, loudly.

    With `passwords` (user → password) nobody else is let in; `access` is the text of an access control list. With
    `tls` it has a certificate for 127.0.0.1 that `authority`, a PEM file, vouches for. `as_shipped`: all of it as
    config/broker says.
    """

    host = "127.0.0.1"

    def __init__(self, *, passwords: dict[str, str] | None = None, access: str = "", tls: bool = False,
                 as_shipped: bool = False) -> None:
        self._program = need("mosquitto")
        self._passwords, self._access = passwords, access
        self._tls, self._as_shipped = tls or as_shipped, as_shipped
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="mosquitto-"))
        self.port = _free_port()
        self.authority = self._directory / "authority.pem"
        self._configure()
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        self.stop(how=signal.SIGKILL)
        shutil.rmtree(self._directory, ignore_errors=True)

    def start(self) -> None:
        """On the same port as before."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen([self._program, "-c", self._directory / "mosquitto.conf"],
                                             stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            log_text = (self._directory / "log").read_text()
            assert self._process.poll() is None, f"mosquitto ended:\n{log_text}"
            assert time.monotonic() < deadline, f"mosquitto does not answer:\n{log_text}"
            time.sleep(0.02)

    def stop(self, *, how: signal.Signals = signal.SIGTERM) -> None:
        """SIGTERM closes connections properly, SIGKILL does not, SIGSTOP leaves everybody hanging."""
        if self._process is None:
            return
        self._process.send_signal(how)
        if how is signal.SIGSTOP:
            return
        self._process.wait(STOP_TIMEOUT_S)
        self._process = None

    def go_on(self) -> None:
        """After SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Killed, and back on the same port."""
        self.stop(how=signal.SIGKILL)
        self.start()

    def _configure(self) -> None:
        """Running as root, Mosquitto would become another user, who cannot read this directory."""
        if self._tls:
            self._certify()
        if self._passwords:
            path = self._directory / "passwords"
            path.touch(mode=0o600)
            for user, password in self._passwords.items():
                subprocess.run(["mosquitto_passwd", "-b", path, user, password], check=True)
        if self._access or self._as_shipped:
            access = shipped("config/broker/acl").read_text() if self._as_shipped else self._access
            (self._directory / "acl").write_text(access)
        text = self._shipped_text() if self._as_shipped else "\n".join(self._lines())
        (self._directory / "mosquitto.conf").write_text(f"{text}\nuser {getpass.getuser()}\n")

    def _lines(self) -> Iterator[str]:
        yield f"listener {self.port} {self.host}"
        yield "persistence false"
        yield f"allow_anonymous {'false' if self._passwords else 'true'}"
        if self._tls:
            yield f"certfile {self._directory / 'broker.pem'}"
            yield f"keyfile {self._directory / 'broker.key'}"
        if self._passwords:
            yield f"password_file {self._directory / 'passwords'}"
        if self._access:
            yield f"acl_file {self._directory / 'acl'}"

    def _shipped_text(self) -> str:
        """config/broker/mosquitto.conf, moved to this directory and port; nothing else is changed."""
        text = shipped("config/broker/mosquitto.conf").read_text()
        moved = {"listener 8883": f"listener {self.port} {self.host}",
                 "/etc/mosquitto/trastienda": str(self._directory), "/var/lib/mosquitto/": f"{self._directory}/"}
        for there, here in moved.items():
            assert there in text, f"config/broker/mosquitto.conf no longer says {there}"
            text = text.replace(there, here)
        return text

    def _certify(self) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert(self.host)
        authority.cert_pem.write_to_path(str(self.authority))
        certificate.private_key_pem.write_to_path(str(self._directory / "broker.key"))
        (self._directory / "broker.pem").write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))

    def _answers(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
