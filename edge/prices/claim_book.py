"""The book of claims in `ledger.db`: opened before an offer, closed by a proof, and the cap they put on a price.

The rules are in `edge.domain.claims`; these functions read and write their rows inside one writer operation.
Labels and claims are looked up by label address; times are on the powered clock, in milliseconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from edge.db.connection import Connection
from edge.db.label_rows import label_row, must_have
from edge.db.queries import LEDGER
from edge.domain.claims import Cap, Claim, after_offer, after_proof, cap, left_behind
from edge.limits import CLAIMS_PER_LABEL_MAX, PICTURES_PER_LABEL_MAX


@dataclass(frozen=True, slots=True)
class ShownTerm:
    """What a promotion gives on a condition, as a label says it. `key` names its terms, `terms` is their JSON."""

    key: str
    promotion_id: str
    version: int
    kind: str
    terms: bytes


@dataclass(frozen=True, slots=True)
class Offered:
    """A picture about to be offered: its version, the content it was drawn from, and the price it names.

    `term`: what it promises on a condition beside the price. `ends_powered_ms`: until when it says that it holds, with
    the shopper's grace; `None`: it does not say.
    """

    label: str
    version: str
    content: str
    sku: str
    price_minor: int
    currency: str
    term: ShownTerm | None = None
    ends_powered_ms: int | None = None


class ProofOutcome(Enum):
    """What a proof told us."""

    PROVEN = "proven"
    """The last offer's picture is on the label."""
    OLDER = "older"
    """The label holds an earlier picture; the last offer may still come."""
    REPEATED = "repeated"
    """We knew."""
    EARLY = "early"
    """It was heard before the picture was offered once more: it says nothing about what was offered in between."""
    UNKNOWN = "unknown"
    """No picture of ours, or one long forgotten: whatever it says, nothing may be closed by it."""


@dataclass(frozen=True, slots=True)
class ReadProof:
    """A proof and the picture it is of (`None` when unknown)."""

    outcome: ProofOutcome
    picture: Offered | None


class TooManyClaims(Exception):
    """The label has so many unproven pictures of different products out that another must wait for a proof."""


def open_claim(connection: Connection, offered: Offered, now_powered_ms: int, now_ms: int) -> int:
    """Commit what a shopper may read from now on; only then may the picture be offered. Returns the offer's order.

    Raises `TooManyClaims`; then nothing may be offered.
    """
    order = must_have(connection, offered.label).offer_order + 1
    before = claims_of_label(connection, offered.label)
    term = offered.term.key if offered.term else ""
    after = after_offer(before, _claims_made(offered.label, offered.sku, offered.price_minor, order, term,
                                             offered.ends_powered_ms), CLAIMS_PER_LABEL_MAX)
    if after is None:
        raise TooManyClaims(f"label {offered.label} holds {len(before)} unproven claims")
    connection.execute(LEDGER.offer_label, (order, now_ms, offered.label))
    connection.execute(LEDGER.put_picture, (offered.label, offered.version, order, offered.content, offered.sku,
                                            offered.price_minor, offered.currency, term, offered.ends_powered_ms))
    connection.execute(LEDGER.forget_old_pictures, (offered.label, offered.label, PICTURES_PER_LABEL_MAX))
    if offered.term and connection.execute(LEDGER.put_shown_term, (
            term, offered.term.promotion_id, offered.term.version, offered.term.kind, offered.term.terms)).rowcount:
        connection.execute(LEDGER.shown_terms_changed)
    _replace(connection, before, after, now_powered_ms)
    return order


def _claims_made(label: str, sku: str, price_minor: int, order: int, term: str, ends_powered_ms: int | None
                 ) -> list[Claim]:
    """What a picture claims: its price, and what it promises on a condition."""
    price = Claim(label, sku, price_minor, order, ends_powered_ms=ends_powered_ms)
    return [price, Claim(label, sku, 0, order, None, term, ends_powered_ms)] if term else [price]


def close_by_proof(connection: Connection, label: str, version: str, closes_powered_ms: int, now_powered_ms: int,
                   now_ms: int, *, handed_order: int) -> ReadProof:
    """The label proved `version`: its earlier claims close at `closes_powered_ms`.

    `handed_order`: the label's last offer that was on its way to the base station when the proof was heard, 0 for
    none. A proof of an older picture than the last offer leaves the label outstanding: the newer may still come.
    """
    row, label_now = connection.execute(LEDGER.picture, (label, version)).fetchone(), label_row(connection, label)
    if row is None or label_now is None:
        connection.execute(LEDGER.doubt_label, (label,))
        return ReadProof(ProofOutcome.UNKNOWN, None)
    order, content, sku, price_minor, currency, term, ends_powered_ms = row
    picture = Offered(label, version, content, sku, price_minor, currency)
    if label_now.outstanding and order > handed_order:
        return ReadProof(ProofOutcome.EARLY, picture)
    older = order != label_now.offer_order
    connection.execute(LEDGER.prove_label, (int(older), version, content, now_ms, label))
    if not label_now.outstanding and not older and label_now.proven_version == version:
        return ReadProof(ProofOutcome.REPEATED, picture)
    before = claims_of_label(connection, label)
    proven = _claims_made(label, sku, price_minor, order, term, ends_powered_ms)
    _replace(connection, before, after_proof(before, proven, closes_powered_ms), now_powered_ms)
    return ReadProof(ProofOutcome.OLDER if older else ProofOutcome.PROVEN, picture)


def doubt(connection: Connection, label: str, now_powered_ms: int) -> None:
    """The label may not show what it last proved (it restarted while it drew, or finished one of several pictures).

    Claims that are still closing stay open until the next proof: what they name may be on the shelf after all.
    """
    connection.execute(LEDGER.doubt_label, (label,))
    connection.execute(LEDGER.reopen_claims, (label, now_powered_ms))
    refresh_label(connection, label, now_powered_ms)


def leave_claims(connection: Connection, label: str, station: str) -> None:
    """The label goes to another base station, and nobody can say now that `station` will not give it a picture yet.

    So what may be read of its outstanding pictures stays claimed, whatever the label proves elsewhere (P3), until
    `take_claims_back`. A label that proved its last offer leaves nothing behind.
    """
    if must_have(connection, label).outstanding:
        connection.execute(LEDGER.leave_claims, (station, label))


def take_claims_back(connection: Connection, label: str, station: str, now_powered_ms: int, now_ms: int) -> None:
    """From now on `station` gives the label nothing that is old. Whether it did before, nobody knows: the proof of an
    offer that is made after this closes what was left there."""
    left = [Claim(*row) for row in connection.execute(LEDGER.claims_left_at, (label, station)).fetchall()]
    if not left:
        return
    order = must_have(connection, label).offer_order + 1
    connection.execute(LEDGER.delete_claims_left_at, (label, station))
    connection.execute(LEDGER.offer_label, (order, now_ms, label))
    for claim in left_behind(claims_of_label(connection, label), left, order):
        _put(connection, claim)
    _refresh(connection, left, now_powered_ms)


def claim_by_history(connection: Connection, label: str, sku: str, price_minor: int, now: tuple[int, int]) -> None:
    """The hub says that `label` once proved this price; whether it still shows it nobody here knows.

    So the claim opens, as old as any, and the label is due: its first proof in this life closes it (P3). `now`: on the
    powered and on the wall clock, in milliseconds.
    """
    now_powered_ms, now_ms = now
    connection.execute(LEDGER.insert_label, (label, "", "", 0, now_ms))  # does nothing to one that is known
    before = claims_of_label(connection, label)
    order = max((claim.offer_order for claim in before if claim.said == (sku, price_minor, "")), default=0)
    connection.execute(LEDGER.doubt_label, (label,))
    opened = after_offer(before, [Claim(label, sku, price_minor, order)], CLAIMS_PER_LABEL_MAX)
    if opened is not None:
        _replace(connection, before, opened, now_powered_ms)


def refresh_caps(connection: Connection, skus: Iterable[str], now_powered_ms: int) -> None:
    """Compute the caps of these SKUs again."""
    for sku in skus:
        found = cap_of(connection, sku, now_powered_ms)
        if found is None:
            connection.execute(LEDGER.delete_price_cap, (sku,))
        else:
            connection.execute(LEDGER.put_price_cap, (sku, found.cap_minor, found.valid_until_powered_ms))


def cap_of(connection: Connection, sku: str, now_powered_ms: int) -> Cap | None:
    """The cap from the claims themselves, for when the stored one has run out."""
    rows = connection.execute(LEDGER.claims_of_sku, (sku,)).fetchall()
    return cap(((Claim(*row[:7]), row[7]) for row in rows), now_powered_ms)


def refresh_label(connection: Connection, label: str, now_powered_ms: int) -> None:
    """The label came on or off the shelf, or its claims were opened again: what follows from them."""
    _refresh(connection, claims_of_label(connection, label), now_powered_ms)


def refresh_terms(connection: Connection, terms: Iterable[str], now_powered_ms: int) -> None:
    """Until when these terms are to be kept, again; one that no label claims any more is forgotten."""
    changed = 0
    for term in terms:
        if connection.execute(LEDGER.term_stands, (term,)).fetchone():
            changed += connection.execute(LEDGER.set_term_end, (None, term, None)).rowcount
            continue
        claims, ends = connection.execute(LEDGER.term_ends, (term,)).fetchone()
        if not claims:
            changed += connection.execute(LEDGER.delete_shown_term, (term,)).rowcount
        else:
            until = ends if ends > now_powered_ms else 0
            changed += connection.execute(LEDGER.set_term_end, (until, term, until)).rowcount
    if changed:
        connection.execute(LEDGER.shown_terms_changed)


def _refresh(connection: Connection, claims: Iterable[Claim], now_powered_ms: int) -> None:
    claims = tuple(claims)
    refresh_caps(connection, {claim.sku for claim in claims if not claim.term}, now_powered_ms)
    refresh_terms(connection, {claim.term for claim in claims if claim.term}, now_powered_ms)


def expire(connection: Connection, now_powered_ms: int, count_max: int) -> list[str]:
    """Drop claims that have ended and lift what they held; returns the SKUs whose price or terms may change by it."""
    due = {sku for (sku,) in connection.execute(LEDGER.price_caps_expired, (now_powered_ms, count_max)).fetchall()}
    terms = {term for (term,) in connection.execute(LEDGER.terms_ended, (now_powered_ms, count_max)).fetchall()}
    with_terms = {sku for term in terms for (sku,) in connection.execute(LEDGER.skus_of_term, (term,)).fetchall()}
    over = connection.execute(LEDGER.claims_closed_before, (now_powered_ms, now_powered_ms, count_max)).fetchall()
    for key in over:
        connection.execute(LEDGER.delete_claim, key)
    refresh_caps(connection, due, now_powered_ms)
    refresh_terms(connection, terms | {term for *_, term in over if term}, now_powered_ms)
    return sorted(due | with_terms)


def claims_of_label(connection: Connection, label: str) -> list[Claim]:
    """The claims of a label where it is served now, closing ones included."""
    return [Claim(*row) for row in connection.execute(LEDGER.claims_of_label, (label,)).fetchall()]


def claims_to_show(connection: Connection, label: str) -> list[Claim]:
    """All claims of a label for people's eyes, each price once: also what it left behind at another base station."""
    return [Claim(*row) for row in connection.execute(LEDGER.claims_to_show, (label,)).fetchall()]


def _replace(connection: Connection, before: list[Claim], after: list[Claim], now_powered_ms: int) -> None:
    kept = {claim.said for claim in after}
    for claim in before:
        if claim.said not in kept:
            connection.execute(LEDGER.delete_claim, (claim.label, *claim.said))
    for claim in after:
        if claim not in before:
            _put(connection, claim)
    _refresh(connection, (*before, *after), now_powered_ms)


def _put(connection: Connection, claim: Claim) -> None:
    connection.execute(LEDGER.put_claim, (claim.label, *claim.said, claim.offer_order, claim.closes_powered_ms,
                                          claim.ends_powered_ms))
