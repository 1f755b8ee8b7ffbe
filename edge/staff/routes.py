"""The staff page's rows of the table route × role, and what answers them.

The daemon concatenates `STAFF_RULES` with `edge.pos.access.RULES`, passes `StaffPage.door` as the application's
session hook, and runs `StaffPage.run` beside the server.
"""

from collections.abc import Mapping

from edge.pos.access import DESK, EVERYBODY, PEOPLE, Role, Rule
from edge.pos.app import Handler
from edge.staff.count_pages import count_page_handlers
from edge.staff.delivery_pages import delivery_page_handlers
from edge.staff.door import shown
from edge.staff.home_pages import home_handlers
from edge.staff.label_pages import label_handlers
from edge.staff.page import StaffPage, StaffParts
from edge.staff.picking_pages import picking_handlers
from edge.staff.pickup_pages import pickup_handlers
from edge.staff.price_pages import price_handlers
from edge.staff.return_pages import return_handlers
from edge.staff.ship_pages import ship_handlers
from edge.staff.sign_in_pages import sign_in_handlers
from edge.staff.stock_pages import stock_handlers
from edge.staff.tag_pages import tag_handlers
from edge.staff.template_pages import template_handlers
from edge.staff.transfer_pages import transfer_handlers

SUPERVISORS = frozenset({Role.SUPERVISOR})

STAFF_RULES: tuple[Rule, ...] = (
    Rule("GET", "/", EVERYBODY, "staff_front_door"),
    Rule("GET", "/staff/assets/{name}", EVERYBODY, "staff_asset"),
    Rule("GET", "/staff/sign-in", EVERYBODY, "staff_sign_in_page"),
    Rule("POST", "/staff/sign-in", EVERYBODY, "staff_sign_in"),
    Rule("POST", "/staff/language", EVERYBODY, "staff_language"),
    Rule("POST", "/staff/sign-out", PEOPLE, "staff_sign_out"),
    Rule("GET", "/staff", PEOPLE, "staff_home"),
    Rule("GET", "/staff/events", PEOPLE, "staff_events"),
    Rule("GET", "/staff/sales", PEOPLE, "staff_sales"),
    Rule("GET", "/staff/exceptions", PEOPLE, "staff_exceptions"),
    Rule("GET", "/staff/link", PEOPLE, "staff_link"),
    Rule("GET", "/staff/held", PEOPLE, "staff_held"),
    Rule("POST", "/staff/held/{digest}", SUPERVISORS, "staff_decide_held"),
    Rule("GET", "/staff/labels", PEOPLE, "staff_wall"),
    Rule("GET", "/staff/labels.csv", PEOPLE, "staff_export_labels"),
    Rule("GET", "/staff/tags", PEOPLE, "staff_tags"),
    Rule("POST", "/staff/tags", PEOPLE, "staff_add_tag"),
    Rule("POST", "/staff/tags/scan", PEOPLE, "staff_scan_tag"),
    Rule("GET", "/staff/tags/sheet", PEOPLE, "staff_tag_sheet"),
    Rule("GET", "/staff/tags/{label}/{version}.png", PEOPLE, "staff_tag_picture"),
    Rule("GET", "/staff/tags/{label}/{version}/code.png", PEOPLE, "staff_tag_code"),
    Rule("GET", "/staff/templates", PEOPLE, "staff_templates"),
    Rule("GET", "/staff/templates/{name}.png", PEOPLE, "staff_template_sheet"),
    Rule("GET", "/staff/labels/{label}", PEOPLE, "staff_label"),
    Rule("POST", "/staff/labels/{label}/bind", PEOPLE, "staff_bind"),
    Rule("POST", "/staff/labels/{label}/unbind", PEOPLE, "staff_unbind"),
    Rule("POST", "/staff/labels/{label}/replace", PEOPLE, "staff_replace"),
    Rule("POST", "/staff/labels/{label}/exclude", PEOPLE, "staff_exclude"),
    Rule("POST", "/staff/labels/{label}/include", PEOPLE, "staff_include"),
    Rule("POST", "/staff/labels/{label}/strike-claim", SUPERVISORS, "staff_strike_claim"),
    Rule("POST", "/staff/labels/{label}/light", PEOPLE, "staff_light"),
    Rule("GET", "/staff/pictures/{label}/{picture}.png", PEOPLE, "staff_picture"),
    Rule("GET", "/staff/pickups", DESK, "staff_pickups"),
    Rule("POST", "/staff/pickups/find", DESK, "staff_find_pickup"),
    Rule("GET", "/staff/pickups/{order_id}", DESK, "staff_pickup"),
    Rule("POST", "/staff/pickups/{order_id}/step", DESK, "staff_pickup_step"),
    Rule("POST", "/staff/pickups/{order_id}/scan", DESK, "staff_pickup_scan"),
    Rule("POST", "/staff/pickups/undo", DESK, "staff_undo_step"),
    Rule("GET", "/staff/picking", DESK, "staff_picking"),
    Rule("POST", "/staff/picking/start", DESK, "staff_picking_start"),
    Rule("POST", "/staff/picking/scan", DESK, "staff_picking_scan"),
    Rule("POST", "/staff/picking/pick", DESK, "staff_picking_pick"),
    Rule("POST", "/staff/picking/short", DESK, "staff_picking_short"),
    Rule("POST", "/staff/picking/ready", DESK, "staff_picking_ready"),
    Rule("POST", "/staff/picking/leave", DESK, "staff_picking_leave"),
    Rule("GET", "/staff/price", PEOPLE, "staff_price"),
    Rule("GET", "/staff/receive", DESK, "staff_receive_page"),
    Rule("POST", "/staff/receive", DESK, "staff_receive"),
    Rule("POST", "/staff/receive/undo", DESK, "staff_undo_receipt"),
    Rule("GET", "/staff/stock", DESK, "staff_stock"),
    Rule("POST", "/staff/stock/adjust", DESK, "staff_adjust"),
    Rule("GET", "/staff/transfers", DESK, "staff_transfer"),
    Rule("POST", "/staff/transfers", DESK, "staff_send_transfer"),
    Rule("POST", "/staff/transfers/check", DESK, "staff_check_transfer"),
    Rule("POST", "/staff/stock/review", SUPERVISORS, "staff_review_count"),
    Rule("POST", "/staff/stock/repair", SUPERVISORS, "staff_repair_reservations"),
    Rule("POST", "/staff/counts", DESK, "staff_begin_count"),
    Rule("GET", "/staff/counts/{session_id}", DESK, "staff_count"),
    Rule("POST", "/staff/counts/{session_id}/scan", DESK, "staff_count_scan"),
    Rule("POST", "/staff/counts/{session_id}/undo", DESK, "staff_undo_count_scan"),
    Rule("POST", "/staff/counts/{session_id}/submit", DESK, "staff_submit_count"),
    Rule("POST", "/staff/counts/{session_id}/give-up", DESK, "staff_give_up_count"),
    Rule("GET", "/staff/deliveries/{delivery_id}", DESK, "staff_delivery"),
    Rule("POST", "/staff/deliveries/{delivery_id}/receive", DESK, "staff_receive_delivery"),
    Rule("POST", "/staff/deliveries/{delivery_id}/undo", DESK, "staff_undo_delivery"),
    Rule("POST", "/staff/deliveries/{delivery_id}/rest", DESK, "staff_receive_rest"),
    Rule("POST", "/staff/deliveries/{delivery_id}/close", DESK, "staff_close_delivery"),
    Rule("POST", "/staff/pickups/{order_id}/pack", DESK, "staff_pack"),
    Rule("GET", "/staff/pickups/{order_id}/parcels/{parcel}", DESK, "staff_parcel_sheet"),
    Rule("POST", "/staff/pickups/{order_id}/parcels/{parcel}/label", DESK, "staff_label_parcel"),
    Rule("POST", "/staff/pickups/{order_id}/parcels/{parcel}/unpack", DESK, "staff_unpack"),
    Rule("POST", "/staff/pickups/{order_id}/parcels/{parcel}/send", DESK, "staff_send"),
    Rule("GET", "/staff/parcels/{parcel}/{kind}.png", DESK, "staff_parcel_code"),
    Rule("GET", "/staff/returns", DESK, "staff_returns"),
    Rule("POST", "/staff/returns/take", DESK, "staff_take_back"),
    Rule("POST", "/staff/returns/grade", DESK, "staff_grade"),
    Rule("GET", "/staff/fragments/home", PEOPLE, "staff_home_fragment"),
    Rule("GET", "/staff/fragments/sales", PEOPLE, "staff_sales_fragment"),
    Rule("GET", "/staff/fragments/link", PEOPLE, "staff_link_fragment"),
    Rule("GET", "/staff/fragments/filters", PEOPLE, "staff_filters_fragment"),
    Rule("GET", "/staff/fragments/tiles", PEOPLE, "staff_tiles_fragment"),
    Rule("GET", "/staff/fragments/labels/{label}", PEOPLE, "staff_label_fragment"),
    Rule("GET", "/staff/fragments/price", PEOPLE, "staff_price_fragment"),
    Rule("GET", "/staff/fragments/pickups", DESK, "staff_pickups_fragment"),
    Rule("GET", "/staff/fragments/pickups/{order_id}", DESK, "staff_pickup_fragment"),
    Rule("GET", "/staff/fragments/picking", DESK, "staff_picking_fragment"),
)
"""Only the sign-in and the page's own files answer everybody."""


def build_staff_page(parts: StaffParts) -> StaffPage:
    """The page of a store. Takes a moment for the PINs' verifier; start nothing before it."""
    return StaffPage(parts, STAFF_RULES)


def staff_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """What answers `STAFF_RULES`, by name."""
    handlers = {**sign_in_handlers(page), **home_handlers(page), **label_handlers(page), **pickup_handlers(page),
                **price_handlers(page), **stock_handlers(page), **count_page_handlers(page),
                **delivery_page_handlers(page), **tag_handlers(page), **template_handlers(page),
                **return_handlers(page), **ship_handlers(page), **picking_handlers(page), **transfer_handlers(page)}
    return {name: shown(handler, page.view) for name, handler in handlers.items()}
