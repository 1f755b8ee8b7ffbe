"""Which product a label hangs under, and labels that a person took off the shelf (DESIGN.md section 5).

Every function is one writer operation on `ledger.db`; each records who decided it as a fact.
"""

from dataclasses import dataclass

from cloud_sync.contract.facts import StaffAct
from edge.db.connection import Connection
from edge.db.label_rows import LabelRow, label_row
from edge.db.ledger import Chain, draft, record
from edge.db.queries import LEDGER
from edge.errors import Rejected
from edge.prices.claim_book import claims_of_label, refresh_caps


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
    off_shelf = row.off_shelf_powered_ms if row.excluded_reason else None
    connection.execute(LEDGER.bind_label, (sku, off_shelf, label))
    _finish(connection, chain, label, act, "bind", f"{label} {sku}")


def unbind(connection: Connection, chain: Chain, label: str, act: Act) -> None:
    """Take the label from its product; its claims end after the shopper's walk."""
    row = _known(connection, label)
    off_shelf = row.off_shelf_powered_ms if row.excluded_reason else act.powered_ms + act.grace_ms
    connection.execute(LEDGER.bind_label, (None, off_shelf, label))
    _finish(connection, chain, label, act, "unbind", label)


def exclude(connection: Connection, chain: Chain, label: str, act: Act) -> None:
    """A person says the label does not count (broken, covered, replaced by paper); needs a reason.

    Its claims stop counting after the shopper's walk and count again when the exclusion ends.
    """
    if not act.reason.strip():
        raise Rejected("an exclusion needs a reason")
    row = _known(connection, label)
    if row.excluded_reason is None:
        ends = row.off_shelf_powered_ms if row.sku is None else act.powered_ms + act.grace_ms
        connection.execute(LEDGER.exclude_label, (act.reason, ends, label))
    _finish(connection, chain, label, act, "exclude", label)


def include(connection: Connection, chain: Chain, label: str, act: Act) -> None:
    """End the exclusion: every claim of the label that no proof has closed counts again."""
    row = _known(connection, label)
    ends = row.off_shelf_powered_ms if row.sku is None else None
    connection.execute(LEDGER.exclude_label, (None, ends, label))
    _finish(connection, chain, label, act, "include", label)


def void_claim(connection: Connection, chain: Chain, label: str, sku: str, price_minor: int, act: Act) -> None:
    """A supervisor strikes one claim, with a reason; it shows in the accuracy report."""
    if not act.reason.strip():
        raise Rejected("voiding a claim needs a reason")
    _known(connection, label)
    connection.execute(LEDGER.delete_claim, (label, sku, price_minor))
    connection.execute(LEDGER.doubt_label, (label,))
    refresh_caps(connection, (sku,), act.powered_ms)
    _finish(connection, chain, label, act, "void-claim", f"{label} {sku} {price_minor}")


def _known(connection: Connection, label: str) -> LabelRow:
    row = label_row(connection, label)
    if row is None:
        raise Rejected(f"no base station has heard a label {label}")
    return row


def _finish(connection: Connection, chain: Chain, label: str, act: Act, name: str, subject: str) -> None:
    refresh_caps(connection, {claim.sku for claim in claims_of_label(connection, label)}, act.powered_ms)
    fact = StaffAct(act=name, subject=subject, actor=act.actor, reason=act.reason)
    record(connection, chain, draft(f"staff/{act.act_id}", fact, occurred_ms=act.wall_ms, recorded_ms=act.wall_ms,
                                    business_day=act.business_day))
