"""A town for a live test: the real hub and the real store daemon, a Vendure shop, and the connector between them.

All of them are processes. Both lines of the connector can lose answers (`proxy`).
"""

import asyncio
import os
import re
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from edge.proving.sightings import Buckets
from edge.proving.stage.http_line import LineBroken
from edge.proving.stage.hub_operator import HubOperator
from edge.proving.stage.premises import SPAIN, STORE_ID, SUPERVISOR, Premises, free_port
from edge.proving.stage.processes import Process
from edge.proving.stage.staff_hands import StaffHands
from tests.live.proxy import LossyLine
from tests.live.vendure_shop import PICKUP_42, STORE_42, VendureShop

PATIENCE_S = 90.0
LOOK_EVERY_S = 0.25
LEASE_S, TIMEOUT_S = 9, 3.0
CONNECTOR = "vendure"

Seen = TypeVar("Seen")


class StorePremises(Premises):
    """Hub and store without labels, and without a catalogue: that is the connector's to bring."""

    async def _import(self, catalogue: Path) -> None:
        return

    def _yaml(self) -> str:
        return super()._yaml().replace("base_stations:\n", "")

    async def kill_hub(self) -> None:
        """kill -9, and started again."""
        await self._hub.kill()
        await self._hub.start()
        await self._until_answered(self._hub, self.operator.answers)

    def another_operator(self) -> HubOperator:
        return HubOperator(self._hub_port, self._operator_token, STORE_ID, self.country.currency)

    @property
    def hub_url(self) -> str:
        return f"http://127.0.0.1:{self._hub_port}"


class Town:
    """`open()`, then `shop` sells, `hands` work, and `until` waits; `close()` in any case."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.shop = VendureShop(directory)
        self.premises = StorePremises(directory, free_port(), ["1"], {}, SPAIN)
        self.to_vendure = LossyLine(f"http://127.0.0.1:{self.shop.port}", mutation, self._kill_connector)
        self.to_hub = LossyLine(self.premises.hub_url, request_kind, self._kill_hub)
        self.connector = Process("the connector", ["connect", CONNECTOR, "--config", str(directory / "vendure.yaml")],
                                 {}, directory / "connector.log")
        self._eyes = self.premises.another_operator()  # a line of our own: the operator's is used while a hub starts
        self.hands: StaffHands
        self.kills: list[str] = []
        self.steps = 0

    async def open(self) -> None:
        await asyncio.to_thread(self.shop.start)
        await asyncio.to_thread(self.shop.furnish)
        await self.premises.open_hub({"grace_s": 1}, self.directory)
        await self.to_vendure.open()
        await self.to_hub.open()
        await self._furnish_connector()
        await self.connector.start()
        await self.premises.open_store()
        self.hands = self.premises.hands(SUPERVISOR)
        await self.hands.sign_in()

    async def close(self) -> None:
        await self.connector.stop()
        await self.premises.close(keep=True)
        await self.to_vendure.close()
        await self.to_hub.close()
        self.shop.stop()

    async def until(self, what: str, look: Callable[[], Awaitable[Seen] | Seen],
                    wanted: Callable[[Seen], bool]) -> Seen:
        """Look again and again until it is so. Fails with what was seen last, and with the connector's log."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + PATIENCE_S
        while True:
            looked = look()
            seen = await looked if isinstance(looked, Awaitable) else looked
            if wanted(seen):
                return seen
            assert loop.time() < deadline_s, f"{what} did not come; seen last: {seen}\n{self.said()}"
            if not self.kills:
                self.connector.check()
            await asyncio.sleep(LOOK_EVERY_S)

    async def step(self, order_id: str, step: str, **more: object) -> None:
        """Staff take a step with an order. Fails when the store says no."""
        self.steps += 1
        body = {"transition_id": f"step-{self.steps}", "step": step, **more}
        await self.hands._ask("POST", f"/v1/pickups/{order_id}/steps", body)

    async def stock(self, sku: str) -> Buckets:
        """The hub's figures, when it is there."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await self._eyes.stock(sku)
                except LineBroken:
                    await asyncio.sleep(LOOK_EVERY_S)

    async def charge_minor(self, sku: str) -> int | None:
        """What a till of the store may charge."""
        answer = await self.premises.till_line("1").ask("GET", f"/v1/lookup/{sku}")
        return int(msgspec.json.decode(answer.body)["charge_minor"]) if answer.status == 200 else None

    def said(self) -> str:
        return self.connector.log.read_text("utf-8", errors="replace")[-6000:]

    async def _furnish_connector(self) -> None:
        answer = await self.premises.operator._ask("PUT", f"/v1/connectors/{CONNECTOR}")
        self.connector.environment |= {
            "TRASTIENDA_CONNECTOR_TOKEN": str(msgspec.json.decode(answer.body)["token"]),
            "TRASTIENDA_VENDURE_USERNAME": "superadmin", "TRASTIENDA_VENDURE_PASSWORD": self.shop.password}
        (self.directory / "vendure.yaml").write_text(f"""\
hub: {{url: "http://127.0.0.1:{self.to_hub.port}", connector: {CONNECTOR}, token: !credential connector-token}}
vendure:
  url: http://127.0.0.1:{self.to_vendure.port}/admin-api
  username: !credential vendure-username
  password: !credential vendure-password
stores: [{{store: "{STORE_ID}", shipping_methods: [{PICKUP_42}], stock_location: {STORE_42}}}]
goods: {{every_s: 2}}
orders: {{may_substitute: true, answer: accept, settle_refunds: true, look_again_s: 5}}
stock: {{every_s: 5}}
rhythm: {{every_s: 0.3, timeout_s: {TIMEOUT_S}, lease_s: {LEASE_S}, retry_first_s: 0.2, retry_max_s: 1}}
""", "utf-8")

    async def _kill_connector(self, kind: str) -> None:
        self.kills.append(f"connector in {kind}")
        await self.connector.kill()
        await self.connector.start()

    async def _kill_hub(self, kind: str) -> None:
        self.kills.append(f"hub in {kind}")
        await self.premises.kill_hub()


def mutation(_method: str, _path: str, body: bytes) -> str:
    """The name of Vendure's mutation; a log-in is none that changes anything, nor is one that is only tried."""
    asked = msgspec.json.decode(body) if body else {"query": ""}
    found = re.match(r"\s*mutation (\w+)", asked["query"])
    variables = asked.get("variables", {})
    if not found or found[1] == "Login" or (variables.get("input", {}) and _is_tried(variables["input"])):
        return ""
    return f"{found[1]} {variables['state']}" if "state" in variables else found[1]


def _is_tried(wanted: object) -> bool:
    return isinstance(wanted, dict) and bool(wanted.get("dryRun"))


def request_kind(method: str, path: str, body: bytes) -> str:
    """What of the hub's is written."""
    if method == "GET":
        return ""
    if path.endswith("/notes"):
        kinds = sorted({note["kind"] for note in msgspec.json.decode(body)["notes"]})
        return f"notes of {' and '.join(kinds)}"
    if path.endswith("/answers"):
        return "answers"
    return "orders" if "/orders/" in path else "catalogue" if "/catalogue" in path else ""


def short_directory() -> Path:
    """Sockets need short paths."""
    directory = Path(os.environ.get("TMPDIR", "/tmp")) / f"live-{secrets.token_hex(4)}"
    directory.mkdir(mode=0o700)
    return directory
