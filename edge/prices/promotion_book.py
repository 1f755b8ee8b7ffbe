"""The store's promotions, read from its copy of the feed and found by SKU. Read anew only when the feed moved."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import structlog

from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.promotions import Threshold, terms_of
from edge.db.queries import REPLICA
from edge.domain.promotion import ActivePromotion
from edge.limits import PROMOTIONS_MAX
from edge.store import Store

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Dated:
    promotion: ActivePromotion
    valid_from_ms: int
    valid_until_ms: int | None

    def holds_at(self, now_ms: int) -> bool:
        return self.valid_from_ms <= now_ms and (self.valid_until_ms is None or now_ms < self.valid_until_ms)


class PromotionBook:
    """Which promotions touch a basket. One that this release cannot read is passed over, and said once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked_at: int | None = None
        self._state: tuple[object, ...] | None = None
        self._by_sku: dict[str, list[_Dated]] = {}
        self._for_all: list[_Dated] = []
        self.unreadable: tuple[str, ...] = ()

    def active_for(self, skus: Iterable[str]) -> list[ActivePromotion]:
        """Those that hold now and touch one of the products, each once, by id."""
        self._catch_up()
        now_ms = self._store.clock.wall_ms()
        found = {each.promotion.id: each.promotion for sku in skus for each in self._by_sku.get(sku, ())
                 if each.holds_at(now_ms)}
        found |= {each.promotion.id: each.promotion for each in self._for_all if each.holds_at(now_ms)}
        return [found[key] for key in sorted(found)]

    def _catch_up(self) -> None:
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
        by_sku: dict[str, list[_Dated]] = defaultdict(list)
        for_all: list[_Dated] = []
        unreadable: list[str] = []
        rows = self._store.books.replica_reader.execute(REPLICA.promotions).fetchmany(PROMOTIONS_MAX)
        for key, version, kind, terms, valid_from_ms, valid_until_ms in rows:
            try:
                promotion = ActivePromotion(key, version, terms_of(kind, terms))
            except msgspec.MsgspecError as problem:
                unreadable.append(key)
                _log.warning("a promotion cannot be read and does not apply", promotion=key, reason=str(problem))
                continue
            dated = _Dated(promotion, valid_from_ms, valid_until_ms)
            if isinstance(promotion.terms, Threshold) and not promotion.terms.skus:
                for_all.append(dated)
            for sku in promotion.terms.skus:
                by_sku[sku].append(dated)
        self._by_sku, self._for_all, self.unreadable = dict(by_sku), for_all, tuple(unreadable)
