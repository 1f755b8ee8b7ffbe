"""Enrolling a box: the operator makes a one-time code for a store, the box trades it for its credential.

The box mints its token and sends the SHA-256 alone, so the secret never travels and a lost reply costs nothing: the
same code with the same hash is answered the same again. The newest enrolment speaks for the store.
"""

from dataclasses import dataclass, replace

import msgspec
import sqlalchemy as sa

from cloud_sync.contract.rebase import Enrol, Enrolled
from cloud_sync.hub import schema
from cloud_sync.hub.database import Database
from cloud_sync.hub.errors import Forbidden, Rejected
from cloud_sync.hub.limits import ENROLMENT_CODE_S, ENROLMENT_CODE_S_MAX
from cloud_sync.hub.principals import KnownTokens, Role
from cloud_sync.hub.rebase import newest_epoch
from cloud_sync.hub.secrets import mint_enrolment_code, token_hash
from cloud_sync.hub.sessions import read_session, write_session
from cloud_sync.hub.stores import lock_store

_HASH_CHARS = 64


class CodeRequest(msgspec.Struct, frozen=True):
    """`POST /v1/stores/{store}/enrolment-codes`."""

    valid_s: int = ENROLMENT_CODE_S


class CodeMade(msgspec.Struct, frozen=True):
    """`code` is shown this once."""

    store: str
    code: str
    expires_ms: int

    def __repr__(self) -> str:
        """Without the code."""
        return f"CodeMade(store={self.store!r})"


@dataclass(slots=True)
class Enrolments:
    """One transaction per call. `known`: what forgets whose token is whose."""

    database: Database
    known: KnownTokens

    def make_code(self, store: str, valid_s: int = ENROLMENT_CODE_S) -> CodeMade:
        """A code for one box of this store. Raises `NotFound`, `Rejected`."""
        if not 1 <= valid_s <= ENROLMENT_CODE_S_MAX:
            raise Rejected(f"a code is valid for 1 to {ENROLMENT_CODE_S_MAX} seconds")
        code, now_ms = mint_enrolment_code(self.database.random_bytes), self.database.now_ms()
        table, expires_ms = schema.enrolment_code, now_ms + valid_s * 1000
        with self.database.transaction() as connection:
            lock_store(connection, store)
            connection.execute(table.delete().where(  # what nobody can use any more
                table.c.store_id == store, table.c.expires_ms < now_ms - 1000 * ENROLMENT_CODE_S_MAX))
            connection.execute(table.insert(), {
                "store_id": store, "code_hash": _code_hash(code), "created_ms": now_ms, "expires_ms": expires_ms,
                "token_hash": "", "enrolment": 0, "epoch": 0})
        return CodeMade(store, code, expires_ms)

    def trade(self, enrol: Enrol) -> Enrolled:
        """Raises `Forbidden` for a code that is unknown, another store's, used or too old."""
        if len(enrol.token_hash) != _HASH_CHARS or set(enrol.token_hash) - set("0123456789abcdef"):
            raise Rejected("token_hash is a SHA-256 in lower-case hex")
        table, now_ms = schema.enrolment_code, self.database.now_ms()
        mine = sa.and_(table.c.store_id == enrol.store, table.c.code_hash == _code_hash(enrol.code))
        with self.database.transaction() as connection:
            connection.execute(sa.select(schema.store.c.store_id).where(
                schema.store.c.store_id == enrol.store).with_for_update()).one_or_none()
            code = connection.execute(sa.select(table).where(mine)).one_or_none()
            if code is None:
                raise Forbidden("the hub knows no such code for this store: make one there")
            if code.token_hash == enrol.token_hash:
                return Enrolled(enrol.store, code.enrolment, code.epoch)
            if code.token_hash:
                raise Forbidden("this code was used before: make another at the hub")
            if code.expires_ms <= now_ms:
                raise Forbidden("this code is too old: make another at the hub")
            enrolled = open_enrolment(connection, enrol.store, enrol.token_hash, now_ms, reserve_epoch=True)
            connection.execute(table.update().where(mine), {
                "token_hash": enrol.token_hash, "enrolment": enrolled.enrolment, "epoch": enrolled.epoch})
        self.known.forget()
        return enrolled


def open_enrolment(connection: sa.Connection, store: str, hashed: str, now_ms: int, *,
                   reserve_epoch: bool) -> Enrolled:
    """Let this token speak for the store, and no older one. `reserve_epoch`: its box writes in an epoch of its own."""
    session = read_session(connection, store)
    epoch = max(newest_epoch(connection, store), session.epoch) + 1 if reserve_epoch else session.epoch
    enrolment = session.enrolment + 1
    connection.execute(schema.credential.insert(), {
        "token_hash": hashed, "role": Role.STORE.value, "name": store, "store_id": store, "created_ms": now_ms,
        "enrolment": enrolment})
    if reserve_epoch:
        connection.execute(schema.ledger_epoch.insert(), {
            "store_id": store, "epoch": epoch, "enrolment": enrolment, "request": "", "after_epoch": 0,
            "after_sequence": 0, "granted_ms": now_ms})
    write_session(connection, store, replace(session, enrolment=enrolment, epoch=epoch))
    return Enrolled(store, enrolment, epoch)


def _code_hash(code: str) -> str:
    """However a person typed it: case, spaces and dashes put aside."""
    return token_hash("".join(sign for sign in code.upper() if sign.isalnum()))
