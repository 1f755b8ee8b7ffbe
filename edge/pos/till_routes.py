"""What tills ask and send: lookup, transactions, close, high-water, exceptions."""

import re
from collections.abc import Mapping
from datetime import date

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from edge.db.ledger import Outcome
from edge.db.queries import LEDGER
from edge.errors import Rejected
from edge.limits import CLOSE_SPAN_MAX, TRANSACTION_LINES_MAX
from edge.pos.access import Role
from edge.pos.app import Handler, JsonBytes, body_of, json_response, principal_of
from edge.pos.problems import ProblemAnswer
from edge.pos.transactions import CloseIn, TillDay, TransactionDesk, TransactionIn
from edge.prices.price_desk import PriceDesk
from edge.store import Store

_encoder = msgspec.json.Encoder()
_transaction_decoder = msgspec.json.Decoder(TransactionIn)
_close_decoder = msgspec.json.Decoder(CloseIn)
_SEQUENCE = re.compile(r"[0-9]{1,10}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class TillException(msgspec.Struct, frozen=True):
    """Something about a till's day that a person should look at."""

    reason: str
    about: str
    detail: str
    recorded_ms: int


def till_handlers(store: Store, prices: PriceDesk, transactions: TransactionDesk) -> Mapping[str, Handler]:
    """The handlers of the tills' routes, by the names in `edge.pos.access.RULES`."""

    async def lookup(request: Request) -> Response:
        quote = prices.by_code(request.path_params["code"])
        if quote is None:
            raise ProblemAnswer(404, "unknown-item", "No item under this code", request.path_params["code"][:64])
        return JsonBytes(_encoder.encode(quote))

    async def put_transaction(request: Request) -> Response:
        day = _till_day(request, request.path_params["business_day"])
        if not _SEQUENCE.fullmatch(request.path_params["sequence"]):
            raise ProblemAnswer(400, "malformed", "The sequence is no number of up to ten digits", recorded=False)
        body = _transaction_decoder.decode(await body_of(request))
        if len(body.lines) > TRANSACTION_LINES_MAX:
            raise ProblemAnswer(400, "malformed", "Too many lines", f"at most {TRANSACTION_LINES_MAX}", recorded=False)
        receipt = await transactions.take(day, int(request.path_params["sequence"]), body)
        if receipt.outcome is Outcome.CONFLICT:
            raise ProblemAnswer(409, "conflict", "This transaction was sent before with another meaning",
                                "both are kept; a person decides. Do not send it again", recorded=True)
        return JsonBytes(receipt.answer, 201)

    async def close_till(request: Request) -> Response:
        body = _close_decoder.decode(await body_of(request))
        _till_day(request, body.business_day)
        if body.last < body.first or body.last - body.first >= CLOSE_SPAN_MAX:
            raise Rejected(f"first {body.first} to last {body.last} is no day of a till; "
                           f"at most {CLOSE_SPAN_MAX} sequences")
        return json_response(await transactions.close(request.path_params["till"], body))

    async def high_water(request: Request) -> Response:
        day = request.query_params.get("business_day")
        till = _till_day(request, "2000-01-01" if day is None else day).till
        return json_response(transactions.high_water(till, day))

    async def till_exceptions(request: Request) -> Response:
        day = _till_day(request, request.query_params.get("business_day", ""))
        rows = store.books.ledger_reader.execute(LEDGER.exceptions_of_till_day, (day.till, day.business_day))
        return json_response([TillException(*row) for row in rows.fetchall()])

    return {"lookup": lookup, "put_transaction": put_transaction, "close_till": close_till, "high_water": high_water,
            "till_exceptions": till_exceptions}


def _till_day(request: Request, business_day: str) -> TillDay:
    """The till and day of a request; a till may only speak for itself."""
    till = request.path_params["till"]
    principal = principal_of(request)
    if principal.role is Role.TILL and principal.id != till:
        raise ProblemAnswer(403, "forbidden", "A till speaks only for itself",
                            f"this token belongs to till {principal.id}", recorded=False)
    if not _is_day(business_day):
        raise ProblemAnswer(400, "malformed", "business_day is a date like 2026-11-22", recorded=False)
    return TillDay(till, business_day)


def _is_day(text: str) -> bool:
    """One spelling for each day: under a second one a repeat would be another sale."""
    if not _DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
