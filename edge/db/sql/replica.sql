-- Named statements on replica.db. One `-- name:` line each; edge/db/queries.py reads them.

-- name: cursor
SELECT generation, offset FROM feed_cursor WHERE feed = ?

-- name: put_cursor
INSERT INTO feed_cursor (feed, generation, offset) VALUES (?, ?, ?)
ON CONFLICT (feed) DO UPDATE SET generation = excluded.generation, offset = excluded.offset

-- name: priced_item_by_code
SELECT item.sku, item.name, item.age_limit_years, list_price.price_minor, list_price.currency, list_price.entry_id,
    list_price.version, list_price.valid_until_ms
FROM item_code JOIN item ON item.sku = item_code.sku LEFT JOIN list_price ON list_price.sku = item.sku
WHERE item_code.code = ?

-- name: priced_item_by_sku
SELECT item.sku, item.name, item.age_limit_years, list_price.price_minor, list_price.currency, list_price.entry_id,
    list_price.version, list_price.valid_until_ms
FROM item LEFT JOIN list_price ON list_price.sku = item.sku WHERE item.sku = ?

-- name: item
SELECT sku, name, category, department, brand, package_size, age_limit_years FROM item WHERE sku = ?

-- name: sku_by_code
SELECT sku FROM item_code WHERE code = ?

-- name: sku_exists
SELECT 1 FROM item WHERE sku = ?

-- name: first_code
SELECT code FROM item_code WHERE sku = ? ORDER BY position LIMIT 1

-- name: item_count
SELECT COUNT(*) FROM item

-- name: put_item
INSERT INTO item (sku, version, name, category, department, brand, package_size, age_limit_years)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (sku) DO UPDATE SET version = excluded.version, name = excluded.name, category = excluded.category,
    department = excluded.department, brand = excluded.brand, package_size = excluded.package_size,
    age_limit_years = excluded.age_limit_years

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

-- name: put_price_entry
INSERT INTO price_entry (entry_id, version, sku, price_minor, currency, kind, priority, valid_from_ms, valid_until_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (entry_id) DO UPDATE SET version = excluded.version, sku = excluded.sku,
    price_minor = excluded.price_minor, currency = excluded.currency, kind = excluded.kind,
    priority = excluded.priority, valid_from_ms = excluded.valid_from_ms, valid_until_ms = excluded.valid_until_ms

-- name: delete_price_entry
DELETE FROM price_entry WHERE entry_id = ?

-- name: list_price
SELECT price_minor, currency, entry_id, version, kind, valid_until_ms FROM list_price WHERE sku = ?

-- name: list_price_count
SELECT COUNT(*) FROM list_price

-- name: put_list_price
INSERT INTO list_price (sku, price_minor, currency, entry_id, version, kind, valid_until_ms)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (sku) DO UPDATE SET price_minor = excluded.price_minor, currency = excluded.currency,
    entry_id = excluded.entry_id, version = excluded.version, kind = excluded.kind,
    valid_until_ms = excluded.valid_until_ms

-- name: delete_list_price
DELETE FROM list_price WHERE sku = ?

-- name: list_prices_expired
SELECT sku FROM list_price WHERE valid_until_ms <= ? UNION SELECT sku FROM price_start WHERE starts_ms <= ? LIMIT ?

-- name: expire_list_prices
UPDATE list_price SET valid_until_ms = 0

-- name: start_all_prices
INSERT INTO price_start (sku, starts_ms) SELECT DISTINCT sku, 0 FROM price_entry WHERE true
ON CONFLICT (sku) DO UPDATE SET starts_ms = 0

-- name: put_price_start
INSERT INTO price_start (sku, starts_ms) VALUES (?, ?) ON CONFLICT (sku) DO UPDATE SET starts_ms = excluded.starts_ms

-- name: delete_price_start
DELETE FROM price_start WHERE sku = ?

-- name: next_price_boundary
SELECT MIN(due_ms) FROM (SELECT MIN(valid_until_ms) AS due_ms FROM list_price WHERE valid_until_ms IS NOT NULL
    UNION ALL SELECT MIN(starts_ms) FROM price_start)

-- name: put_held_batch
INSERT INTO held_batch (batch_digest, reason, held_ms) VALUES (?, ?, ?) ON CONFLICT (batch_digest) DO NOTHING

-- name: put_held_price
INSERT INTO held_price (entry_id, batch_digest, version, doc) VALUES (?, ?, ?, ?)
ON CONFLICT (entry_id) DO UPDATE SET batch_digest = excluded.batch_digest, version = excluded.version, doc = excluded.doc

-- name: delete_held_price
DELETE FROM held_price WHERE entry_id = ?

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

-- name: rebuilding
SELECT 1 FROM rebuild WHERE feed = ?

-- name: begin_rebuild
INSERT INTO rebuild (feed) VALUES (?) ON CONFLICT (feed) DO NOTHING

-- name: clear_rebuild_keys
DELETE FROM rebuild_key WHERE feed = ?

-- name: end_rebuild
DELETE FROM rebuild WHERE feed = ?

-- name: put_rebuild_key
INSERT INTO rebuild_key (feed, key) VALUES (?, ?) ON CONFLICT (feed, key) DO NOTHING

-- name: items_not_rebuilt
SELECT sku FROM item WHERE sku NOT IN (SELECT key FROM rebuild_key WHERE feed = 'items')

-- name: prices_not_rebuilt
SELECT entry_id FROM price_entry WHERE entry_id NOT IN (SELECT key FROM rebuild_key WHERE feed = 'prices')
