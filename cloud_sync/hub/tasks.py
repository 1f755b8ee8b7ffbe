"""Tasks that the chain gives a store's staff: documents of the store's own feed. That one was done is a fact in the
store's ledger. Every request here may be sent again without harm.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from cloud_sync.contract.documents import Task
from cloud_sync.contract.feeds import Feed
from cloud_sync.hub.catalogue import text_mistakes
from cloud_sync.hub.database import Database
from cloud_sync.hub.errors import Rejected
from cloud_sync.hub.feeds import FeedId, Written, delete_document, put_documents, read_documents, read_head
from cloud_sync.hub.limits import INTEGER_MAX, KEY_MAX_CHARS, TEXT_MAX_CHARS
from cloud_sync.hub.stores import lock_store

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Task)


class TaskIn(msgspec.Struct, frozen=True):
    """`PUT /v1/stores/{store}/tasks/{task_id}`."""

    title: str
    detail: str = ""
    due_ms: int | None = None


@dataclass(slots=True)
class Tasks:
    """Tasks in the database; one transaction per call."""

    database: Database

    def put(self, store: str, task_id: str, wanted: TaskIn) -> Written:
        """Give a task, or say it anew: then its revision grows. Raises `Rejected`, `NotFound` for no such store."""
        mistakes = tuple(_mistakes(task_id, wanted))
        if mistakes:
            raise Rejected(mistakes[0], mistakes)
        feed = FeedId(Feed.TASKS, store)
        with self.database.transaction() as connection:
            lock_store(connection, store)
            standing = read_documents(connection, feed, [task_id]).get(task_id)
            before = _decoder.decode(standing.doc) if standing and standing.doc else None
            if before and (before.title, before.detail, before.due_ms) == (wanted.title, wanted.detail, wanted.due_ms):
                return Written(0, 1, read_head(connection, feed).offset)
            revision = standing.version + 1 if standing else 1
            task = Task(task_id, wanted.title, revision, wanted.detail, wanted.due_ms)
            return put_documents(connection, feed, {task_id: _encoder.encode(task)})

    def withdraw(self, store: str, task_id: str) -> Written:
        """Raises `NotFound`."""
        with self.database.transaction() as connection:
            lock_store(connection, store)
            return delete_document(connection, FeedId(Feed.TASKS, store), task_id)


def _mistakes(task_id: str, task: TaskIn) -> Iterator[str]:
    yield from text_mistakes({"task_id": task_id}, KEY_MAX_CHARS, filled=True)
    yield from text_mistakes({"title": task.title}, TEXT_MAX_CHARS, filled=True)
    yield from text_mistakes({"detail": task.detail}, TEXT_MAX_CHARS)
    if task.due_ms is not None and not 0 <= task.due_ms <= INTEGER_MAX:
        yield "due_ms is not a time"
