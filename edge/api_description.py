"""What each route of the store's API takes and answers, for `/openapi.json` (`edge.pos.openapi`).

One entry for each rule of `edge.pos.access.RULES`; a test fails for a route that is not here.
"""

from collections.abc import Mapping
from importlib import metadata

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.contract.parcels import Parcel
from edge.db.ledger import Answer
from edge.doctor import Report
from edge.health.routes import Status
from edge.pickups.returns import Quarantined
from edge.pickups.shipping import LabelData
from edge.pos.access import RULES
from edge.pos.app import Handler
from edge.pos.basket_routes import BasketIn, ReceiptOut
from edge.pos.book_routes import NDJSON, AcknowledgeIn, CopyOut
from edge.pos.count_routes import (
    CountIn,
    ReviewIn,
    ScanIn,
    ScanOut,
    SessionIn,
    SessionOut,
    SessionViewOut,
    SubmitIn,
    SubmitOut,
    WaitingOut,
)
from edge.pos.events import SSE
from edge.pos.goods_routes import ActIn, AdjustmentIn, DeliveryOut, ReceiptIn, TransferIn
from edge.pos.label_routes import LabelIn, LabelOut, PaperScan
from edge.pos.openapi import JSON, Operation, Query, openapi_document
from edge.pos.poslog.desk import PoslogReport
from edge.pos.return_routes import GradingIn, ReturnableOut, ReturnIn
from edge.pos.ship_routes import PackIn, ParcelLabelIn, ParcelStepIn
from edge.pos.stock_routes import MovementIn, StockOut
from edge.pos.store_routes import Decided, DecisionIn, DoneIn, PickupOut, Recorded, StepIn
from edge.pos.till_routes import TillException
from edge.pos.transactions import CloseIn, CloseOut, HighWater, TransactionIn
from edge.prices.comparison import Comparison, Night
from edge.prices.guard_desk import HeldBatch
from edge.prices.price_desk import Quote
from edge.prices.reports import AccuracyReport, Announced, Hold
from edge.stock.audit import AuditReport
from edge.tasks import OpenTask

_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


def _on_label(says: str) -> Operation:
    return Operation(says, {200: LabelOut}, LabelIn, body_optional=True, problems=(404, 409))


class LookupOut(Quote, frozen=True):
    """What `edge.prices.price_desk` answers: the last two only for a code that says how much it is."""

    quantity_milli: int | None = None
    amount_minor: int | None = None


class Word(msgspec.Struct, frozen=True):
    """One word for a machine that watches."""

    status: str


OPERATIONS: dict[str, Operation] = {
    "lookup": Operation("What a barcode or SKU is, and what to charge for it", {200: LookupOut}, problems=(404, 409)),
    "put_transaction": Operation(
        "A sale, return or void that happened; sent twice it counts once", {201: Answer}, TransactionIn,
        problems=(409,), paths={"business_day": _DAY, "sequence": "^[0-9]{1,10}$"}),
    "price_basket": Operation("The whole receipt of a basket", {200: ReceiptOut}, BasketIn),
    "take_poslog": Operation("Transactions as POSLog XML, streamed", {200: PoslogReport}, problems=(413, 422),
                             queries=(Query("dialect", "a file of config/poslog; without it v6"),)),
    "events": Operation("What changes, as it happens; resumed by `Last-Event-ID`", {200: SSE},
                        queries=(Query("last_event_id", "for clients that cannot set the header"),)),
    "pricebook": Operation("The price book line by line, or what changed in it", {200: NDJSON},
                           queries=(Query("since", "the version that a copy has; without it, everything"),)),
    "acknowledge_pricebook": Operation("This till has this version whole", {200: CopyOut}, AcknowledgeIn),
    "close_till": Operation("The till's own account of its day, compared with what arrived", {200: CloseOut}, CloseIn),
    "high_water": Operation("What the store holds of a till's day", {200: HighWater}, problems=(400,),
                            queries=(Query("business_day", "without it, the newest day", pattern=_DAY),)),
    "till_exceptions": Operation("What people should look at in a till's day", {200: list[TillException]},
                                 problems=(400,),
                                 queries=(Query("business_day", "the day", required=True, pattern=_DAY),)),
    "stock": Operation("A SKU's stock in its buckets", {200: StockOut}),
    "post_movement": Operation("Goods came in", {201: Answer}, MovementIn, problems=(409,)),
    "post_count": Operation("Somebody counted", {201: Answer}, CountIn, problems=(409,)),
    "waiting_counts": Operation("Differences that wait for a supervisor", {200: list[WaitingOut]}),
    "review_count": Operation("A supervisor's word on one of them", {201: Answer}, ReviewIn, problems=(404, 409)),
    "count_sessions": Operation("Counts that are under way", {200: list[SessionOut]}),
    "open_count_session": Operation("Begin to count", {201: SessionViewOut}, SessionIn, problems=(409,)),
    "count_session": Operation("What was found so far", {200: SessionViewOut}, problems=(404,)),
    "scan_in_session": Operation("Something was scanned or counted by hand", {201: ScanOut}, ScanIn,
                                 problems=(404, 409)),
    "submit_session": Operation("The count is done", {201: SubmitOut}, SubmitIn, body_optional=True,
                                problems=(404, 409)),
    "give_up_session": Operation("The count comes to nothing", {204: None}, problems=(404,)),
    "deliveries": Operation("Goods on their way, and what came in of them", {200: list[DeliveryOut]}),
    "delivery": Operation("One delivery", {200: DeliveryOut}, problems=(404,)),
    "receive_delivery": Operation("Goods of a delivery came in", {201: Answer}, ReceiptIn, problems=(404, 409)),
    "receive_rest": Operation("Everything else came in as promised", {201: Answer}, ActIn, problems=(404, 409)),
    "close_delivery": Operation("Nothing more will come of it", {201: Answer}, ActIn, problems=(404, 409)),
    "send_transfer": Operation("Goods leave for another store", {201: Answer}, TransferIn, problems=(409,)),
    "post_adjustment": Operation("Stock is otherwise than the book says", {201: Answer}, AdjustmentIn,
                                 problems=(409,)),
    "reservation_audit": Operation("Whether the book keeps for orders what they want", {200: AuditReport}),
    "repair_reservations": Operation("Make the book say what the orders say", {201: Answer}, ActIn,
                                     problems=(409,)),
    "pickups": Operation("Orders that are not finished", {200: list[PickupOut]}),
    "pickup": Operation("One order", {200: PickupOut}, problems=(404,)),
    "post_pickup_step": Operation("A step of an order", {200: PickupOut}, StepIn, problems=(404, 409)),
    "parcels": Operation("The parcels of an order that is sent", {200: tuple[Parcel, ...]}, problems=(404,)),
    "pack_parcel": Operation("Pack a parcel", {201: Answer}, PackIn, problems=(404, 409)),
    "parcel_label": Operation("Everything that a parcel's label prints", {200: LabelData}, problems=(404,)),
    "label_parcel": Operation("Who carries a parcel, and under which number", {201: Answer}, ParcelLabelIn,
                              problems=(404, 409)),
    "unpack_parcel": Operation("Unpack a parcel", {201: Answer}, ParcelStepIn, problems=(404, 409)),
    "hand_parcel_over": Operation("The carrier takes it: its goods leave", {200: PickupOut}, ParcelStepIn,
                                  problems=(404,)),
    "returnable": Operation("What may come back of an online order", {200: ReturnableOut}),
    "post_return": Operation("Goods of an online order came back", {201: Answer}, ReturnIn, problems=(409,)),
    "quarantine": Operation("What waits to be graded", {200: tuple[Quarantined, ...]}),
    "post_grading": Operation("What becomes of goods in quarantine", {201: Answer}, GradingIn, problems=(409,)),
    "tasks": Operation("What the chain asks to be done", {200: list[OpenTask]}),
    "task_done": Operation("A task was done", {200: Recorded}, DoneIn, problems=(404, 409)),
    "labels": Operation("Every label", {200: list[LabelOut]}),
    "label_picture": Operation("What a label should show", {200: "image/png"}, problems=(404, 422)),
    "add_paper_tag": Operation("A new paper tag under a product", {201: LabelOut}, LabelIn, problems=(404, 409)),
    "scan_paper_tag": Operation("A paper tag hangs and was scanned", {200: PaperScan}, LabelIn, problems=(404,)),
    "bind_label": _on_label("Hang a label under a product"),
    "unbind_label": _on_label("Take a label off its product"),
    "replace_label": _on_label("Another label takes its place"),
    "exclude_label": _on_label("A label does not count, for a reason"),
    "include_label": _on_label("It counts again"),
    "light_label": Operation("Flash a label", {204: None}, LabelIn, body_optional=True, problems=(404,)),
    "sleep_label": Operation("Let a label in a drawer sleep", {204: None}, LabelIn, body_optional=True,
                             problems=(404,)),
    "void_claim": _on_label("Strike a price that a label may show"),
    "report_accuracy": Operation(
        "Whether tills charged what they should have, and whom the store owes", {200: AccuracyReport}, problems=(400,),
        queries=(Query("from", "the first business day", required=True, pattern=_DAY),
                 Query("to", "the last business day", required=True, pattern=_DAY))),
    "report_holds": Operation("Increases that wait for labels", {200: list[Hold]}),
    "report_not_announced": Operation("Offers that are no reduction by the 30-day rule", {200: list[Announced]}),
    "report_comparison": Operation("Hub, till and proven label side by side, now", {200: Comparison}),
    "report_comparisons": Operation("The same after each business day, the newest first", {200: list[Night]}),
    "held_batches": Operation("Price changes that wait for a person", {200: list[HeldBatch]}),
    "decide_held_batch": Operation("A person's word on them", {200: Decided}, DecisionIn, problems=(404, 409)),
    "examine": Operation("Compare the store's copies with the hub's", {200: Report}),
    "examine_and_repair": Operation("Compare and put right", {200: Report}),
    "status": Operation("How the store is", {200: Status}),
    "healthz": Operation("Whether the process works", {200: Word, 503: Word}),
    "readyz": Operation("Whether tills can be served", {200: Word, 503: Word}),
    "metrics": Operation("For Prometheus", {200: "text/plain"}),
    "openapi": Operation("This document", {200: JSON}),
}


def description_handlers() -> Mapping[str, Handler]:
    """The handler of the description, by its name in `edge.pos.access.RULES`."""
    document = msgspec.json.encode(openapi_document(RULES, OPERATIONS, metadata.version("trastienda")))

    async def openapi(_request: Request) -> Response:
        return Response(document, media_type=JSON)

    return {"openapi": openapi}
