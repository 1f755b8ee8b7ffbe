-- Schema 1 of the hub on PostgreSQL. Immutable: what comes later is 0002.

CREATE TABLE alarm (
    store_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    first_ms BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (store_id, epoch, reason)
) PARTITION BY HASH (store_id);

CREATE TABLE box_session (
    store_id TEXT NOT NULL,
    enrolment BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    life TEXT NOT NULL,
    past_lives TEXT NOT NULL,
    turn TEXT NOT NULL,
    displaced_turn TEXT NOT NULL,
    PRIMARY KEY (store_id)
) PARTITION BY HASH (store_id);

CREATE TABLE enrolment_code (
    store_id TEXT NOT NULL,
    code_hash TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    token_hash TEXT NOT NULL,
    enrolment BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    PRIMARY KEY (store_id, code_hash)
) PARTITION BY HASH (store_id);

CREATE TABLE ledger_epoch (
    store_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    enrolment BIGINT NOT NULL,
    request TEXT NOT NULL,
    after_epoch BIGINT NOT NULL,
    after_sequence BIGINT NOT NULL,
    granted_ms BIGINT NOT NULL,
    PRIMARY KEY (store_id, epoch)
) PARTITION BY HASH (store_id);

CREATE TABLE credential (
    token_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    store_id TEXT,
    created_ms BIGINT NOT NULL,
    enrolment BIGINT NOT NULL,
    PRIMARY KEY (token_hash)
);

CREATE TABLE hub_meta (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE ledger_entry (
    store_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    fact_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    occurred_ms BIGINT NOT NULL,
    business_day TEXT NOT NULL,
    payload BYTEA NOT NULL,
    hash TEXT NOT NULL,
    received_ms BIGINT NOT NULL,
    repeat_of_epoch BIGINT,
    repeat_of_sequence BIGINT,
    rebased_epoch BIGINT,
    rebased_sequence BIGINT,
    PRIMARY KEY (store_id, epoch, sequence)
) PARTITION BY HASH (store_id);
CREATE UNIQUE INDEX ledger_entry_fact ON ledger_entry (store_id, fact_key) WHERE repeat_of_sequence IS NULL;

CREATE TABLE ledger_head (
    store_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    hash TEXT NOT NULL,
    repeats BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (store_id, epoch)
) PARTITION BY HASH (store_id);

CREATE TABLE person (
    store_id TEXT NOT NULL,
    person_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    erase_after_ms BIGINT NOT NULL,
    PRIMARY KEY (store_id, person_id)
) PARTITION BY HASH (store_id);
CREATE INDEX person_order_of_erasure ON person (store_id, erase_after_ms);

CREATE TABLE pickup (
    store_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    state TEXT NOT NULL,
    step TEXT NOT NULL,
    reason TEXT NOT NULL,
    order_revision BIGINT NOT NULL,
    occurred_ms BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (store_id, order_id)
) PARTITION BY HASH (store_id);

CREATE TABLE quarantine (
    store_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    reason TEXT NOT NULL,
    entry BYTEA NOT NULL,
    received_ms BIGINT NOT NULL,
    PRIMARY KEY (store_id, epoch, sequence)
) PARTITION BY HASH (store_id);

CREATE TABLE stock (
    store_id TEXT NOT NULL,
    sku TEXT NOT NULL,
    sellable_milli BIGINT NOT NULL,
    reserved_milli BIGINT NOT NULL,
    staged_milli BIGINT NOT NULL,
    quarantine_milli BIGINT NOT NULL,
    PRIMARY KEY (store_id, sku)
) PARTITION BY HASH (store_id);

CREATE TABLE store (
    store_id TEXT NOT NULL,
    zone_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    last_seen_ms BIGINT NOT NULL,
    box_epoch BIGINT NOT NULL,
    reported_sequence BIGINT NOT NULL,
    schema_version BIGINT NOT NULL,
    PRIMARY KEY (store_id)
) PARTITION BY HASH (store_id);

CREATE TABLE store_cursor (
    store_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    generation TEXT NOT NULL,
    feed_offset BIGINT NOT NULL,
    PRIMARY KEY (store_id, feed)
) PARTITION BY HASH (store_id);

CREATE TABLE store_document (
    store_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    key TEXT NOT NULL,
    version BIGINT NOT NULL,
    doc BYTEA,
    bucket BIGINT NOT NULL,
    hash BIGINT NOT NULL,
    PRIMARY KEY (store_id, feed, key)
) PARTITION BY HASH (store_id);
CREATE INDEX store_document_by_bucket ON store_document (store_id, feed, bucket);

CREATE TABLE store_feed (
    store_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    generation TEXT NOT NULL,
    head_offset BIGINT NOT NULL,
    tail_offset BIGINT NOT NULL,
    root TEXT NOT NULL,
    PRIMARY KEY (store_id, feed)
) PARTITION BY HASH (store_id);

CREATE TABLE store_feed_bucket (
    store_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (store_id, feed, bucket)
) PARTITION BY HASH (store_id);

CREATE TABLE store_feed_record (
    store_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    feed_offset BIGINT NOT NULL,
    key TEXT NOT NULL,
    version BIGINT NOT NULL,
    doc BYTEA,
    checkpoint BOOLEAN NOT NULL,
    root TEXT NOT NULL,
    PRIMARY KEY (store_id, feed, feed_offset)
) PARTITION BY HASH (store_id);

CREATE TABLE store_snapshot (
    store_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    generation TEXT NOT NULL,
    base_offset BIGINT NOT NULL,
    manifest BYTEA NOT NULL,
    PRIMARY KEY (store_id, feed)
) PARTITION BY HASH (store_id);

CREATE TABLE store_snapshot_chunk (
    store_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (store_id, feed, sha256)
) PARTITION BY HASH (store_id);

CREATE TABLE till_day (
    store_id TEXT NOT NULL,
    business_day TEXT NOT NULL,
    till TEXT NOT NULL,
    currency TEXT NOT NULL,
    transactions BIGINT NOT NULL,
    voids BIGINT NOT NULL,
    sale_lines BIGINT NOT NULL,
    return_lines BIGINT NOT NULL,
    total_minor BIGINT NOT NULL,
    PRIMARY KEY (store_id, business_day, till, currency)
) PARTITION BY HASH (store_id);

CREATE TABLE zone_document (
    zone_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    key TEXT NOT NULL,
    version BIGINT NOT NULL,
    doc BYTEA,
    bucket BIGINT NOT NULL,
    hash BIGINT NOT NULL,
    PRIMARY KEY (zone_id, feed, key)
);
CREATE INDEX zone_document_by_bucket ON zone_document (zone_id, feed, bucket);

CREATE TABLE zone_feed (
    zone_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    generation TEXT NOT NULL,
    head_offset BIGINT NOT NULL,
    tail_offset BIGINT NOT NULL,
    root TEXT NOT NULL,
    PRIMARY KEY (zone_id, feed)
);

CREATE TABLE zone_feed_bucket (
    zone_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (zone_id, feed, bucket)
);

CREATE TABLE zone_feed_record (
    zone_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    feed_offset BIGINT NOT NULL,
    key TEXT NOT NULL,
    version BIGINT NOT NULL,
    doc BYTEA,
    checkpoint BOOLEAN NOT NULL,
    root TEXT NOT NULL,
    PRIMARY KEY (zone_id, feed, feed_offset)
);

CREATE TABLE zone_snapshot (
    zone_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    generation TEXT NOT NULL,
    base_offset BIGINT NOT NULL,
    manifest BYTEA NOT NULL,
    PRIMARY KEY (zone_id, feed)
);

CREATE TABLE zone_snapshot_chunk (
    zone_id TEXT NOT NULL,
    feed TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (zone_id, feed, sha256)
);
-- Eight parts of every table above that has parts: 10,000 stores' rows are vacuumed, indexed and moved part by part.
DO $$
DECLARE
    parent TEXT;
BEGIN
    FOR parent IN SELECT relname FROM pg_class WHERE relkind = 'p' AND relnamespace = current_schema()::regnamespace
    LOOP
        FOR part IN 0..7 LOOP
            EXECUTE 'CREATE TABLE ' || quote_ident(parent || '_part_' || part) || ' PARTITION OF '
                    || quote_ident(parent) || ' FOR VALUES WITH (MODULUS 8, REMAINDER ' || part || ')';
        END LOOP;
    END LOOP;
END
$$;
