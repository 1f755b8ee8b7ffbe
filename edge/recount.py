"""Counting the copies of feeds again, day by day and slice by slice: no bug of the fingerprints stays unseen."""

import structlog

from cloud_sync.contract.feeds import WITH_LOCAL_EFFECT, Feed
from edge.intake import Intake

_log = structlog.get_logger(__name__)
FEEDS = tuple(feed for feed in Feed if feed not in WITH_LOCAL_EFFECT)


class Recount:
    """One round after another over every copy. What is found wrong is no longer believed, so that the next checkpoint
    fetches it from the hub.

    `found` counts rows, or sums where more of those were wrong, per feed, as of the last whole round.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._feeds = list(FEEDS)
        self._after_key = ""
        self._finding: dict[Feed, int] = {}
        self.found: dict[Feed, int] = {}

    async def slice(self) -> bool:
        """Look at the next slice; returns whether the round is complete with it."""
        feed = self._feeds[0]
        recounted = await self._intake.recount(feed, self._after_key)
        if recounted.keys or recounted.buckets:
            known = self._finding.get(feed, 0) + len(recounted.keys)
            self._finding[feed] = max(known, len(recounted.buckets))
            _log.error("a copy was not what it should be; the hub is asked again", feed=feed.value,
                       rows=list(recounted.keys[:10]), buckets=list(recounted.buckets[:10]))
        if recounted.next_key is not None:
            self._after_key = recounted.next_key
            return False
        self._after_key = ""
        self._feeds.pop(0)
        if self._feeds:
            return False
        self._feeds, self.found, self._finding = list(FEEDS), self._finding, {}
        return True

    async def everything(self) -> dict[Feed, int]:
        """A whole round now, for whoever asks by hand; returns what was wrong, per feed."""
        self._feeds, self._after_key, self._finding = list(FEEDS), "", {}
        while not await self.slice():
            continue
        return self.found
