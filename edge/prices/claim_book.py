"""The book of claims in `ledger.db`: opened before an offer, closed by a proof, and the cap they put on a price.

The rules are in `edge.domain.claims`; these functions read and write their rows inside one writer operation.
Labels and claims are looked up by label address; times are on the powered clock, in milliseconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from edge.db.connection import Connection
from edge.db.label_rows import must_have
from edge.db.queries import LEDGER
from edge.domain.claims import Cap, Claim, after_offer, after_proof, cap
from edge.limits import CLAIMS_PER_LABEL_MAX


@dataclass(frozen=True, slots=True)
class Offered:
    """A picture about to be offered: its version, the content it was drawn from, and the price it names."""

    label: str
    version: str
    content: str
    sku: str
    price_minor: int
    currency: str


class TooManyClaims(Exception):
    """The label has so many unproven pictures of different products out that another must wait for a proof."""


def open_claim(connection: Connection, offered: Offered, now_powered_ms: int, now_ms: int) -> None:
    """Commit what a shopper may read from now on; only then may the picture be offered.

    Raises `TooManyClaims`; then nothing may be offered.
    """
    order = must_have(connection, offered.label).offer_order + 1
    before = claims_of_label(connection, offered.label)
    after = after_offer(before, Claim(offered.label, offered.sku, offered.price_minor, order), CLAIMS_PER_LABEL_MAX)
    if after is None:
        raise TooManyClaims(f"label {offered.label} holds {len(before)} unproven claims")
    connection.execute(LEDGER.offer_label, (order, now_ms, offered.label))
    connection.execute(LEDGER.put_picture, (offered.label, offered.version, order, offered.content, offered.sku,
                                            offered.price_minor, offered.currency))
    _replace(connection, before, after, now_powered_ms)


def close_by_proof(connection: Connection, label: str, version: str, closes_powered_ms: int, now_powered_ms: int,
                   now_ms: int) -> Offered | None:
    """The label proved `version`: earlier claims of the label close. Returns the picture, `None` when it is unknown.

    A proof of an older picture than the last offer leaves the label outstanding: the newer may still come.
    """
    row = connection.execute(LEDGER.picture, (label, version)).fetchone()
    if row is None:
        connection.execute(LEDGER.doubt_label, (label,))
        return None
    order, content, sku, price_minor, currency = row
    newest = must_have(connection, label).offer_order
    before = claims_of_label(connection, label)
    after = after_proof(before, Claim(label, sku, price_minor, order), closes_powered_ms)
    connection.execute(LEDGER.prove_label, (int(newest != order), version, content, now_ms, label))
    connection.execute(LEDGER.forget_pictures_before, (label, order - _PICTURES_KEPT))
    _replace(connection, before, after, now_powered_ms)
    return Offered(label, version, content, sku, price_minor, currency)


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
    return cap(((Claim(*row[:5]), row[5]) for row in rows), now_powered_ms)


def expire(connection: Connection, now_powered_ms: int, count_max: int) -> list[str]:
    """Drop claims that have ended and lift their caps; returns the SKUs a till may now ask more for."""
    due = [sku for (sku,) in connection.execute(LEDGER.price_caps_expired, (now_powered_ms, count_max)).fetchall()]
    for key in connection.execute(LEDGER.claims_closed_before, (now_powered_ms, count_max)).fetchall():
        connection.execute(LEDGER.delete_claim, key)
    refresh_caps(connection, due, now_powered_ms)
    return due


def claims_of_label(connection: Connection, label: str) -> list[Claim]:
    """All claims of a label, closing ones included."""
    return [Claim(*row) for row in connection.execute(LEDGER.claims_of_label, (label,)).fetchall()]


_PICTURES_KEPT = 16
"""Pictures remembered behind a proven one, so that a proof of an old picture reopens its claim."""


def _replace(connection: Connection, before: list[Claim], after: list[Claim], now_powered_ms: int) -> None:
    kept = {(claim.sku, claim.price_minor) for claim in after}
    for claim in before:
        if (claim.sku, claim.price_minor) not in kept:
            connection.execute(LEDGER.delete_claim, (claim.label, claim.sku, claim.price_minor))
    for claim in after:
        if claim not in before:
            connection.execute(LEDGER.put_claim, (claim.label, claim.sku, claim.price_minor, claim.offer_order,
                                                  claim.closes_powered_ms))
    refresh_caps(connection, {claim.sku for claim in (*before, *after)}, now_powered_ms)
