"""Telling systemd how the daemon is: READY, STATUS, WATCHDOG, RELOADING, STOPPING (sd_notify(3)).

A datagram to the socket named by $NOTIFY_SOCKET; without one every call does nothing. Sending never raises and never
blocks: whether systemd heard is systemd's concern, the store goes on selling.
"""

import socket
import time
from collections.abc import Mapping

from edge.limits import WATCHDOG_STATUS_CHARACTERS_MAX


class Notifier:
    """`address`: the socket's path, `@name` for an abstract one, or None where nobody listens."""

    def __init__(self, address: str | None) -> None:
        self._address = address

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Notifier":
        """The notifier of a service started by systemd; a silent one otherwise."""
        return cls(environment.get("NOTIFY_SOCKET") or None)

    def ready(self, status: str = "") -> bool:
        """Started, or done reloading. All calls return whether the datagram was delivered."""
        return self._send("READY=1", _status(status))

    def reloading(self) -> bool:
        """Configuration is being read again; `ready()` ends it."""
        return self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> bool:
        """The daemon is on its way out."""
        return self._send("STOPPING=1", _status(status))

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self._send(_status(text))

    def watchdog(self) -> bool:
        """The daemon makes progress. Only `edge.heartbeats.Watchdog` may say so."""
        return self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> bool:
        if self._address is None:
            return False
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                channel.sendto("\n".join(filter(None, lines)).encode(), address)
        except OSError:
            return False
        return True


def watchdog_interval_s(environment: Mapping[str, str], process_id: int) -> float | None:
    """How often WATCHDOG=1 should be sent: a third of what the unit allows; None where nobody expects it."""
    if environment.get("WATCHDOG_PID", str(process_id)) != str(process_id):
        return None
    allowed_us = environment.get("WATCHDOG_USEC", "")
    return int(allowed_us) / 3_000_000 if allowed_us.isdecimal() and int(allowed_us) > 0 else None


def _status(text: str) -> str:
    """One line: a line feed in somebody's error text must not become a message of its own."""
    return f"STATUS={' '.join(text.split())[:WATCHDOG_STATUS_CHARACTERS_MAX]}" if text else ""
