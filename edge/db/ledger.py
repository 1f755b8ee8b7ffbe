"""Recording facts: seen before, chained, and their effect on stock, inside one writer operation (DESIGN.md section 4).

These functions run in the writer's transaction and take its connection. Rooms call `record` and then write their
own local effect, only when the receipt says the fact is new.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

import msgspec

from cloud_sync.contract.documents import Policy
from cloud_sync.contract.facts import (
    ExceptionRaised,
    Fact,
    Movement,
    PickupStep,
    StockMove,
    Transaction,
    decode_fact,
    encode_fact,
    stock_moves,
)
from cloud_sync.contract.ledger import GENESIS_HASH, Entry, Head, Place, entry_hash
from edge.clock import ClockStamp
from edge.db.connection import Connection
from edge.db.queries import LEDGER
from edge.db.rebase_rows import TakingBack, put_rebase
from edge.domain.card_data import has_card, masked, masked_values
from edge.errors import Rejected


@dataclass(frozen=True, slots=True)
class Chain:
    """Whose ledger this is: the store and the epoch it is written in, as last seen from the event loop.

    What is appended goes by the epoch that stands in the ledger itself: it may have changed since somebody queued.
    """

    store: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact about to be recorded. `digest` is of its meaning, not its bytes; times are wall-clock milliseconds."""

    fact_key: str
    fact: Fact
    digest: bytes
    occurred_ms: int
    business_day: str
    recorded_ms: int


class Outcome(Enum):
    """What became of a draft."""

    NEW = "new"
    REPEATED = "repeated"
    CONFLICT = "conflict"


class Answer(msgspec.Struct, frozen=True):
    """What the sender of a fact is told, now and every time it sends the same again."""

    recorded: bool
    fact_key: str
    epoch: int
    sequence: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """The outcome and the answer's JSON bytes; on a conflict the answer is the one to the first sender.

    `short_skus`: SKUs that the fact just took below what orders were promised; `negative_skus`: of which the book says
    since this fact that less than none is on the shelf.
    """

    outcome: Outcome
    answer: bytes
    sequence: int
    short_skus: tuple[str, ...] = ()
    epoch: int = 0
    negative_skus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shortages:
    """See `Receipt`."""

    short_skus: tuple[str, ...]
    negative_skus: tuple[str, ...]


VOIDED = "void"
"""The reason of a movement that takes a sale back whose void came first."""


def draft(fact_key: str, fact: Fact, *, occurred_ms: int, recorded_ms: int, business_day: str) -> Draft:
    """A draft of a fact minted in this store: its digest is that of its payload."""
    digest = hashlib.sha256(encode_fact(fact)).digest()
    return Draft(fact_key, fact, digest, occurred_ms, business_day, recorded_ms)


def digest_of(meaning: object) -> bytes:
    """SHA-256 of what somebody asks for: asked again under the same id, it is the same only if this is."""
    return hashlib.sha256(msgspec.json.encode(meaning)).digest()


def is_recorded(connection: Connection, fact_key: str) -> bool:
    """Whether a fact was recorded under this key: then `record` says what it was, and nothing else is looked at."""
    return connection.execute(LEDGER.fact, (fact_key,)).fetchone() is not None


def first_receipt(connection: Connection, fact_key: str, digest: bytes) -> Receipt | None:
    """What a fact of this key and meaning is answered when the key is taken; `None` when it is free."""
    known = connection.execute(LEDGER.fact, (fact_key,)).fetchone()
    if known is None:
        return None
    first_digest, answer, epoch, sequence = known
    outcome = Outcome.REPEATED if first_digest == digest else Outcome.CONFLICT
    return Receipt(outcome, answer, sequence, epoch=epoch)


def record(connection: Connection, chain: Chain, fact: Draft) -> Receipt:
    """Record a fact once. The same key and meaning again gives the first answer; another meaning is a conflict,
    itself recorded as an exception for a person. Card data that somebody put into it is masked.

    Raises `Rejected` for a key that is a card's number.
    """
    fact, payload = _without_cards(fact)
    first = first_receipt(connection, fact.fact_key, fact.digest)
    if first is not None:
        if first.outcome is Outcome.CONFLICT:
            raise_exception(connection, chain, _conflict(fact), fact.recorded_ms,
                            key=f"conflict/{fact.fact_key}/{fact.digest.hex()[:16]}")
        return first
    epoch, sequence = append(connection, chain, fact, payload)
    shortages = apply_moves(connection, stock_moves(fact.fact), kept=keeps_stock(fact.fact))
    flags = tuple(str(flag) for flag in getattr(fact.fact, "flags", ()))
    answer = msgspec.json.encode(Answer(True, fact.fact_key, epoch, sequence, flags))
    connection.execute(LEDGER.insert_fact, (fact.fact_key, fact.digest, answer, epoch, sequence, fact.recorded_ms))
    return Receipt(Outcome.NEW, answer, sequence, shortages.short_skus, epoch, shortages.negative_skus)


def append(connection: Connection, chain: Chain, fact: Draft, payload: bytes) -> Place:
    """Chain the fact, encoded as `payload`, behind the ledger's head; returns its place."""
    epoch, last_sequence, last_hash = connection.execute(LEDGER.newest_head).fetchone()
    sequence = (last_sequence or 0) + 1
    kind = fact.fact.__struct_config__.tag
    assert isinstance(kind, str)
    hashed = entry_hash(last_hash or GENESIS_HASH, chain.store, epoch, sequence, fact.fact_key, kind, fact.occurred_ms,
                        fact.business_day, payload)
    connection.execute(LEDGER.insert_entry, (epoch, sequence, fact.fact_key, kind, fact.occurred_ms,
                                             fact.business_day, payload, hashed))
    return epoch, sequence


def head(connection: Connection, chain: Chain) -> Head:
    """The ledger's last sequence and hash."""
    row = connection.execute(LEDGER.head, (chain.epoch,)).fetchone()
    return Head(*row) if row else Head()


def entries_after(connection: Connection, chain: Chain, sequence: int, count_max: int) -> tuple[str, list[Entry]]:
    """The hash of entry `sequence` and at most `count_max` entries behind it."""
    before = connection.execute(LEDGER.entry_hash, (chain.epoch, sequence)).fetchone() if sequence else (GENESIS_HASH,)
    rows = connection.execute(LEDGER.entries_from, (chain.epoch, sequence + 1, count_max)).fetchall()
    return before[0], [Entry(row[0], row[1], row[2], row[3], row[4], msgspec.Raw(row[5]), row[6],
                             None if row[8] is None else (row[7], row[8])) for row in rows]


def raise_exception(connection: Connection, chain: Chain, raised: ExceptionRaised, recorded_ms: int, key: str) -> None:
    """Record something for a person to decide, once per `key`: in the ledger and in the list people see."""
    raised = msgspec.structs.replace(raised, detail=masked(raised.detail), document=masked(raised.document))
    if is_recorded(connection, key):
        return  # once is enough, even if the second would say it in other words
    record(connection, chain, draft(key, raised, occurred_ms=recorded_ms, recorded_ms=recorded_ms,
                                    business_day=raised.business_day))
    connection.execute(LEDGER.insert_exception, (key, raised.reason, raised.about, raised.detail, raised.till,
                                                 raised.business_day, recorded_ms))


def fact_of(connection: Connection, fact_key: str) -> Fact | None:
    """The fact recorded under a key, while its entry is still kept."""
    known = connection.execute(LEDGER.fact, (fact_key,)).fetchone()
    row = connection.execute(LEDGER.entry, known[2:]).fetchone() if known else None
    return decode_fact(row[0]) if row else None


def keeps_stock(fact: Fact) -> bool:
    """Whether people keep the stock of what the fact moves: it was received, counted or adjusted, not only sold."""
    return not isinstance(fact, Transaction | PickupStep) and not (isinstance(fact, Movement)
                                                                   and fact.reason == VOIDED)


def apply_moves(connection: Connection, moves: Iterable[StockMove], *, kept: bool = False) -> Shortages:
    """Change the buckets; returns what is now sold below what is promised to orders, and what is now below nothing.

    `kept`: from now on people keep the stock of these SKUs; of others nobody is told that less than none is there.
    """
    short, negative = {}, {}
    for move in moves:
        sellable, reserved, is_kept = connection.execute(LEDGER.move_stock, (
            move.sku, move.sellable_milli, move.reserved_milli, move.staged_milli, move.quarantine_milli,
            int(kept))).fetchone()
        if sellable < 0 < reserved:
            short[move.sku] = True
        if is_kept and sellable + reserved < 0 <= sellable + reserved - move.sellable_milli - move.reserved_milli:
            negative[move.sku] = True
    return Shortages(tuple(short), tuple(negative))


def refuse_card_as_id(key: str) -> None:
    """Raises `Rejected` for a key that is a card's number: it cannot be masked, because it has to be found again."""
    if has_card(key) and any(has_card(part) for part in key.split("/") if not _MINTED.fullmatch(part)):
        raise Rejected("not recorded: its id or till is a card's number; give it another")


def _without_cards(fact: Draft) -> tuple[Draft, bytes]:
    """What a till or a person typed into the wrong field ends here, before any write (DESIGN.md section 8): the fact,
    and its payload."""
    refuse_card_as_id(fact.fact_key)
    payload = encode_fact(fact.fact)
    if has_card(payload.decode()):
        clean = masked_values(msgspec.to_builtins(fact.fact), _MADE_HERE)
        fact = replace(fact, fact=msgspec.convert(clean, Fact))
        payload = encode_fact(fact.fact)
    return fact, payload


_MINTED = re.compile(r"(?=.*[a-f])[0-9a-f]{16,64}")
"""Ids and fingerprints made by programs, in which any digits may come together."""

_MADE_HERE = frozenset({"version", "label", "order_id", "transition_id", "subject", "count", "session", "delivery",
                        "transfer", "tracking"})
"""Fields of facts that nobody types: ids and fingerprints, whose digits mean nothing."""


def _conflict(fact: Draft) -> ExceptionRaised:
    return ExceptionRaised(reason="conflict", about=fact.fact_key, detail="sent again with another meaning",
                           till=getattr(fact.fact, "till", ""), business_day=fact.business_day,
                           document=encode_fact(fact.fact).decode())


_CLOCK_KEY, _POLICY_KEY = "clock", "policy"


def load_clock(connection: Connection) -> ClockStamp | None:
    """The last persisted reading of the clocks."""
    row = connection.execute(LEDGER.get_meta, (_CLOCK_KEY,)).fetchone()
    return msgspec.json.decode(row[0], type=ClockStamp) if row else None


def store_clock(connection: Connection, stamp: ClockStamp) -> None:
    """Persist a reading of the clocks."""
    connection.execute(LEDGER.set_meta, (_CLOCK_KEY, msgspec.json.encode(stamp).decode()))


def load_policy(connection: Connection) -> Policy | None:
    """The policy that was last in force; `None` when there never was one."""
    row = connection.execute(LEDGER.get_meta, (_POLICY_KEY,)).fetchone()
    return msgspec.json.decode(row[0], type=Policy) if row else None


def store_policy(connection: Connection, policy: Policy) -> None:
    """Keep the policy where it outlives the replica: deadlines and promises go by it with the line down too (P8)."""
    connection.execute(LEDGER.set_meta, (_POLICY_KEY, msgspec.json.encode(policy).decode()))


def load_chain(connection: Connection, store: str, first_epoch: int = 1) -> Chain:
    """Whose ledger this file is; a new file is given to `store` with `first_epoch`, the one its enrolment gave it. Runs
    inside a transaction. A later epoch than 1 means that the hub may hold history: it is to be taken back first.

    Raises `ValueError` when the file belongs to another store.
    """
    row = connection.execute(LEDGER.get_meta, ("store",)).fetchone()
    if row is None:
        connection.execute(LEDGER.set_meta, ("store", store))
        connection.execute(LEDGER.set_meta, ("epoch", str(first_epoch)))
        if first_epoch > 1:
            put_rebase(connection, TakingBack(0, 0, GENESIS_HASH, first_epoch))
        return Chain(store, first_epoch)
    if row[0] != store:
        raise ValueError(f"ledger.db belongs to store {row[0]}, the configuration names store {store}")
    return Chain(store, int(connection.execute(LEDGER.get_meta, ("epoch",)).fetchone()[0]))
