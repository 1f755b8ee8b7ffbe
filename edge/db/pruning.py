"""Forgetting what has been kept long enough, a little at a time (DESIGN.md section 4, P10).

Ledger entries go once they are acknowledged *and* `LEDGER_KEEP_DAYS` old; the newest of those stays as the anchor on
which the rest of the chain hangs. Whether a fact was seen before is remembered for `FACT_KEEP_DAYS`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from edge.db.connection import Connection
from edge.db.ledger import Chain
from edge.db.queries import LEDGER
from edge.limits import FACT_KEEP_DAYS, LEDGER_KEEP_DAYS

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went; when either reached the bound of one call there may be more."""

    entries: int
    facts: int


def prune(connection: Connection, chain: Chain, now_ms: int, acked_sequence: int, count_max: int) -> Pruned:
    """Forget at most `count_max` entries and as many facts. Runs in the ledger writer's transaction."""
    kept_ms = now_ms - LEDGER_KEEP_DAYS * _DAY_MS
    entries = _prune_entries(connection, chain, kept_ms, acked_sequence, count_max)
    if acked_sequence:  # only a store in line may tell what a restored hub would have to be sent again
        connection.execute(LEDGER.prune_older_entries, (chain.epoch, count_max, kept_ms))
    old_ms = now_ms - FACT_KEEP_DAYS * _DAY_MS
    facts = connection.execute(LEDGER.prune_facts, (old_ms, count_max)).rowcount
    if facts:
        connection.execute(LEDGER.prune_voided)
        connection.execute(LEDGER.prune_exceptions, (old_ms,))
        connection.execute(LEDGER.prune_till_days, (_day(old_ms),))
    return Pruned(entries, facts)


def _prune_entries(connection: Connection, chain: Chain, old_ms: int, acked_sequence: int, count_max: int) -> int:
    """Entries are as old as their recording: a till may date a sale as it likes."""
    oldest = connection.execute(LEDGER.oldest_entries, (chain.epoch, acked_sequence, count_max)).fetchall()
    anchor = 0
    for sequence, recorded_ms in oldest:
        if recorded_ms is not None and recorded_ms >= old_ms:
            break
        anchor = sequence
    return connection.execute(LEDGER.prune_entries, (chain.epoch, anchor)).rowcount


def _day(wall_ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=wall_ms)).date().isoformat()
