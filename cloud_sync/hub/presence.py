"""Which stores' doorbells listen, as the broker says. A hint for people and nothing else: no rule may need it.

In memory only, each hub process by itself: the broker keeps the messages and gives them again to whoever connects.
"""

from collections.abc import Callable
from enum import StrEnum

from cloud_sync.hub.errors import Rejected
from cloud_sync.hub.limits import PRESENCES_MAX
from cloud_sync.hub.names import check_name

PRESENCE_TOPICS = "stores/+/presence"


class Listening(StrEnum):
    """Whether a store hears its bell; it may be selling all the same."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    OFFLINE = "offline"


class Presences:
    """The last word on each store. `changed` is called in the event loop with every store whose word is a new one."""

    def __init__(self) -> None:
        self._of: dict[str, Listening] = {}
        self.changed: Callable[[str, Listening], None] = lambda _store, _listening: None

    def of(self, store: str) -> Listening:
        return self._of.get(store, Listening.UNKNOWN)

    def hear(self, topic: str, payload: bytes) -> None:
        """Take a message of `PRESENCE_TOPICS`; nonsense, and stores beyond `PRESENCES_MAX`, are passed over."""
        parts = topic.split("/")
        if len(parts) != 3 or payload not in (b"online", b"offline"):
            return
        store, listening = parts[1], Listening(payload.decode())
        if self._of.get(store) is listening or (store not in self._of and not self._takes(store)):
            return
        self._of[store] = listening
        self.changed(store, listening)

    def forget(self) -> None:
        """The broker is away: nobody knows."""
        self._of.clear()

    def _takes(self, store: str) -> bool:
        try:
            check_name(store)
        except Rejected:
            return False
        return len(self._of) < PRESENCES_MAX
