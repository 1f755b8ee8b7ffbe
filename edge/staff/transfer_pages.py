"""Goods for another store: a list scanned into one field, looked at once more, and sent.

What has left cannot be called back from here, so nothing leaves before a person saw the names of what was scanned.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.contract.facts import TransferLine
from edge.errors import Rejected
from edge.limits import TRANSACTION_LINES_MAX
from edge.pos.app import Handler
from edge.pos.goods_routes import NAME_PATTERN
from edge.staff.acts import act_id_of, acted
from edge.staff.door import Form, form_of, session_of, words_for
from edge.staff.page import StaffPage
from edge.staff.products import product_name
from edge.staff.sessions import Message, Tone
from edge.staff.stock_forms import PIECE_MILLI, STOCK_PATH, actor_of, note_of, quantity_milli
from edge.staff.words import Words

PATH = "/staff/transfers"
LIST_CHARACTERS_MAX = 20_000
_ROW = re.compile(r"(?P<code>\S+)(?:\s+(?:[x×*]\s*)?(?P<quantity>\S+))?")
_STORE = re.compile(NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class Sending:
    """What a form says: the other store, the list as typed, a note. Shown again whatever came of it."""

    to_store: str = ""
    listed: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """A product of the list."""

    name: str
    quantity_milli: int


def transfer_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of transfers, by the names in `edge.staff.routes.STAFF_RULES`."""
    view, store, desk = page.view, page.parts.store, page.parts.stock

    def shown(request: Request, sending: Sending, named: list[Named] | None = None) -> Response:
        return view.page(request, session_of(request), "transfer.html", {
            "sending": sending, "named": named, "lines_max": TRANSACTION_LINES_MAX})

    async def begin(request: Request) -> Response:
        return shown(request, Sending())

    async def check(request: Request) -> Response:
        form = await form_of(request)
        sending = _sending(form)
        try:
            lines = _lines(page, sending, words_for(request))
        except Rejected as error:
            session_of(request).messages.append(Message(str(error), Tone.REFUSED))
            return shown(request, sending)
        return shown(request, sending, [Named(product_name(store, line.sku), line.quantity_milli) for line in lines])

    async def send(request: Request) -> Response:
        form, words = await form_of(request), words_for(request)
        sending = _sending(form)

        async def sent() -> Message:
            lines = _lines(page, sending, words)
            transfer_id = act_id_of(form, sending.to_store, sending.listed, sending.note)
            await desk.moves.send(transfer_id, sending.to_store, lines, actor_of(request), sending.note)
            return Message(words.count("On its way to store %(store)s: %(num)s product.",
                                       "On their way to store %(store)s: %(num)s products.", len(lines),
                                       store=sending.to_store))
        return await acted(request, STOCK_PATH, sent, refused_back=PATH)

    return {"staff_transfer": begin, "staff_check_transfer": check, "staff_send_transfer": send}


def _sending(form: Form) -> Sending:
    return Sending(form.get("to_store", "").strip(), form.get("listed", "").strip(), note_of(form))


def _lines(page: StaffPage, sending: Sending, words: Words) -> list[TransferLine]:
    """The list with every product once. Raises `Rejected` with all that is wrong with it."""
    wrong: list[str] = []
    if not _STORE.fullmatch(sending.to_store):
        wrong.append(words.say("Say which store it goes to: its number."))
    if sending.to_store == page.parts.store.identity.store:
        wrong.append(words.say("This is the store that sends them."))
    if len(sending.listed) > LIST_CHARACTERS_MAX:
        raise Rejected(words.say("The list is too long: send it in parts."))
    sums: dict[str, int] = {}
    for row in filter(None, map(str.strip, sending.listed.splitlines())):
        found = _ROW.fullmatch(row)
        sku = page.parts.prices.sku_of(found["code"]) if found else ""
        if not found or not sku:
            wrong.append(words.say("No product has the code %(code)s.", code=row[:64]))
            continue
        try:
            milli = quantity_milli(found["quantity"], words) if found["quantity"] else PIECE_MILLI
        except Rejected as error:
            wrong.append(f"{row[:64]}: {error}")
            continue
        sums[sku] = sums.get(sku, 0) + milli
    if not sums and not wrong:
        wrong.append(words.say("Scan what is to be sent."))
    if wrong:
        raise Rejected(" ".join(wrong[:10]))
    return [TransferLine(sku, milli) for sku, milli in sums.items()]
