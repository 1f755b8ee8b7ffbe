-- Schema 2 of the hub on SQLite: what may be sold on the web.

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

INSERT INTO unanswered_line
SELECT orders.store_id, orders."key", json_extract(line.value, '$.sku'), sum(json_extract(line.value, '$.quantity_milli'))
FROM store_document AS orders, json_each(CAST(orders.doc AS TEXT), '$.lines') AS line
WHERE orders.feed = 'orders' AND orders.doc IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM pickup WHERE pickup.store_id = orders.store_id AND pickup.order_id = orders."key")
GROUP BY 1, 2, 3;
