-- Schema 2 of the hub on SQLite: what may be sold on the web, and who is told of what happens.

ALTER TABLE store ADD COLUMN ledger_known_ms BIGINT NOT NULL DEFAULT 0;

CREATE TABLE safety_stock (
    zone_id TEXT NOT NULL,
    sku TEXT NOT NULL,
    safety_stock_milli BIGINT NOT NULL,
    PRIMARY KEY (zone_id, sku)
)
 WITHOUT ROWID;

CREATE TABLE unanswered_line (
    store_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    sku TEXT NOT NULL,
    quantity_milli BIGINT NOT NULL,
    PRIMARY KEY (store_id, order_id, sku)
)
 WITHOUT ROWID;

CREATE TABLE webhook (
    webhook_id TEXT NOT NULL,
    url TEXT NOT NULL,
    sealed_secret BLOB NOT NULL,
    event_types TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    disabled_ms BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    delivered_ms BIGINT NOT NULL,
    last_error TEXT NOT NULL,
    claimed_by TEXT NOT NULL,
    claimed_until_ms BIGINT NOT NULL,
    PRIMARY KEY (webhook_id)
)
 WITHOUT ROWID;

CREATE TABLE delivery (
    store_id TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    body BLOB NOT NULL,
    created_ms BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    dead_after_ms BIGINT NOT NULL,
    dead BOOLEAN NOT NULL,
    last_error TEXT NOT NULL,
    PRIMARY KEY (store_id, webhook_id, subject, sequence)
)
 WITHOUT ROWID;

CREATE TABLE silent_store (
    store_id TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    PRIMARY KEY (store_id)
)
 WITHOUT ROWID;

INSERT INTO unanswered_line
SELECT orders.store_id, orders."key", json_extract(line.value, '$.sku'), sum(json_extract(line.value, '$.quantity_milli'))
FROM store_document AS orders, json_each(CAST(orders.doc AS TEXT), '$.lines') AS line
WHERE orders.feed = 'orders' AND orders.doc IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM pickup WHERE pickup.store_id = orders.store_id AND pickup.order_id = orders."key")
GROUP BY 1, 2, 3;
