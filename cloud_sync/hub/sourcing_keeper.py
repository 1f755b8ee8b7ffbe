"""Looks after orders for which a store is being found: by the clock, and soon after a store said something of one."""

import asyncio

import structlog

from cloud_sync.hub.app import Run
from cloud_sync.hub.bells import Bells
from cloud_sync.hub.limits import SOURCE_EVERY_S
from cloud_sync.hub.sourcing import orders_feed
from cloud_sync.hub.storage import HubStorage


async def keep_sourcing(storage: HubStorage, run: Run, bells: Bells) -> None:
    """Every `SOURCE_EVERY_S`. A database that is away for a while does not end it, nor one order that cannot go."""
    log = structlog.get_logger("hub")
    while True:
        try:
            await source_round(storage, run, bells)
        except Exception as error:
            log.error("orders could not be looked after, trying again", error=type(error).__name__)
        await asyncio.sleep(SOURCE_EVERY_S)


async def source_round(storage: HubStorage, run: Run, bells: Bells) -> int:
    """Do everything that is due now; returns how many orders that were."""
    log = structlog.get_logger("hub")
    due = await run(storage.sourcings.due)
    for zone, order_id in due:
        try:
            grown = await run(storage.sourcings.advance, zone, order_id)
        except Exception as error:
            log.error("an order could not be looked after, trying again", order=order_id, error=type(error).__name__)
            continue
        for store in sorted(grown):
            feed = orders_feed(store)
            bells.ring(feed, (await run(storage.head, feed)).offset)
    return len(due)
