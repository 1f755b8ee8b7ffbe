-- Schema 3 of the hub on SQLite: goods on their way, from suppliers and between stores.

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
)
 WITHOUT ROWID;

INSERT INTO store_feed (store_id, feed, generation, head_offset, tail_offset, root)
SELECT store_id, 'deliveries', lower(hex(randomblob(8))), 0, 0, '0000000000000000' FROM store;
