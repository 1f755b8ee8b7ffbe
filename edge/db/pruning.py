"""Forgetting what has been kept long enough, a little at a time (DESIGN.md section 4, P10).

Ledger entries go once they are acknowledged *and* `LEDGER_KEEP_DAYS` old; the newest of those stays as the anchor on
which the rest of the chain hangs. Whether a fact was seen before is remembered for `FACT_KEEP_DAYS`. Each function
here works on so many rows at most, in the ledger writer's transaction; those that only look take a reader.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from edge.db.connection import Connection
from edge.db.ledger import Chain
from edge.db.queries import LEDGER
from edge.limits import FACT_KEEP_DAYS, LEDGER_KEEP_DAYS, PICTURES_SHED_KEEP

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went. `more`: one of the bounds was reached, so that there may be more to do."""

    entries: int
    facts: int
    others: int
    more: bool


def prune(connection: Connection, chain: Chain, now_ms: int, acked_sequence: int, count_max: int) -> Pruned:
    """Forget at most `count_max` entries, as many facts, and as many of each other kind."""
    old_ms = now_ms - FACT_KEEP_DAYS * _DAY_MS
    entries = _prune_entries(connection, chain, now_ms - LEDGER_KEEP_DAYS * _DAY_MS, acked_sequence, count_max)
    if acked_sequence:  # only a store in line may tell what a restored hub would have to be sent again
        connection.execute(LEDGER.prune_older_entries, (chain.epoch, count_max, now_ms - LEDGER_KEEP_DAYS * _DAY_MS))
    facts = connection.execute(LEDGER.prune_facts, (old_ms, count_max)).rowcount
    others = (connection.execute(LEDGER.prune_voided, (count_max,)).rowcount if facts else 0,
              connection.execute(LEDGER.prune_exceptions, (old_ms, count_max)).rowcount,
              connection.execute(LEDGER.prune_till_days, (_day(old_ms), count_max)).rowcount,
              connection.execute(LEDGER.prune_till_clocks, (old_ms, old_ms, count_max)).rowcount,
              connection.execute(LEDGER.prune_guard_decisions, (old_ms, count_max)).rowcount,
              connection.execute(LEDGER.prune_order_returns, (old_ms, count_max)).rowcount,
              *_prune_stock_acts(connection, old_ms, count_max))
    more = max(entries + 1, facts, *others) >= count_max  # of the oldest entries the anchor stays
    return Pruned(entries, facts, sum(others), more)


@dataclass(frozen=True, slots=True)
class Intervals:
    """What a slice of the price history holds: what may go, and behind which row the next slice begins."""

    outlived: tuple[tuple[str, int], ...]
    next_after: tuple[str, int] | None


def outlived_intervals(reader: Connection, after: tuple[str, int], old_ms: int, count_max: int) -> Intervals:
    """Look at `count_max` intervals behind `after` (SKU and beginning). One that ended before `old_ms` may go; what
    held when the kept time begins is part of it. `next_after` is `None` behind the last."""
    rows: list[tuple[str, int]] = reader.execute(LEDGER.intervals_after, (*after, count_max)).fetchall()
    outlived = tuple(first for first, second in pairwise(rows) if first[0] == second[0] and second[1] <= old_ms)
    if len(rows) < count_max:
        return Intervals(outlived, None)
    sku, from_ms = rows[-1]
    return Intervals(outlived, (sku, from_ms - 1))  # whether the last one ended is seen only with the next


def forget_intervals(connection: Connection, outlived: tuple[tuple[str, int], ...]) -> None:
    connection.executemany(LEDGER.delete_interval, outlived)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Labels of a slice that keep more pictures than they need, and the label behind which the next slice begins."""

    labels: tuple[str, ...]
    next_after: str | None


def labels_with_old_pictures(reader: Connection, after: str, count_max: int) -> Pictures:
    """Look at `count_max` labels behind `after`."""
    rows = reader.execute(LEDGER.picture_counts, (after, count_max)).fetchall()
    labels = tuple(label for label, count in rows if count > PICTURES_SHED_KEEP + 1)  # the proven one may be old
    return Pictures(labels, rows[-1][0] if len(rows) == count_max else None)


def forget_pictures(connection: Connection, labels: tuple[str, ...]) -> None:
    """Keep the newest `PICTURES_SHED_KEEP` of each label and the one it proved. A proof of any other then only makes
    the label due again; its claim stays."""
    connection.executemany(LEDGER.shed_pictures, [(label, label, PICTURES_SHED_KEEP, label) for label in labels])


def _prune_entries(connection: Connection, chain: Chain, old_ms: int, acked_sequence: int, count_max: int) -> int:
    """Entries are as old as their recording: a till may date a sale as it likes."""
    oldest = connection.execute(LEDGER.oldest_entries, (chain.epoch, acked_sequence, count_max)).fetchall()
    anchor = 0
    for sequence, recorded_ms in oldest:
        if recorded_ms is not None and recorded_ms >= old_ms:
            break
        anchor = sequence
    return connection.execute(LEDGER.prune_entries, (chain.epoch, anchor)).rowcount if anchor else 0


def _prune_stock_acts(connection: Connection, old_ms: int, count_max: int) -> tuple[int, ...]:
    """Counts, sessions and deliveries that ended long ago, and what hung on them."""
    return (connection.execute(LEDGER.prune_count_lines, (old_ms, count_max)).rowcount,
            connection.execute(LEDGER.prune_count_sessions, (old_ms, count_max)).rowcount,
            connection.execute(LEDGER.prune_count_scans, (count_max,)).rowcount,
            connection.execute(LEDGER.prune_count_wanted, (count_max,)).rowcount,
            connection.execute(LEDGER.prune_deliveries, (old_ms, count_max)).rowcount,
            connection.execute(LEDGER.prune_delivery_lines, (count_max,)).rowcount)


def _day(wall_ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=wall_ms)).date().isoformat()
