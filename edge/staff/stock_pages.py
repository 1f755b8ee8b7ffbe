"""Stock on the page: where counts and deliveries begin, adjustments, and what waits for a supervisor."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from edge.errors import Rejected
from edge.pos.app import Handler
from edge.pos.problems import ProblemAnswer
from edge.staff.acts import act_id_of, acted
from edge.staff.door import Form, form_of, session_of, words_for
from edge.staff.page import StaffPage
from edge.staff.products import product_name
from edge.staff.sessions import Message
from edge.staff.stock_forms import PIECE_MILLI, STOCK_PATH, actor_of, code_of, is_supervisor, note_of, quantity_milli
from edge.staff.view import quantity_text
from edge.staff.words import Words, marked
from edge.stock.counts import CountedRow
from edge.stock.moves import AdjustmentRequest, Reason

REASONS: Mapping[Reason, str] = {
    Reason.DAMAGED: marked("Damaged"),
    Reason.EXPIRED: marked("Past its date"),
    Reason.WASTE: marked("Waste"),
    Reason.STOLEN: marked("Stolen"),
    Reason.LOST: marked("Not to be found"),
    Reason.OWN_USE: marked("Own use"),
    Reason.RETURNED_TO_SUPPLIER: marked("Back to the supplier"),
    Reason.FOUND: marked("Found"),
    Reason.REGRADED: marked("Fit to be sold again"),
    Reason.DISPOSED: marked("Damaged, thrown away"),
}
"""What people call each reason of an adjustment."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A difference for a supervisor."""

    row: CountedRow
    name: str
    value_minor: int


def stock_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of stock, by the names in `edge.staff.routes.STAFF_RULES`."""
    view, store, desk = page.view, page.parts.store, page.parts.stock

    async def overview(request: Request) -> Response:
        latest = desk.audit.latest
        values = {"sessions": desk.sessions.open_ones(), "deliveries": desk.deliveries.open(), "reasons": REASONS,
                  "waiting": [Waiting(row, product_name(store, row.sku), row.difference_milli
                                      * desk.counts.price_minor(row.sku) // PIECE_MILLI)
                              for row in desk.counts.waiting()] if is_supervisor(request) else [],
                  "leaks": latest.skus if latest is not None and latest.leaks else None}
        return view.page(request, session_of(request), "stock.html", values)

    async def adjust(request: Request) -> Response:
        form, words = await form_of(request), words_for(request)

        async def adjusted() -> Message:
            sku, reason = _sku(page, form, words), _reason(form)
            milli = quantity_milli(form.get("quantity", ""), words)
            note = note_of(form)
            await desk.moves.adjust(AdjustmentRequest(
                act_id_of(form, sku, str(milli), reason.value, note), sku, milli, reason, actor_of(request), note,
                is_supervisor(request)))
            return Message(words.say("%(reason)s: %(quantity)s × %(name)s.", reason=words.say(REASONS[reason]),
                                     quantity=quantity_text(milli, words.language), name=product_name(store, sku)))
        return await acted(request, STOCK_PATH, adjusted)

    async def review(request: Request) -> Response:
        form, words = await form_of(request), words_for(request)
        count_id, sku, approved = form.get("count_id", ""), form.get("sku", ""), form.get("approve") == "yes"

        async def reviewed() -> Message:
            await desk.counts.review(act_id_of(form, count_id, sku, str(approved)), count_id, sku, actor_of(request),
                                     approved=approved, reason=note_of(form, "reason"))
            name = product_name(store, sku)
            return Message(words.say("The count of %(name)s stands.", name=name) if approved else
                           words.say("%(name)s is to be counted again.", name=name))
        return await acted(request, STOCK_PATH, reviewed)

    async def repair(request: Request) -> Response:
        form, words = await form_of(request), words_for(request)

        async def repaired() -> Message:
            await desk.audit.repair(act_id_of(form, "repair"), actor_of(request))
            return Message(words.say("The book keeps for orders what they want."))
        return await acted(request, STOCK_PATH, repaired)

    return {"staff_stock": overview, "staff_adjust": adjust, "staff_review_count": review,
            "staff_repair_reservations": repair}


def _sku(page: StaffPage, form: Form, words: Words) -> str:
    """Raises `Rejected`."""
    code = code_of(form)
    sku = page.parts.prices.sku_of(code)
    if not sku:
        raise Rejected(words.say("No product has the code %(code)s.", code=code))
    return sku


def _reason(form: Form) -> Reason:
    reason = next((each for each in Reason if each.value == form.get("reason")), None)
    if reason is None:
        raise ProblemAnswer(400, "malformed", "This is no reason for an adjustment", recorded=False)
    return reason
