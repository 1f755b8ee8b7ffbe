"""A private D-Bus daemon for tests: a socket of its own, a process that this object alone owns, gone afterwards."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.needs import need

STOP_TIMEOUT_S = 5

CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*"/>
    {denied}
  </policy>
</busconfig>
"""


class PrivateBus:
    """`with PrivateBus() as bus: bus.address`. Without dbus-daemon the test is left out, loudly.

    `deny`: a name that nobody may call, as Debian's policy has it for users outside the group `bluetooth`.
    """

    def __init__(self, *, deny: str = "") -> None:
        self._program = need("dbus-daemon")
        self._denied = f'<deny send_destination="{deny}"/>' if deny else ""
        self._process: subprocess.Popen[str] | None = None
        self.address = ""

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="dbus-"))
        self.address = f"unix:path={self._directory / 'socket'}"
        (self._directory / "bus.conf").write_text(
            CONFIGURATION.format(address=self.address, denied=self._denied))
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def start(self) -> None:
        """At the same address as before; returns when it listens."""
        (self._directory / "socket").unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [self._program, "--nofork", "--nopidfile", f"--config-file={self._directory / 'bus.conf'}",
             "--print-address=1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said.startswith("unix:"), f"dbus-daemon does not start:\n{said}"

    def stop(self) -> None:
        """Everybody's connection is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None
