"""The price book for tills that keep a copy: loading it, and saying that one has it."""

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from edge.limits import KEY_CHARACTERS_MAX
from edge.pos.access import Role
from edge.pos.app import Handler, body_of, json_response, principal_of
from edge.pos.problems import ProblemAnswer
from edge.prices.price_book import PriceBook

NDJSON = "application/x-ndjson"


class AcknowledgeIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`version`: of the book's last line. Empty: the till keeps no copy any more."""

    version: str


class CopyOut(msgspec.Struct, frozen=True):
    """Since when which till keeps which version; `version` is empty when it keeps none."""

    till: str
    version: str
    acked_ms: int


def book_handlers(book: PriceBook) -> Mapping[str, Handler]:
    """The handlers of the price book, by the names in `edge.pos.access.RULES`."""

    async def pricebook(request: Request) -> Response:
        since = request.query_params.get("since", "")[:KEY_CHARACTERS_MAX]
        return StreamingResponse(book.lines(since), media_type=NDJSON)

    async def acknowledge(request: Request) -> Response:
        till, principal = request.path_params["till"], principal_of(request)
        if principal.role is Role.TILL and principal.id != till:
            raise ProblemAnswer(403, "forbidden", "A till speaks only for itself",
                                f"this token belongs to till {principal.id}", recorded=False)
        body = msgspec.json.decode(await body_of(request), type=AcknowledgeIn)
        if not body.version:
            await book.forget_copy(till)
            return json_response(CopyOut(till, "", 0))
        copy = await book.acknowledge(till, body.version)
        return json_response(CopyOut(till, body.version, copy.acked_ms))

    return {"pricebook": pricebook, "acknowledge_pricebook": acknowledge}
