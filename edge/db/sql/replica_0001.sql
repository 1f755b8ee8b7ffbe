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
    age_limit_years INTEGER NOT NULL
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

-- A feed that is being built anew after `409 refetch`: the keys its new generation has named so far. What it never
-- names goes when the feed has caught up; until then the old rows answer.
CREATE TABLE rebuild (feed TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE rebuild_key (feed TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (feed, key)) STRICT, WITHOUT ROWID;
