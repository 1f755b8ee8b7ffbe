"""Tasks that the chain gives this store: taken from the feed by revision, listed for staff, done once per revision."""

import msgspec

from cloud_sync.contract.documents import Task
from cloud_sync.contract.facts import TaskDone
from cloud_sync.contract.feeds import Batch, Cursor, Delete, Feed, Put
from edge.db.connection import Connection
from edge.db.ledger import draft, is_recorded, record
from edge.db.queries import LEDGER, many
from edge.errors import Rejected
from edge.limits import TASKS_LISTED_MAX
from edge.store import Store, Topic

_decoder = msgspec.json.Decoder(Task)


class OpenTask(msgspec.Struct, frozen=True):
    """What staff see."""

    id: str
    revision: int
    title: str
    detail: str
    due_ms: int | None


class TaskDesk:
    """The tasks of this store, in `ledger.db`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def cursor(self) -> Cursor | None:
        """How far this store has come in the feed."""
        row = self._store.books.ledger_reader.execute(LEDGER.cursor, (Feed.TASKS,)).fetchone()
        return Cursor(*row) if row else None

    async def apply(self, batch: Batch) -> None:
        """Take tasks from the hub, each revision once, with the cursor in one transaction.

        Raises `msgspec.MsgspecError` for a document that breaks the contract.
        """
        tasks = [_decoder.decode(change.doc) for change in batch.changes if isinstance(change, Put)]
        withdrawn = [change for change in batch.changes if isinstance(change, Delete)]

        def operation(connection: Connection) -> None:
            if batch.checkpoint.whole:
                names = many(task.id for task in tasks)
                connection.execute(LEDGER.withdraw_tasks_but, (names,))
            for task in tasks:
                connection.execute(LEDGER.put_task, (task.id, task.revision, task.title, task.detail, task.due_ms))
            for change in withdrawn:
                connection.execute(LEDGER.withdraw_task, (change.version, change.key, change.version))
            connection.execute(LEDGER.put_cursor, (Feed.TASKS, batch.checkpoint.generation, batch.checkpoint.offset))

        await self._store.books.ledger.submit(operation)
        self._store.tell(Topic.ISSUE)

    def open(self) -> list[OpenTask]:
        """What is to be done, the most urgent first."""
        rows = self._store.books.ledger_reader.execute(LEDGER.open_tasks, (TASKS_LISTED_MAX,)).fetchall()
        return [OpenTask(*row) for row in rows]

    async def done(self, task_id: str, revision: int, actor: str, note: str) -> None:
        """Somebody did it; said twice, it counts once. Raises `Rejected` for a task or revision nobody gave."""
        row = self._store.books.ledger_reader.execute(LEDGER.task, (task_id,)).fetchone()
        if row is None or not 1 <= revision <= row[1]:
            raise Rejected(f"this store has no task {task_id!r} with revision {revision}")
        now_ms = self._store.clock.wall_ms()
        fact = TaskDone(task_id, revision, actor, note)

        def operation(connection: Connection) -> None:
            made = draft(f"task/{task_id}/{revision}", fact, occurred_ms=now_ms, recorded_ms=now_ms,
                         business_day=self._store.business_day(now_ms))
            if not is_recorded(connection, made.fact_key):  # whoever did it first, did it
                record(connection, self._store.books.chain, made)
                connection.execute(LEDGER.task_done, (revision, task_id))

        await self._store.record(operation)
        self._store.tell(Topic.ISSUE)
