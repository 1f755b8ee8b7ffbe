-- Schema 3 of the hub on PostgreSQL: goods on their way, from suppliers and between stores.

CREATE TABLE transfer_line (
    store_id TEXT NOT NULL,
    transfer_id TEXT NOT NULL,
    to_store TEXT NOT NULL,
    sku TEXT NOT NULL,
    sent_milli BIGINT NOT NULL,
    received_milli BIGINT NOT NULL,
    missing_milli BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    PRIMARY KEY (store_id, transfer_id, to_store, sku)
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

INSERT INTO store_feed (store_id, feed, generation, head_offset, tail_offset, root)
SELECT store_id, 'deliveries', substr(md5(random()::TEXT || store_id), 1, 16), 0, 0, '0000000000000000' FROM store;
