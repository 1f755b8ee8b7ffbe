-- Named statements on ledger.db. One `-- name:` line each; edge/db/queries.py reads them.

-- name: get_meta
SELECT value FROM meta WHERE key = ?

-- name: set_meta
INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- name: head
SELECT sequence, hash FROM entry WHERE epoch = ? ORDER BY sequence DESC LIMIT 1

-- name: delete_meta
DELETE FROM meta WHERE key = ?

-- name: newest_head
SELECT CAST(meta.value AS INTEGER), entry.sequence, entry.hash
FROM meta LEFT JOIN entry ON entry.epoch = CAST(meta.value AS INTEGER)
WHERE meta.key = 'epoch' ORDER BY entry.sequence DESC LIMIT 1

-- name: insert_entry
INSERT INTO entry (epoch, sequence, fact_key, kind, occurred_ms, business_day, payload, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_rebased_entry
INSERT INTO entry (epoch, sequence, fact_key, kind, occurred_ms, business_day, payload, hash, rebased_epoch,
    rebased_sequence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_past_entry
INSERT INTO entry (epoch, sequence, fact_key, kind, occurred_ms, business_day, payload, hash, rebased_epoch,
    rebased_sequence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (epoch, sequence) DO NOTHING

-- name: delete_entry
DELETE FROM entry WHERE epoch = ? AND sequence = ?

-- name: move_fact
UPDATE fact SET epoch = ?, sequence = ? WHERE fact_key = ? AND epoch = ? AND sequence = ?

-- name: counted_steps_of_order
SELECT entry.epoch, entry.sequence, entry.payload FROM entry
JOIN fact ON fact.fact_key = entry.fact_key AND fact.epoch = entry.epoch AND fact.sequence = entry.sequence
WHERE entry.kind = 'pickup' AND CAST(entry.payload AS TEXT) ->> 'order_id' = ? ORDER BY entry.epoch, entry.sequence

-- name: replace_fact
UPDATE fact SET digest = ?, answer = ?, epoch = ?, sequence = ? WHERE fact_key = ?

-- name: older_heads
WITH RECURSIVE older (epoch) AS (SELECT MAX(epoch) FROM entry WHERE epoch < ?
        UNION ALL SELECT (SELECT MAX(epoch) FROM entry WHERE entry.epoch < older.epoch) FROM older
        WHERE older.epoch IS NOT NULL)
SELECT entry.epoch, entry.sequence, entry.hash FROM older JOIN entry ON entry.epoch = older.epoch
    AND entry.sequence = (SELECT MAX(sequence) FROM entry WHERE entry.epoch = older.epoch) ORDER BY entry.epoch

-- name: prune_older_entries
DELETE FROM entry WHERE (epoch, sequence) IN (SELECT epoch, sequence FROM (
    SELECT entry.epoch, entry.sequence, COALESCE(fact.recorded_ms, entry.occurred_ms) AS recorded_ms
    FROM entry LEFT JOIN fact ON fact.fact_key = entry.fact_key
    WHERE entry.epoch < ? ORDER BY entry.epoch, entry.sequence LIMIT ?) WHERE recorded_ms < ?)

-- name: entry
SELECT payload FROM entry WHERE epoch = ? AND sequence = ?

-- name: entry_hash
SELECT hash FROM entry WHERE epoch = ? AND sequence = ?

-- name: entries_from
SELECT sequence, fact_key, kind, occurred_ms, business_day, payload, hash, rebased_epoch, rebased_sequence
FROM entry WHERE epoch = ? AND sequence >= ? ORDER BY sequence LIMIT ?

-- name: newest_of_kind
SELECT sequence, fact_key, occurred_ms, payload FROM entry
WHERE epoch = ? AND sequence > ? AND kind = ? ORDER BY sequence DESC LIMIT ?

-- name: fact
SELECT digest, answer, epoch, sequence FROM fact WHERE fact_key = ?

-- name: insert_fact
INSERT INTO fact (fact_key, digest, answer, epoch, sequence, recorded_ms) VALUES (?, ?, ?, ?, ?, ?)

-- name: till_transaction_count
SELECT COUNT(*) FROM fact WHERE fact_key BETWEEN ? AND ?

-- name: till_sequence_gaps
WITH arrived (sequence) AS (SELECT CAST(SUBSTR(fact_key, -10) AS INTEGER) FROM fact WHERE fact_key BETWEEN ? AND ?
        UNION ALL SELECT ? + 1),
    spaced AS (SELECT sequence, LAG(sequence, 1, ? - 1) OVER (ORDER BY sequence) AS before FROM arrived)
SELECT before + 1, sequence - 1 FROM spaced WHERE sequence > before + 1 LIMIT ?

-- name: insert_exception
INSERT INTO exception (exception_key, reason, about, detail, till, business_day, recorded_ms)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (exception_key) DO NOTHING

-- name: settle_till_closes
UPDATE exception SET settled_ms = ?
WHERE till = ? AND business_day = ? AND reason IN ('till-close-differs', 'till-gap') AND settled_ms IS NULL

-- name: reopen_exception
UPDATE exception SET settled_ms = NULL WHERE exception_key = ?

-- name: open_exceptions
SELECT reason, about, detail, till, business_day, recorded_ms FROM exception
WHERE settled_ms IS NULL ORDER BY recorded_ms DESC LIMIT ?

-- name: open_exception_count
SELECT COUNT(*) FROM exception WHERE settled_ms IS NULL

-- name: exceptions_of_till_day
SELECT reason, about, detail, recorded_ms FROM exception WHERE till = ? AND business_day = ? ORDER BY recorded_ms

-- name: till_day
SELECT count, first_sequence, last_sequence, total_minor, closed FROM till_day WHERE till = ? AND business_day = ?

-- name: newest_till_day
SELECT business_day, last_sequence, count FROM till_day WHERE till = ? ORDER BY business_day DESC LIMIT 1

-- name: till_days_since
SELECT till, business_day, first_sequence, last_sequence FROM till_day WHERE business_day >= ?

-- name: till_sequence_range
SELECT COUNT(*), MIN(fact_key), MAX(fact_key) FROM fact WHERE fact_key BETWEEN ? AND ?

-- name: add_total_to_till_day
UPDATE till_day SET total_minor = total_minor + ? WHERE till = ? AND business_day = ?

-- name: add_to_till_day
INSERT INTO till_day (till, business_day, count, first_sequence, last_sequence, total_minor) VALUES (?, ?, 1, ?, ?, ?)
ON CONFLICT (till, business_day) DO UPDATE SET count = count + 1,
    first_sequence = MIN(first_sequence, excluded.first_sequence),
    last_sequence = MAX(last_sequence, excluded.last_sequence), total_minor = total_minor + excluded.total_minor

-- name: close_till_day
UPDATE till_day SET closed = 1 WHERE till = ? AND business_day = ?

-- name: till_clocks
SELECT till, MAX(from_ms) AS newest_ms, ahead_ms FROM till_clock GROUP BY till ORDER BY newest_ms DESC LIMIT ?

-- name: till_clock_steps
SELECT till, from_ms, ahead_ms FROM till_clock ORDER BY till, from_ms

-- name: forget_till_clock_since
DELETE FROM till_clock WHERE till = ? AND from_ms >= ?

-- name: insert_till_clock
INSERT INTO till_clock (till, from_ms, ahead_ms) VALUES (?, ?, ?)

-- name: prune_till_clock
DELETE FROM till_clock WHERE till = ? AND from_ms <= (SELECT from_ms FROM till_clock AS newer
    WHERE newer.till = ? ORDER BY newer.from_ms DESC LIMIT 1 OFFSET ?)

-- name: prune_till_clocks
DELETE FROM till_clock WHERE (till, from_ms) IN (SELECT till, from_ms FROM till_clock AS older WHERE from_ms < ?
    AND EXISTS (SELECT 1 FROM till_clock AS newer WHERE newer.till = older.till AND newer.from_ms > older.from_ms
        AND newer.from_ms < ?) LIMIT ?)

-- name: till_occurred
SELECT fact.fact_key, entry.occurred_ms FROM fact
    JOIN entry ON entry.epoch = fact.epoch AND entry.sequence = fact.sequence
WHERE fact.fact_key IN (?, ?)

-- name: voided
SELECT void_key FROM voided WHERE voided_key = ?

-- name: insert_voided
INSERT INTO voided (voided_key, void_key) VALUES (?, ?) ON CONFLICT (voided_key) DO NOTHING

-- name: move_stock
INSERT INTO stock (sku, sellable_milli, reserved_milli, staged_milli, quarantine_milli, kept) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (sku) DO UPDATE SET sellable_milli = sellable_milli + excluded.sellable_milli,
    reserved_milli = reserved_milli + excluded.reserved_milli, staged_milli = staged_milli + excluded.staged_milli,
    quarantine_milli = quarantine_milli + excluded.quarantine_milli, kept = MAX(kept, excluded.kept)
RETURNING sellable_milli, reserved_milli, kept

-- name: stock
SELECT sellable_milli, reserved_milli, staged_milli, quarantine_milli FROM stock WHERE sku = ?

-- name: labels
SELECT * FROM label ORDER BY label

-- name: label
SELECT * FROM label WHERE label = ?

-- name: label_count
SELECT COUNT(*) FROM label

-- name: failed_label_count
SELECT COUNT(*) FROM label WHERE sku IS NOT NULL AND failure IS NOT NULL

-- name: silent_labels
SELECT COUNT(*), MIN(label) FROM label WHERE sku IS NOT NULL AND excluded_reason IS NULL AND seen_ms < ?
    AND type_name NOT LIKE 'paper:%'

-- name: low_battery_labels
SELECT COUNT(*), MIN(label) FROM label WHERE sku IS NOT NULL AND excluded_reason IS NULL AND battery_mv < ?

-- name: bound_labels_of_station
SELECT label, sku FROM label WHERE station = ? AND sku IS NOT NULL

-- name: move_label
UPDATE label SET station = ?, type_name = ? WHERE label = ?

-- name: labels_of_sku
SELECT label FROM label WHERE sku = ?

-- name: labels_of_skus
SELECT sku, label FROM json_each(?) JOIN label ON label.sku = value ORDER BY sku, label

-- name: insert_label
INSERT INTO label (label, station, type_name, settle_ms, seen_ms) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (label) DO NOTHING

-- name: bind_label
UPDATE label SET sku = ?, off_shelf_powered_ms = ?, failure = NULL WHERE label = ?

-- name: exclude_label
UPDATE label SET excluded_reason = ?, off_shelf_powered_ms = ? WHERE label = ?

-- name: offer_label
UPDATE label SET offer_order = ?, outstanding = 1, offered_ms = ?, failure = NULL WHERE label = ?

-- name: prove_label
UPDATE label SET outstanding = ?, proven_version = ?, proven_content = ?, proven_ms = ?, failure = NULL WHERE label = ?

-- name: doubt_all_labels
UPDATE label SET outstanding = 1

-- name: doubt_label
UPDATE label SET outstanding = 1 WHERE label = ?

-- name: reopen_claims
UPDATE claim SET closes_powered_ms = NULL WHERE label = ? AND closes_powered_ms > ?

-- name: fail_label
UPDATE label SET failure = ? WHERE label = ?

-- name: hear_label
UPDATE label SET battery_mv = COALESCE(:battery_mv, battery_mv), rssi_dbm = COALESCE(:rssi_dbm, rssi_dbm),
    temperature_c = COALESCE(:temperature_c, temperature_c), seen_ms = :now_ms
WHERE label = :label AND (seen_ms IS NULL OR seen_ms < :seen_before_ms
    OR ABS(battery_mv - :battery_mv) >= :battery_step_mv OR (battery_mv IS NULL AND :battery_mv IS NOT NULL)
    OR ABS(temperature_c - :temperature_c) >= :temperature_step_c
    OR (temperature_c IS NULL AND :temperature_c IS NOT NULL)
    OR ABS(rssi_dbm - :rssi_dbm) >= :rssi_step_dbm OR (rssi_dbm IS NULL AND :rssi_dbm IS NOT NULL))

-- name: put_picture
INSERT INTO picture (label, version, offer_order, content, sku, price_minor, currency, term, ends_powered_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (label, version) DO UPDATE SET offer_order = excluded.offer_order, content = excluded.content,
    sku = excluded.sku, price_minor = excluded.price_minor, currency = excluded.currency, term = excluded.term,
    ends_powered_ms = excluded.ends_powered_ms

-- name: picture
SELECT offer_order, content, sku, price_minor, currency, term, ends_powered_ms FROM picture
WHERE label = ? AND version = ?

-- name: forget_old_pictures
DELETE FROM picture WHERE label = ? AND offer_order <= (
    SELECT offer_order FROM picture WHERE label = ? ORDER BY offer_order DESC LIMIT 1 OFFSET ?)

-- name: claims_of_label
SELECT label, sku, price_minor, offer_order, closes_powered_ms, term, ends_powered_ms
FROM claim WHERE label = ? AND left_at = ''

-- name: claims_to_show
SELECT label, sku, price_minor, MAX(offer_order), CASE WHEN COUNT(closes_powered_ms) = COUNT(*)
    THEN MAX(closes_powered_ms) END, term
FROM claim WHERE label = ? GROUP BY label, sku, price_minor, term

-- name: leave_claims
INSERT INTO claim (label, left_at, sku, price_minor, term, offer_order, ends_powered_ms)
SELECT label, ?, sku, price_minor, term, offer_order, ends_powered_ms FROM claim
WHERE label = ? AND left_at = '' AND closes_powered_ms IS NULL
ON CONFLICT (label, left_at, sku, price_minor, term) DO UPDATE SET offer_order = excluded.offer_order,
    ends_powered_ms = CASE WHEN ends_powered_ms > excluded.ends_powered_ms THEN ends_powered_ms
        WHEN ends_powered_ms IS NOT NULL THEN excluded.ends_powered_ms END

-- name: claims_left_at
SELECT label, sku, price_minor, offer_order, closes_powered_ms, term, ends_powered_ms
FROM claim WHERE label = ? AND left_at = ?

-- name: delete_claims_left_at
DELETE FROM claim WHERE label = ? AND left_at = ?

-- name: stations_left_by
SELECT DISTINCT left_at FROM claim WHERE label = ? AND left_at <> ''

-- name: labels_that_left
SELECT DISTINCT claim.label, claim.left_at FROM claim WHERE claim.left_at <> ''

-- name: claims_of_sku
SELECT claim.label, claim.sku, claim.price_minor, claim.offer_order, claim.closes_powered_ms, claim.term,
    claim.ends_powered_ms, label.off_shelf_powered_ms
FROM claim JOIN label ON label.label = claim.label WHERE claim.sku = ? AND claim.term = ''

-- name: delete_claim
DELETE FROM claim WHERE label = ? AND left_at = '' AND sku = ? AND price_minor = ? AND term = ?

-- name: void_claim
DELETE FROM claim WHERE label = ? AND sku = ? AND price_minor = ? AND term = ?

-- name: put_claim
INSERT INTO claim (label, sku, price_minor, term, offer_order, closes_powered_ms, ends_powered_ms)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (label, left_at, sku, price_minor, term) DO UPDATE SET offer_order = excluded.offer_order,
    closes_powered_ms = excluded.closes_powered_ms, ends_powered_ms = excluded.ends_powered_ms

-- name: claims_closed_before
SELECT label, sku, price_minor, term FROM claim
WHERE left_at = '' AND (closes_powered_ms <= ? OR ends_powered_ms <= ?) LIMIT ?

-- name: claim_counts
SELECT COUNT(*), COUNT(DISTINCT sku) FROM claim

-- name: price_cap
SELECT cap_minor, valid_until_powered_ms FROM price_cap WHERE sku = ?

-- name: put_price_cap
INSERT INTO price_cap (sku, cap_minor, valid_until_powered_ms) VALUES (?, ?, ?)
ON CONFLICT (sku) DO UPDATE SET cap_minor = excluded.cap_minor, valid_until_powered_ms = excluded.valid_until_powered_ms

-- name: delete_price_cap
DELETE FROM price_cap WHERE sku = ?

-- name: price_caps_expired
SELECT sku FROM price_cap WHERE valid_until_powered_ms <= ? LIMIT ?

-- name: next_claim_end
SELECT MIN(moment) FROM (
    SELECT MIN(valid_until_powered_ms) AS moment FROM price_cap WHERE valid_until_powered_ms IS NOT NULL
    UNION ALL
    SELECT MIN(open_until_powered_ms) FROM shown_term WHERE open_until_powered_ms > 0)

-- name: term_stands
SELECT 1 FROM claim JOIN label ON label.label = claim.label
WHERE claim.term = ? AND closes_powered_ms IS NULL AND ends_powered_ms IS NULL AND off_shelf_powered_ms IS NULL LIMIT 1

-- name: term_ends
SELECT COUNT(*), MAX(MIN(IFNULL(closes_powered_ms, 4611686018427387904), IFNULL(ends_powered_ms, 4611686018427387904),
    IFNULL(off_shelf_powered_ms, 4611686018427387904)))
FROM claim JOIN label ON label.label = claim.label WHERE claim.term = ?

-- name: put_shown_term
INSERT INTO shown_term (term, promotion_id, version, kind, terms) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (term) DO UPDATE SET open_until_powered_ms = NULL WHERE open_until_powered_ms IS NOT NULL

-- name: set_term_end
UPDATE shown_term SET open_until_powered_ms = ? WHERE term = ? AND open_until_powered_ms IS NOT ?

-- name: delete_shown_term
DELETE FROM shown_term WHERE term = ?

-- name: terms_ended
SELECT term FROM shown_term WHERE open_until_powered_ms > 0 AND open_until_powered_ms <= ? LIMIT ?

-- name: skus_of_term
SELECT DISTINCT sku FROM claim WHERE term = ?

-- name: shown_terms
SELECT term, promotion_id, version, kind, terms, open_until_powered_ms FROM shown_term ORDER BY term

-- name: shown_term
SELECT term, promotion_id, version, kind, terms FROM shown_term WHERE term = ?

-- name: shown_terms_changed
UPDATE shown_terms_revision SET revision = revision + 1

-- name: shown_terms_revision
SELECT revision FROM shown_terms_revision

-- name: intervals_of
SELECT from_ms, charge_minor FROM (SELECT from_ms, charge_minor FROM price_interval WHERE sku = ?
    ORDER BY from_ms DESC LIMIT ?) ORDER BY from_ms

-- name: transactions_of_days
SELECT payload, occurred_ms, COALESCE(fact.recorded_ms, occurred_ms)
FROM entry LEFT JOIN fact ON fact.fact_key = entry.fact_key
WHERE kind = 'transaction' AND business_day BETWEEN ? AND ?

-- name: struck_claims
SELECT COUNT(*) FROM entry WHERE kind = 'staff-act' AND business_day BETWEEN ? AND ?
    AND json_extract(CAST(payload AS TEXT), '$.act') = 'void-claim'

-- name: voided_keys
SELECT voided_key FROM voided

-- name: held_low
SELECT price_cap.sku, COUNT(DISTINCT claim.label), price_hold.since_ms, price_hold.since_powered_ms
FROM price_cap JOIN claim ON claim.sku = price_cap.sku AND claim.price_minor = price_cap.cap_minor AND claim.term = ''
    JOIN label ON label.label = claim.label
    LEFT JOIN price_hold ON price_hold.sku = price_cap.sku
GROUP BY price_cap.sku

-- name: labels_holding
SELECT DISTINCT claim.label FROM price_cap
    JOIN claim ON claim.sku = price_cap.sku AND claim.price_minor = price_cap.cap_minor AND claim.term = ''
WHERE price_cap.sku = ? ORDER BY claim.label LIMIT ?

-- name: put_hold
INSERT INTO price_hold (sku, since_ms, since_powered_ms) VALUES (?, ?, ?) ON CONFLICT (sku) DO NOTHING

-- name: delete_hold
DELETE FROM price_hold WHERE sku = ?

-- name: late_holds
SELECT COUNT(*) FROM price_hold WHERE since_powered_ms <= ?

-- name: oldest_hold
SELECT sku FROM price_hold ORDER BY since_powered_ms, sku LIMIT 1

-- name: last_charges
SELECT wanted.value, (SELECT charge_minor FROM price_interval WHERE sku = wanted.value ORDER BY from_ms DESC LIMIT 1),
    EXISTS (SELECT 1 FROM price_hold WHERE sku = wanted.value)
FROM json_each(?) AS wanted

-- name: proven_prices
SELECT label.label, picture.sku, picture.price_minor FROM label JOIN picture ON picture.label = label.label
    AND picture.version = label.proven_version
WHERE label.sku IS NOT NULL AND label.excluded_reason IS NULL

-- name: price_comparison
SELECT 1 FROM price_comparison WHERE business_day = ?

-- name: price_comparisons
SELECT business_day, report FROM price_comparison ORDER BY business_day DESC LIMIT ?

-- name: put_price_comparison
INSERT INTO price_comparison (business_day, report) VALUES (?, ?)
ON CONFLICT (business_day) DO UPDATE SET report = excluded.report

-- name: prune_price_comparisons
DELETE FROM price_comparison WHERE business_day < ?

-- name: put_intervals
INSERT INTO price_interval (sku, from_ms, charge_minor)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?) WHERE TRUE
ON CONFLICT (sku, from_ms) DO UPDATE SET charge_minor = excluded.charge_minor

-- name: book_version
SELECT COALESCE(MAX(version), 0) FROM book_change

-- name: put_book_changes
INSERT INTO book_change (sku, version)
SELECT value, (SELECT COALESCE(MAX(version), 0) FROM book_change) + key + 1 FROM json_each(?) WHERE TRUE
ON CONFLICT (sku) DO UPDATE SET version = excluded.version

-- name: book_change
SELECT version FROM book_change WHERE sku = ?

-- name: book_changes
SELECT sku, version FROM book_change WHERE version > ? AND version <= ? ORDER BY version LIMIT ?

-- name: till_copies
SELECT till, version, acked_ms FROM till_copy

-- name: put_till_copy
INSERT INTO till_copy (till, version, acked_ms) VALUES (?, ?, ?)
ON CONFLICT (till) DO UPDATE SET version = excluded.version, acked_ms = excluded.acked_ms

-- name: delete_till_copy
DELETE FROM till_copy WHERE till = ?

-- name: guard_decision
SELECT approved FROM guard_decision WHERE batch_digest = ?

-- name: put_guard_decision
INSERT INTO guard_decision (batch_digest, approved, actor, decided_ms) VALUES (?, ?, ?, ?)
ON CONFLICT (batch_digest) DO UPDATE SET approved = excluded.approved, actor = excluded.actor,
    decided_ms = excluded.decided_ms

-- name: cursor
SELECT generation, offset FROM feed_cursor WHERE feed = ?

-- name: put_cursor
INSERT INTO feed_cursor (feed, generation, offset) VALUES (?, ?, ?)
ON CONFLICT (feed) DO UPDATE SET generation = excluded.generation, offset = excluded.offset

-- name: pickup
SELECT order_id, revision, state, placed_ms, currency, code_hmac, code_attempts, person_id, notified_ms,
    cancel_requested, changed_ms, progress, ended, arrived_ms, bay, reassigned, offer, accept_by_ms, confirmed, method,
    place
FROM pickup WHERE order_id = ?

-- name: pickup_by_code
SELECT order_id FROM pickup WHERE code_hmac = ? AND state IN ('ready', 'staged', 'partially_handed_over')

-- name: pickups_open
SELECT order_id, revision, state, placed_ms, currency, code_hmac, code_attempts, person_id, notified_ms,
    cancel_requested, changed_ms, progress, ended, arrived_ms, bay, reassigned, offer, accept_by_ms, confirmed, method,
    place
FROM pickup
WHERE NOT is_over OR order_id IN (SELECT order_id FROM pickup_line WHERE picked_milli > 0)
ORDER BY placed_ms LIMIT ?

-- name: insert_pickup
INSERT INTO pickup (order_id, revision, state, placed_ms, currency, code_hmac, person_id, notified_ms,
    cancel_requested, changed_ms, offer, accept_by_ms, confirmed, method)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: update_pickup_from_hub
UPDATE pickup SET revision = ?, cancel_requested = ?, confirmed = MAX(confirmed, ?) WHERE order_id = ?

-- name: pickups_unconfirmed
SELECT order_id FROM pickup WHERE offer > 0 AND confirmed = 0 AND accept_by_ms <= ? AND NOT is_over
    AND state <> 'partially_handed_over' LIMIT ?

-- name: set_pickup_state
UPDATE pickup SET state = ?, changed_ms = ?, step_epoch = ?, step_sequence = ? WHERE order_id = ?

-- name: pickup_step_place
SELECT state, step_epoch, step_sequence FROM pickup WHERE order_id = ?

-- name: move_pickup_step
UPDATE pickup SET step_epoch = ?, step_sequence = ? WHERE order_id = ? AND step_epoch = ? AND step_sequence = ?

-- name: insert_pickup_past
INSERT INTO pickup_past (order_id, epoch, sequence, occurred_ms, payload) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (order_id, epoch, sequence) DO NOTHING

-- name: pickup_past
SELECT epoch, sequence, occurred_ms, payload FROM pickup_past WHERE order_id = ? ORDER BY epoch, sequence

-- name: delete_pickup_past
DELETE FROM pickup_past WHERE order_id = ?

-- name: count_code_attempt
UPDATE pickup SET code_attempts = code_attempts + 1 WHERE order_id = ?

-- name: pickup_lines
SELECT line, sku, quantity_milli, price_minor, reserved_milli, picked_milli, may_substitute, handed_milli, short_milli,
    cancelled, refused, replaces, answer, decided_here FROM pickup_line
WHERE order_id = ? ORDER BY line

-- name: insert_pickup_line
INSERT INTO pickup_line (order_id, line, sku, quantity_milli, price_minor, may_substitute) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (order_id, line) DO NOTHING

-- name: put_pickup_line
INSERT INTO pickup_line (order_id, line, sku, quantity_milli, price_minor, reserved_milli, picked_milli, may_substitute,
    handed_milli, short_milli, cancelled, refused, replaces, answer, decided_here, offered_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (order_id, line) DO UPDATE SET reserved_milli = excluded.reserved_milli,
    picked_milli = excluded.picked_milli, handed_milli = excluded.handed_milli, short_milli = excluded.short_milli,
    cancelled = excluded.cancelled, refused = excluded.refused, answer = excluded.answer,
    decided_here = excluded.decided_here, offered_ms = COALESCE(pickup_line.offered_ms, excluded.offered_ms)

-- name: set_pickup_value
UPDATE pickup SET progress = ?, ended = ?, notified_ms = ?, arrived_ms = ?, bay = ?, reassigned = ? WHERE order_id = ?

-- name: offers_unanswered
SELECT pickup_line.order_id, line FROM pickup_line JOIN pickup ON pickup.order_id = pickup_line.order_id
WHERE pickup.state IN ('awaiting_substitution', 'partially_handed_over') AND answer = 'offered' AND cancelled = 0
    AND offered_ms <= ? LIMIT ?

-- name: orders_reserving
SELECT DISTINCT pickup_line.order_id FROM pickup_line JOIN pickup ON pickup.order_id = pickup_line.order_id
WHERE pickup_line.sku = ? AND pickup_line.reserved_milli > 0
    AND NOT pickup.is_over
ORDER BY pickup.placed_ms DESC LIMIT 5

-- name: put_person
INSERT INTO person (person_id, sealed, erase_after_ms) VALUES (?, ?, ?)
ON CONFLICT (person_id) DO UPDATE SET sealed = excluded.sealed, erase_after_ms = excluded.erase_after_ms

-- name: person
SELECT sealed FROM person WHERE person_id = ?

-- name: set_person_erasure
UPDATE person SET erase_after_ms = ? WHERE person_id = ? AND NOT EXISTS (SELECT 1 FROM pickup
    WHERE person_id = ? AND order_id <> ? AND NOT is_over)

-- name: people_due
SELECT 1 FROM person WHERE erase_after_ms <= ? LIMIT 1

-- name: erase_people
DELETE FROM person WHERE erase_after_ms <= ?

-- name: guard_decisions
SELECT batch_digest, approved FROM guard_decision

-- name: delete_cursor
DELETE FROM feed_cursor WHERE feed = ?

-- name: oldest_entries
SELECT entry.sequence, fact.recorded_ms FROM entry LEFT JOIN fact ON fact.fact_key = entry.fact_key
WHERE entry.epoch = ? AND entry.sequence <= ? ORDER BY entry.sequence LIMIT ?

-- name: prune_entries
DELETE FROM entry WHERE epoch = ? AND sequence < ?

-- name: prune_facts
DELETE FROM fact WHERE fact_key IN (SELECT fact_key FROM fact WHERE recorded_ms < ? AND NOT EXISTS (
    SELECT 1 FROM entry WHERE entry.epoch = fact.epoch AND entry.sequence = fact.sequence) LIMIT ?)

-- name: prune_voided
DELETE FROM voided WHERE voided_key IN (
    SELECT voided_key FROM voided WHERE NOT EXISTS (SELECT 1 FROM fact WHERE fact.fact_key = voided.void_key) LIMIT ?)

-- name: prune_exceptions
DELETE FROM exception WHERE exception_key IN (SELECT exception_key FROM exception WHERE recorded_ms < ? LIMIT ?)

-- name: prune_till_days
DELETE FROM till_day WHERE (till, business_day) IN (
    SELECT till, business_day FROM till_day WHERE business_day < ? AND NOT EXISTS (
        SELECT 1 FROM fact WHERE fact_key > 'till/' || till || '/' || business_day || '/'
            AND fact_key < 'till/' || till || '/' || business_day || '0') LIMIT ?)

-- name: prune_guard_decisions
DELETE FROM guard_decision WHERE batch_digest IN (
    SELECT batch_digest FROM guard_decision WHERE decided_ms < ? LIMIT ?)

-- name: prune_intervals
DELETE FROM price_interval WHERE sku IN (SELECT value ->> 0 FROM json_each(?)) AND from_ms < (
    SELECT MAX(kept.from_ms) FROM price_interval AS kept WHERE kept.sku = price_interval.sku AND kept.from_ms <= ?)

-- name: whole_chain
SELECT epoch, sequence, fact_key, kind, occurred_ms, business_day, payload, hash FROM entry ORDER BY epoch, sequence

-- name: intervals_after
SELECT sku, from_ms FROM price_interval WHERE (sku, from_ms) > (?, ?) ORDER BY sku, from_ms LIMIT ?

-- name: delete_interval
DELETE FROM price_interval WHERE sku = ? AND from_ms = ?

-- name: picture_counts
SELECT label, COUNT(*) FROM picture WHERE label > ? GROUP BY label ORDER BY label LIMIT ?

-- name: shed_pictures
DELETE FROM picture WHERE label = ?
    AND offer_order <= (SELECT offer_order FROM picture WHERE label = ? ORDER BY offer_order DESC LIMIT 1 OFFSET ?)
    AND version IS NOT (SELECT proven_version FROM label WHERE label = ?)

-- name: put_task
INSERT INTO task (task_id, revision, title, detail, due_ms, withdrawn, done_revision) VALUES (?, ?, ?, ?, ?, 0, 0)
ON CONFLICT (task_id) DO UPDATE SET revision = excluded.revision, title = excluded.title, detail = excluded.detail,
    due_ms = excluded.due_ms, withdrawn = 0 WHERE excluded.revision >= task.revision

-- name: withdraw_task
UPDATE task SET withdrawn = 1, revision = ? WHERE task_id = ? AND revision <= ?

-- name: withdraw_tasks_but
UPDATE task SET withdrawn = 1 WHERE task_id NOT IN (SELECT value FROM json_each(?))

-- name: task
SELECT task_id, revision, title, detail, due_ms, withdrawn, done_revision FROM task WHERE task_id = ?

-- name: open_tasks
SELECT task_id, revision, title, detail, due_ms FROM task WHERE withdrawn = 0 AND done_revision < revision
ORDER BY due_ms IS NULL, due_ms, task_id LIMIT ?

-- name: task_done
UPDATE task SET done_revision = max(done_revision, ?) WHERE task_id = ?

-- name: oldest_entry
SELECT sequence, hash FROM entry WHERE epoch = ? ORDER BY sequence LIMIT 1

-- name: local_prices_from
SELECT entry_id, version, doc FROM local_price WHERE entry_id > ? AND entry_id < ? ORDER BY entry_id LIMIT ?

-- name: put_local_change
INSERT INTO local_change (entry_id, version, doc) VALUES (?, ?, ?)
ON CONFLICT (entry_id) DO UPDATE SET version = excluded.version, doc = excluded.doc

-- name: local_changes_from
SELECT entry_id, version, doc FROM local_change WHERE entry_id > ? AND entry_id < ? ORDER BY entry_id LIMIT ?

-- name: delete_local_changes
DELETE FROM local_change WHERE entry_id > ? AND entry_id < ?

-- name: put_local_price
INSERT INTO local_price (entry_id, version, doc) VALUES (?, ?, ?)
ON CONFLICT (entry_id) DO UPDATE SET version = excluded.version, doc = excluded.doc

-- name: delete_local_price
DELETE FROM local_price WHERE entry_id = ?

-- name: delete_local_change
DELETE FROM local_change WHERE entry_id = ?

-- name: local_books
SELECT book, version, sealed FROM local_book ORDER BY book

-- name: local_book
SELECT version, sealed FROM local_book WHERE book = ?

-- name: put_local_book
INSERT INTO local_book (book, version, sealed) VALUES (?, ?, ?)
ON CONFLICT (book) DO UPDATE SET version = excluded.version, sealed = excluded.sealed

-- name: guard_decision
SELECT approved FROM guard_decision WHERE batch_digest = ?

-- name: taken_file
SELECT number, name, taken_ms FROM taken_file WHERE folder = ? AND digest = ?

-- name: newest_taken_file
SELECT MAX(number) FROM taken_file WHERE folder = ?

-- name: put_taken_file
INSERT INTO taken_file (folder, digest, number, name, taken_ms) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (folder, digest) DO UPDATE SET number = excluded.number, name = excluded.name, taken_ms = excluded.taken_ms

-- name: forget_taken_files
DELETE FROM taken_file WHERE folder = ? AND number <= ?

-- --- the stock ledger (edge/stock) ---------------------------------------------------------------------------------

-- name: any_count_since
SELECT 1 FROM count_line WHERE counted_ms >= ? LIMIT 1

-- name: count_in_force
SELECT counted_ms, count_id FROM count_line WHERE sku = ? AND state = 'in-force' AND own >= ?
ORDER BY counted_ms DESC LIMIT 1

-- name: newest_count
SELECT MAX(counted_ms) FROM count_line WHERE sku = ? AND state IN ('in-force', 'waiting')

-- name: shift_waiting_counts
UPDATE count_line SET expected_milli = expected_milli + ? WHERE sku = ? AND state = 'waiting' AND counted_ms >= ?
    AND own >= ?

-- name: outdate_waiting_counts
UPDATE count_line SET state = 'outdated' WHERE sku = ? AND state IN ('waiting', 'recount') AND counted_ms <= ?

-- name: put_count_line
INSERT INTO count_line (count_id, sku, place, counted_milli, expected_milli, counted_ms, with_staged, state, actor, own)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (count_id, sku) DO NOTHING

-- name: set_count_state
UPDATE count_line SET state = ? WHERE count_id = ? AND sku = ? AND state = 'waiting'

-- name: count_line
SELECT count_id, sku, place, counted_milli, expected_milli, counted_ms, with_staged, state, actor FROM count_line
WHERE count_id = ? AND sku = ?

-- name: count_lines
SELECT count_id, sku, place, counted_milli, expected_milli, counted_ms, with_staged, state, actor FROM count_line
WHERE count_id = ? ORDER BY sku

-- name: waiting_counts
SELECT count_id, sku, place, counted_milli, expected_milli, counted_ms, with_staged, state, actor FROM count_line
WHERE state = 'waiting' ORDER BY counted_ms, count_id, sku LIMIT ?

-- name: waiting_count_number
SELECT COUNT(*) FROM count_line WHERE state = 'waiting'

-- name: stock_facts_since
SELECT entry.payload, entry.occurred_ms, fact.recorded_ms FROM fact
    JOIN entry ON entry.epoch = fact.epoch AND entry.sequence = fact.sequence
WHERE fact.recorded_ms >= ? AND entry.kind IN ('transaction', 'movement', 'pickup', 'goods-received', 'transfer-sent',
        'order-return', 'grading')
    AND INSTR(CAST(entry.payload AS TEXT), ?) > 0

-- name: put_count_session
INSERT INTO count_session (session_id, how, place, with_staged, actor, opened_ms) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (session_id) DO NOTHING

-- name: put_count_wanted
INSERT INTO count_wanted (session_id, sku) SELECT ?, value FROM json_each(?) WHERE TRUE ON CONFLICT DO NOTHING

-- name: count_session
SELECT session_id, how, place, with_staged, actor, opened_ms, submitting, closed_ms FROM count_session WHERE session_id = ?

-- name: open_count_sessions
SELECT session_id, how, place, with_staged, actor, opened_ms, submitting, closed_ms FROM count_session
WHERE closed_ms IS NULL ORDER BY opened_ms LIMIT ?

-- name: begin_submitting
UPDATE count_session SET submitting = 1 WHERE session_id = ?

-- name: close_count_session
UPDATE count_session SET closed_ms = ? WHERE session_id = ? AND closed_ms IS NULL

-- name: give_up_count_session
UPDATE count_session SET closed_ms = ?, submitting = 0 WHERE session_id = ? AND closed_ms IS NULL

-- name: count_wanted
SELECT sku FROM count_wanted WHERE session_id = ? ORDER BY sku

-- name: count_scan
SELECT sku, code, place, quantity_milli, sets FROM count_scan WHERE session_id = ? AND scan_id = ?

-- name: count_scan_number
SELECT COALESCE(MAX(number), 0) FROM count_scan WHERE session_id = ?

-- name: put_count_scan
INSERT INTO count_scan (session_id, number, scan_id, sku, code, place, quantity_milli, sets, counted_ms, actor)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: count_scans
SELECT number, sku, code, place, quantity_milli, sets, counted_ms, actor FROM count_scan
WHERE session_id = ? ORDER BY number

-- name: stocked_skus
SELECT sku FROM stock WHERE sellable_milli + reserved_milli <> 0 ORDER BY sku LIMIT ?

-- name: prune_count_lines
DELETE FROM count_line WHERE (count_id, sku) IN (
    SELECT count_id, sku FROM count_line WHERE counted_ms < ? AND state <> 'waiting' LIMIT ?)

-- name: prune_count_sessions
DELETE FROM count_session WHERE session_id IN (SELECT session_id FROM count_session WHERE closed_ms < ? LIMIT ?)

-- name: prune_count_scans
DELETE FROM count_scan WHERE (session_id, number) IN (SELECT session_id, number FROM count_scan
    WHERE session_id NOT IN (SELECT session_id FROM count_session) LIMIT ?)

-- name: prune_count_wanted
DELETE FROM count_wanted WHERE (session_id, sku) IN (SELECT session_id, sku FROM count_wanted
    WHERE session_id NOT IN (SELECT session_id FROM count_session) LIMIT ?)

-- name: put_delivery
INSERT INTO delivery (delivery_id, revision, supplier, reference, due_ms, from_store, transfer)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (delivery_id) DO UPDATE SET revision = excluded.revision, supplier = excluded.supplier,
    reference = excluded.reference, due_ms = excluded.due_ms, from_store = excluded.from_store,
    transfer = excluded.transfer, withdrawn = 0
WHERE excluded.revision >= delivery.revision AND delivery.closed_ms IS NULL

-- name: forget_expected
UPDATE delivery_line SET expected_milli = 0 WHERE delivery_id = ?

-- name: put_expected
INSERT INTO delivery_line (delivery_id, sku, expected_milli) VALUES (?, ?, ?)
ON CONFLICT (delivery_id, sku) DO UPDATE SET expected_milli = excluded.expected_milli

-- name: hear_of_delivery
INSERT INTO delivery (delivery_id, revision, supplier, reference, from_store, transfer, withdrawn)
VALUES (?, 0, '', '', ?, ?, 1) ON CONFLICT (delivery_id) DO NOTHING

-- name: add_received
INSERT INTO delivery_line (delivery_id, sku, received_milli, damaged_milli) VALUES (?, ?, ?, ?)
ON CONFLICT (delivery_id, sku) DO UPDATE SET received_milli = received_milli + excluded.received_milli,
    damaged_milli = damaged_milli + excluded.damaged_milli

-- name: withdraw_delivery
UPDATE delivery SET withdrawn = 1, revision = ? WHERE delivery_id = ? AND revision <= ?

-- name: withdraw_deliveries_but
UPDATE delivery SET withdrawn = 1 WHERE closed_ms IS NULL AND delivery_id NOT IN (SELECT value FROM json_each(?))

-- name: delivery
SELECT delivery_id, revision, supplier, reference, due_ms, from_store, transfer, withdrawn, closed_ms FROM delivery
WHERE delivery_id = ?

-- name: deliveries_open
SELECT delivery_id, revision, supplier, reference, due_ms, from_store, transfer, withdrawn, closed_ms FROM delivery
WHERE closed_ms IS NULL AND (withdrawn = 0 OR EXISTS (SELECT 1 FROM delivery_line
    WHERE delivery_line.delivery_id = delivery.delivery_id AND received_milli > 0))
ORDER BY due_ms IS NULL, due_ms, delivery_id LIMIT ?

-- name: delivery_lines
SELECT sku, expected_milli, received_milli, damaged_milli FROM delivery_line
WHERE delivery_id = ? AND (expected_milli <> 0 OR received_milli <> 0 OR damaged_milli <> 0) ORDER BY sku

-- name: close_delivery
INSERT INTO delivery (delivery_id, revision, supplier, reference, from_store, transfer, closed_ms)
VALUES (?, 0, '', '', ?, ?, ?)
ON CONFLICT (delivery_id) DO UPDATE SET closed_ms = COALESCE(delivery.closed_ms, excluded.closed_ms)

-- name: prune_deliveries
DELETE FROM delivery WHERE delivery_id IN (SELECT delivery_id FROM delivery WHERE closed_ms < ? LIMIT ?)

-- name: prune_delivery_lines
DELETE FROM delivery_line WHERE (delivery_id, sku) IN (SELECT delivery_id, sku FROM delivery_line
    WHERE delivery_id NOT IN (SELECT delivery_id FROM delivery) LIMIT ?)

-- name: reservations
WITH kept AS (SELECT pickup_line.sku AS sku,
        SUM(CASE WHEN pickup.is_over THEN 0 ELSE pickup_line.reserved_milli END) AS reserved,
        SUM(pickup_line.picked_milli) AS staged
    FROM pickup_line JOIN pickup ON pickup.order_id = pickup_line.order_id
    WHERE pickup_line.reserved_milli <> 0 OR pickup_line.picked_milli <> 0 GROUP BY pickup_line.sku)
SELECT stock.sku, stock.reserved_milli, stock.staged_milli, COALESCE(kept.reserved, 0), COALESCE(kept.staged, 0)
FROM stock LEFT JOIN kept ON kept.sku = stock.sku
WHERE stock.reserved_milli <> COALESCE(kept.reserved, 0) OR stock.staged_milli <> COALESCE(kept.staged, 0)
UNION ALL
SELECT kept.sku, 0, 0, kept.reserved, kept.staged FROM kept
WHERE kept.sku NOT IN (SELECT sku FROM stock) AND (kept.reserved <> 0 OR kept.staged <> 0)
ORDER BY 1 LIMIT ?

-- name: over_orders_reserving
SELECT pickup_line.order_id, line, sku, reserved_milli FROM pickup_line
    JOIN pickup ON pickup.order_id = pickup_line.order_id
WHERE pickup.is_over AND reserved_milli <> 0 ORDER BY pickup_line.order_id, line LIMIT ?

-- name: release_over_orders
UPDATE pickup_line SET reserved_milli = 0 WHERE reserved_milli <> 0
    AND order_id IN (SELECT order_id FROM pickup WHERE is_over)

-- name: any_pickup_past
SELECT 1 FROM pickup_past LIMIT 1

-- returns of online orders

-- name: order_returns
SELECT line, sku, returned_milli FROM order_return WHERE order_id = ?

-- name: add_order_return
INSERT INTO order_return (order_id, line, sku, returned_milli, changed_ms) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (order_id, line, sku) DO UPDATE SET returned_milli = returned_milli + excluded.returned_milli,
    changed_ms = MAX(changed_ms, excluded.changed_ms)

-- name: prune_order_returns
DELETE FROM order_return WHERE (order_id, line, sku) IN (
    SELECT order_id, line, sku FROM order_return WHERE changed_ms < ? LIMIT ?)

-- name: quarantined
SELECT sku, quarantine_milli FROM stock WHERE quarantine_milli > 0 ORDER BY sku LIMIT ?

-- parcels

-- name: parcels_of
SELECT parcel_id, order_id, number, state, lines, weight_g, carrier, service, tracking FROM parcel
WHERE order_id = ? ORDER BY number, parcel_id

-- name: parcel
SELECT parcel_id, order_id, number, state, lines, weight_g, carrier, service, tracking FROM parcel WHERE parcel_id = ?

-- name: put_parcel
INSERT INTO parcel (parcel_id, order_id, number, state, lines, weight_g, carrier, service, tracking)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (parcel_id) DO UPDATE SET number = excluded.number, state = excluded.state, lines = excluded.lines,
    weight_g = excluded.weight_g, carrier = excluded.carrier, service = excluded.service, tracking = excluded.tracking

-- --- picking, by people at the staff page ---------------------------------------------------------------------------

-- name: set_pickup_place
UPDATE pickup SET place = ? WHERE order_id = ?

-- name: put_planned_step
INSERT INTO planned_step (act_id, position, order_id, actor, step, occurred_ms, due_powered_ms)
VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: planned_act
SELECT order_id, actor, step, occurred_ms, taken_back FROM planned_step WHERE act_id = ? ORDER BY position

-- name: planned_of_order
SELECT act_id, step FROM planned_step WHERE order_id = ? AND NOT taken_back ORDER BY position

-- name: planned_due
SELECT DISTINCT act_id FROM planned_step WHERE due_powered_ms <= ? AND NOT taken_back LIMIT ?

-- name: planned_waiting
SELECT 1 FROM planned_step WHERE NOT taken_back LIMIT 1

-- name: take_back_planned
UPDATE planned_step SET taken_back = 1 WHERE act_id = ?

-- name: delete_planned
DELETE FROM planned_step WHERE act_id = ?

-- name: taken_back_due
SELECT 1 FROM planned_step WHERE taken_back AND due_powered_ms <= ? LIMIT 1

-- name: forget_taken_back
DELETE FROM planned_step WHERE taken_back AND due_powered_ms <= ?

-- name: pick_lists
SELECT order_id, list_id, actor, began_ms, tote, place FROM pick_list ORDER BY began_ms, tote

-- name: put_pick_list
INSERT INTO pick_list (order_id, list_id, actor, began_ms, tote, place) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (order_id) DO UPDATE SET list_id = excluded.list_id, actor = excluded.actor,
    began_ms = excluded.began_ms, tote = excluded.tote, place = excluded.place

-- name: leave_pick_list_order
DELETE FROM pick_list WHERE order_id = ?

-- name: places_in_use
SELECT place, order_id FROM pickup
WHERE place <> '' AND order_id IN (SELECT order_id FROM pickup_line WHERE picked_milli > 0)

-- name: shelf_places
SELECT sku, aisle, bay, shelf, position, walk FROM shelf_place
WHERE sku IN (SELECT value FROM json_each(?))

-- name: delete_shelf_places
DELETE FROM shelf_place

-- name: put_shelf_places
INSERT OR IGNORE INTO shelf_place (sku, aisle, bay, shelf, position, walk)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM json_each(?)

-- name: skus_of_bay
SELECT DISTINCT sku FROM shelf_place WHERE aisle = ? AND bay = ? LIMIT ?
