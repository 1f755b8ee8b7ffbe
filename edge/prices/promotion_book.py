"""The store's promotions, read from its copy of the feed and found by SKU, and the terms that labels still show.

A promotion that ended, changed or was withdrawn goes on in baskets while a claim of its terms is open: a shopper may
have read "3 for 5.00" (DESIGN.md section 5, promise P3). Both are read anew only when they moved.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import structlog

from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.promotions import Conditions, Threshold, terms_of
from edge.db.queries import LEDGER, REPLICA
from edge.domain.promotion import ActivePromotion
from edge.limits import PROMOTIONS_MAX
from edge.prices.claim_book import ShownTerm
from edge.store import Store

_log = structlog.get_logger(__name__)


class Term(msgspec.Struct, frozen=True):
    """A promotion that touches a product, for tills that work it out themselves. `terms`: its figures and conditions,
    as the hub publishes them, without SKUs. `active_until_ms`: its end, exclusive; `None`: until it is gone from here,
    because it has no end or because a label may still show it."""

    promotion: str
    version: int
    kind: str
    text: str
    terms: dict[str, Any]
    active_until_ms: int | None


class _Now(NamedTuple):
    """The moment by the wall clock, up to when what was to end has ended, and the moment by the powered clock.

    While the clock is not believed what would end waits: only what had ended when it last was has ended.
    """

    wall_ms: int
    ended_ms: int
    powered_ms: int


@dataclass(frozen=True, eq=False)
class _Dated:
    promotion: ActivePromotion
    valid_from_ms: int
    valid_until_ms: int | None

    @cached_property
    def term(self) -> Term:
        return _term(self.promotion, self.valid_until_ms)

    def holds_at(self, now: _Now) -> bool:
        return self.valid_from_ms <= now.wall_ms and (self.valid_until_ms is None or now.ended_ms < self.valid_until_ms)


@dataclass(frozen=True, eq=False)
class _Held:
    """Terms that labels show, in force while a claim of them is open; `None`: nothing closed the last one yet."""

    key: str
    promotion: ActivePromotion
    open_until_powered_ms: int | None

    @cached_property
    def term(self) -> Term:
        return _term(self.promotion, None)

    def holds_at(self, now: _Now) -> bool:
        return self.open_until_powered_ms is None or now.powered_ms < self.open_until_powered_ms


class PromotionBook:
    """Which promotions touch a product or a basket. One that this release cannot read is passed over, and said once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked_at: int | None = None
        self._state: tuple[object, ...] | None = None
        self._dated: list[_Dated] = []
        self._by_sku: dict[str, list[_Dated]] = {}
        self._for_all: list[_Dated] = []
        self._held_revision: int | None = None
        self._held_by_sku: dict[str, list[_Held]] = {}
        self._believed_ms = 0
        self._in_force: dict[str, ActivePromotion] | None = None
        self._next_turn_ms: int | None = 0
        self._turned_at: tuple[int, bool, int] = (0, True, 0)
        self._readings = 0
        self.unreadable: tuple[str, ...] = ()

    def active_for(self, skus: Iterable[str]) -> list[ActivePromotion]:
        """Those that hold now, or that a label may still show, and touch one of the products: each once, by id."""
        self._catch_up()
        skus, now = tuple(skus), self._now()
        touching = dict.fromkeys(chain(self._for_all, *[self._by_sku.get(sku, ()) for sku in skus]))
        dated = {each.promotion.id: each.promotion for each in touching if each.holds_at(now)}
        shown = dict.fromkeys(chain(*[self._held_by_sku.get(sku, ()) for sku in skus]))
        held = [each.promotion for each in shown if each.holds_at(now)]
        older = [each for each in held if dated.get(each.id) != each]
        return sorted([*dated.values(), *older], key=_by_name)

    def terms_of(self, sku: str) -> tuple[Term, ...]:
        """The same for one product, in words for tills, as of the last time that anybody looked what changed.

        A lookup has no time to look; housekeeping does, before any label says something new.
        """
        if self._looked_at is None:
            self._catch_up()
        dated, held = self._by_sku.get(sku, ()), self._held_by_sku.get(sku, ())
        if not dated and not held:
            return ()
        now = self._now()
        shown = [each for each in held if each.holds_at(now)]
        said = {each.promotion.id: each.promotion for each in shown}
        terms = [each.term for each in dated if each.holds_at(now) and said.get(each.promotion.id) != each.promotion]
        return tuple(sorted([*terms, *(each.term for each in shown)], key=lambda term: (term.promotion, term.version)))

    def dated_for(self, sku: str, at_ms: int | None = None) -> list[tuple[ActivePromotion, int | None]]:
        """Those of the feed that hold at that moment (`None`: now) and touch the product, each with its end."""
        self._catch_up()
        now = self._now(at_ms)
        return [(each.promotion, each.valid_until_ms) for each in self._by_sku.get(sku, ()) if each.holds_at(now)]

    def turned(self) -> set[str]:
        """Products of promotions that began, ended or changed since the last call; none at the first."""
        self._catch_up()
        clock, (at_ms, trusted, readings) = self._store.clock, self._turned_at
        now_ms = clock.wall_ms()
        soon_ms = now_ms + 1 if self._next_turn_ms is None else self._next_turn_ms
        if (trusted, readings) == (clock.trusted, self._readings) and at_ms <= now_ms < soon_ms:
            return set()
        self._turned_at = now_ms, clock.trusted, self._readings
        self._next_turn_ms = min((moment for each in self._dated for moment in (each.valid_from_ms, each.valid_until_ms)
                                  if moment is not None and moment > now_ms), default=None)
        now = self._now()
        in_force = {each.promotion.id: each.promotion for each in self._dated if each.holds_at(now)}
        before, self._in_force = self._in_force, in_force
        if before is None:
            return set()
        turned = [key for key in before.keys() | in_force.keys() if before.get(key) != in_force.get(key)]
        sides = [side for key in turned for side in (before.get(key), in_force.get(key)) if side is not None]
        return {sku for each in sides for sku in each.terms.skus}

    @property
    def next_turn_ms(self) -> int | None:
        """When the next promotion begins or ends, by the wall clock, as `turned` saw it."""
        return self._next_turn_ms

    def _now(self, at_ms: int | None = None) -> _Now:
        clock = self._store.clock
        wall_ms = clock.wall_ms() if at_ms is None else at_ms
        if clock.trusted:
            self._believed_ms = clock.wall_ms()
        return _Now(wall_ms, wall_ms if clock.trusted else min(wall_ms, self._believed_ms), clock.powered_ms())

    def _catch_up(self) -> None:
        revision = self._store.books.ledger_reader.execute(LEDGER.shown_terms_revision).fetchone()[0]
        if revision != self._held_revision:
            self._held_revision = revision
            self._read_held()
        reader = self._store.books.replica_reader
        data_version = reader.execute(REPLICA.data_version).fetchone()[0]
        if data_version == self._looked_at:
            return  # nobody wrote anything
        self._looked_at = data_version
        cursor = reader.execute(REPLICA.cursor, (Feed.PROMOTIONS.value,)).fetchone() or ()
        state = (*cursor, *reader.execute(REPLICA.promotions_state).fetchone())
        if state == self._state:
            return
        self._state = state
        self._read_anew()

    def _read_anew(self) -> None:
        self._readings += 1
        dated, unreadable = list[_Dated](), list[str]()
        rows = self._store.books.replica_reader.execute(REPLICA.promotions).fetchmany(PROMOTIONS_MAX)
        for key, version, kind, terms, valid_from_ms, valid_until_ms in rows:
            try:
                promotion = ActivePromotion(key, version, terms_of(kind, terms))
                dated.append(_Dated(promotion, valid_from_ms, valid_until_ms))
            except msgspec.MsgspecError as problem:
                unreadable.append(key)
                _log.warning("a promotion cannot be read and does not apply", promotion=key, reason=str(problem))
        by_sku: dict[str, list[_Dated]] = defaultdict(list)
        for each in dated:
            for sku in each.promotion.terms.skus:
                by_sku[sku].append(each)
        self._dated, self._by_sku, self.unreadable = dated, dict(by_sku), tuple(unreadable)
        self._for_all = [each for each in dated if isinstance(each.promotion.terms, Threshold)
                         and not each.promotion.terms.skus]

    def _read_held(self) -> None:
        by_sku: dict[str, list[_Held]] = defaultdict(list)
        for key, promotion_id, version, kind, terms, open_until_ms in self._store.books.ledger_reader.execute(
                LEDGER.shown_terms).fetchall():
            try:
                held = _Held(key, ActivePromotion(promotion_id, version, terms_of(kind, terms)), open_until_ms)
            except msgspec.MsgspecError as problem:  # written by a newer release that was taken back
                _log.error("terms that labels show cannot be read", promotion=promotion_id, reason=str(problem))
                continue
            for sku in held.promotion.terms.skus:
                by_sku[sku].append(held)
        self._held_by_sku = dict(by_sku)


_by_name = attrgetter("id", "version")


def kind_of(terms: Conditions) -> str:
    """The kind of these terms, as the hub names it."""
    return str(terms.__struct_config__.tag)


def term_key(promotion: ActivePromotion) -> str:
    """Names a promotion's terms: other terms have another name, whatever the hub numbers them."""
    digest = hashlib.sha256(msgspec.json.encode(promotion.terms)).hexdigest()[:12]
    return f"{promotion.id}@{promotion.version}:{digest}"


def shown_term(promotion: ActivePromotion) -> ShownTerm:
    """The terms as a label's picture promises them."""
    return ShownTerm(term_key(promotion), promotion.id, promotion.version, kind_of(promotion.terms),
                     msgspec.json.encode(promotion.terms))


def _term(promotion: ActivePromotion, until_ms: int | None) -> Term:
    terms = msgspec.to_builtins(promotion.terms)
    said = {name: value for name, value in terms.items() if name not in ("skus", "kind", "text")}
    return Term(promotion.id, promotion.version, kind_of(promotion.terms), promotion.terms.text, said, until_ms)
