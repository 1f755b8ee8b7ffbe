"""The other end of $NOTIFY_SOCKET, in the hands of a test."""

import socket
from pathlib import Path

BEAT = "WATCHDOG=1"


class FakeSystemd:
    """Listens at `address`, a path or `@name` for an abstract one; never blocks."""

    def __init__(self, address: str | Path) -> None:
        self.address = str(address)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind("\0" + self.address[1:] if self.address.startswith("@") else self.address)

    def heard(self) -> list[str]:
        """The datagrams since the last look."""
        datagrams = []
        while True:
            try:
                datagrams.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return datagrams

    def beats(self) -> int:
        """How often it was told that all is well, since the last look."""
        return self.heard().count(BEAT)

    def close(self) -> None:
        self._socket.close()
