"""Stock as tills and staff see it, and goods that came in without an expected delivery (DESIGN.md section 9).

Nothing overwrites a quantity. Counts and deliveries are in `edge.pos.count_routes` and `goods_routes`.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.contract.facts import QUANTITY_MILLI_MAX, Movement, StockMove
from edge.db.ledger import Outcome, Receipt, draft
from edge.db.queries import LEDGER
from edge.db.shortages import record_and_tell
from edge.limits import KEY_CHARACTERS_MAX, TRANSACTION_LINES_MAX
from edge.pos.app import Handler, JsonBytes, body_of, json_response, principal_of
from edge.pos.problems import ProblemAnswer
from edge.store import Store

SHORT_LINES_MAX = 10
"""More goods at once are not for the event loop to write."""

_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Text = Annotated[str, msgspec.Meta(max_length=KEY_CHARACTERS_MAX)]


class StockOut(msgspec.Struct, frozen=True):
    """A SKU's disjoint buckets and what may be promised, in thousandths."""

    sku: str
    on_hand_milli: int
    sellable_milli: int
    reserved_milli: int
    staged_milli: int
    quarantine_milli: int
    available_milli: int


class ReceivedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Goods of one SKU; `quantity_milli` in thousandths."""

    sku: _Key
    quantity_milli: Annotated[int, msgspec.Meta(ge=-QUANTITY_MILLI_MAX, le=QUANTITY_MILLI_MAX)]


class MovementIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Goods that came in. `movement_id` is minted by the caller: sent twice, it counts once."""

    movement_id: _Key
    lines: list[ReceivedLine]
    reason: _Text = "receipt"
    document: _Text = ""


def stock_handlers(store: Store) -> Mapping[str, Handler]:
    """The handlers of stock and movements, by the names in `edge.pos.access.RULES`."""

    async def stock(request: Request) -> Response:
        return json_response(stock_of(store, request.path_params["sku"]))

    async def post_movement(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=MovementIn)
        receipt = await receive(store, body, principal_of(request).id)
        return JsonBytes(receipt, 201)

    return {"stock": stock, "post_movement": post_movement}


def stock_of(store: Store, sku: str) -> StockOut:
    """The store's stock of a SKU; zeros for one that never moved."""
    row = store.books.ledger_reader.execute(LEDGER.stock, (sku,)).fetchone() or (0, 0, 0, 0)
    sellable, reserved, staged, quarantine = row
    return StockOut(sku, sellable + reserved + staged, sellable, reserved, staged, quarantine,
                    sellable - store.policy.safety_stock_milli)


async def receive(store: Store, body: MovementIn, actor: str) -> bytes:
    """Record goods that came in; returns the answer's JSON. Raises a 409 problem for another meaning of the same id."""
    _check_lines(body.lines)
    now_ms = store.clock.wall_ms()
    moves = tuple(StockMove(line.sku, sellable_milli=line.quantity_milli) for line in body.lines)
    fact = Movement(reason=body.reason, moves=moves, actor=actor, document=body.document)
    made = draft(f"movement/{body.movement_id}", fact, occurred_ms=now_ms, recorded_ms=now_ms,
                 business_day=store.business_day(now_ms))
    return _taken(await store.record(lambda connection: record_and_tell(connection, store.books.chain, made),
                                     short=len(moves) <= SHORT_LINES_MAX))


def _check_lines(lines: list[ReceivedLine]) -> None:
    if len(lines) > TRANSACTION_LINES_MAX:
        raise ProblemAnswer(400, "malformed", "Too many lines", f"at most {TRANSACTION_LINES_MAX}", recorded=False)


def _taken(receipt: Receipt) -> bytes:
    if receipt.outcome is Outcome.CONFLICT:
        raise ProblemAnswer(409, "conflict", "This id was sent before with another meaning",
                            "both are kept; a person decides", recorded=True)
    return receipt.answer
