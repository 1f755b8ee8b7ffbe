"""What the chain decides for a zone of stores: items, prices, promotions, policy; and what one store has otherwise.

Checked on the way in, whole lists or nothing. Documents are encoded again from what was understood, so that equal
documents are equal bytes.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import msgspec

from cloud_sync.contract.documents import LOCAL_PRICES, Item, Policy, Price, Promotion
from cloud_sync.contract.feeds import Feed, overlay_key
from cloud_sync.contract.promotions import KINDS, terms_of
from cloud_sync.hub.database import Database
from cloud_sync.hub.errors import Rejected, TooLarge
from cloud_sync.hub.feeds import FeedId, Written, delete_document, ensure_feeds, put_documents
from cloud_sync.hub.limits import (
    CODES_PER_ITEM_MAX,
    DOCUMENTS_PER_REQUEST_MAX,
    INTEGER_MAX,
    KEY_MAX_CHARS,
    MINOR_MAX,
    PROBLEMS_SHOWN_MAX,
    PROMOTION_TERMS_MAX_BYTES,
    QUANTITY_MAX_MILLI,
    TEXT_MAX_CHARS,
)
from cloud_sync.hub.names import check_name
from cloud_sync.hub.schema import Owner
from cloud_sync.hub.stores import lock_store

POLICY_KEY = "policy"
_CURRENCY = re.compile(r"[A-Z]{3}")
_DIGITS = re.compile(r"[0-9]{1,48}")
_DURATION_MAX_S = 400 * 86_400
_CLOSES_MINUTE_MAX = 2 * 1440
_AGE_MAX_YEARS = 150
_SCALE_MAX_PERCENT = 100_000

Incoming = TypeVar("Incoming")

_encoder = msgspec.json.Encoder()


class PriceEntry(Price, frozen=True, kw_only=True):
    """One price list entry as it comes in: its id, which becomes the feed's key, beside its document."""

    id: str

    def price(self) -> Price:
        return Price(self.sku, self.price_minor, self.currency, self.kind, self.priority, self.valid_from_ms,
                     self.valid_until_ms)


class PromotionIn(msgspec.Struct, frozen=True):
    """One promotion as it comes in; see `contract.documents.Promotion`."""

    id: str
    version: int
    kind: str
    terms: dict[str, object] = {}
    valid_from_ms: int = 0
    valid_until_ms: int | None = None

    def promotion(self) -> Promotion:
        return Promotion(self.id, self.version, self.kind, msgspec.Raw(_encoder.encode(self.terms)),
                         self.valid_from_ms, self.valid_until_ms)


class Catalogue(msgspec.Struct, frozen=True):
    """Items, prices and promotions that belong together."""

    items: tuple[Item, ...] = ()
    prices: tuple[PriceEntry, ...] = ()
    promotions: tuple[PromotionIn, ...] = ()


class Imported(msgspec.Struct, frozen=True):
    """What an import changed."""

    items: Written
    prices: Written
    promotions: Written = Written(0, 0, 0)


@dataclass(slots=True)
class CatalogueStore:
    """The catalogue's documents in the database; one transaction per call."""

    database: Database

    def put(self, zone: str, catalogue: Catalogue) -> Imported:
        """All of it in one transaction, one checkpoint per feed. Raises `Rejected` naming every mistake."""
        check_name(zone)
        items, prices = item_documents(catalogue.items), price_documents(catalogue.prices)
        promotions = promotion_documents(catalogue.promotions)
        with self.database.transaction() as connection:
            ensure_feeds(connection, Owner.ZONE, zone, self.database.mint())
            return Imported(put_documents(connection, FeedId(Feed.ITEMS, zone), items),
                            put_documents(connection, FeedId(Feed.PRICES, zone), prices),
                            put_documents(connection, FeedId(Feed.PROMOTIONS, zone), promotions))

    def put_overlay(self, store: str, catalogue: Catalogue) -> Written:
        """Rows of one store that win over its zone's. Raises `Rejected`, `NotFound` for no such store."""
        parts = ((Feed.ITEMS, item_documents(catalogue.items)), (Feed.PRICES, price_documents(catalogue.prices)),
                 (Feed.PROMOTIONS, promotion_documents(catalogue.promotions)))
        documents = {overlay_key(feed, key): doc for feed, part in parts for key, doc in part.items()}
        with self.database.transaction() as connection:
            lock_store(connection, store)
            return put_documents(connection, FeedId(Feed.OVERLAY, store), documents)

    def put_policy(self, zone: str, policy: Policy) -> Written:
        """Raises `Rejected` for a policy no store could follow."""
        check_name(zone)
        _raise_for([f"policy: {mistake}" for mistake in _policy_mistakes(policy)])
        with self.database.transaction() as connection:
            ensure_feeds(connection, Owner.ZONE, zone, self.database.mint())
            return put_documents(connection, FeedId(Feed.POLICY, zone), {POLICY_KEY: _encoder.encode(policy)})

    def delete(self, feed: FeedId, key: str) -> Written:
        """Raises `NotFound` when nothing stands under the key."""
        with self.database.transaction() as connection:
            return delete_document(connection, feed, key)


def item_documents(items: Sequence[Item]) -> dict[str, bytes]:
    """Key → document. Raises `Rejected` naming every mistake."""
    return _documents(items, "item", lambda item: item.sku, _item_mistakes, lambda item: item)


def price_documents(entries: Sequence[PriceEntry]) -> dict[str, bytes]:
    """Key → document. Raises `Rejected` naming every mistake."""
    return _documents(entries, "price", lambda entry: entry.id, _price_mistakes, PriceEntry.price)


def promotion_documents(incoming: Sequence[PromotionIn]) -> dict[str, bytes]:
    """Key → document. Raises `Rejected` naming every mistake."""
    return _documents(incoming, "promotion", lambda one: one.id, _promotion_mistakes, PromotionIn.promotion)


def storable_mistake(text: str, chars_max: int) -> str | None:
    """Why a text may not stand in the database; PostgreSQL takes no NUL."""
    if len(text) > chars_max:
        return f"is longer than {chars_max} characters"
    return "holds a NUL character" if "\0" in text else None


def _documents(incoming: Sequence[Incoming], kind: str, key_of: Callable[[Incoming], str],
               mistakes_of: Callable[[Incoming], Iterator[str]],
               document_of: Callable[[Incoming], msgspec.Struct]) -> dict[str, bytes]:
    if len(incoming) > DOCUMENTS_PER_REQUEST_MAX:
        raise TooLarge(f"{len(incoming)} {kind} documents in one request, at most {DOCUMENTS_PER_REQUEST_MAX}")
    documents: dict[str, bytes] = {}
    problems: list[str] = []
    for position, one in enumerate(incoming, start=1):
        key = key_of(one)
        mistakes = list(mistakes_of(one))
        if key in documents:
            mistakes.append("stands twice in this list")
        problems += [f"{kind} {position} ({key[:KEY_MAX_CHARS]!r}): {mistake}" for mistake in mistakes]
        documents[key] = _encoder.encode(document_of(one))
    _raise_for(problems)
    return documents


def _raise_for(problems: Sequence[str]) -> None:
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise Rejected(problems[0] + more, tuple(problems[:PROBLEMS_SHOWN_MAX]))


def _item_mistakes(item: Item) -> Iterator[str]:
    yield from text_mistakes({"sku": item.sku}, KEY_MAX_CHARS, filled=True)
    yield from text_mistakes({"name": item.name}, TEXT_MAX_CHARS, filled=True)
    yield from text_mistakes({"category": item.category, "department": item.department, "brand": item.brand,
                              "package_size": item.package_size}, TEXT_MAX_CHARS)
    if len(item.codes) > CODES_PER_ITEM_MAX:
        yield f"has {len(item.codes)} codes, at most {CODES_PER_ITEM_MAX}"
    for code in item.codes[:CODES_PER_ITEM_MAX]:
        if not _DIGITS.fullmatch(code):
            yield f"code {code[:KEY_MAX_CHARS]!r} is not 1 to 48 digits"
    if not 0 <= item.age_limit_years <= _AGE_MAX_YEARS:
        yield f"age_limit_years {item.age_limit_years} is not within 0 to {_AGE_MAX_YEARS}"
    yield from text_mistakes({"tax_class": item.tax_class}, KEY_MAX_CHARS)
    if not 0 <= item.deposit_minor <= MINOR_MAX:
        yield f"deposit_minor {item.deposit_minor} is not within 0 to {MINOR_MAX}"


def _price_mistakes(price: PriceEntry) -> Iterator[str]:
    yield from text_mistakes({"id": price.id, "sku": price.sku}, KEY_MAX_CHARS, filled=True)
    if price.id.startswith(LOCAL_PRICES):
        yield f"id begins with {LOCAL_PRICES!r}, which stores keep for prices of their own"
    if not 0 <= price.price_minor <= MINOR_MAX:
        yield f"price_minor {price.price_minor} is not within 0 to {MINOR_MAX}"
    if not _CURRENCY.fullmatch(price.currency):
        yield f"currency {price.currency[:KEY_MAX_CHARS]!r} is not three capital letters"
    if not -INTEGER_MAX <= price.priority <= INTEGER_MAX:
        yield "priority does not fit 64 bits"
    if not 0 <= price.valid_from_ms <= INTEGER_MAX:
        yield "valid_from_ms is not a time"
    if price.valid_until_ms is not None and not price.valid_from_ms < price.valid_until_ms <= INTEGER_MAX:
        yield "valid_until_ms does not lie after valid_from_ms"


def _promotion_mistakes(promotion: PromotionIn) -> Iterator[str]:
    yield from text_mistakes({"id": promotion.id, "kind": promotion.kind}, KEY_MAX_CHARS, filled=True)
    if not 0 <= promotion.version <= INTEGER_MAX:
        yield "version is not a whole number from 0 to 2**63 - 1"
    if len(_encoder.encode(promotion.terms)) > PROMOTION_TERMS_MAX_BYTES:
        yield f"terms are longer than {PROMOTION_TERMS_MAX_BYTES} bytes"
    elif promotion.kind in KINDS:
        try:
            terms_of(promotion.kind, _encoder.encode(promotion.terms))
        except msgspec.MsgspecError as mistake:
            yield f"terms of kind {promotion.kind}: {mistake}"
    if not 0 <= promotion.valid_from_ms <= INTEGER_MAX:
        yield "valid_from_ms is not a time"
    if promotion.valid_until_ms is not None and not promotion.valid_from_ms < promotion.valid_until_ms <= INTEGER_MAX:
        yield "valid_until_ms does not lie after valid_from_ms"


def text_mistakes(texts: Mapping[str, str], chars_max: int, *, filled: bool = False) -> Iterator[str]:
    """Why these named texts may not stand in a document."""
    for name, text in texts.items():
        if filled and not text:
            yield f"{name} is empty"
        if mistake := storable_mistake(text, chars_max):
            yield f"{name} {mistake}"


def _policy_mistakes(policy: Policy) -> Iterator[str]:
    for name in ("grace_s", "clear_out_s", "hold_s", "hold_max_s", "person_keep_s", "held_price_alert_s", "prepare_s",
                 "accept_within_s", "answer_wait_s"):
        if not 0 <= getattr(policy, name) <= _DURATION_MAX_S:
            yield f"{name} is not within 0 to {_DURATION_MAX_S}"
    for name in ("guard_share_percent", "guard_decrease_percent", "guard_increase_percent"):
        if not 0 <= getattr(policy, name) <= _SCALE_MAX_PERCENT:
            yield f"{name} is not within 0 to {_SCALE_MAX_PERCENT}"
    if policy.hold_s > policy.hold_max_s:
        yield "hold_s is longer than hold_max_s"
    if not 0 <= policy.safety_stock_milli <= QUANTITY_MAX_MILLI:
        yield f"safety_stock_milli is not within 0 to {QUANTITY_MAX_MILLI}"
    if len(policy.hours) not in (0, 7):
        yield f"hours has {len(policy.hours)} days, not none or seven"
    for weekday, hours in enumerate(policy.hours, start=1):
        if hours and not 0 <= hours.opens_minute < hours.closes_minute <= _CLOSES_MINUTE_MAX:
            yield f"hours of weekday {weekday}: opens and closes are not in order within two days"
    for day in policy.closed_days:
        if not _is_date(day):
            yield f"closed day {day!r} is no date such as 2026-12-25"


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
