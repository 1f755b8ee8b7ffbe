-- Schema 4 of the hub on PostgreSQL: orders for which the hub finds the store, and what comes back of orders.

ALTER TABLE store ADD COLUMN time_zone TEXT NOT NULL DEFAULT '';

CREATE TABLE sourcing (
    zone_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    state TEXT NOT NULL,
    store_id TEXT NOT NULL,
    offer BIGINT NOT NULL,
    offers_max BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    wished_store TEXT NOT NULL,
    only_wished BOOLEAN NOT NULL,
    tried TEXT NOT NULL,
    left_store TEXT NOT NULL,
    reason TEXT NOT NULL,
    doc BYTEA NOT NULL,
    PRIMARY KEY (zone_id, order_id)
);

CREATE INDEX sourcing_by_due ON sourcing (zone_id, due_ms);

CREATE TABLE parcel (
    store_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    parcel_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    state TEXT NOT NULL,
    lines TEXT NOT NULL,
    weight_g BIGINT NOT NULL,
    carrier TEXT NOT NULL,
    service TEXT NOT NULL,
    tracking TEXT NOT NULL,
    PRIMARY KEY (store_id, order_id, parcel_id)
) PARTITION BY HASH (store_id);

CREATE TABLE sold_line (
    zone_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    line BIGINT NOT NULL,
    sku TEXT NOT NULL,
    out_milli BIGINT NOT NULL,
    returned_milli BIGINT NOT NULL,
    refunded_milli BIGINT NOT NULL,
    PRIMARY KEY (zone_id, order_id, line, sku)
);

CREATE TABLE order_offer (
    store_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    zone_id TEXT NOT NULL,
    offer BIGINT NOT NULL,
    state TEXT NOT NULL,
    accept_by_ms BIGINT NOT NULL,
    confirmed_revision BIGINT NOT NULL,
    PRIMARY KEY (store_id, order_id)
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
