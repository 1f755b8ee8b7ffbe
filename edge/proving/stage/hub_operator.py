"""The hub's operator, by its HTTP API: the store is registered, prices change, customers order, the audit is read."""

import asyncio
from collections.abc import Sequence

import msgspec

from edge.proving.sightings import Buckets, LedgerEntry
from edge.proving.stage.http_line import Answer, HttpLine

AUDIT_PAGE_ENTRIES = 1000


class HubRefused(Exception):
    """The hub said no; `str()` says what."""


class PriceEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A price list entry as the hub's API takes it."""

    id: str
    sku: str
    price_minor: int
    currency: str
    kind: str = "regular"
    priority: int = 0
    valid_from_ms: int = 0
    valid_until_ms: int | None = None


class OrderLine(msgspec.Struct, frozen=True):
    line: int
    sku: str
    quantity_milli: int
    price_minor: int


class Placed(msgspec.Struct, frozen=True):
    """What the customer is told."""

    order_id: str
    pickup_code: str
    state: str


class EpochHead(msgspec.Struct, frozen=True):
    epoch: int
    sequence: int
    hash: str


class StoreStatus(msgspec.Struct, frozen=True):
    """What the hub says of the store."""

    heads: tuple[EpochHead, ...]
    quarantined: int
    sale_lines: int
    alarms: tuple[msgspec.Raw, ...]


class _AuditEntry(msgspec.Struct, frozen=True):
    sequence: int
    fact_key: str
    kind: str
    occurred_ms: int
    business_day: str
    payload: msgspec.Raw
    hash: str
    repeat_of: tuple[int, int] | None = None
    reason: str = ""


class _AuditPage(msgspec.Struct, frozen=True):
    entries: tuple[_AuditEntry, ...]
    next_after: int | None


class _Registered(msgspec.Struct, frozen=True):
    token: str | None


class HubOperator:
    """One operator at one hub, for one store. Use from any task; requests wait for each other."""

    def __init__(self, port: int, token: str, store: str, currency: str) -> None:
        self.store = store
        self.currency = currency
        self._line = HttpLine("127.0.0.1", port, {"Authorization": f"Bearer {token}"})
        self._turn = asyncio.Lock()

    async def answers(self) -> bool:
        """Whether the hub is there."""
        return (await self._line.ask("GET", "/healthz")).status == 200

    async def register(self, name: str) -> str:
        """A new store; returns its token."""
        answer = await self._ask("PUT", f"/v1/stores/{self.store}", {"name": name})
        token = msgspec.json.decode(answer.body, type=_Registered).token
        if token is None:
            raise HubRefused(f"store {self.store} is registered already")
        return token

    async def set_policy(self, policy: dict[str, int | str]) -> None:
        """Grace, guards and the rest."""
        await self._ask("PUT", "/v1/policy", policy)

    async def set_prices(self, entries: Sequence[PriceEntry]) -> None:
        """New or changed price list entries."""
        await self._ask("PUT", "/v1/catalogue/prices", entries)

    async def place(self, order_id: str, lines: Sequence[OrderLine], customer: str) -> Placed:
        """A customer orders."""
        answer = await self._ask("PUT", f"/v1/stores/{self.store}/orders/{order_id}", {
            "lines": lines, "currency": self.currency, "person": {"display_name": customer}})
        return msgspec.json.decode(answer.body, type=Placed)

    async def tell_customer(self, order_id: str, lines: Sequence[OrderLine], now_ms: int) -> None:
        """The customer was told that the order is ready."""
        await self._ask("PUT", f"/v1/stores/{self.store}/orders/{order_id}", {
            "lines": lines, "currency": self.currency, "notified_ms": now_ms})

    async def cancel(self, order_id: str) -> None:
        """The customer would rather not."""
        await self._ask("POST", f"/v1/stores/{self.store}/orders/{order_id}/cancel-request")

    async def status(self) -> StoreStatus:
        """What the hub has of the store."""
        answer = await self._ask("GET", f"/v1/stores/{self.store}/status")
        return msgspec.json.decode(answer.body, type=StoreStatus)

    async def stock(self, sku: str) -> Buckets:
        """The hub's figures of a SKU."""
        answer = await self._ask("GET", f"/v1/stores/{self.store}/stock/{sku}")
        return msgspec.json.decode(answer.body, type=Buckets)

    async def audit(self, epoch: int) -> tuple[LedgerEntry, ...]:
        """The whole ledger of an epoch as the hub holds it."""
        entries: list[LedgerEntry] = []
        after: int | None = 0
        while after is not None:
            answer = await self._ask("GET", f"/v1/stores/{self.store}/ledger?epoch={epoch}&after={after}"
                                            f"&limit={AUDIT_PAGE_ENTRIES}")
            page = msgspec.json.decode(answer.body, type=_AuditPage)
            entries += [LedgerEntry(each.sequence, each.fact_key, each.kind, each.occurred_ms, each.business_day,
                                    bytes(each.payload), each.hash, each.repeat_of is None, each.reason)
                        for each in page.entries]
            after = page.next_after
        return tuple(entries)

    async def _ask(self, method: str, path: str, body: object = None) -> Answer:
        async with self._turn:
            answer = await self._line.ask(method, path, None if body is None else msgspec.json.encode(body))
        if answer.status >= 300:
            raise HubRefused(f"{method} {path}: {answer.status} {answer.body[:500].decode('utf-8', 'replace')}")
        return answer
