"""What people and health checks see of the line, and the only place that logs it: once when lost, once when back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from types import MappingProxyType

import structlog

from cloud_sync.client.limits import PROBLEM_CHARACTERS_MAX
from cloud_sync.contract.feeds import Cursor, Feed
from cloud_sync.contract.ledger import Welcome


class TroubleKind(StrEnum):
    """Whose trouble it is."""

    LINE = "line"
    """The hub cannot be reached, or says that it cannot now."""
    REFUSED = "refused"
    """The hub says no: credential, store, version."""
    NONSENSE = "nonsense"
    """An answer or a page that breaks the contract; nothing of it was applied."""
    STORE = "store"
    """The store's own side failed, or a bug."""
    DOORBELL = "doorbell"
    """No broker: polling only."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong now with one part of the line (`hello`, `ledger`, `feed prices`, `doorbell`)."""

    part: str
    kind: TroubleKind
    text: str
    since_ms: int


class FenceReason(StrEnum):
    """Why this ledger may not be pushed. The store keeps selling and logging (DESIGN.md section 10)."""

    FORK = "fork"
    """The hub holds another entry under one of our sequences: two boxes with one identity, or a restored one."""
    AHEAD = "ahead"
    """The hub holds more entries of this epoch than we do: this box was restored from a backup."""
    PRUNED = "pruned"
    """The hub lacks entries that this store no longer keeps."""
    SUPERSEDED = "superseded"
    """Another box was enrolled for this store after this one, and speaks for it."""
    TWIN = "twin"
    """Another process speaks for the store with this very credential."""
    BROKEN = "broken"
    """The heads agree and still the hub will not take what follows: a hash here does not follow from its entry."""


@dataclass(frozen=True, slots=True)
class Fence:
    """`sequence`: where the hub's ledger ends; `detail` says what was found there."""

    reason: FenceReason
    epoch: int
    sequence: int
    detail: str


@dataclass(frozen=True, slots=True)
class FeedState:
    """How far one feed has come. `caught_up`: its end was reached since the start or the last `forget`.

    `equal`: whether its fingerprint was the hub's when last compared, `None` before; `repairs`, `rows_fetched`,
    `rows_repaired`: what putting it right has taken since the start.
    """

    cursor: Cursor | None = None
    caught_up: bool = False
    equal: bool | None = None
    repairs: int = 0
    rows_fetched: int = 0
    rows_repaired: int = 0


class DoorbellState(Enum):
    OFF = "off"
    LOST = "lost"
    CONNECTED = "connected"


@dataclass(frozen=True, slots=True)
class LinkState:
    """The line at one moment. Times are wall-clock milliseconds, `None` before the first.

    `up`: the hub has welcomed us and no part of the line fails to reach it; `since_ms`: since when it is so.
    `backlog`: ledger entries the hub has not acknowledged, as last counted. `clock_offset_ms`: the hub's clock less
    ours at the last welcome, without the time it travelled. `rebasing`: what is done now to take up the store's story
    after a restore; empty for a store in line.
    """

    up: bool
    since_ms: int
    last_contact_ms: int | None = None
    last_error: str = ""
    last_error_ms: int | None = None
    troubles: tuple[Trouble, ...] = ()
    backlog: int = 0
    acked_sequence: int | None = None
    feeds: Mapping[Feed, FeedState] = field(default_factory=lambda: MappingProxyType({}))
    fence: Fence | None = None
    rebasing: str = ""
    hub_epoch: str = ""
    clock_offset_ms: int | None = None
    doorbell: DoorbellState = DoorbellState.OFF


Observer = Callable[[LinkState], None]
"""Called in the event loop when the line, a trouble, the fence or the doorbell changes; figures alone call nobody."""


class LinkMonitor:
    """Keeps the state and says what people should hear of it."""

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._log = structlog.get_logger("hub_link")
        self._troubles: dict[str, Trouble] = {}
        self._severed: set[str] = set()
        self._said_lost = False
        self._observers: list[Observer] = []
        self.state = LinkState(up=False, since_ms=wall_ms())

    def observe(self, observer: Observer) -> None:
        """Hear of every change from now on."""
        self._observers.append(observer)

    def contact(self) -> None:
        """The hub answered something that makes sense."""
        self.state = replace(self.state, last_contact_ms=self._wall_ms())

    def welcomed(self, welcome: Welcome) -> None:
        offset_ms = welcome.hub_time_ms - self._wall_ms()
        self.state = replace(self.state, hub_epoch=welcome.hub_epoch, clock_offset_ms=offset_ms)

    def feed(self, feed: Feed, cursor: Cursor | None, caught_up: bool) -> None:
        self._feed(feed, replace(self.state.feeds.get(feed, FeedState()), cursor=cursor, caught_up=caught_up))

    def compared(self, feed: Feed, *, equal: bool) -> None:
        """The store's copy and the hub's were compared."""
        known = self.state.feeds.get(feed, FeedState())
        if known.equal is equal:
            return
        self._feed(feed, replace(known, equal=equal))
        if not equal:
            self._log.warning("a copy differs from the hub's, it is being put right", feed=feed.value)
        elif known.equal is not None:
            self._log.info("the copy is the hub's again", feed=feed.value)
        self._tell()

    def repaired(self, feed: Feed, buckets: Sequence[int], fetched: int, changed: int) -> None:
        """Buckets were fetched and put right."""
        known = self.state.feeds.get(feed, FeedState())
        self._log.warning("a copy was repaired", feed=feed.value, buckets=list(buckets), rows_fetched=fetched,
                          rows_repaired=changed)
        self._feed(feed, replace(known, repairs=known.repairs + 1, rows_fetched=known.rows_fetched + fetched,
                                 rows_repaired=known.rows_repaired + changed))

    def _feed(self, feed: Feed, state: FeedState) -> None:
        self.state = replace(self.state, feeds=MappingProxyType({**self.state.feeds, feed: state}))

    def ledger(self, acked_sequence: int | None, backlog: int) -> None:
        self.state = replace(self.state, acked_sequence=acked_sequence, backlog=backlog)

    def fence(self, fence: Fence | None) -> None:
        """Pushing stopped, or may go on."""
        before = self.state.fence
        if fence == before:
            return
        self.state = replace(self.state, fence=fence)
        if fence is None:
            self._log.warning("ledger push no longer fenced")
        elif before is None or before.reason is not fence.reason:
            self._log.error("ledger push FENCED: the store keeps selling, nothing of it reaches the hub",
                            reason=fence.reason.value, epoch=fence.epoch, sequence=fence.sequence, detail=fence.detail)
        self._tell()

    def rebasing(self, what: str) -> None:
        """The store takes up its story again, or has done so."""
        before = self.state.rebasing
        self.state = replace(self.state, rebasing=what)
        if bool(before) is not bool(what):
            if what:
                self._log.warning("this box was restored or replaced: nothing is pushed until history is back")
            else:
                self._log.info("history is back: pushing again")
            self._tell()

    def doorbell(self, state: DoorbellState) -> None:
        if state is not self.state.doorbell:
            self.state = replace(self.state, doorbell=state)
            self._tell()

    def trouble(self, part: str, kind: TroubleKind, text: str, *, severs: bool,
                exception: BaseException | None = None) -> None:
        """Something failed. `severs`: the line counts as down until this part is fine again."""
        now_ms, text = self._wall_ms(), text[:PROBLEM_CHARACTERS_MAX]
        known = self._troubles.get(part)
        new = known is None or known.kind is not kind
        self._troubles[part] = Trouble(part, kind, text, now_ms if known is None else known.since_ms)
        (self._severed.add if severs else self._severed.discard)(part)
        self.state = replace(self.state, last_error=f"{part}: {text}", last_error_ms=now_ms,
                             troubles=tuple(self._troubles.values()))
        turned = self._lose(part, text, now_ms) if severs else self._regain()
        if new and kind is not TroubleKind.LINE:
            self._log.warning("trouble on the hub line", part=part, kind=kind.value, error=text, exc_info=exception)
        if new or turned:
            self._tell()

    def fine(self, part: str) -> None:
        """This part did what it should."""
        self._severed.discard(part)
        trouble = self._troubles.pop(part, None)
        if trouble is not None:
            self.state = replace(self.state, troubles=tuple(self._troubles.values()))
            if trouble.kind is not TroubleKind.LINE:
                self._log.info("trouble on the hub line is over", part=part, kind=trouble.kind.value)
        regained = self._regain()
        if trouble is not None or regained:
            self._tell()

    def _lose(self, part: str, text: str, now_ms: int) -> bool:
        """Returns whether the line was up until now."""
        if not self._said_lost:
            self._said_lost = True
            self._log.warning("hub lost: the store goes on alone", part=part, error=text)
        was_up = self.state.up
        if was_up:
            self.state = replace(self.state, up=False, since_ms=now_ms)
        return was_up

    def _regain(self) -> bool:
        """Returns whether the line was down until now."""
        if self.state.up or self._severed or self.state.last_contact_ms is None:
            return False
        now_ms = self._wall_ms()
        if self._said_lost:
            self._log.info("hub back", down_ms=now_ms - self.state.since_ms, backlog=self.state.backlog)
        else:
            self._log.info("hub reached", hub_epoch=self.state.hub_epoch)
        self._said_lost = False
        self.state = replace(self.state, up=True, since_ms=now_ms)
        return True

    def _tell(self) -> None:
        """A listener's bug is the listener's: it is logged and harms neither the line nor other listeners."""
        for observer in tuple(self._observers):
            try:
                observer(self.state)
            except Exception:
                self._log.exception("an observer of the hub line failed")
