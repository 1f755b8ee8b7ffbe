"""A real Vendure server, furnished as a shop with collection in a store would be, and its customers."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from edge.proving.stage.premises import free_port
from tests.live.install import HERE, place

START_S = 120.0
MILK, BREAD, OAT, COFFEE = "4006381333931", "8410000000018", "8410000000025", "8410000000032"
PRICES = {MILK: 199, BREAD: 120, OAT: 189, COFFEE: 450}
NAMES = {MILK: "Leche Entera", BREAD: "Pan de Molde", OAT: "Leche de Avena", COFFEE: "Café Molido"}
STORE_42, PICKUP_42 = "Store 42", "pickup-42"

Json = dict[str, Any]


class VendureRefused(AssertionError):
    """An answer of Vendure's with errors."""


@dataclass
class VendureShop:
    """`start()` waits until it answers; `furnish()` once; then customers order."""

    directory: Path
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    process: subprocess.Popen[bytes] | None = None
    variants: dict[str, str] = field(default_factory=dict)
    location: str = ""
    _session: str = ""

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/admin-api"

    @property
    def log(self) -> str:
        return (self.directory / "vendure.log").read_text("utf-8", errors="replace")

    def start(self) -> None:
        packages = place("vendure")
        assert (packages / ".installed").exists(), f"{packages} is not there: run `make test-live`"
        node = shutil.which("node")
        assert node, "node is missing"
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "NODE_ENV": "test",
                       "NODE_PATH": str(packages / "node_modules"), "PORT": str(self.port),
                       "DATABASE": str(self.directory / "vendure.sqlite"), "ADMIN_PASSWORD": self.password}
        with (self.directory / "vendure.log").open("ab") as log:
            self.process = subprocess.Popen([node, HERE / "vendure" / "server.js"], cwd=self.directory, stdout=log,
                                            stderr=log, env=environment, start_new_session=True)
        deadline_s = time.monotonic() + START_S
        while "vendure is ready" not in self.log:
            assert self.process.poll() is None, f"Vendure ended:\n{self.log[-3000:]}"
            assert time.monotonic() < deadline_s, f"Vendure does not start:\n{self.log[-3000:]}"
            time.sleep(0.2)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def admin(self, document: str, **variables: object) -> Json:
        """As the shop's owner."""
        if not self._session:
            answer = self._post(self.admin_url, {}, """mutation($u: String!, $p: String!) {
                login(username: $u, password: $p) { __typename } }""", {"u": "superadmin", "p": self.password})
            self._session = answer.headers["vendure-auth-token"]
        answer = self._post(self.admin_url, {"Authorization": f"Bearer {self._session}"}, document, variables)
        return _data(answer)

    def furnish(self) -> None:
        """Country, zone, taxes, a stock location for the store, products, collection, payment."""
        one = self.admin
        country = one("""mutation { createCountry(input: { code: "ES", enabled: true,
            translations: [{ languageCode: en, name: "Spain" }] }) { id } }""")["createCountry"]["id"]
        zone = one("mutation($c: ID!) { createZone(input: { name: \"Iberia\", memberIds: [$c] }) { id } }",
                   c=country)["createZone"]["id"]
        tax = one("mutation { createTaxCategory(input: { name: \"Food\", isDefault: true }) { id } }"
                  )["createTaxCategory"]["id"]
        one("""mutation($z: ID!, $t: ID!) { createTaxRate(input: { name: "VAT", enabled: true, value: 10,
            categoryId: $t, zoneId: $z }) { id } }""", z=zone, t=tax)
        channel = one("{ activeChannel { id } }")["activeChannel"]["id"]
        one("""mutation($c: ID!, $z: ID!) { updateChannel(input: { id: $c, defaultTaxZoneId: $z,
            defaultShippingZoneId: $z, pricesIncludeTax: true, defaultCurrencyCode: EUR,
            availableCurrencyCodes: [EUR] }) { __typename } }""", c=channel, z=zone)
        self.location = one("mutation($n: String!) { createStockLocation(input: { name: $n }) { id } }",
                            n=STORE_42)["createStockLocation"]["id"]
        for sku, price in PRICES.items():
            product = one("""mutation($n: String!, $s: String!) { createProduct(input: { enabled: true,
                translations: [{ languageCode: en, name: $n, slug: $s, description: "" }] }) { id } }""",
                          n=NAMES[sku], s=f"p{sku}")["createProduct"]["id"]
            self.variants[sku] = one("""mutation($input: [CreateProductVariantInput!]!) {
                createProductVariants(input: $input) { id } }""", input=[{
                    "productId": product, "sku": sku, "price": price, "trackInventory": "TRUE", "taxCategoryId": tax,
                    "translations": [{"languageCode": "en", "name": NAMES[sku]}],
                    "stockLevels": [{"stockLocationId": self.location, "stockOnHand": 0}]}]
                )["createProductVariants"][0]["id"]
        one("""mutation($code: String!) { createShippingMethod(input: { code: $code,
            fulfillmentHandler: "manual-fulfillment",
            checker: { code: "default-shipping-eligibility-checker",
                       arguments: [{ name: "orderMinimum", value: "0" }] },
            calculator: { code: "default-shipping-calculator", arguments: [
                { name: "rate", value: "0" }, { name: "includesTax", value: "auto" },
                { name: "taxRate", value: "0" }] },
            translations: [{ languageCode: en, name: "Collect in store 42", description: "" }] }) { id } }""",
            code=PICKUP_42)
        one("""mutation { createPaymentMethod(input: { code: "dummy", enabled: true,
            handler: { code: "dummy-payment-handler", arguments: [{ name: "automaticSettle", value: "true" }] },
            translations: [{ languageCode: en, name: "Dummy" }] }) { id } }""")

    def orders(self, wanted: dict[str, int], name: str = "Ana García") -> "VendureOrder":
        """A customer fills a basket, chooses to collect it, and pays."""
        customer = Customer(self)
        for sku, quantity in wanted.items():
            customer.ask("""mutation($v: ID!, $q: Int!) { result: addItemToOrder(productVariantId: $v, quantity: $q) {
                __typename ... on ErrorResult { errorCode message } } }""", v=self.variants[sku], q=quantity)
        first, _, last = name.partition(" ")
        customer.ask("""mutation($f: String!, $l: String!, $e: String!) { result: setCustomerForOrder(input: {
            firstName: $f, lastName: $l, emailAddress: $e }) {
            __typename ... on ErrorResult { errorCode message } } }""",
                     f=first, l=last, e=f"{secrets.token_hex(4)}@example.com")
        customer.ask("""mutation { result: setOrderShippingAddress(input: { fullName: "Ana", streetLine1: "Calle 1",
            city: "Madrid", postalCode: "28001", countryCode: "ES", phoneNumber: "+34 600 123 456" }) {
            __typename ... on ErrorResult { errorCode message } } }""")
        method = customer.ask("{ result: eligibleShippingMethods { id code } }")[0]["id"]
        customer.ask("""mutation($m: [ID!]!) { result: setOrderShippingMethod(shippingMethodId: $m) { __typename
            ... on ErrorResult { errorCode message } } }""", m=[method])
        customer.ask("""mutation { result: transitionOrderToState(state: "ArrangingPayment") { __typename
            ... on ErrorResult { errorCode message } ... on OrderStateTransitionError { transitionError } } }""")
        paid = customer.ask("""mutation { result: addPaymentToOrder(input: { method: "dummy", metadata: {} }) {
            __typename ... on Order { id code state totalWithTax } ... on ErrorResult { errorCode message } } }""")
        assert paid["state"] == "PaymentSettled", paid
        return VendureOrder(self, paid["id"], paid["code"], paid["totalWithTax"])

    def stock(self, sku: str) -> tuple[int, int]:
        """On hand and allocated at the store's location."""
        levels = self.admin("""query($id: ID!) { productVariant(id: $id) { stockLevels {
            stockLocationId stockOnHand stockAllocated } } }""", id=self.variants[sku])["productVariant"]["stockLevels"]
        mine = next(level for level in levels if level["stockLocationId"] == self.location)
        return mine["stockOnHand"], mine["stockAllocated"]

    def movements(self, sku: str) -> list[tuple[str, int]]:
        """Type and quantity, oldest first."""
        items = self.admin("""query($id: ID!) { productVariant(id: $id) {
            stockMovements(options: { take: 100 }) { items {
            ... on StockAdjustment { id type quantity } ... on Allocation { id type quantity }
            ... on Sale { id type quantity } ... on Release { id type quantity }
            ... on Cancellation { id type quantity } ... on Return { id type quantity } } } } }""",
                           id=self.variants[sku])["productVariant"]["stockMovements"]["items"]
        return [(item["type"], item["quantity"]) for item in sorted(items, key=lambda item: int(item["id"]))]

    def _post(self, url: str, headers: dict[str, str], document: str, variables: dict[str, object]) -> httpx.Response:
        return httpx.post(url, headers=headers, json={"query": document, "variables": variables}, timeout=60)


@dataclass
class VendureOrder:
    """An order as its shop sees it."""

    shop: VendureShop
    id: str
    code: str
    paid: int

    def now(self) -> Json:
        return self.shop.admin("""query($id: ID!) { order(id: $id) { state totalWithTax
            lines { id quantity orderPlacedQuantity productVariant { sku } }
            surcharges { description priceWithTax }
            modifications { priceChange isSettled }
            payments { id state amount refunds { id total state reason } }
            fulfillments { id state method trackingCode lines { orderLineId quantity } }
            history(options: { take: 100 }) { items { type isPublic data } } } }""", id=self.id)["order"]

    @property
    def state(self) -> str:
        return str(self.now()["state"])

    def quantities(self) -> dict[str, int]:
        return {line["productVariant"]["sku"]: line["quantity"] for line in self.now()["lines"]}

    def delivered(self) -> dict[str, int]:
        """SKU → units in delivered fulfilments."""
        now, found = self.now(), {}
        skus = {line["id"]: line["productVariant"]["sku"] for line in now["lines"]}
        for fulfillment in now["fulfillments"]:
            assert fulfillment["state"] == "Delivered", fulfillment
            for line in fulfillment["lines"]:
                sku = skus[line["orderLineId"]]
                found[sku] = found.get(sku, 0) + line["quantity"]
        return found

    def refunds(self) -> list[tuple[int, str]]:
        return [(refund["total"], refund["state"]) for payment in self.now()["payments"]
                for refund in payment["refunds"]]

    def notes(self) -> list[str]:
        """What its customer reads in its history."""
        return [item["data"]["note"] for item in self.now()["history"]["items"]
                if item["type"] == "ORDER_NOTE" and item["isPublic"]]

    def cancel(self) -> None:
        self.shop.admin("""mutation($id: ID!) { cancelOrder(input: { orderId: $id, reason: "by phone",
            cancelShipping: true }) { __typename ... on ErrorResult { errorCode message } } }""", id=self.id)


class Customer:
    """A browser in the shop."""

    def __init__(self, shop: VendureShop) -> None:
        self._url = f"http://127.0.0.1:{shop.port}/shop-api"
        self._shop = shop
        self._headers: dict[str, str] = {}

    def ask(self, document: str, **variables: object) -> Any:
        """The member `result` of the answer. Raises `VendureRefused`."""
        answer = self._shop._post(self._url, self._headers, document, variables)
        if token := answer.headers.get("vendure-auth-token"):
            self._headers = {"Authorization": f"Bearer {token}"}
        result = _data(answer)["result"]
        if isinstance(result, dict) and result.get("errorCode"):
            raise VendureRefused(json.dumps(result))
        return result


def _data(answer: httpx.Response) -> Json:
    body = answer.json()
    if body.get("errors"):
        raise VendureRefused(json.dumps(body["errors"])[:2000])
    return dict(body["data"])
