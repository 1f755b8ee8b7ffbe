"""Doing at Vendure what `plan` decided. Each deed is one mutation; what it left is read again before the next."""

from dataclasses import dataclass

import msgspec

from cloud_sync.connectors.errors import Refused
from cloud_sync.connectors.hub import Hub, NoteIn
from cloud_sync.connectors.vendure import plan, queries
from cloud_sync.connectors.vendure.graphql import Result, Vendure
from cloud_sync.connectors.vendure.orders import OrderNote
from cloud_sync.connectors.vendure.records import Order, StockPage, StockSet

ORDER_KIND = "order"
HANDLER = "manual-fulfillment"
CANDIDATES_MAX = 10


@dataclass(frozen=True, slots=True)
class Deeds:
    """`location`: Vendure's id of the stock location of the order's store."""

    hub: Hub
    vendure: Vendure
    order_id: str
    location: str

    async def do(self, deed: plan.Deed, note: OrderNote, case: plan.Case) -> OrderNote:
        """Returns what is to be remembered now. Raises `Refused`, `Transient`."""
        order = case.order
        await self.hub.hold()
        match deed:
            case plan.AskCancel(lines):
                await self.hub.request_cancel(note.store, self.order_id, lines)
            case plan.BeginModifying():
                note = await self._remember(msgspec.structs.replace(note, modifying_from=order.state, cut=True))
                await self._transition(order, "Modifying")
            case plan.Exchange(off, on):
                await self._exchange(order, off, on)
            case plan.EndModifying():
                await self._transition(order, _way_back(order, note.modifying_from))
                note = await self._remember(msgspec.structs.replace(note, modifying_from=""))
            case plan.TakeOff(off, everything):
                note = await self._remember(msgspec.structs.replace(note, cut=True))
                await self._mutate(queries.CANCEL, "cancel units", {
                    "orderId": order.id, "lines": _lines(off), "reason": plan.REASON, "cancelShipping": everything})
            case plan.Refund(payment, amount_minor):  # the deprecated figures may not be absent (Vendure 3.7.3)
                await self._mutate(queries.REFUND, "refund", {
                    "paymentId": payment, "amount": amount_minor, "reason": plan.REASON, "lines": [], "shipping": 0,
                    "adjustment": 0})
            case plan.SettleRefund(refund):
                await self._mutate(queries.SETTLE_REFUND, "settle a refund", {
                    "id": refund, "transactionId": f"{plan.TRACKING_PREFIX}{self.order_id}"})
            case plan.Fulfil(units):
                await self._mutate(queries.FULFIL, "fulfil what left the store", {
                    "lines": _lines(units), "handler": {"code": HANDLER, "arguments": [
                        {"name": "method", "value": f"collected at store {note.store}"},
                        {"name": "trackingCode", "value": f"{plan.TRACKING_PREFIX}{self.order_id}"}]}})
            case plan.Deliver(fulfillment):
                (await self.vendure.ask(queries.DELIVER, Result, id=fulfillment)).result.raise_for("deliver")
            case plan.Wait(what):
                raise Refused(what)
        return note

    async def _exchange(self, order: Order, off: plan.Units, on: tuple[plan.Substitute, ...]) -> None:
        """One modification: tried first, so that its total can be put right. Vendure prices what it touches anew; the
        customer pays what she was promised."""
        variants = await self._variants(on)
        quantities = {line.id: line.quantity for line in order.lines}
        wanted: dict[str, object] = {
            "orderId": order.id, "addItems": [
                {"productVariantId": variants[each.sku], "quantity": each.units} for each in on],
            "adjustOrderLines": [
                {"orderLineId": line, "quantity": quantities[line] - units} for line, units in off],
            "options": {"freezePromotions": True, "recalculateShipping": False},
            "note": f"{plan.REASON}: another product instead"}
        prices = {line.id: line.prorated_unit_price_with_tax for line in order.lines}
        promised = order.total_with_tax - sum(prices[line] * units for line, units in off) + sum(
            each.price_minor * each.units for each in on)
        promised = min(promised, order.total_with_tax)  # a substitute is never dearer
        tried = await self._mutate(queries.MODIFY, "try a substitute", {**wanted, "dryRun": True})
        if difference := promised - tried:
            wanted["surcharges"] = [{"description": "Price as promised", "price": difference, "priceIncludesTax": True,
                                     "taxRate": order.lines[0].tax_rate}]
        if (too_much := order.total_with_tax - promised) > 0:
            payment = max(order.payments or (), key=lambda one: one.left, default=None)
            if payment is None:
                raise Refused("the order has no payment at Vendure that a refund could come from")
            wanted["refunds"] = [{"paymentId": payment.id, "amount": too_much, "reason": plan.REASON}]
        await self._mutate(queries.MODIFY, "exchange a product", {**wanted, "dryRun": False})

    async def _variants(self, on: tuple[plan.Substitute, ...]) -> dict[str, str]:
        """SKU → Vendure's id. The store has put the substitute aside; Vendure has to see that there is one."""
        page = (await self.vendure.ask(queries.STOCK, StockPage, skus=[each.sku for each in on],
                                       take=CANDIDATES_MAX * len(on))).product_variants
        found = {variant.sku: variant for variant in reversed(page.items)}
        for each in on:
            if each.sku not in found:
                raise Refused(f"Vendure has no variant {each.sku}, which came instead: put it there")
            level = found[each.sku].at(self.location)
            if level.stock_on_hand - level.stock_allocated < each.units:
                await self._raise_stock(found[each.sku].id, level.stock_allocated + each.units)
        return {each.sku: found[each.sku].id for each in on}

    async def _raise_stock(self, variant: str, on_hand: int) -> None:
        await self.vendure.ask(queries.SET_STOCK, StockSet, input=[
            {"id": variant, "stockLevels": [{"stockLocationId": self.location, "stockOnHand": on_hand}]}])

    async def _transition(self, order: Order, state: str) -> None:
        done = await self.vendure.ask(queries.TRANSITION, Result, id=order.id, state=state)
        done.result.raise_for(f"put order {order.code} into state {state}")

    async def _mutate(self, document: str, what: str, wanted: dict[str, object]) -> int:
        """Returns the order's total afterwards, where the mutation tells it."""
        done = (await self.vendure.ask(document, Result, input=wanted)).result
        done.raise_for(what)
        return done.total_with_tax

    async def _remember(self, note: OrderNote) -> OrderNote:
        await self.hub.put_notes([NoteIn(ORDER_KIND, self.order_id, note)])
        return note


def _lines(units: plan.Units) -> list[dict[str, object]]:
    return [{"orderLineId": line, "quantity": number} for line, number in units]


def _way_back(order: Order, before: str) -> str:
    """Where Vendure lets the order go; through additional payment when a modification made it dearer, which ours
    never do."""
    if before in order.next_states:
        return before
    return next((state for state in ("PartiallyDelivered", "PaymentSettled", "PaymentAuthorized")
                 if state in order.next_states), before)
