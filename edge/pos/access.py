"""Who may do what: identities, roles, and the one table route × role (DESIGN.md section 8, promise P11)."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from starlette.requests import HTTPConnection


class Role(Enum):
    """What a caller is."""

    TILL = "till"
    LOOKUP_ONLY = "lookup-only"
    STAFF = "staff"
    SUPERVISOR = "supervisor"
    TECHNICIAN = "technician"
    MONITOR = "monitor"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller with an identity: a till, a person, a monitoring system."""

    id: str
    role: Role
    name: str = ""


EVERYBODY: frozenset[Role] | None = None
"""In the table: answered without an identity. Only health and the page's log-in."""

PEOPLE = frozenset({Role.STAFF, Role.SUPERVISOR, Role.TECHNICIAN})
DESK = frozenset({Role.STAFF, Role.SUPERVISOR})
EXPERTS = frozenset({Role.SUPERVISOR, Role.TECHNICIAN})
SUPERVISORS = frozenset({Role.SUPERVISOR})
TILLS = frozenset({Role.TILL})


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table: a route, the roles that may call it, and the name of what answers it.

    `quick`: a queue waits for it, so it is answered before the framework's own way through routes and layers.
    """

    method: str
    path: str
    roles: frozenset[Role] | None
    handler: str
    quick: bool = False


RULES: tuple[Rule, ...] = (
    Rule("GET", "/v1/lookup/{code:path}", TILLS | PEOPLE | {Role.LOOKUP_ONLY}, "lookup", quick=True),
    Rule("PUT", "/v1/transactions/{till}/{business_day}/{sequence}", TILLS, "put_transaction",
         quick=True),
    Rule("POST", "/v1/baskets/price", TILLS | PEOPLE | {Role.LOOKUP_ONLY}, "price_basket"),
    Rule("GET", "/v1/events", TILLS | PEOPLE | {Role.LOOKUP_ONLY}, "events"),
    Rule("GET", "/v1/pricebook", TILLS | PEOPLE | {Role.LOOKUP_ONLY}, "pricebook"),
    Rule("POST", "/v1/tills/{till}/pricebook", TILLS, "acknowledge_pricebook"),
    Rule("POST", "/v1/poslog", TILLS | EXPERTS, "take_poslog"),
    Rule("POST", "/v1/tills/{till}/close", TILLS, "close_till"),
    Rule("GET", "/v1/tills/{till}/high-water", TILLS | PEOPLE, "high_water"),
    Rule("GET", "/v1/tills/{till}/exceptions", TILLS | PEOPLE, "till_exceptions"),
    Rule("GET", "/v1/stock/{sku}", TILLS | PEOPLE, "stock"),
    Rule("POST", "/v1/movements", DESK, "post_movement"),
    Rule("POST", "/v1/counts", DESK, "post_count"),
    Rule("GET", "/v1/counts/waiting", SUPERVISORS, "waiting_counts"),
    Rule("POST", "/v1/counts/review", SUPERVISORS, "review_count"),
    Rule("GET", "/v1/count-sessions", DESK, "count_sessions"),
    Rule("POST", "/v1/count-sessions", DESK, "open_count_session"),
    Rule("GET", "/v1/count-sessions/{session_id}", DESK, "count_session"),
    Rule("POST", "/v1/count-sessions/{session_id}/scans", DESK, "scan_in_session"),
    Rule("POST", "/v1/count-sessions/{session_id}/submit", DESK, "submit_session"),
    Rule("POST", "/v1/count-sessions/{session_id}/give-up", DESK, "give_up_session"),
    Rule("GET", "/v1/deliveries", DESK, "deliveries"),
    Rule("GET", "/v1/deliveries/{delivery_id}", DESK, "delivery"),
    Rule("POST", "/v1/deliveries/{delivery_id}/receipts", DESK, "receive_delivery"),
    Rule("POST", "/v1/deliveries/{delivery_id}/rest", DESK, "receive_rest"),
    Rule("POST", "/v1/deliveries/{delivery_id}/close", DESK, "close_delivery"),
    Rule("POST", "/v1/transfers", DESK, "send_transfer"),
    Rule("POST", "/v1/adjustments", DESK, "post_adjustment"),
    Rule("GET", "/v1/reservation-audit", PEOPLE, "reservation_audit"),
    Rule("POST", "/v1/reservation-audit/repair", SUPERVISORS, "repair_reservations"),
    Rule("GET", "/v1/pickups", TILLS | DESK, "pickups"),
    Rule("GET", "/v1/pickups/{order_id}", TILLS | DESK, "pickup"),
    Rule("POST", "/v1/pickups/{order_id}/steps", TILLS | DESK, "post_pickup_step"),
    Rule("GET", "/v1/pickups/{order_id}/parcels", DESK, "parcels"),
    Rule("POST", "/v1/pickups/{order_id}/parcels", DESK, "pack_parcel"),
    Rule("GET", "/v1/pickups/{order_id}/parcels/{parcel}/label", DESK, "parcel_label"),
    Rule("POST", "/v1/pickups/{order_id}/parcels/{parcel}/label", DESK, "label_parcel"),
    Rule("POST", "/v1/pickups/{order_id}/parcels/{parcel}/unpack", DESK, "unpack_parcel"),
    Rule("POST", "/v1/pickups/{order_id}/parcels/{parcel}/hand-over", DESK, "hand_parcel_over"),
    Rule("GET", "/v1/returns/{order_id}", TILLS | DESK, "returnable"),
    Rule("POST", "/v1/returns", TILLS | DESK, "post_return"),
    Rule("GET", "/v1/quarantine", DESK, "quarantine"),
    Rule("POST", "/v1/gradings", DESK, "post_grading"),
    Rule("GET", "/v1/tasks", PEOPLE, "tasks"),
    Rule("POST", "/v1/tasks/{task_id}/done", PEOPLE, "task_done"),
    Rule("GET", "/v1/labels", PEOPLE, "labels"),
    Rule("GET", "/v1/labels/{label}.png", PEOPLE, "label_picture"),
    Rule("POST", "/v1/paper-tags", PEOPLE, "add_paper_tag"),
    Rule("POST", "/v1/paper-tags/scan", PEOPLE, "scan_paper_tag"),
    Rule("POST", "/v1/labels/{label}/bind", PEOPLE, "bind_label"),
    Rule("POST", "/v1/labels/{label}/unbind", PEOPLE, "unbind_label"),
    Rule("POST", "/v1/labels/{label}/replace", PEOPLE, "replace_label"),
    Rule("POST", "/v1/labels/{label}/exclude", PEOPLE, "exclude_label"),
    Rule("POST", "/v1/labels/{label}/include", PEOPLE, "include_label"),
    Rule("POST", "/v1/labels/{label}/light", PEOPLE, "light_label"),
    Rule("POST", "/v1/labels/{label}/sleep", PEOPLE, "sleep_label"),
    Rule("POST", "/v1/labels/{label}/void-claim", frozenset({Role.SUPERVISOR}), "void_claim"),
    Rule("GET", "/v1/reports/accuracy", PEOPLE, "report_accuracy"),
    Rule("GET", "/v1/reports/holds", PEOPLE, "report_holds"),
    Rule("GET", "/v1/reports/not-announced", PEOPLE, "report_not_announced"),
    Rule("GET", "/v1/reports/comparison", PEOPLE, "report_comparison"),
    Rule("GET", "/v1/reports/comparisons", PEOPLE, "report_comparisons"),
    Rule("GET", "/v1/held-batches", PEOPLE, "held_batches"),
    Rule("POST", "/v1/held-batches/{digest}", frozenset({Role.SUPERVISOR}), "decide_held_batch"),
    Rule("GET", "/v1/doctor", EXPERTS, "examine"),
    Rule("POST", "/v1/doctor", EXPERTS, "examine_and_repair"),
    Rule("GET", "/v1/status", PEOPLE | {Role.MONITOR}, "status"),
    Rule("GET", "/openapi.json", frozenset(Role), "openapi"),
    Rule("GET", "/healthz", EVERYBODY, "healthz"),
    Rule("GET", "/readyz", EVERYBODY, "readyz"),
    Rule("GET", "/metrics", frozenset({Role.MONITOR}), "metrics"),
)
"""The API's routes. The staff page adds its own rows in `edge.staff`; a route that is in neither cannot be served."""


class Tokens:
    """Bearer tokens, known only by their SHA-256."""

    def __init__(self, tokens: Mapping[str, Principal]) -> None:
        self.replace(tokens)

    def replace(self, tokens: Mapping[str, Principal]) -> None:
        """Know these tokens from now on, and no others."""
        self._principals = {_digest(token): principal for token, principal in tokens.items()}

    def principal(self, authorization: str) -> Principal | None:
        """Whose token this header carries. A dictionary of digests: timing tells nothing about a token."""
        scheme, _, token = authorization.partition(" ")
        return self._principals.get(_digest(token)) if scheme.lower() == "bearer" and token else None


Authenticate = Callable[[HTTPConnection], Principal | None]
"""Another way to say who calls: the staff page's signed-in session."""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def same(one: str, other: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())
