-- Schema 2 of the hub on PostgreSQL: what may be sold on the web, and who is told of what happens.

ALTER TABLE store ADD COLUMN ledger_known_ms BIGINT NOT NULL DEFAULT 0;

CREATE TABLE safety_stock (
    zone_id TEXT NOT NULL,
    sku TEXT NOT NULL,
    safety_stock_milli BIGINT NOT NULL,
    PRIMARY KEY (zone_id, sku)
);

CREATE TABLE unanswered_line (
    store_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    sku TEXT NOT NULL,
    quantity_milli BIGINT NOT NULL,
    PRIMARY KEY (store_id, order_id, sku)
) PARTITION BY HASH (store_id);

CREATE TABLE webhook (
    webhook_id TEXT NOT NULL,
    url TEXT NOT NULL,
    sealed_secret BYTEA NOT NULL,
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
);

CREATE TABLE delivery (
    store_id TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    body BYTEA NOT NULL,
    created_ms BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    dead_after_ms BIGINT NOT NULL,
    dead BOOLEAN NOT NULL,
    last_error TEXT NOT NULL,
    PRIMARY KEY (store_id, webhook_id, subject, sequence)
) PARTITION BY HASH (store_id);

CREATE TABLE silent_store (
    store_id TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    PRIMARY KEY (store_id)
) PARTITION BY HASH (store_id);

-- Eight parts of every new table that has parts, as in schema 1.
DO $$
DECLARE
    parent TEXT;
BEGIN
    FOR parent IN SELECT relname FROM pg_class WHERE relkind = 'p' AND relnamespace = current_schema()::regnamespace
                  AND NOT EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = pg_class.oid)
    LOOP
        FOR part IN 0..7 LOOP
            EXECUTE 'CREATE TABLE ' || quote_ident(parent || '_part_' || part) || ' PARTITION OF '
                    || quote_ident(parent) || ' FOR VALUES WITH (MODULUS 8, REMAINDER ' || part || ')';
        END LOOP;
    END LOOP;
END
$$;

INSERT INTO unanswered_line
SELECT orders.store_id, orders.key, line.value ->> 'sku', sum((line.value ->> 'quantity_milli')::BIGINT)
FROM store_document AS orders,
     jsonb_array_elements(convert_from(orders.doc, 'UTF8')::JSONB -> 'lines') AS line
WHERE orders.feed = 'orders' AND orders.doc IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM pickup WHERE pickup.store_id = orders.store_id AND pickup.order_id = orders.key)
GROUP BY 1, 2, 3;
