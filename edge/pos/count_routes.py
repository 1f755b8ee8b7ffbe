"""Counts over HTTP: whole counts, sessions scan by scan, and the supervisor's word on large differences.

Who counts is never told what was expected; only the list of what waits for a supervisor says it.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.contract.facts import QUANTITY_MILLI_MAX
from edge.domain.barcode import CODE_LENGTH_MAX
from edge.limits import KEY_CHARACTERS_MAX, TRANSACTION_LINES_MAX
from edge.pos.app import Handler, JsonBytes, body_of, json_response, principal_of
from edge.pos.problems import ProblemAnswer
from edge.pos.stock_answers import told
from edge.stock.count_sessions import How, ScanRequest, Session, SessionView
from edge.stock.counts import Counted, CountedRow, CountRequest
from edge.stock.desk import StockDesk

_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Text = Annotated[str, msgspec.Meta(max_length=KEY_CHARACTERS_MAX)]
_Code = Annotated[str, msgspec.Meta(min_length=1, max_length=CODE_LENGTH_MAX)]
_Found = Annotated[int, msgspec.Meta(ge=0, le=QUANTITY_MILLI_MAX)]
_Change = Annotated[int, msgspec.Meta(ge=-QUANTITY_MILLI_MAX, le=QUANTITY_MILLI_MAX)]
_Moment = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_SessionId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class CountedIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody found of one SKU, goods that orders have reserved included.

    `counted_ms`: when, for a device that sends later. `with_staged`: goods put aside for customers were counted too.
    """

    sku: _Key
    counted_milli: _Found
    counted_ms: _Moment | None = None
    with_staged: bool = False


class CountIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A count. `count_id` is minted by the caller: sent twice, it counts once. `place` says where in the store."""

    count_id: _Key
    lines: list[CountedIn]
    place: _Text = ""


class SessionIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A count session. `session_id` is minted by the caller. `skus`: what a directed one is to count."""

    session_id: _SessionId
    how: How = How.CYCLE
    place: _Text = ""
    skus: Annotated[list[_Key], msgspec.Meta(max_length=TRANSACTION_LINES_MAX)] = []
    with_staged: bool = False


class ScanIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One scan of a session. `code`: a barcode or SKU. `sets`: the quantity is all there is at this place, such as 0
    for "none here"; else it is added, and a negative one takes a scan back."""

    scan_id: _Key
    code: _Code
    quantity_milli: _Change = 1000
    sets: bool = False
    place: _Text = ""
    counted_ms: _Moment | None = None


class ScanOut(msgspec.Struct, frozen=True):
    """The scan is durable. `sku` is empty for a code of no product: it is kept and listed as unmatched."""

    recorded: bool
    sku: str


class SubmitIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rest_is_none`: what the session should have counted and did not is not there."""

    rest_is_none: bool = False


class SubmitOut(msgspec.Struct, frozen=True):
    """The counts that the session became. `waiting`: how many SKUs wait for a supervisor."""

    recorded: bool
    count_ids: list[str]
    waiting: int


class SessionOut(msgspec.Struct, frozen=True):
    """A session without its findings. `opened_ms`, `closed_ms`: on the wall clock."""

    session_id: str
    how: How
    place: str
    with_staged: bool
    opened_ms: int
    closed_ms: int | None


class TallyOut(msgspec.Struct, frozen=True):
    """What was found of a SKU so far."""

    sku: str
    counted_milli: int
    counted_ms: int
    scans: int


class SessionViewOut(msgspec.Struct, frozen=True):
    """A session with what was found; nothing of what is expected. `uncounted`: at most a named number of them."""

    session: SessionOut
    counted: list[TallyOut]
    unmatched: list[str]
    uncounted: list[str]
    uncounted_number: int


class WaitingOut(msgspec.Struct, frozen=True):
    """A difference that waits for a supervisor, against what was expected when it was counted."""

    count_id: str
    sku: str
    place: str
    counted_milli: int
    expected_milli: int
    difference_milli: int
    difference_minor: int
    counted_ms: int
    counted_by: str


class ReviewIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A supervisor's word on one: it moves stock, or is counted again. `act_id` is minted by the caller."""

    act_id: _Key
    count_id: _Key
    sku: _Key
    approve: bool
    reason: _Text = ""


def count_handlers(desk: StockDesk) -> Mapping[str, Handler]:
    """The handlers of counts, by the names in `edge.pos.access.RULES`."""

    async def post_count(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=CountIn)
        if len({line.sku for line in body.lines}) < len(body.lines):
            raise ProblemAnswer(400, "malformed", "A SKU is counted twice", "add its quantities up", recorded=False)
        if len(body.lines) > TRANSACTION_LINES_MAX:
            raise ProblemAnswer(400, "malformed", "Too many lines", f"at most {TRANSACTION_LINES_MAX}", recorded=False)
        lines = tuple(Counted(line.sku, line.counted_milli, line.counted_ms, line.with_staged) for line in body.lines)
        counted = CountRequest(body.count_id, lines, principal_of(request).id, body.place)
        return JsonBytes(await told(desk.counts.take(counted)), 201)

    async def waiting_counts(_request: Request) -> Response:
        return json_response([_waiting(desk, row) for row in desk.counts.waiting()])

    async def review_count(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=ReviewIn)
        return JsonBytes(await told(desk.counts.review(
            body.act_id, body.count_id, body.sku, principal_of(request).id, approved=body.approve,
            reason=body.reason)), 201)

    async def count_sessions(_request: Request) -> Response:
        return json_response([_session(session) for session in desk.sessions.open_ones()])

    async def open_count_session(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=SessionIn)
        view = await told(desk.sessions.open(body.session_id, body.how, principal_of(request).id, place=body.place,
                                             skus=body.skus, with_staged=body.with_staged))
        return json_response(_view(view), 201)

    async def count_session(request: Request) -> Response:
        async def look() -> SessionView:
            return desk.sessions.view(request.path_params["session_id"])
        return json_response(_view(await told(look())))

    async def scan_in_session(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=ScanIn)
        sku = await told(desk.sessions.scan(ScanRequest(
            request.path_params["session_id"], body.scan_id, body.code, body.quantity_milli, principal_of(request).id,
            body.sets, body.place, body.counted_ms)))
        return json_response(ScanOut(True, sku), 201)

    async def submit_session(request: Request) -> Response:
        raw = await body_of(request)
        body = msgspec.json.decode(raw, type=SubmitIn) if raw else SubmitIn()
        ids = await told(desk.sessions.submit(request.path_params["session_id"], principal_of(request).id,
                                              rest_is_none=body.rest_is_none))
        waiting = sum(row.state == "waiting" for count_id in ids for row in desk.counts.lines(count_id))
        return json_response(SubmitOut(True, ids, waiting), 201)

    async def give_up_session(request: Request) -> Response:
        await told(desk.sessions.give_up(request.path_params["session_id"]))
        return Response(status_code=204)

    return {"post_count": post_count, "waiting_counts": waiting_counts, "review_count": review_count,
            "count_sessions": count_sessions, "open_count_session": open_count_session,
            "count_session": count_session, "scan_in_session": scan_in_session, "submit_session": submit_session,
            "give_up_session": give_up_session}


def _session(session: Session) -> SessionOut:
    return SessionOut(session.session_id, session.how, session.place, session.with_staged, session.opened_ms,
                      session.closed_ms)


def _view(view: SessionView) -> SessionViewOut:
    tallies = [TallyOut(each.sku, each.counted_milli, each.counted_ms, each.scans) for each in view.tallies]
    return SessionViewOut(_session(view.session), tallies, list(view.unmatched), list(view.uncounted),
                          view.uncounted_number)


def _waiting(desk: StockDesk, row: CountedRow) -> WaitingOut:
    return WaitingOut(row.count_id, row.sku, row.place, row.counted_milli, row.expected_milli, row.difference_milli,
                      row.difference_milli * desk.counts.price_minor(row.sku) // 1000, row.counted_ms, row.actor)
