"""Who may write a store's ledger: the newest enrolment, in the process that began last, in the newest epoch.

A box proves that it lives by answering the `turn` of a welcome it heard; a request that was late in the line cannot.
So neither a ghost nor a process that ended can take the store from the one that runs. See DESIGN.md section 10.
"""

from dataclasses import dataclass, replace

import msgspec
import sqlalchemy as sa
import structlog

from cloud_sync.contract.ledger import GENESIS_HASH, Head, Hello, Place, Push, Verdict
from cloud_sync.hub import schema
from cloud_sync.hub.database import Database
from cloud_sync.hub.errors import DisplacedError
from cloud_sync.hub.limits import PAST_LIVES_MAX
from cloud_sync.hub.rows import upsert

_log = structlog.get_logger("hub")


@dataclass(frozen=True, slots=True)
class Session:
    """One row of `box_session`. `epoch` 0: nobody has said yet where he writes.

    `turn`: what the next process has to answer to take over; `displaced_turn`: what a displaced one would answer.
    """

    enrolment: int = 0
    epoch: int = 0
    life: str = ""
    past_lives: tuple[str, ...] = ()
    turn: str = ""
    displaced_turn: str = ""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a hello is answered."""

    verdict: Verdict
    detail: str
    turn: str

    @property
    def displaced(self) -> bool:
        """Whether another box speaks for the store."""
        return self.verdict in (Verdict.SUPERSEDED, Verdict.TWIN)


def read_session(connection: sa.Connection, store: str) -> Session:
    """Who speaks for a store."""
    row = connection.execute(sa.select(schema.box_session).where(
        schema.box_session.c.store_id == store)).one_or_none()
    if row is None:
        return Session()
    past = msgspec.json.decode(row.past_lives, type=tuple[str, ...])
    return Session(row.enrolment, row.epoch, row.life, past, row.turn, row.displaced_turn)


def write_session(connection: sa.Connection, store: str, session: Session) -> None:
    upsert(connection, schema.box_session, [{
        "store_id": store, "enrolment": session.enrolment, "epoch": session.epoch, "life": session.life,
        "past_lives": msgspec.json.encode(session.past_lives).decode(), "turn": session.turn,
        "displaced_turn": session.displaced_turn}],
        replace=["enrolment", "epoch", "life", "past_lives", "turn", "displaced_turn"])


def greet(connection: sa.Connection, database: Database, store: str, enrolment: int, hello: Hello) -> Greeting:
    """Judge a hello. The caller holds the store's lock; `enrolment` is the credential's."""
    session = read_session(connection, store)
    displaced = _displaced(session, enrolment, hello.life)
    if displaced is not None:
        return _turn_away(connection, database, store, session, hello, displaced)
    if hello.life and hello.life != session.life:
        if not session.turn or hello.answered != session.turn:
            session = replace(session, turn=database.mint())
            write_session(connection, store, session)
            return Greeting(Verdict.AGAIN, "say hello again with this turn", session.turn)
        past = (session.life, *session.past_lives) if session.life else session.past_lives
        session = replace(session, life=hello.life, past_lives=past[:PAST_LIVES_MAX], turn=database.mint())
        write_session(connection, store, session)
    if hello.box_epoch > session.epoch:  # the first one ever, or this hub was restored from before it was given
        session = replace(session, epoch=hello.box_epoch)
        write_session(connection, store, session)
    verdict, detail = _judge(connection, store, session, hello)
    return Greeting(verdict, detail, session.turn)


def check_push(connection: sa.Connection, store: str, enrolment: int | None, push: Push) -> None:
    """Raises `DisplacedError` for a box that may not write. `enrolment` `None`: nobody asked who it is."""
    session = read_session(connection, store)
    if enrolment is not None and enrolment < session.enrolment:
        raise DisplacedError(Verdict.SUPERSEDED, f"enrolment {session.enrolment} speaks for this store")
    if push.life and push.life != session.life:
        known = push.life in session.past_lives
        raise DisplacedError(Verdict.TWIN if known else Verdict.AGAIN, "another process speaks for this store")
    writes_in = push.box_epoch or push.epoch
    if writes_in < session.epoch or (push.box_epoch and writes_in > session.epoch):
        raise DisplacedError(Verdict.REBASE, f"this store writes in epoch {session.epoch}, not in {writes_in}")


def check_box(session: Session, enrolment: int, life: str) -> None:
    """Raises `DisplacedError` unless this is the box that speaks for the store."""
    displaced = _displaced(session, enrolment, life)
    if displaced is None and life and life != session.life:
        displaced = Verdict.AGAIN
    if displaced is not None:
        raise DisplacedError(displaced, "another box speaks for this store")


def hash_at(connection: sa.Connection, store: str, epoch: int, sequence: int) -> str | None:
    """The hash of an entry, `GENESIS_HASH` for 0, `None` for one that is not here."""
    if sequence == 0:
        return GENESIS_HASH
    table = schema.ledger_entry
    found: str | None = connection.execute(sa.select(table.c.hash).where(
        table.c.store_id == store, table.c.epoch == epoch, table.c.sequence == sequence)).scalar()
    return found


def read_heads(connection: sa.Connection, store: str, before: int) -> dict[int, Head]:
    """Where each epoch before this one ends."""
    table = schema.ledger_head
    rows = connection.execute(sa.select(table.c.epoch, table.c.sequence, table.c.hash).where(
        table.c.store_id == store, table.c.epoch < before).order_by(table.c.epoch))
    return {row.epoch: Head(row.sequence, row.hash) for row in rows}


def raise_alarm(connection: sa.Connection, store: str, place: Place, reason: str, detail: str, now_ms: int) -> None:
    """One row per epoch and reason, however often it happens, and one line in the log."""
    table, epoch = schema.alarm, place[0]
    known = connection.execute(sa.select(table.c.reason).where(
        table.c.store_id == store, table.c.epoch == epoch, table.c.reason == reason)).first()
    if known is None:
        _log.error("a person must look at this store", store=store, reason=reason, epoch=epoch, detail=detail)
    upsert(connection, table, [{"store_id": store, "epoch": epoch, "reason": reason, "detail": detail,
                                "first_ms": now_ms, "last_ms": now_ms, "count": 1}],
           replace=["detail", "last_ms"], add=["count"])


def _displaced(session: Session, enrolment: int, life: str) -> Verdict | None:
    if enrolment < session.enrolment:
        return Verdict.SUPERSEDED
    if life and life in session.past_lives:
        return Verdict.TWIN
    return None


def _turn_away(connection: sa.Connection, database: Database, store: str, session: Session, hello: Hello,
               verdict: Verdict) -> Greeting:
    """Another box speaks for the store. Whoever answers what it was told here is alive: two boxes, an alarm."""
    detail = ("another box was enrolled after this one and speaks for the store" if verdict is Verdict.SUPERSEDED else
              "another process that began later speaks for the store with this very credential")
    if not hello.life or (session.displaced_turn and hello.answered == session.displaced_turn):
        raise_alarm(connection, store, (hello.box_epoch, hello.head.sequence), verdict.value,
                    f"two boxes are alive: {detail}", database.now_ms())
    turn = database.mint()
    write_session(connection, store, replace(session, displaced_turn=turn))
    return Greeting(verdict, detail, turn)


def _judge(connection: sa.Connection, store: str, session: Session, hello: Hello) -> tuple[Verdict, str]:
    """Only the ledger's head and its hash decide. What travels while entries are pushed may look like a box that is
    behind; so the box looks for itself before it does anything about it."""
    if hello.box_epoch < session.epoch:
        return Verdict.REBASE, f"epoch {hello.box_epoch} is over, the store writes in {session.epoch}"
    held = hash_at(connection, store, hello.box_epoch, hello.head.sequence)
    if held is not None and held != hello.head.hash:
        return Verdict.REBASE, f"entry {hello.head.sequence} has another hash here"
    behind = hash_at(connection, store, hello.box_epoch, hello.head.sequence + 1) if held else None
    if behind is not None:
        return Verdict.REBASE, f"the hub holds entries behind {hello.head.sequence}"
    return Verdict.CONTINUE, ""
