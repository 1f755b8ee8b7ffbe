"""Who may do what: one table route × role. The app is built from it, so no route can be missing here (P11)."""

from dataclasses import dataclass

from cloud_sync.hub.limits import (
    CATALOGUE_BODY_MAX_BYTES,
    LEDGER_BODY_MAX_BYTES,
    NOTES_BODY_MAX_BYTES,
    SMALL_BODY_MAX_BYTES,
)
from cloud_sync.hub.principals import Principal, Role

STORE_ONLY = frozenset({Role.STORE})
OPERATOR_ONLY = frozenset({Role.OPERATOR})
BOTH = frozenset({Role.STORE, Role.OPERATOR})
SHOPS = frozenset({Role.SHOP, Role.CONNECTOR, Role.OPERATOR})
CONNECTORS = frozenset({Role.CONNECTOR, Role.OPERATOR})
CONNECTOR_ONLY = frozenset({Role.CONNECTOR})
STATUS_READERS = frozenset({Role.STORE, Role.CONNECTOR, Role.OPERATOR})
ANYBODY: frozenset[Role] = frozenset()
"""No credential asked for."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route. `handler` names a method of `HubApp`; a store passes only where `{store}` is itself, a connector
    where `{connector}` is itself or nobody is named."""

    method: str
    path: str
    handler: str
    roles: frozenset[Role]
    body_max_bytes: int = SMALL_BODY_MAX_BYTES

    def admits(self, principal: Principal | None, store: str | None, connector: str | None = None) -> bool:
        """`store`, `connector`: the path's, `None` when it names none."""
        if not self.roles:
            return True
        if principal is None or principal.role not in self.roles:
            return False
        if principal.role is Role.CONNECTOR and connector is not None:
            return principal.connector == connector
        return principal.role is not Role.STORE or principal.store_id == store


ENDPOINTS = (
    Endpoint("GET", "/healthz", "healthz", ANYBODY),
    Endpoint("PUT", "/v1/stores/{store}", "register_store", OPERATOR_ONLY),
    Endpoint("GET", "/v1/stores/{store}/status", "store_status", STATUS_READERS),
    Endpoint("POST", "/v1/stores/{store}/enrolment-codes", "make_enrolment_code", OPERATOR_ONLY),
    Endpoint("POST", "/v1/enrol", "enrol", ANYBODY),
    Endpoint("POST", "/v1/stores/{store}/hello", "hello", STORE_ONLY),
    Endpoint("POST", "/v1/stores/{store}/common", "locate_common", STORE_ONLY),
    Endpoint("POST", "/v1/stores/{store}/epochs", "grant_epoch", STORE_ONLY),
    Endpoint("GET", "/v1/stores/{store}/history", "read_history", STORE_ONLY),
    Endpoint("GET", "/v1/stores/{store}/feeds/{feed}", "read_feed", STORE_ONLY),
    Endpoint("GET", "/v1/stores/{store}/feeds/{feed}/snapshot", "read_manifest", STORE_ONLY),
    Endpoint("GET", "/v1/stores/{store}/feeds/{feed}/chunks/{sha256}", "read_chunk", STORE_ONLY),
    Endpoint("GET", "/v1/stores/{store}/feeds/{feed}/buckets", "read_vector", STORE_ONLY),
    Endpoint("GET", "/v1/stores/{store}/feeds/{feed}/buckets/{bucket}", "read_bucket", STORE_ONLY),
    Endpoint("POST", "/v1/stores/{store}/ledger", "push_ledger", STORE_ONLY, LEDGER_BODY_MAX_BYTES),
    Endpoint("GET", "/v1/stores/{store}/ledger", "audit_ledger", CONNECTORS),
    Endpoint("GET", "/v1/stores/{store}/quarantine", "read_quarantine", OPERATOR_ONLY),
    Endpoint("GET", "/v1/stores/{store}/stock/{sku:path}", "read_stock", BOTH),
    Endpoint("PUT", "/v1/stores/{store}/orders/{order_id}", "place_order", CONNECTORS),
    Endpoint("GET", "/v1/stores/{store}/orders/{order_id}", "read_order", CONNECTORS),
    Endpoint("POST", "/v1/stores/{store}/orders/{order_id}/cancel-request", "request_cancel", CONNECTORS),
    Endpoint("POST", "/v1/stores/{store}/orders/{order_id}/arrival", "order_arrival", CONNECTORS),
    Endpoint("POST", "/v1/stores/{store}/orders/{order_id}/answers", "order_answer", CONNECTORS),
    Endpoint("POST", "/v1/stores/{store}/orders/{order_id}/reassignment", "reassign_order", OPERATOR_ONLY),
    Endpoint("PUT", "/v1/stores/{store}/orders/{order_id}/parcels/{parcel}/label", "label_parcel", OPERATOR_ONLY),
    Endpoint("PUT", "/v1/orders/{order_id}", "place_anywhere", OPERATOR_ONLY),
    Endpoint("GET", "/v1/orders/{order_id}", "read_sourcing", OPERATOR_ONLY),
    Endpoint("POST", "/v1/orders/{order_id}/cancel-request", "cancel_anywhere", OPERATOR_ONLY),
    Endpoint("POST", "/v1/orders/{order_id}/reassignment", "reassign_anywhere", OPERATOR_ONLY),
    Endpoint("PUT", "/v1/catalogue", "put_catalogue", CONNECTORS, CATALOGUE_BODY_MAX_BYTES),
    Endpoint("PUT", "/v1/catalogue/items", "put_items", OPERATOR_ONLY, CATALOGUE_BODY_MAX_BYTES),
    Endpoint("PUT", "/v1/catalogue/prices", "put_prices", OPERATOR_ONLY, CATALOGUE_BODY_MAX_BYTES),
    Endpoint("PUT", "/v1/catalogue/promotions", "put_promotions", OPERATOR_ONLY, CATALOGUE_BODY_MAX_BYTES),
    Endpoint("DELETE", "/v1/catalogue/items/{key:path}", "delete_item", CONNECTORS),
    Endpoint("DELETE", "/v1/catalogue/prices/{key:path}", "delete_price", CONNECTORS),
    Endpoint("DELETE", "/v1/catalogue/promotions/{key:path}", "delete_promotion", OPERATOR_ONLY),
    Endpoint("PUT", "/v1/stores/{store}/overlay", "put_overlay", OPERATOR_ONLY, CATALOGUE_BODY_MAX_BYTES),
    Endpoint("DELETE", "/v1/stores/{store}/overlay/{feed}/{key:path}", "delete_overlay", OPERATOR_ONLY),
    Endpoint("PUT", "/v1/stores/{store}/tasks/{task_id}", "put_task", OPERATOR_ONLY),
    Endpoint("DELETE", "/v1/stores/{store}/tasks/{task_id}", "withdraw_task", OPERATOR_ONLY),
    Endpoint("PUT", "/v1/stores/{store}/deliveries/{delivery}", "put_delivery", OPERATOR_ONLY),
    Endpoint("DELETE", "/v1/stores/{store}/deliveries/{delivery}", "withdraw_delivery", OPERATOR_ONLY),
    Endpoint("GET", "/v1/transfers", "list_transfers", OPERATOR_ONLY),
    Endpoint("PUT", "/v1/policy", "put_policy", OPERATOR_ONLY),
    Endpoint("GET", "/v1/availability", "read_availability", SHOPS),
    Endpoint("POST", "/v1/availability", "ask_availability", SHOPS),
    Endpoint("PUT", "/v1/shops/{shop}", "register_shop", OPERATOR_ONLY),
    Endpoint("DELETE", "/v1/shops/{shop}", "remove_shop", OPERATOR_ONLY),
    Endpoint("GET", "/v1/webhooks", "list_webhooks", OPERATOR_ONLY),
    Endpoint("PUT", "/v1/webhooks/{webhook}", "put_webhook", OPERATOR_ONLY),
    Endpoint("DELETE", "/v1/webhooks/{webhook}", "remove_webhook", OPERATOR_ONLY),
    Endpoint("GET", "/v1/webhooks/{webhook}/dead-letters", "read_dead_letters", OPERATOR_ONLY),
    Endpoint("POST", "/v1/webhooks/{webhook}/send-again", "send_again", OPERATOR_ONLY),
    Endpoint("PUT", "/v1/safety-stock/{sku:path}", "put_safety_stock", OPERATOR_ONLY),
    Endpoint("GET", "/v1/safety-stock/{sku:path}", "read_safety_stock", OPERATOR_ONLY),
    Endpoint("DELETE", "/v1/safety-stock/{sku:path}", "delete_safety_stock", OPERATOR_ONLY),
    Endpoint("GET", "/v1/connectors", "list_connectors", OPERATOR_ONLY),
    Endpoint("PUT", "/v1/connectors/{connector}", "register_connector", OPERATOR_ONLY),
    Endpoint("DELETE", "/v1/connectors/{connector}", "remove_connector", OPERATOR_ONLY),
    Endpoint("POST", "/v1/connectors/{connector}/lease", "lease_connector", CONNECTOR_ONLY),
    Endpoint("PUT", "/v1/connectors/{connector}/notes", "put_notes", CONNECTOR_ONLY, NOTES_BODY_MAX_BYTES),
    Endpoint("GET", "/v1/connectors/{connector}/notes/{kind}", "list_notes", CONNECTORS),
    Endpoint("GET", "/v1/connectors/{connector}/notes/{kind}/{key:path}", "read_note", CONNECTORS),
)
