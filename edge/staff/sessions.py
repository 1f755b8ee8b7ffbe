"""Who is signed in, on which device: bounded in time and number, in memory only, so a restart signs everybody out.

Times are on the powered clock: setting the wall clock neither ends nor prolongs a session.
"""

import hashlib
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from edge.limits import SESSION_IDLE_S, SESSION_MESSAGES_MAX, SESSION_S, SESSIONS_MAX
from edge.pos.access import Principal

TOKEN_BYTES = 32


class Tone(Enum):
    """How a message is meant."""

    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Undo:
    """One tap that takes the last action back: a form to `path` with these fields. `lasts_s`: after it, too late."""

    path: str
    title: str
    fields: Mapping[str, str] = field(default_factory=dict)
    lasts_s: float | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What an action came to, in the person's language; shown once, on the next page."""

    text: str
    tone: Tone = Tone.DONE
    undo: Undo | None = None


@dataclass(eq=False, slots=True)
class Session:
    """One person on one device. `form_token` stands in every form of it."""

    principal: Principal
    language: str
    began_ms: int
    used_ms: int
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(TOKEN_BYTES), repr=False)
    messages: deque[Message] = field(default_factory=lambda: deque(maxlen=SESSION_MESSAGES_MAX))
    code_misses: int = 0
    ended: bool = False

    def take_messages(self) -> list[Message]:
        """Every waiting message, once."""
        messages = list(self.messages)
        self.messages.clear()
        return messages


class Sessions:
    """The open sessions, known only by the SHA-256 of what the browser holds."""

    def __init__(self, powered_ms: Callable[[], int]) -> None:
        self._powered_ms = powered_ms
        self._sessions: dict[bytes, Session] = {}
        self.ended: list[Callable[[Session], None]] = []
        """Called for every session that ends."""

    def open(self, principal: Principal, language: str) -> str:
        """Sign a person in; returns the token for the browser. At the limit the session idle longest ends."""
        self._end_old()
        while len(self._sessions) >= SESSIONS_MAX:
            self._end(min(self._sessions, key=lambda digest: self._sessions[digest].used_ms))
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now_ms = self._powered_ms()
        self._sessions[_digest(token)] = Session(principal, language, now_ms, now_ms)
        return token

    def find(self, token: str, *, by_person: bool) -> Session | None:
        """The session of this token. `by_person`: somebody did something, so it stays for another while."""
        digest = _digest(token)
        session = self._sessions.get(digest)
        if session is None:
            return None
        if self.is_over(session):
            self._end(digest)
            return None
        if by_person:
            session.used_ms = self._powered_ms()
        return session

    def end(self, session: Session) -> None:
        """Sign out."""
        for digest, each in list(self._sessions.items()):
            if each is session:
                self._end(digest)

    def _end_old(self) -> None:
        for digest, session in list(self._sessions.items()):
            if self.is_over(session):
                self._end(digest)

    def is_over(self, session: Session) -> bool:
        """Whether its time is up."""
        now_ms = self._powered_ms()
        return (session.ended or now_ms - session.began_ms >= SESSION_S * 1000
                or now_ms - session.used_ms >= SESSION_IDLE_S * 1000)

    def _end(self, digest: bytes) -> None:
        session = self._sessions.pop(digest)
        session.ended = True
        for each in self.ended:
            each(session)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
