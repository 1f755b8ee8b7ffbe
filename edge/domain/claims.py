"""Claims and the charge rule: no customer is charged more than the shelf shows (DESIGN.md section 5, promise P3).

A picture on a label claims a price for the SKU it names, whatever the label is bound to later. Times are on the
powered clock (edge/clock.py), in milliseconds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Claim:
    """A price per unit a shopper may have read on `label`; or with a `term` what one gets on a condition.

    `offer_order` is the label's last offer that renewed the claim. `closes_powered_ms` is `None` until a proof of a
    later offer says when it ends. `term` names a promotion's terms ("3 for 5.00"): such a claim has no price of its
    own, 0. `ends_powered_ms`: the picture says itself until when, with the shopper's grace; `None`: it does not.
    """

    label: str
    sku: str
    price_minor: int
    offer_order: int
    closes_powered_ms: int | None = None
    term: str = ""
    ends_powered_ms: int | None = None

    @property
    def said(self) -> tuple[str, int, str]:
        """What it says, whenever it was offered: claims of one label that say the same are one claim."""
        return self.sku, self.price_minor, self.term

    def end(self, off_shelf_powered_ms: int | None) -> int | None:
        """When it ends, as far as is known; `off_shelf_powered_ms`: when its label stopped to count."""
        return min((end for end in (self.closes_powered_ms, off_shelf_powered_ms, self.ends_powered_ms)
                    if end is not None), default=None)


@dataclass(frozen=True, slots=True)
class Cap:
    """The lowest open claim of a SKU, and when to look again (`None`: nothing of it is closing)."""

    cap_minor: int
    valid_until_powered_ms: int | None


def charge(list_price_minor: int, cap_minor: int | None) -> int:
    """The price a till may ask: never above what any shopper may have read."""
    return list_price_minor if cap_minor is None else min(list_price_minor, cap_minor)


def after_offer(claims: Sequence[Claim], offered: Sequence[Claim], claims_max: int) -> list[Claim] | None:
    """The label's claims once a picture that makes these is about to be put on air. To be committed before the offer.

    An equal claim is renewed, closing or not, and lasts as long as the longer printed end. Above `claims_max` the
    dearest earlier ones of a SKU fold into its cheapest; `None` when nothing can fold: the offer must wait for a proof.
    """
    renewed = [replace(claim, ends_powered_ms=_later(claim.ends_powered_ms, known.ends_powered_ms))
               if (known := _same(claims, claim)) else claim for claim in offered]
    kept = [claim for claim in claims if not _same(offered, claim)] + renewed
    while len(kept) > claims_max:
        folded = _fold_dearest(kept, renewed)
        if folded is None:
            return None
        kept = folded
    return kept


def after_proof(claims: Sequence[Claim], proven: Sequence[Claim], closes_powered_ms: int) -> list[Claim]:
    """The label's claims once it proved the picture that makes those of `proven`: everything offered before it closes.

    Claims offered after it stay: their pictures may yet come. A claim that is closing already keeps its end. The
    proven picture's own claims are open whatever had closed them: the shelf shows them.
    """
    order = proven[0].offer_order
    after = [_renewed(claim, same, closes_powered_ms) if (same := _same(proven, claim))
             else _closed(claim, order, closes_powered_ms) for claim in claims]
    return after + [claim for claim in proven if not _same(claims, claim)]


def left_behind(here: Sequence[Claim], left: Sequence[Claim], order: int) -> list[Claim]:
    """Claims that a label left at another base station, as they stand from offer `order` on, at which nothing more can
    come from there: open, and as long as the longer printed end of both places."""
    return [replace(claim, offer_order=order, closes_powered_ms=None, ends_powered_ms=_later(
        claim.ends_powered_ms, known.ends_powered_ms)) if (known := _same(here, claim))
        else replace(claim, offer_order=order, closes_powered_ms=None) for claim in left]


def cap(claims: Iterable[tuple[Claim, int | None]], now_powered_ms: int) -> Cap | None:
    """The cap over a SKU's claims without conditions, each with its label's `off_shelf_powered_ms` (`None`: on the
    shelf)."""
    opened = [(claim, end) for claim, off_shelf in claims
              if not claim.term and ((end := claim.end(off_shelf)) is None or end > now_powered_ms)]
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


def _same(claims: Iterable[Claim], claim: Claim) -> Claim | None:
    """The one of these that says the same."""
    return next((each for each in claims if each.said == claim.said), None)


def _renewed(claim: Claim, proven: Claim, closes_powered_ms: int) -> Claim:
    """Open again. Where an earlier picture said the same with a later end, or with none, it is no longer to be read."""
    ends = claim.ends_powered_ms
    if claim.offer_order == proven.offer_order and ends != proven.ends_powered_ms:
        ends = None if proven.ends_powered_ms is None else max(proven.ends_powered_ms, closes_powered_ms)
    return replace(claim, closes_powered_ms=None, ends_powered_ms=ends)


def _closed(claim: Claim, before_order: int, closes_powered_ms: int) -> Claim:
    if claim.offer_order >= before_order or claim.closes_powered_ms is not None:
        return claim
    return replace(claim, closes_powered_ms=closes_powered_ms)


def _fold_dearest(claims: list[Claim], offered: Sequence[Claim]) -> list[Claim] | None:
    """Drop the dearest claim of a SKU that has a cheaper one; the cheapest then lasts as long as both would have.

    Never one just offered: the cheapest would inherit its order, and its proof could not close it. What is promised on
    a condition has no price to compare, and stays.
    """
    priced = [claim for claim in claims if not claim.term]
    earlier = [claim for claim in priced if claim not in offered]
    for dearest in sorted(earlier, key=lambda claim: -claim.price_minor):
        cheaper = [claim for claim in priced if claim.sku == dearest.sku and claim.price_minor < dearest.price_minor]
        if cheaper:
            cheapest = min(cheaper, key=lambda claim: claim.price_minor)
            lasting = replace(cheapest, offer_order=max(cheapest.offer_order, dearest.offer_order),
                              closes_powered_ms=_later(cheapest.closes_powered_ms, dearest.closes_powered_ms),
                              ends_powered_ms=_later(cheapest.ends_powered_ms, dearest.ends_powered_ms))
            return [lasting if claim is cheapest else claim for claim in claims if claim is not dearest]
    return None


def _later(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)
