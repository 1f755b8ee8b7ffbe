-- Named statements on replica.db. One `-- name:` line each; edge/db/queries.py reads them.

-- name: cursor
SELECT generation, offset FROM feed_cursor WHERE feed = ?

-- name: put_cursor
INSERT INTO feed_cursor (feed, generation, offset) VALUES (?, ?, ?)
ON CONFLICT (feed) DO UPDATE SET generation = excluded.generation, offset = excluded.offset

-- name: priced_item_by_code
SELECT item.sku, item.name, item.age_limit_years, list_price.price_minor, list_price.currency, list_price.entry_id,
    list_price.version, list_price.valid_until_ms,
    price_cap.cap_minor, price_cap.valid_until_powered_ms, stock.sellable_milli
FROM item_code JOIN item ON item.sku = item_code.sku LEFT JOIN list_price ON list_price.sku = item.sku
    LEFT JOIN ledger.price_cap ON price_cap.sku = item.sku LEFT JOIN ledger.stock ON stock.sku = item.sku
WHERE item_code.code = ?

-- name: priced_item_by_sku
SELECT item.sku, item.name, item.age_limit_years, list_price.price_minor, list_price.currency, list_price.entry_id,
    list_price.version, list_price.valid_until_ms,
    price_cap.cap_minor, price_cap.valid_until_powered_ms, stock.sellable_milli
FROM item LEFT JOIN list_price ON list_price.sku = item.sku
    LEFT JOIN ledger.price_cap ON price_cap.sku = item.sku LEFT JOIN ledger.stock ON stock.sku = item.sku
WHERE item.sku = ?

-- name: priced_items
SELECT item.sku, item.name, item.age_limit_years, list_price.price_minor, list_price.currency, list_price.entry_id,
    list_price.version, list_price.valid_until_ms,
    price_cap.cap_minor, price_cap.valid_until_powered_ms, stock.sellable_milli,
    item.tax_class, item.deposit_minor
FROM item LEFT JOIN list_price ON list_price.sku = item.sku
    LEFT JOIN ledger.price_cap ON price_cap.sku = item.sku LEFT JOIN ledger.stock ON stock.sku = item.sku
WHERE item.sku IN (SELECT value FROM json_each(?))

-- name: item
SELECT sku, name, category, department, brand, package_size, age_limit_years FROM item WHERE sku = ?

-- name: item_row
SELECT sku, version, name, category, department, brand, package_size, age_limit_years, tax_class, deposit_minor
FROM item WHERE sku = ?

-- name: sku_by_code
SELECT sku FROM item_code WHERE code = ?

-- name: skus_by_codes
SELECT code, sku FROM item_code WHERE code IN (SELECT value FROM json_each(?))

-- name: sku_exists
SELECT 1 FROM item WHERE sku = ?

-- name: first_code
SELECT code FROM item_code WHERE sku = ? ORDER BY position LIMIT 1

-- name: codes_of
SELECT code FROM item_code WHERE sku = ? ORDER BY position

-- name: skus_after
SELECT sku FROM item WHERE sku > ? ORDER BY sku LIMIT ?

-- name: item_count
SELECT COUNT(*) FROM item

-- name: put_item
INSERT INTO item (sku, version, name, category, department, brand, package_size, age_limit_years, tax_class,
    deposit_minor)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (sku) DO UPDATE SET version = excluded.version, name = excluded.name, category = excluded.category,
    department = excluded.department, brand = excluded.brand, package_size = excluded.package_size,
    age_limit_years = excluded.age_limit_years, tax_class = excluded.tax_class, deposit_minor = excluded.deposit_minor

-- name: delete_item
DELETE FROM item WHERE sku = ?

-- name: delete_codes
DELETE FROM item_code WHERE sku = ?

-- name: put_code
INSERT INTO item_code (code, sku, position) VALUES (?, ?, ?)
ON CONFLICT (code) DO UPDATE SET sku = excluded.sku, position = excluded.position

-- name: price_entries
SELECT entry_id, version, sku, price_minor, currency, kind, priority, valid_from_ms, valid_until_ms
FROM price_entry WHERE sku = ?

-- name: price_entry
SELECT entry_id, version, sku, price_minor, currency, kind, priority, valid_from_ms, valid_until_ms
FROM price_entry WHERE entry_id = ?

-- name: put_price_entries
INSERT INTO price_entry (entry_id, version, sku, price_minor, currency, kind, priority, valid_from_ms, valid_until_ms)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8
FROM json_each(?) WHERE TRUE
ON CONFLICT (entry_id) DO UPDATE SET version = excluded.version, sku = excluded.sku,
    price_minor = excluded.price_minor, currency = excluded.currency, kind = excluded.kind,
    priority = excluded.priority, valid_from_ms = excluded.valid_from_ms, valid_until_ms = excluded.valid_until_ms

-- name: delete_price_entry
DELETE FROM price_entry WHERE entry_id = ?

-- name: announced
SELECT list_price.sku, item.name, list_price.price_minor, list_price.kind, item.category, item.department
FROM list_price JOIN item ON item.sku = list_price.sku WHERE list_price.kind <> 'regular' LIMIT ?

-- name: list_price
SELECT price_minor, currency, entry_id, version, kind, valid_until_ms FROM list_price WHERE sku = ?

-- name: list_price_count
SELECT COUNT(*) FROM list_price

-- name: put_list_prices
INSERT INTO list_price (sku, price_minor, currency, entry_id, version, kind, valid_until_ms)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
FROM json_each(?) WHERE TRUE
ON CONFLICT (sku) DO UPDATE SET price_minor = excluded.price_minor, currency = excluded.currency,
    entry_id = excluded.entry_id, version = excluded.version, kind = excluded.kind,
    valid_until_ms = excluded.valid_until_ms

-- name: delete_list_price
DELETE FROM list_price WHERE sku = ?

-- name: list_prices_expired
SELECT sku FROM list_price WHERE valid_until_ms <= ? UNION SELECT sku FROM price_start WHERE starts_ms <= ? LIMIT ?

-- name: expire_dated_prices
UPDATE list_price SET valid_until_ms = 0 WHERE valid_until_ms IS NOT NULL OR sku IN (SELECT sku FROM price_entry
    GROUP BY sku HAVING count(*) > 1 OR max(valid_from_ms) > 0 OR max(valid_until_ms) IS NOT NULL)

-- name: start_dated_prices
INSERT INTO price_start (sku, starts_ms) SELECT sku, 0 FROM price_entry
GROUP BY sku HAVING count(*) > 1 OR max(valid_from_ms) > 0 OR max(valid_until_ms) IS NOT NULL
ON CONFLICT (sku) DO UPDATE SET starts_ms = 0

-- name: put_price_start
INSERT INTO price_start (sku, starts_ms) VALUES (?, ?) ON CONFLICT (sku) DO UPDATE SET starts_ms = excluded.starts_ms

-- name: delete_price_starts
DELETE FROM price_start WHERE sku IN (SELECT value FROM json_each(?))

-- name: next_price_boundary
SELECT MIN(due_ms) FROM (SELECT MIN(valid_until_ms) AS due_ms FROM list_price WHERE valid_until_ms IS NOT NULL
    UNION ALL SELECT MIN(starts_ms) FROM price_start)

-- name: put_held_batch
INSERT INTO held_batch (batch_digest, reason, held_ms) VALUES (?, ?, ?) ON CONFLICT (batch_digest) DO NOTHING

-- name: put_held_price
INSERT INTO held_price (entry_id, batch_digest, version, doc) VALUES (?, ?, ?, ?)
ON CONFLICT (entry_id) DO UPDATE SET batch_digest = excluded.batch_digest, version = excluded.version, doc = excluded.doc

-- name: delete_held_prices
DELETE FROM held_price WHERE entry_id IN (SELECT value FROM json_each(?))

-- name: held_batches
SELECT batch_digest, reason, held_ms, (SELECT COUNT(*) FROM held_price
    WHERE held_price.batch_digest = held_batch.batch_digest) FROM held_batch ORDER BY held_ms

-- name: held_prices
SELECT entry_id, version, doc FROM held_price WHERE batch_digest = ?

-- name: delete_empty_held_batches
DELETE FROM held_batch WHERE batch_digest NOT IN (SELECT batch_digest FROM held_price)

-- name: delete_held_batch
DELETE FROM held_batch WHERE batch_digest = ?

-- name: policy
SELECT doc FROM policy WHERE key = 'policy'

-- name: put_policy
INSERT INTO policy (key, version, doc) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET version = excluded.version, doc = excluded.doc

-- name: delete_cursor
DELETE FROM feed_cursor WHERE feed = ?

-- name: put_declined_price
INSERT INTO declined_price (entry_id, version) VALUES (?, ?)
ON CONFLICT (entry_id) DO UPDATE SET version = excluded.version

-- name: delete_declined_prices
DELETE FROM declined_price WHERE entry_id IN (SELECT value FROM json_each(?))

-- name: price_is_set_aside
SELECT 1 FROM held_price WHERE entry_id = ? UNION SELECT 1 FROM declined_price WHERE entry_id = ?

-- name: promotions
SELECT promotion_id, version, kind, terms, valid_from_ms, valid_until_ms FROM promotion ORDER BY promotion_id

-- name: promotions_state
SELECT COUNT(*), TOTAL(version), MAX(promotion_id) FROM promotion

-- name: data_version
PRAGMA data_version

-- name: put_promotion
INSERT INTO promotion (promotion_id, version, kind, terms, valid_from_ms, valid_until_ms) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (promotion_id) DO UPDATE SET version = excluded.version, kind = excluded.kind, terms = excluded.terms,
    valid_from_ms = excluded.valid_from_ms, valid_until_ms = excluded.valid_until_ms

-- name: delete_promotion
DELETE FROM promotion WHERE promotion_id = ?

-- name: promotion
SELECT promotion_id, version, kind, terms, valid_from_ms, valid_until_ms FROM promotion WHERE promotion_id = ?

-- name: begin_own_hand
INSERT INTO own_hand (depth) VALUES (1)

-- name: end_own_hand
DELETE FROM own_hand

-- name: feed_copy
SELECT slot, root FROM feed_copy WHERE feed = ?

-- name: put_feed_copy
INSERT INTO feed_copy (feed, slot, root) VALUES (?, ?, ?)
ON CONFLICT (feed) DO UPDATE SET slot = excluded.slot, root = excluded.root

-- name: document
SELECT version, doc FROM document WHERE feed = ? AND slot = ? AND key = ?

-- name: document_hash
SELECT hash FROM document WHERE feed = ? AND slot = ? AND key = ?

-- name: put_documents
INSERT INTO document (feed, slot, key, version, bucket, hash, doc)
SELECT ?, ?, value ->> 0, value ->> 1, value ->> 2, value ->> 3, CAST(value ->> 4 AS BLOB) FROM json_each(?) WHERE TRUE
ON CONFLICT (feed, slot, key) DO UPDATE SET version = excluded.version, hash = excluded.hash, doc = excluded.doc

-- name: add_document
INSERT INTO document (feed, slot, key, version, bucket, hash, doc) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: delete_document
DELETE FROM document WHERE feed = ? AND slot = ? AND key = ?

-- name: set_document_hash
UPDATE document SET hash = ? WHERE feed = ? AND slot = ? AND key = ?

-- name: documents_exist
SELECT 1 FROM document WHERE feed = ? AND slot = ? LIMIT 1

-- name: documents_of_buckets
SELECT bucket, key, version, hash, doc FROM document
WHERE feed = ? AND slot = ? AND bucket IN (SELECT value FROM json_each(?))

-- name: documents_from
SELECT bucket, key, version, hash, doc FROM document WHERE feed = ? AND slot = ? AND key > ? ORDER BY key LIMIT ?

-- name: slot_hashes
SELECT bucket, hash FROM document WHERE feed = ? AND slot = ?

-- name: documents_of_slot
SELECT key, version, doc FROM document WHERE feed = ? AND slot = ? ORDER BY key

-- name: overlaid_keys
SELECT substr(key, length(?1) + 2) FROM document WHERE feed = 'overlay' AND key >= ?1 || '/' AND key < ?1 || '0'

-- name: documents_that_differ
SELECT new.key, new.version, new.doc FROM document AS new LEFT JOIN document AS old
    ON old.feed = new.feed AND old.slot = ? AND old.key = new.key
WHERE new.feed = ? AND new.slot = ? AND (old.hash IS NULL OR old.hash <> new.hash)

-- name: documents_that_went
SELECT old.key, old.version FROM document AS old LEFT JOIN document AS new
    ON new.feed = old.feed AND new.slot = ? AND new.key = old.key
WHERE old.feed = ? AND old.slot = ? AND new.key IS NULL

-- name: forget_documents
DELETE FROM document WHERE feed = ? AND slot = ?

-- name: forget_some_documents
DELETE FROM document WHERE feed = ?1 AND slot = ?2 AND key IN (
    SELECT key FROM document WHERE feed = ?1 AND slot = ?2 ORDER BY key LIMIT ?3)

-- name: forget_documents_of_chunk
DELETE FROM document WHERE feed = ? AND slot = ? AND key BETWEEN ? AND ?

-- name: feed_buckets
SELECT bucket, row_count, total FROM feed_bucket WHERE feed = ?

-- name: put_feed_bucket
INSERT INTO feed_bucket (feed, bucket, row_count, total) VALUES (?, ?, ?, ?)
ON CONFLICT (feed, bucket) DO UPDATE SET row_count = excluded.row_count, total = excluded.total

-- name: delete_feed_buckets
DELETE FROM feed_bucket WHERE feed = ?

-- name: anything_touched
SELECT EXISTS (SELECT 1 FROM touched_document) OR EXISTS (SELECT 1 FROM touched_copy)

-- name: touched_documents
SELECT feed, key, counted FROM touched_document

-- name: touched_copies
SELECT feed, key FROM touched_copy

-- name: forget_touched_documents
DELETE FROM touched_document

-- name: forget_touched_copies
DELETE FROM touched_copy

-- name: staging
SELECT generation, offset, root FROM staging WHERE feed = ?

-- name: put_staging
INSERT INTO staging (feed, generation, offset, root) VALUES (?, ?, ?, ?)
ON CONFLICT (feed) DO UPDATE SET generation = excluded.generation, offset = excluded.offset, root = excluded.root

-- name: delete_staging
DELETE FROM staging WHERE feed = ?

-- name: staging_chunks
SELECT sha256, first_key, last_key FROM staging_chunk WHERE feed = ?

-- name: put_staging_chunk
INSERT INTO staging_chunk (feed, sha256, first_key, last_key, buckets) VALUES (?, ?, ?, ?, ?)

-- name: staging_buckets
SELECT buckets FROM staging_chunk WHERE feed = ?

-- name: delete_staging_chunk
DELETE FROM staging_chunk WHERE feed = ? AND sha256 = ?

-- name: delete_staging_chunks
DELETE FROM staging_chunk WHERE feed = ?

-- name: list_simple_prices
INSERT INTO list_price (sku, price_minor, currency, entry_id, version, kind, valid_until_ms)
SELECT sku, min(price_minor), currency, entry_id, version, kind, NULL FROM price_entry GROUP BY sku
HAVING count(*) = 1 AND min(valid_from_ms) <= ? AND max(valid_until_ms) IS NULL
ON CONFLICT (sku) DO NOTHING

-- name: skus_not_simple
SELECT sku FROM price_entry GROUP BY sku
HAVING count(*) > 1 OR min(valid_from_ms) > ? OR max(valid_until_ms) IS NOT NULL

-- name: triggers_of
SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?

-- name: add_item
INSERT INTO item (sku, version, name, category, department, brand, package_size, age_limit_years, tax_class,
    deposit_minor)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: add_price_entry
INSERT INTO price_entry (entry_id, version, sku, price_minor, currency, kind, priority, valid_from_ms, valid_until_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: price_entries_of
SELECT json_group_array(json_array(entry_id, version, sku))
FROM price_entry WHERE entry_id IN (SELECT value FROM json_each(?))

-- name: price_entries_of_skus
SELECT json_group_array(json_array(entry_id, version, sku, price_minor, currency, kind, priority, valid_from_ms,
    valid_until_ms))
FROM price_entry WHERE sku IN (SELECT value FROM json_each(?))

-- name: list_prices_of
SELECT json_group_array(json_array(sku, price_minor, currency, entry_id, version, kind, valid_until_ms))
FROM list_price WHERE sku IN (SELECT value FROM json_each(?))

-- name: document_hashes_of
SELECT json_group_array(json_array(key, hash))
FROM document WHERE feed = ? AND slot = ? AND key IN (SELECT value FROM json_each(?))

-- name: local_entries_between
SELECT entry_id, version, sku, price_minor, currency, kind, priority, valid_from_ms, valid_until_ms
FROM price_entry WHERE entry_id > ? AND entry_id < ? ORDER BY entry_id

-- name: held_ids_between
SELECT entry_id FROM held_price WHERE entry_id > ? AND entry_id < ?

-- name: local_held_batches
SELECT DISTINCT batch_digest FROM held_price WHERE entry_id > ? AND entry_id < ?

-- name: a_held_id
SELECT entry_id FROM held_price WHERE batch_digest = ? LIMIT 1

-- name: local_entries_of
SELECT json_group_array(json_array(entry_id, version, sku, price_minor))
FROM price_entry WHERE entry_id IN (SELECT value FROM json_each(?))

-- name: held_prices_from
SELECT entry_id, version, doc FROM held_price WHERE batch_digest = ? AND entry_id > ? ORDER BY entry_id LIMIT ?
