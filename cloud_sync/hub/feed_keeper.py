"""Keeping feeds beside the requests: logs stay short, fingerprints stay right. Slice by slice, nothing waits long."""

import asyncio

import structlog

from cloud_sync.contract.fingerprints import BUCKETS
from cloud_sync.hub.app import Run
from cloud_sync.hub.feeds import FeedId
from cloud_sync.hub.limits import KEEP_FEEDS_EVERY_S, RECOUNT_BUCKETS_MAX, RECOUNT_EVERY_S
from cloud_sync.hub.storage import HubStorage


async def keep_feeds(storage: HubStorage, run: Run) -> None:
    """Shorten logs every `KEEP_FEEDS_EVERY_S`, count fingerprints again every `RECOUNT_EVERY_S`; in bounded slices."""
    log = structlog.get_logger("hub")
    recount_due_s = 0.0
    while True:
        await asyncio.sleep(KEEP_FEEDS_EVERY_S)
        due = asyncio.get_running_loop().time() >= recount_due_s
        try:
            for feed in await run(storage.logs):
                await _keep_feed(storage, run, feed, recount=due)
            if due:
                recount_due_s = asyncio.get_running_loop().time() + RECOUNT_EVERY_S
        except Exception as error:
            log.error("feeds could not be kept, trying again", error=type(error).__name__)


async def _keep_feed(storage: HubStorage, run: Run, feed: FeedId, *, recount: bool) -> None:
    pruned = 1
    while pruned:
        pruned = await run(storage.prune, feed)
    if not (recount and feed.has_fingerprint):
        return
    for first in range(0, BUCKETS, RECOUNT_BUCKETS_MAX):
        wrong = await run(storage.recount, feed, first)
        if wrong:
            structlog.get_logger("hub").error("a fingerprint was wrong and is right now", feed=str(feed), buckets=wrong)
        await asyncio.sleep(0)
