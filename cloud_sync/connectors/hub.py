"""The hub as a connector sees it: its HTTP API by name, the connector's notes, and the lease that makes it the one.

Every call may be repeated without harm. What the hub said no to is `Refused`; what may work later is `Transient`.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote

import httpx
import msgspec

from cloud_sync.connectors.errors import Absent, ConnectorError, Fenced, Misconfigured, Refused, Transient
from cloud_sync.contract.documents import Item, Order, OrderLine, Person, Price, SubstituteAnswer

HUB_TIMEOUT_S = 30.0
AVAILABILITY_SKUS_MAX = 400
LEDGER_PAGE_ENTRIES = 1_000
NOTES_AT_ONCE_MAX = 500
NOTES_PAGE = 100
BODY_SHOWN_CHARS = 200

Answer = TypeVar("Answer")


class PriceEntry(Price, frozen=True, kw_only=True):
    """A price list entry under its id."""

    id: str


class Placement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a commerce system says of an order; see the hub's `PUT /v1/stores/{store}/orders/{order_id}`."""

    lines: tuple[OrderLine, ...]
    currency: str
    placed_ms: int | None = None
    person: Person | None = None
    notified_ms: int | None = None

    def __repr__(self) -> str:
        """Without the person."""
        return f"Placement(lines={len(self.lines)})"


class Placed(msgspec.Struct, frozen=True):
    """The hub's answer. The code is for the customer and nobody else."""

    order_id: str
    revision: int
    pickup_code: str
    state: str
    changed: bool

    def __repr__(self) -> str:
        """Without the code."""
        return f"Placed(order_id={self.order_id!r}, state={self.state!r})"


class OrderStatus(msgspec.Struct, frozen=True):
    """What the hub says of an order, and where the store's last step left it."""

    order: Order
    state: str


class EpochHead(msgspec.Struct, frozen=True):
    """Where an epoch of a store's ledger ends."""

    epoch: int
    sequence: int


class LedgerEntry(msgspec.Struct, frozen=True):
    """One fact of a store. With `repeat_of` or `reason` it had no effect here, so it has none outside."""

    sequence: int
    kind: str
    occurred_ms: int
    payload: msgspec.Raw
    repeat_of: tuple[int, int] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NoteIn:
    """A note to be kept; `value` `None`: to be forgotten."""

    kind: str
    key: str
    value: msgspec.Struct | None


@dataclass(slots=True)
class Hub:
    """One process of one connector at one hub. `client` has the hub's address and the connector's token.

    `lease_s`: for how long this process is the only one; `quiet_s` of it must be left before it writes anywhere, which
    is how long such a write may take.
    """

    client: httpx.AsyncClient
    connector: str
    holder: str
    lease_s: int
    quiet_s: float
    monotonic_s: Callable[[], float] = time.monotonic
    _held_until_s: float = field(default=0.0, init=False)

    async def hold(self) -> None:
        """Be the only process of this connector. Raises `Fenced` when another one is, `Transient`."""
        now_s = self.monotonic_s()
        if self._held_until_s - now_s > self.lease_s / 2:
            return
        asked = {"holder": self.holder, "lease_s": self.lease_s}
        try:
            await self._ask("POST", f"{self._self}/lease", asked, conflict=Fenced)
        except Transient:
            if self._held_until_s - self.monotonic_s() > self.quiet_s:
                return
            raise
        self._held_until_s = now_s + self.lease_s

    async def let_go(self) -> None:
        """Give the lease back, so that the next process need not wait for its end."""
        if self._held_until_s:
            self._held_until_s = 0.0
            await self._ask("POST", f"{self._self}/lease", {"holder": self.holder, "lease_s": 0}, conflict=Fenced)

    async def put_notes(self, notes: Iterable[NoteIn]) -> None:
        """Keep and forget notes, all or none. Raises `Fenced`, `Transient`."""
        body = {"holder": self.holder, "notes": [
            {"kind": note.kind, "key": note.key, "value": note.value} for note in notes]}
        await self.hold()
        await self._ask("PUT", f"{self._self}/notes", body, conflict=Fenced)

    async def note(self, kind: str, key: str, type_: type[Answer]) -> Answer | None:
        """A note, or `None`."""
        try:
            answer = await self._ask("GET", f"{self._self}/notes/{_quoted(kind)}/{quote(key)}")
        except Absent:
            return None
        return _decoded(answer, type_)

    async def notes(self, kind: str, type_: type[Answer]) -> AsyncIterator[tuple[str, Answer]]:
        """Every note of a kind, by key."""
        after: str | None = ""
        while after is not None:
            answer = await self._ask("GET", f"{self._self}/notes/{_quoted(kind)}", parameters={
                "after": after, "limit": NOTES_PAGE})
            page = _decoded(answer, _NotePage)
            for note in page.notes:
                yield note.key, msgspec.json.decode(note.value, type=type_)
            after = page.next_after

    async def put_catalogue(self, zone: str, items: Sequence[Item], prices: Sequence[PriceEntry]) -> None:
        """Items and prices that belong together, all or none. Raises `Refused` naming what is wrong."""
        await self._ask("PUT", "/v1/catalogue", {"items": items, "prices": prices}, parameters={"zone": zone})

    async def withdraw(self, zone: str, sku: str, price_id: str) -> None:
        """An item and its price are no longer listed; gone already is fine."""
        await self.withdraw_price(zone, price_id)
        await self._delete(f"/v1/catalogue/items/{quote(sku)}", zone)

    async def withdraw_price(self, zone: str, price_id: str) -> None:
        """A price list entry is gone; gone already is fine."""
        await self._delete(f"/v1/catalogue/prices/{quote(price_id)}", zone)

    async def _delete(self, path: str, zone: str) -> None:
        try:
            await self._ask("DELETE", path, parameters={"zone": zone})
        except Absent:
            return

    async def available_milli(self, store: str, skus: Sequence[str]) -> Mapping[str, int]:
        """SKU → what the web may sell of it at a store, in thousandths; a SKU nobody knows has 0."""
        found: dict[str, int] = {}
        for start in range(0, len(skus), AVAILABILITY_SKUS_MAX):
            asked = {"skus": skus[start:start + AVAILABILITY_SKUS_MAX], "stores": [store]}
            answer = _decoded(await self._ask("POST", "/v1/availability", asked), _Availability)
            found |= {figure.sku: figure.available_milli for each in answer.stores for figure in each.items}
        return found

    async def place(self, store: str, order_id: str, placement: Placement) -> Placed:
        """Place an order or say what is new of it. Raises `Refused`."""
        return _decoded(await self._ask("PUT", _order(store, order_id), placement), Placed)

    async def order(self, store: str, order_id: str) -> OrderStatus:
        """Raises `Absent`."""
        return _decoded(await self._ask("GET", _order(store, order_id)), OrderStatus)

    async def request_cancel(self, store: str, order_id: str, lines: Sequence[int] = ()) -> None:
        """Ask the store to cancel lines, or everything."""
        await self._ask("POST", f"{_order(store, order_id)}/cancel-request", {"lines": lines})

    async def answer(self, store: str, order_id: str, answer: SubstituteAnswer) -> None:
        """What the customer says of a substitute."""
        await self._ask("POST", f"{_order(store, order_id)}/answers", answer)

    async def heads(self, store: str) -> tuple[EpochHead, ...]:
        """How far the hub has the store's ledger, by epoch. Raises `Misconfigured` for a store that is not known."""
        try:
            answer = await self._ask("GET", f"/v1/stores/{_quoted(store)}/status")
        except Absent as error:
            raise Misconfigured(f"store {store!r} is not known to the hub: register it, or correct `stores`") from error
        return tuple(sorted(_decoded(answer, _StoreStatus).heads, key=lambda head: head.epoch))

    async def ledger(self, store: str, epoch: int, after: int) -> tuple[LedgerEntry, ...]:
        """The next entries of an epoch, none at its end."""
        answer = await self._ask("GET", f"/v1/stores/{_quoted(store)}/ledger", parameters={
            "epoch": epoch, "after": after, "limit": LEDGER_PAGE_ENTRIES})
        return _decoded(answer, _LedgerPage).entries

    @property
    def _self(self) -> str:
        return f"/v1/connectors/{_quoted(self.connector)}"

    async def _ask(self, method: str, path: str, body: object = None, *,
                   parameters: Mapping[str, str | int] | None = None,
                   conflict: type[ConnectorError] = Refused) -> bytes:
        """The answer's body. Raises by what helps."""
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if content is None else {"Content-Type": "application/json"}
        try:
            answer = await self.client.request(method, path, content=content, headers=headers, params=parameters)
        except httpx.HTTPError as error:
            raise Transient(f"the hub at {self.client.base_url}: {type(error).__name__} {error}") from error
        if answer.is_success:
            return answer.content
        said = f"the hub, {method} {path}: {answer.status_code} {_detail(answer)}"
        match answer.status_code:
            case 401 | 403:
                raise Misconfigured(f"{said}: is the token that of connector {self.connector!r}?")
            case 404:
                raise Absent(said)
            case 409:
                raise conflict(said)
            case 408 | 429 | 500 | 502 | 503 | 504:
                raise Transient(said, retry_after_s(answer))
        raise Refused(said)


class _Note(msgspec.Struct):
    key: str
    value: msgspec.Raw


class _NotePage(msgspec.Struct):
    notes: tuple[_Note, ...]
    next_after: str | None


class _Figure(msgspec.Struct):
    sku: str
    available_milli: int


class _StoreFigures(msgspec.Struct):
    store: str
    items: tuple[_Figure, ...]


class _Availability(msgspec.Struct):
    stores: tuple[_StoreFigures, ...]


class _StoreStatus(msgspec.Struct):
    heads: tuple[EpochHead, ...]


class _LedgerPage(msgspec.Struct):
    entries: tuple[LedgerEntry, ...]


class _Problem(msgspec.Struct):
    detail: str


def retry_after_s(answer: httpx.Response) -> float:
    """How long somebody asks us to wait; 0 when he does not say so in seconds."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 0.0


def _decoded(body: bytes, type_: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.MsgspecError as error:
        raise Transient(f"the hub's answer is not understood ({error}): is this its address?") from error


def _detail(answer: httpx.Response) -> str:
    try:
        return msgspec.json.decode(answer.content, type=_Problem).detail
    except msgspec.MsgspecError:
        return answer.text[:BODY_SHOWN_CHARS]


def _order(store: str, order_id: str) -> str:
    return f"/v1/stores/{_quoted(store)}/orders/{_quoted(order_id)}"


def _quoted(name: str) -> str:
    return quote(name, safe="")
