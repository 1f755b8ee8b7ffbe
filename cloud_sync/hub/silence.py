"""Stores that are not heard of, and those that are again: told once each. One transaction per store."""

import asyncio
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from cloud_sync.hub import schema
from cloud_sync.hub.app import Run
from cloud_sync.hub.database import Database
from cloud_sync.hub.happenings import store_spoke
from cloud_sync.hub.limits import LOOK_FOR_SILENCE_EVERY_S, STORE_SILENT_S
from cloud_sync.hub.outbox import tell
from cloud_sync.hub.stores import lock_store

_STORE, _SILENT = schema.store, schema.silent_store


@dataclass(slots=True)
class Silences:
    """Several hub processes may look at once: under the store's lock each change is seen by one of them."""

    database: Database

    def look(self) -> list[str]:
        """Tell of every store that fell silent or came back since the last look; returns them."""
        return [store for store in self._changed() if self._settle(store)]

    def _changed(self) -> list[str]:
        silent = _SILENT.c.store_id.is_not(None)
        quiet = _STORE.c.last_seen_ms < self.database.now_ms() - 1000 * STORE_SILENT_S
        with self.database.reading() as connection:
            return list(connection.execute(sa.select(_STORE.c.store_id).select_from(_STORE.outerjoin(
                _SILENT, _SILENT.c.store_id == _STORE.c.store_id)).where(
                _STORE.c.last_seen_ms > 0, sa.or_(sa.and_(quiet, ~silent), sa.and_(~quiet, silent)),
            ).order_by(_STORE.c.store_id)).scalars())

    def _settle(self, store: str) -> bool:
        with self.database.transaction() as connection:
            lock_store(connection, store)
            now_ms = self.database.now_ms()
            seen = sa.select(_STORE.c.last_seen_ms).where(_STORE.c.store_id == store)
            seen_ms = connection.execute(seen).scalar_one()
            told = connection.execute(sa.select(_SILENT.c.since_ms).where(_SILENT.c.store_id == store)).scalar()
            silent = seen_ms < now_ms - 1000 * STORE_SILENT_S
            if silent == (told is not None):
                return False
            if silent:
                connection.execute(_SILENT.insert(), {"store_id": store, "since_ms": seen_ms})
            else:
                connection.execute(_SILENT.delete().where(_SILENT.c.store_id == store))
            tell(connection, self.database, store, [
                store_spoke(store, silent=silent, last_seen_ms=seen_ms, now_ms=now_ms)])
        return True


async def watch_silence(silences: Silences, run: Run) -> None:
    """From `STORE_SILENT_S` after the start on: before that it may be the hub that was not there to be spoken to."""
    log = structlog.get_logger("hub")
    await asyncio.sleep(STORE_SILENT_S)
    while True:
        try:
            await run(silences.look)
        except Exception as error:
            log.error("silent stores could not be looked for, trying again", error=type(error).__name__)
        await asyncio.sleep(LOOK_FOR_SILENCE_EVERY_S)
