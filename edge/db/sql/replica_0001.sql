-- replica.db, version 1: a copy of the hub's truth (DESIGN.md section 4). Rebuilt from the hub when in doubt; it may
-- travel back in time against ledger.db. Immutable: a change is replica_0002.sql.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE feed_cursor (feed TEXT PRIMARY KEY, generation TEXT NOT NULL, offset INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE item (
    sku TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    department TEXT NOT NULL,
    brand TEXT NOT NULL,
    package_size TEXT NOT NULL,
    age_limit_years INTEGER NOT NULL,
    tax_class TEXT NOT NULL DEFAULT '',
    deposit_minor INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Every barcode of an item: GTINs padded to 14 digits, PLUs as they are.
CREATE TABLE item_code (code TEXT PRIMARY KEY, sku TEXT NOT NULL, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX item_code_by_sku ON item_code (sku);

CREATE TABLE price_entry (
    entry_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    sku TEXT NOT NULL,
    price_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    kind TEXT NOT NULL,
    priority INTEGER NOT NULL,
    valid_from_ms INTEGER NOT NULL,
    valid_until_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX price_entry_by_sku ON price_entry (sku);

-- The entry that wins per SKU, and until when that is known without looking again.
CREATE TABLE list_price (
    sku TEXT PRIMARY KEY,
    price_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    entry_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    valid_until_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX list_price_expiring ON list_price (valid_until_ms) WHERE valid_until_ms IS NOT NULL;

-- SKUs without a winning entry now, but with one that begins later.
CREATE TABLE price_start (sku TEXT PRIMARY KEY, starts_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- What the price guard holds back until a person decides. `doc` NULL: the entry would be deleted.
CREATE TABLE held_batch (
    batch_digest TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    held_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE held_price (
    entry_id TEXT PRIMARY KEY,
    batch_digest TEXT NOT NULL,
    version INTEGER NOT NULL,
    doc BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX held_price_by_batch ON held_price (batch_digest);

CREATE TABLE policy (key TEXT PRIMARY KEY, version INTEGER NOT NULL, doc BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- Prices that a person refused: the entry in force is not the hub's, and that is right.
CREATE TABLE declined_price (entry_id TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE promotion (
    promotion_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    terms BLOB NOT NULL,
    valid_from_ms INTEGER NOT NULL,
    valid_until_ms INTEGER
) STRICT, WITHOUT ROWID;

-- What the hub sent, byte for byte; the tables above are made from it. `slot` tells two copies of a feed apart: the one
-- in force (`feed_copy`) and the one being loaded. `hash` is `fingerprints.row_hash`, 0 for a row that is not believed.
-- Buckets have no index: a repair reads the whole copy, once in a blue moon, and every load is spared its upkeep.
CREATE TABLE document (
    feed TEXT NOT NULL,
    slot INTEGER NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    hash INTEGER NOT NULL,
    doc BLOB NOT NULL,
    PRIMARY KEY (feed, slot, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE feed_copy (feed TEXT PRIMARY KEY, slot INTEGER NOT NULL, root TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE feed_bucket (
    feed TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (feed, bucket)
) STRICT, WITHOUT ROWID;

-- A feed that is being loaded anew while the old rows go on answering, and which chunks of it are here. `offset` counts
-- only where the copy is read by pages.
CREATE TABLE staging (
    feed TEXT PRIMARY KEY,
    generation TEXT NOT NULL,
    offset INTEGER,
    root TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE staging_chunk (
    feed TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    first_key TEXT NOT NULL,
    last_key TEXT NOT NULL,
    buckets BLOB NOT NULL,
    PRIMARY KEY (feed, sha256)
) STRICT, WITHOUT ROWID;
-- Rows that somebody else than the intake changed: a person with a shell, a bug. They are not believed any more, so
-- that the fingerprint differs and the hub is asked. `own_hand` has a row while the intake itself writes, within its
-- transaction.
CREATE TABLE own_hand (depth INTEGER NOT NULL) STRICT;
CREATE TABLE touched_document (feed TEXT NOT NULL, key TEXT NOT NULL, counted INTEGER, PRIMARY KEY (feed, key))
    STRICT, WITHOUT ROWID;
CREATE TABLE touched_copy (feed TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (feed, key)) STRICT, WITHOUT ROWID;
CREATE TRIGGER document_update AFTER UPDATE ON document
WHEN NOT EXISTS (SELECT 1 FROM own_hand) AND OLD.slot = (SELECT slot FROM feed_copy WHERE feed = OLD.feed) BEGIN
    INSERT OR IGNORE INTO touched_document (feed, key, counted) VALUES (OLD.feed, OLD.key, OLD.hash);
END;
CREATE TRIGGER document_delete AFTER DELETE ON document
WHEN NOT EXISTS (SELECT 1 FROM own_hand) AND OLD.slot = (SELECT slot FROM feed_copy WHERE feed = OLD.feed) BEGIN
    INSERT OR IGNORE INTO touched_document (feed, key, counted) VALUES (OLD.feed, OLD.key, OLD.hash);
END;
CREATE TRIGGER item_insert AFTER INSERT ON item
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('items', NEW.sku);
END;
CREATE TRIGGER item_update AFTER UPDATE ON item
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('items', NEW.sku);
END;
CREATE TRIGGER item_delete AFTER DELETE ON item
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('items', OLD.sku);
END;
CREATE TRIGGER item_code_insert AFTER INSERT ON item_code
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('items', NEW.sku);
END;
CREATE TRIGGER item_code_update AFTER UPDATE ON item_code
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('items', NEW.sku);
END;
CREATE TRIGGER item_code_delete AFTER DELETE ON item_code
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('items', OLD.sku);
END;
CREATE TRIGGER price_entry_insert AFTER INSERT ON price_entry
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('prices', NEW.entry_id);
END;
CREATE TRIGGER price_entry_update AFTER UPDATE ON price_entry
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('prices', NEW.entry_id);
END;
CREATE TRIGGER price_entry_delete AFTER DELETE ON price_entry
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('prices', OLD.entry_id);
END;
CREATE TRIGGER promotion_insert AFTER INSERT ON promotion
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('promotions', NEW.promotion_id);
END;
CREATE TRIGGER promotion_update AFTER UPDATE ON promotion
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('promotions', NEW.promotion_id);
END;
CREATE TRIGGER promotion_delete AFTER DELETE ON promotion
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('promotions', OLD.promotion_id);
END;
CREATE TRIGGER policy_insert AFTER INSERT ON policy
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('policy', NEW.key);
END;
CREATE TRIGGER policy_update AFTER UPDATE ON policy
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('policy', NEW.key);
END;
CREATE TRIGGER policy_delete AFTER DELETE ON policy
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('policy', OLD.key);
END;
CREATE TRIGGER list_price_update AFTER UPDATE OF price_minor, currency ON list_price
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('prices', OLD.entry_id);
END;
CREATE TRIGGER list_price_delete AFTER DELETE ON list_price
WHEN NOT EXISTS (SELECT 1 FROM own_hand) BEGIN
    INSERT OR IGNORE INTO touched_copy (feed, key) VALUES ('prices', OLD.entry_id);
END;
