"""The statements over a family of feeds, built once: building one costs twenty times what running it costs.

`of_owner` and `of_feed` pick the log; see `FeedId.named`.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import bindparam

from cloud_sync.hub.schema import STORE_FEEDS, ZONE_FEEDS, FeedTables


@dataclass(frozen=True, slots=True)
class FeedStatements:
    """`heads`: those of the list `owners`. `records`: from `after` (excluded) to `until` (included).

    `documents`: those of the list `keys`. `buckets`: those of the list `wanted`.
    """

    head: sa.Select[str, int, int, str]
    locked_head: sa.Select[str, int, int, str]
    heads: sa.Select[str, str, int]
    move_head: sa.Update
    records: sa.Select[int, str, int, bytes | None, bool, str]
    next_checkpoint: sa.Select[int]
    documents: sa.Select[str, int, bytes | None, int]
    all_buckets: sa.Select[int, int, int]
    buckets: sa.Select[int, int, int]


def _statements(tables: FeedTables) -> FeedStatements:
    head, record, document, bucket = tables.head, tables.record, tables.document, tables.bucket

    def of_feed(table: sa.Table) -> sa.ColumnElement[bool]:
        return sa.and_(table.c[tables.owner.value] == bindparam("of_owner"), table.c.feed == bindparam("of_feed"))

    read_head = sa.select(head.c.generation, head.c.head_offset, head.c.tail_offset, head.c.root).where(of_feed(head))
    read_buckets = sa.select(bucket.c.bucket, bucket.c.row_count, bucket.c.total).where(of_feed(bucket))
    following = sa.and_(of_feed(record), record.c.feed_offset > bindparam("after"))
    return FeedStatements(
        head=read_head,
        locked_head=read_head.with_for_update(),
        heads=sa.select(head.c[tables.owner.value], head.c.feed, head.c.head_offset)
        .where(head.c[tables.owner.value].in_(bindparam("owners", expanding=True))),
        move_head=head.update().where(of_feed(head)).values(head_offset=bindparam("end"), root=bindparam("to_root")),
        records=sa.select(record.c.feed_offset, record.c.key, record.c.version, record.c.doc, record.c.checkpoint,
                          record.c.root)
        .where(following, record.c.feed_offset <= bindparam("until")).order_by(record.c.feed_offset),
        next_checkpoint=sa.select(sa.func.min(record.c.feed_offset)).where(following, record.c.checkpoint),
        documents=sa.select(document.c.key, document.c.version, document.c.doc, document.c.hash)
        .where(of_feed(document), document.c.key.in_(bindparam("keys", expanding=True))),
        all_buckets=read_buckets,
        buckets=read_buckets.where(bucket.c.bucket.in_(bindparam("wanted", expanding=True))))


ZONE_FEED_STATEMENTS, STORE_FEED_STATEMENTS = _statements(ZONE_FEEDS), _statements(STORE_FEEDS)
