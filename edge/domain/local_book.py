"""What a file makes of the prices that a local book has for one SKU. Pure."""

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise

import msgspec

from cloud_sync.contract.documents import LOCAL_PRICES, Price

PRIORITY = 1
"""Above the hub's regular prices (0), below whatever the hub puts higher."""

Entries = Mapping[str, Price]
"""By entry id."""
_DATED = re.compile(r"@\d+(-\d+)?$")


def book_prefix(book: str) -> str:
    """What the entry ids of a book begin with."""
    return f"{LOCAL_PRICES}{book}/"


def entry_id(book: str, price: Price) -> str:
    """One entry for a SKU's price from now on, one for each later beginning, one for each span with an end."""
    until = f"-{price.valid_until_ms}" if price.valid_until_ms is not None else ""
    dated = f"@{price.valid_from_ms}{until}" if price.valid_from_ms or until else ""
    return f"{book_prefix(book)}{price.sku}{dated}"


def id_without_dates(entry_id: str) -> str:
    """The id that the SKU's undated price has, as far as an id says."""
    return _DATED.sub("", entry_id)


def put_in(before: Entries, rows: Iterable[tuple[str, Price]], now_ms: int, *, whole: bool,
           trusted: bool = True) -> dict[str, Price]:
    """The SKU's entries after a file: `rows` as it has them, with their ids; `whole`: it has all there are.

    A price without an end holds until the next such begins; one from now on ends those that had begun. What is over
    is dropped, by a clock that is `trusted`.
    """
    over_ms = now_ms if trusted else -1
    given = dict(rows)
    from_now_on = any(not price.valid_from_ms and price.valid_until_ms is None for price in given.values())
    kept = {key: _as_written(key, price) for key, price in before.items() if not whole and not _is_over(price, over_ms)}
    if from_now_on:
        kept = {key: price for key, price in kept.items()
                if price.valid_until_ms is not None or price.valid_from_ms > now_ms}
    entries = _each_until_the_next({**kept, **given})
    return {key: price for key, price in entries.items() if not _is_over(price, over_ms)}


def _each_until_the_next(entries: Entries) -> dict[str, Price]:
    begins = sorted({price.valid_from_ms for price in entries.values() if price.valid_until_ms is None})
    next_begins = dict(pairwise(begins))
    return {key: price if price.valid_until_ms is not None else
            msgspec.structs.replace(price, valid_until_ms=next_begins.get(price.valid_from_ms))
            for key, price in entries.items()}


def _as_written(key: str, price: Price) -> Price:
    """A price whose end came from the next one's beginning has none of its own: its id names none."""
    own = price.valid_until_ms is not None and key.endswith(f"@{price.valid_from_ms}-{price.valid_until_ms}")
    return price if own else msgspec.structs.replace(price, valid_until_ms=None)


def _is_over(price: Price, now_ms: int) -> bool:
    return price.valid_until_ms is not None and price.valid_until_ms <= now_ms
