"""Claims and the charge rule: no customer is charged more than the shelf shows (DESIGN.md section 5, promise P3).

A picture on a label claims a price for the SKU it names, whatever the label is bound to later. Times are on the
powered clock (edge/clock.py), in milliseconds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Claim:
    """A price per unit a shopper may have read on `label`.

    `offer_order` is the label's last offer that renewed the claim. `closes_powered_ms` is `None` until a proof of a
    later offer says when it ends.
    """

    label: str
    sku: str
    price_minor: int
    offer_order: int
    closes_powered_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Cap:
    """The lowest open claim of a SKU, and when to look again (`None`: nothing of it is closing)."""

    cap_minor: int
    valid_until_powered_ms: int | None


def charge(list_price_minor: int, cap_minor: int | None) -> int:
    """The price a till may ask: never above what any shopper may have read."""
    return list_price_minor if cap_minor is None else min(list_price_minor, cap_minor)


def after_offer(claims: Sequence[Claim], offered: Claim, claims_max: int) -> list[Claim] | None:
    """The label's claims once `offered` is about to be put on air. To be committed before the offer.

    An equal claim is renewed, closing or not. Above `claims_max` the dearest earlier ones of a SKU fold into its
    cheapest; `None` when nothing can fold: the offer must wait for a proof.
    """
    kept = [claim for claim in claims if not _same_terms(claim, offered)]
    kept.append(offered)
    while len(kept) > claims_max:
        folded = _fold_dearest(kept, offered)
        if folded is None:
            return None
        kept = folded
    return kept


def after_proof(claims: Sequence[Claim], proven: Claim, closes_powered_ms: int) -> list[Claim]:
    """The label's claims once it proved the picture of `proven`: everything offered before it closes.

    Claims offered after it stay: their pictures may yet come. A claim that is closing already keeps its end. The
    proven picture's own claim is open whatever had closed it: the shelf shows it.
    """
    after = [_renewed(claim) if _same_terms(claim, proven) else _closed(claim, proven.offer_order, closes_powered_ms)
             for claim in claims]
    return after if any(_same_terms(claim, proven) for claim in claims) else [*after, proven]


def cap(claims: Iterable[tuple[Claim, int | None]], now_powered_ms: int) -> Cap | None:
    """The cap over a SKU's claims, each with its label's `off_shelf_powered_ms` (`None`: on the shelf)."""
    opened = [(claim, end) for claim, off_shelf in claims
              if (end := _end(claim, off_shelf)) is None or end > now_powered_ms]
    if not opened:
        return None
    ends = [end for _, end in opened if end is not None]
    return Cap(min(claim.price_minor for claim, _ in opened), min(ends, default=None))


def grace_end(now_powered_ms: int, settle_ms: int, grace_ms: int, shoppers_gone_in_ms: int | None) -> int:
    """When a claim ends whose picture was replaced now: screen settled, then the shopper's walk to the till.

    `shoppers_gone_in_ms`: until the store is closed and cleared out, `None` when it is not known or always open.
    The screen's own time always passes: proof may come before the screen has changed.
    """
    walk_ms = max(0, grace_ms)
    if shoppers_gone_in_ms is not None:
        walk_ms = min(walk_ms, max(0, shoppers_gone_in_ms - settle_ms))
    return now_powered_ms + settle_ms + walk_ms


def is_due(wanted_content: str, proven_content: str | None, outstanding: bool) -> bool:
    """Whether a label needs an offer: unless the wanted picture was proven after the last offer of any picture."""
    return outstanding or proven_content != wanted_content


def _same_terms(one: Claim, other: Claim) -> bool:
    return one.sku == other.sku and one.price_minor == other.price_minor


def _renewed(claim: Claim) -> Claim:
    return replace(claim, closes_powered_ms=None)


def _closed(claim: Claim, before_order: int, closes_powered_ms: int) -> Claim:
    if claim.offer_order >= before_order or claim.closes_powered_ms is not None:
        return claim
    return replace(claim, closes_powered_ms=closes_powered_ms)


def _fold_dearest(claims: list[Claim], offered: Claim) -> list[Claim] | None:
    """Drop the dearest claim of a SKU that has a cheaper one; the cheapest then lasts as long as both would have.

    Never the one just offered: the cheapest would inherit its order, and its proof could not close it.
    """
    earlier = [claim for claim in claims if claim is not offered]
    for dearest in sorted(earlier, key=lambda claim: -claim.price_minor):
        cheaper = [claim for claim in claims if claim.sku == dearest.sku and claim.price_minor < dearest.price_minor]
        if cheaper:
            cheapest = min(cheaper, key=lambda claim: claim.price_minor)
            lasting = replace(cheapest, offer_order=max(cheapest.offer_order, dearest.offer_order),
                              closes_powered_ms=_later(cheapest.closes_powered_ms, dearest.closes_powered_ms))
            return [lasting if claim is cheapest else claim for claim in claims if claim is not dearest]
    return None


def _later(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def _end(claim: Claim, off_shelf_powered_ms: int | None) -> int | None:
    ends = [end for end in (claim.closes_powered_ms, off_shelf_powered_ms) if end is not None]
    return min(ends, default=None)
