"""What every room of one running store shares: who it is, its books, its clock, its policy, and the news.

Built by the composition roots only; rooms get it passed in and keep no other global state.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import TypeVar
from zoneinfo import ZoneInfo

import structlog

from cloud_sync.contract.documents import Policy
from edge.clock import WALL_DRIFT_MAX_MS, StoreClock
from edge.db.books import Books
from edge.db.replica import Moment
from edge.db.write_group import Operation
from edge.disk_budget import DiskBudget
from edge.domain.pricing import shoppers_gone_in_ms
from edge.domain.unit_price import UnitSystem
from edge.limits import NEWS_REST_S, NEWS_SUBJECTS_MAX

_log = structlog.get_logger(__name__)
_Result = TypeVar("_Result")


class Topic(Enum):
    """What happened, for whoever shows or follows it."""

    FACT = "fact"
    PRICES = "prices"
    PROMOTIONS = "promotions"
    LABEL = "label"
    PICKUP = "pickup"
    LINK = "link"
    POLICY = "policy"
    ISSUE = "issue"


@dataclass(frozen=True, slots=True)
class News:
    """Something a page, the planner or the ledger push may want to know; `subjects` are SKUs, labels or orders."""

    topic: Topic
    subjects: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the store is. `language` is a BCP 47 tag; `link_domain` serves the Digital Links on its labels."""

    store: str
    name: str
    time_zone: ZoneInfo
    currency: str
    language: str
    unit_system: UnitSystem
    link_domain: str


@dataclass(slots=True)
class Store:
    """One running store. `listeners` are called in the event loop with every piece of news; they must not raise.

    `acked_sequence`: up to which entry of the ledger the hub said, since the start, that it holds everything.
    """

    identity: Identity
    books: Books
    clock: StoreClock
    policy: Policy
    randomness: random.Random
    listeners: list[Callable[[News], None]] = field(default_factory=list)
    acked_sequence: int = 0
    disk: DiskBudget = field(default_factory=DiskBudget)

    def tell(self, topic: Topic, *subjects: str) -> None:
        """Pass news on. What they tell has happened: a listener that breaks takes neither it nor the others back."""
        news = News(topic, frozenset(subjects))
        for listener in tuple(self.listeners):
            try:
                listener(news)
            except Exception as error:
                _log.error("a listener broke", topic=topic.value, exc_info=error)

    async def tell_prices(self, skus: Iterable[str]) -> None:
        """News of many SKUs, in portions: tills are answered in between."""
        told = sorted(skus)
        for start in range(0, len(told), NEWS_SUBJECTS_MAX):
            self.tell(Topic.PRICES, *told[start : start + NEWS_SUBJECTS_MAX])
            await asyncio.sleep(NEWS_REST_S)

    async def record(self, operation: Operation[_Result], *, short: bool = False) -> _Result:
        """Run a ledger operation (`short`: see `Writer`); when it is committed, say that there may be facts to push.

        Raises `Transient` while the disk has no room for facts.
        """
        self.disk.must_take_facts()
        result = await self.books.ledger.submit(operation, short=short)
        self.tell(Topic.FACT)
        return result

    def moment(self) -> Moment:
        """Now, for prices, with a look at the clock: `trusted` is as of this moment too."""
        return Moment(self.clock.wall_ms(), self.clock.check())

    def mint(self) -> str:
        """A fresh random id."""
        return f"{self.randomness.getrandbits(96):024x}"

    def local(self, wall_ms: int) -> datetime:
        """A moment in the store's own time zone."""
        return datetime.fromtimestamp(wall_ms / 1000, UTC).astimezone(self.identity.time_zone)

    def business_day(self, wall_ms: int) -> str:
        """The calendar day in the store's zone, for facts that no till dated."""
        return self.local(wall_ms).date().isoformat()

    def day_gone_powered_ms(self, last_day: date) -> int | None:
        """When the last shopper who read "until" this day has walked to the till, on the powered clock.

        `None` while the clock is not believed. Never too early: time switched off comes on top, and so does what a
        clock that is believed may be ahead.
        """
        if not self.clock.check():
            return None
        midnight = datetime.combine(last_day + timedelta(days=1), time(), self.identity.time_zone)
        left_ms = max(0, int(midnight.timestamp() * 1000) - self.clock.wall_ms())
        return self.clock.powered_ms() + left_ms + WALL_DRIFT_MAX_MS + self.policy.grace_s * 1000

    def shoppers_gone_in_ms(self) -> int | None:
        """Until the store is closed and cleared out; `None` when always open or the clock is not believed.

        Looked at now: a clock that ran away since anybody looked last must not send shoppers home.
        """
        if not self.clock.check():
            return None
        return shoppers_gone_in_ms(self.policy, self.local(self.clock.wall_ms()))
