-- Named statements of the staff page. One `-- name:` line each; edge/db/queries.py reads them. Reads only.

-- name: label_names
SELECT label FROM label ORDER BY label

-- name: item_name
SELECT name FROM item WHERE sku = ?

-- name: sales_of_day
SELECT COALESCE(SUM(count), 0), COALESCE(SUM(total_minor), 0) FROM till_day WHERE business_day = ?

-- name: pickup_counts
SELECT state, COUNT(*) FROM pickup WHERE NOT is_over GROUP BY state

-- name: held_price_entries
SELECT entry_id, doc FROM held_price WHERE batch_digest = ? ORDER BY entry_id LIMIT ?
