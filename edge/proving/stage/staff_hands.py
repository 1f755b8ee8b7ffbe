"""A member of staff at work: signs in with a PIN as on the page, then hangs labels, receives goods, picks orders."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from edge.proving.sightings import Buckets
from edge.proving.stage.http_line import Answer, HttpLine, LineBroken

SIGN_IN_PATH = "/staff/sign-in"
PATIENCE_S = 0.2
"""How long somebody waits before trying again what the store did not answer."""


class StoreRefused(Exception):
    """The store said no, for good; `str()` says what."""


class Label(msgspec.Struct, frozen=True):
    """A label as the store lists it."""

    label: str
    sku: str | None
    state: str
    excluded_reason: str | None = None


class PickupLine(msgspec.Struct, frozen=True):
    line: int
    sku: str
    quantity_milli: int
    picked_milli: int
    staged_milli: int = 0


class Pickup(msgspec.Struct, frozen=True):
    """An order as the store lists it."""

    order_id: str
    state: str
    lines: tuple[PickupLine, ...]


class Status(msgspec.Struct, frozen=True):
    """What the store says of itself."""

    link_up: bool
    backlog: int
    epoch: int
    ledger_sequence: int
    items: int
    labels: dict[str, int]
    exceptions: int
    stations: dict[str, str]


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who may sign in."""

    id: str
    name: str
    pin: str


class StaffHands:
    """One person with one browser. Sends again what was not answered: every act carries its own id."""

    def __init__(self, port: int, who: Who) -> None:
        self.who = who
        self._line = HttpLine("127.0.0.1", port)
        self._turn = asyncio.Lock()

    async def sign_in(self) -> None:
        """As the page's form does. Raises `StoreRefused`."""
        self._line.headers = {}
        cookies = (await self._line.ask("GET", SIGN_IN_PATH)).cookies()
        door = next((value for name, value in cookies.items() if name.endswith("door")), "")
        form = urlencode({"name": self.who.name, "pin": self.who.pin, "form_token": door})
        self._line.headers = {"Cookie": _cookie_header(cookies)}
        answer = await self._line.ask("POST", SIGN_IN_PATH, form.encode(),
                                      content_type="application/x-www-form-urlencoded")
        session = {name: value for name, value in answer.cookies().items() if name.endswith("session") and value}
        if not session:
            raise StoreRefused(f"{self.who.name} could not sign in: {answer.status}")
        self._line.headers = {"Cookie": _cookie_header(session), "X-Trastienda": "demo"}

    def share(self, other: "StaffHands") -> None:
        """Another window of the same browser: the same session."""
        self._line.headers = other._line.headers

    async def labels(self) -> list[Label]:
        """Every label the store has heard."""
        return msgspec.json.decode((await self._ask("GET", "/v1/labels")).body, type=list[Label])

    async def status(self) -> Status:
        """How the store is."""
        return msgspec.json.decode((await self._ask("GET", "/v1/status")).body, type=Status)

    async def bind(self, label: str, code: str, act_id: str) -> None:
        """Hang the label under a product."""
        await self._ask("POST", f"/v1/labels/{label}/bind", {"code": code, "act_id": act_id})

    async def exclude(self, label: str, act_id: str, reason: str) -> None:
        """Say that the label does not count."""
        await self._ask("POST", f"/v1/labels/{label}/exclude", {"act_id": act_id, "reason": reason})

    async def include(self, label: str, act_id: str) -> None:
        """Say that it counts again."""
        await self._ask("POST", f"/v1/labels/{label}/include", {"act_id": act_id})

    async def receive(self, movement_id: str, quantities_milli: dict[str, int]) -> None:
        """Goods came in."""
        await self._ask("POST", "/v1/movements", {"movement_id": movement_id, "lines": [
            {"sku": sku, "quantity_milli": quantity} for sku, quantity in quantities_milli.items()]})

    async def pickups(self) -> list[Pickup]:
        """Orders that are not finished."""
        return msgspec.json.decode((await self._ask("GET", "/v1/pickups")).body, type=list[Pickup])

    async def pickup(self, order_id: str) -> Pickup | None:
        """One order, finished or not; `None` when the store does not know it."""
        answer = await self._ask("GET", f"/v1/pickups/{order_id}", fine=(200, 404))
        return msgspec.json.decode(answer.body, type=Pickup) if answer.status == 200 else None

    async def step(self, order_id: str, step: str, transition_id: str, *, line: int | None = None,
                   code: str = "") -> bool:
        """Take a step; returns whether the store took it (an order may be cancelled under one's hands)."""
        body: dict[str, object] = {"transition_id": transition_id, "step": step}
        body |= ({} if line is None else {"line": line}) | ({"code": code} if code else {})
        answer = await self._ask("POST", f"/v1/pickups/{order_id}/steps", body, fine=(200, 404, 422))
        return answer.status == 200

    async def stock(self, sku: str) -> Buckets:
        """The store's figures of a SKU."""
        return msgspec.json.decode((await self._ask("GET", f"/v1/stock/{sku}")).body, type=Buckets)

    async def _ask(self, method: str, path: str, body: object = None, fine: tuple[int, ...] = (200, 201, 204)
                   ) -> Answer:
        """Until the store has answered for good. Raises `StoreRefused`."""
        encoded = None if body is None else msgspec.json.encode(body)
        while True:
            try:
                async with self._turn:
                    answer = await self._line.ask(method, path, encoded)
            except LineBroken:
                await asyncio.sleep(PATIENCE_S)
                continue
            if answer.status in fine:
                return answer
            if answer.status == 401:
                await self._sign_in_again()
            elif answer.status < 500 and answer.status != 429:
                raise StoreRefused(f"{method} {path}: {answer.status} {answer.body[:500].decode('utf-8', 'replace')}")
            else:
                await asyncio.sleep(PATIENCE_S)

    async def _sign_in_again(self) -> None:
        """A restarted store has signed everybody out."""
        async with self._turn:
            try:
                await self.sign_in()
            except LineBroken:
                await asyncio.sleep(PATIENCE_S)


def _cookie_header(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
