"""Which product a label hangs under, and labels that a person took off the shelf (DESIGN.md section 5).

Every function is one writer operation on `ledger.db`; each records who decided it as a fact.
"""

from dataclasses import dataclass, replace

from cloud_sync.contract.facts import StaffAct, decode_fact
from edge.db.connection import Connection
from edge.db.label_rows import LabelRow, label_row
from edge.db.ledger import Chain, Outcome, draft, fact_of, record
from edge.db.queries import LEDGER
from edge.errors import Rejected
from edge.prices.claim_book import refresh_caps, refresh_label, refresh_terms


@dataclass(frozen=True, slots=True)
class Act:
    """Who did it, when, and the id that makes a repeat harmless. `grace_ms`: how long a shopper walks."""

    act_id: str
    actor: str
    wall_ms: int
    powered_ms: int
    business_day: str
    grace_ms: int
    reason: str = ""


def bind(connection: Connection, chain: Chain, label: str, sku: str, act: Act) -> None:
    """Hang the label under a product. What it showed before keeps its claims until another picture is proven."""
    row = _known(connection, label)
    if _is_new(connection, chain, act, "bind", f"{label} {sku}"):
        off_shelf = row.off_shelf_powered_ms if row.excluded_reason else None
        connection.execute(LEDGER.bind_label, (sku, off_shelf, label))
        refresh_label(connection, label, act.powered_ms)


def unbind(connection: Connection, chain: Chain, label: str, act: Act) -> None:
    """Take the label from its product; its claims end after the shopper's walk."""
    row = _known(connection, label)
    if _is_new(connection, chain, act, "unbind", label):
        off_shelf = row.off_shelf_powered_ms if row.excluded_reason else act.powered_ms + act.grace_ms
        connection.execute(LEDGER.bind_label, (None, off_shelf, label))
        refresh_label(connection, label, act.powered_ms)


def replace_by(connection: Connection, chain: Chain, label: str, other: str, act: Act) -> None:
    """Another label takes this one's place: it hangs under the product, this one under none. Both or neither.

    What this one shows keeps its claims for the shopper's walk, as when it is taken off.
    """
    if fact_of(connection, f"staff/{act.act_id}-off") is not None:
        return
    row = _known(connection, label)
    if row.sku is None:
        raise Rejected(f"label {label} hangs under no product that another could take over")
    if other == label:
        raise Rejected(f"label {label} cannot take its own place")
    bind(connection, chain, other, row.sku, act)
    unbind(connection, chain, label, replace(act, act_id=f"{act.act_id}-off"))


def exclude(connection: Connection, chain: Chain, label: str, act: Act) -> None:
    """A person says the label does not count (broken, covered, replaced by paper); needs a reason.

    Its claims stop counting after the shopper's walk and count again when the exclusion ends.
    """
    if not act.reason.strip():
        raise Rejected("an exclusion needs a reason")
    row = _known(connection, label)
    if _is_new(connection, chain, act, "exclude", label) and row.excluded_reason is None:
        ends = row.off_shelf_powered_ms if row.sku is None else act.powered_ms + act.grace_ms
        connection.execute(LEDGER.exclude_label, (act.reason, ends, label))
        refresh_label(connection, label, act.powered_ms)


def include(connection: Connection, chain: Chain, label: str, act: Act) -> None:
    """End the exclusion: every claim of the label that no proof has closed counts again."""
    row = _known(connection, label)
    if _is_new(connection, chain, act, "include", label):
        ends = row.off_shelf_powered_ms if row.sku is None else None
        connection.execute(LEDGER.exclude_label, (None, ends, label))
        refresh_label(connection, label, act.powered_ms)


def void_claim(connection: Connection, chain: Chain, label: str, sku: str, price_minor: int, act: Act, *,
               term: str = "") -> None:
    """A supervisor strikes one claim, with a reason; it shows in the accuracy report.

    `term`: what is struck is what the label promises on a condition, and the price is 0.
    """
    if not act.reason.strip():
        raise Rejected("voiding a claim needs a reason")
    _known(connection, label)
    said = term or f"{price_minor} (minor units)"
    if _is_new(connection, chain, act, "void-claim", f"{label} {sku} {term or price_minor}"):
        if not connection.execute(LEDGER.void_claim, (label, sku, price_minor, term)).rowcount:
            raise Rejected(f"label {label} has no claim of {said} for {sku}")
        connection.execute(LEDGER.doubt_label, (label,))
        refresh_caps(connection, (sku,), act.powered_ms)
        refresh_terms(connection, [term] if term else (), act.powered_ms)


def act_by_history(connection: Connection, fact: StaffAct, grace_ms: int, now: tuple[int, int]) -> str | None:
    """Hang, take down, exclude or include a label as somebody did before the ledger was restored; returns the label.

    `now`: on the powered and on the wall clock, in milliseconds. What was left of a grace is unknown: it begins anew.
    """
    now_powered_ms, now_ms = now
    grace_end_ms = now_powered_ms + grace_ms
    label, _, sku = fact.subject.partition(" ")
    if fact.act not in ("bind", "unbind", "exclude", "include"):
        return None
    connection.execute(LEDGER.insert_label, (label, "", "", 0, now_ms))  # does nothing to one that is known
    row = _known(connection, label)
    match fact.act:
        case "bind":
            ends = row.off_shelf_powered_ms if row.excluded_reason else None
            connection.execute(LEDGER.bind_label, (sku, ends, label))
        case "unbind":
            ends = row.off_shelf_powered_ms if row.excluded_reason else grace_end_ms
            connection.execute(LEDGER.bind_label, (None, ends, label))
        case "exclude":
            ends = row.off_shelf_powered_ms if row.sku is None else grace_end_ms
            connection.execute(LEDGER.exclude_label, (fact.reason or "excluded", ends, label))
        case "include":
            connection.execute(LEDGER.exclude_label, (None, row.off_shelf_powered_ms if row.sku is None else None,
                                                      label))
    refresh_label(connection, label, now_powered_ms)
    return label


def labels_acted_on(connection: Connection, epoch: int, acts_max: int) -> set[str]:
    """Labels that people did something with in this epoch, as far back as so many acts."""
    rows = connection.execute(LEDGER.newest_of_kind, (epoch, 0, "staff-act", acts_max)).fetchall()
    acts = (decode_fact(payload) for *_, payload in rows)
    return {act.subject.partition(" ")[0] for act in acts if isinstance(act, StaffAct)}


def _known(connection: Connection, label: str) -> LabelRow:
    row = label_row(connection, label)
    if row is None:
        raise Rejected(f"no base station has heard a label {label}")
    return row


def _is_new(connection: Connection, chain: Chain, act: Act, name: str, subject: str) -> bool:
    """Record who decided it; `False` when this very act was carried out before, so that it counts once (P2).

    Raises `Rejected` when its id was used for another act.
    """
    fact = StaffAct(act=name, subject=subject, actor=act.actor, reason=act.reason)
    key = f"staff/{act.act_id}"
    known = fact_of(connection, key)
    if known is not None:
        if known != fact:
            raise Rejected(f"act {act.act_id} was carried out before and meant something else; mint another id")
        return False
    return record(connection, chain, draft(key, fact, occurred_ms=act.wall_ms, recorded_ms=act.wall_ms,
                                           business_day=act.business_day)).outcome is Outcome.NEW
