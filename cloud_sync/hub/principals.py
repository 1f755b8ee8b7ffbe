"""Who may call, and a memory of whose token is whose, so that a request costs no query to find that out.

Tokens stand in it as hashes. It is emptied when a credential changes in this process; what another process changes
takes effect within `TOKEN_LIFE_S`.
"""

import threading
from dataclasses import dataclass, field
from enum import StrEnum

from cloud_sync.hub.limits import TOKEN_LIFE_S, TOKENS_KNOWN_MAX


class Role(StrEnum):
    """What a caller may be. A store speaks for itself only, an operator feeds and reads the hub, a shop reads stock, a
    connector carries goods, orders and what became of them between the hub and one commerce system."""

    STORE = "store"
    OPERATOR = "operator"
    SHOP = "shop"
    CONNECTOR = "connector"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls. `store_id` is empty but for a store, `connector` but for a connector. `superseded`: another box was
    enrolled for the store since."""

    role: Role
    store_id: str = ""
    enrolment: int = 0
    superseded: bool = False
    connector: str = ""


@dataclass(slots=True)
class KnownTokens:
    """At most `TOKENS_KNOWN_MAX`; the one known longest goes first. Any thread may call."""

    _known: dict[str, tuple[Principal, int]] = field(default_factory=dict)
    _changes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def recall(self, token_hash: str, now_ms: int, shared: bool) -> Principal | None:
        """`shared`: another process may have ended the token meanwhile, so older knowledge does not count."""
        principal, since_ms = self._known.get(token_hash, (None, 0))
        fresh = not shared or 0 <= now_ms - since_ms < 1000 * TOKEN_LIFE_S
        return principal if fresh else None

    def ask(self) -> int:
        """To be called before the database is asked; goes into `remember`."""
        return self._changes

    def remember(self, token_hash: str, principal: Principal, asked: int, now_ms: int) -> None:
        """Keep an answer of the database's, unless a credential changed since it was `asked`."""
        with self._lock:
            if asked != self._changes:
                return
            self._known.pop(token_hash, None)
            if len(self._known) >= TOKENS_KNOWN_MAX:
                del self._known[next(iter(self._known))]
            self._known[token_hash] = (principal, now_ms)

    def forget(self) -> None:
        """To be called after every commit that changed a credential."""
        with self._lock:
            self._changes += 1
            self._known.clear()
