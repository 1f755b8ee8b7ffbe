-- ledger.db, version 1: what was born in this store (DESIGN.md section 4). Immutable: a change is ledger_0002.sql.
-- Times: *_ms wall clock since 1970 UTC; *_powered_ms the powered clock of edge/clock.py. Quantities in thousandths.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- The chain. One gapless sequence per epoch; the outbox and the audit trail. `rebased_*`: where the entry stood before its
-- epoch ended below it. Epochs before the newest are what the hub has, however this box came by them.
CREATE TABLE entry (
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    fact_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    occurred_ms INTEGER NOT NULL,
    business_day TEXT NOT NULL,
    payload BLOB NOT NULL,
    hash TEXT NOT NULL,
    rebased_epoch INTEGER,
    rebased_sequence INTEGER,
    PRIMARY KEY (epoch, sequence)
) STRICT, WITHOUT ROWID;

-- Seen before? Kept 400 days; the answer is what the first sender was told.
CREATE TABLE fact (
    fact_key TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    answer BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    recorded_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX fact_by_age ON fact (recorded_ms);

CREATE TABLE till_day (
    till TEXT NOT NULL,
    business_day TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_sequence INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL,
    total_minor INTEGER NOT NULL,
    closed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (till, business_day)
) STRICT, WITHOUT ROWID;

-- How far a till's clock was ahead of the store's, from when on; a row where that changed (edge/domain/till_clock.py).
CREATE TABLE till_clock (
    till TEXT NOT NULL,
    from_ms INTEGER NOT NULL,
    ahead_ms INTEGER NOT NULL,
    PRIMARY KEY (till, from_ms)
) STRICT, WITHOUT ROWID;

-- Which void takes a transaction back, also when it comes first. A second void of the same takes nothing back.
CREATE TABLE voided (voided_key TEXT PRIMARY KEY, void_key TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE exception (
    exception_key TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    about TEXT NOT NULL,
    detail TEXT NOT NULL,
    till TEXT NOT NULL,
    business_day TEXT NOT NULL,
    recorded_ms INTEGER NOT NULL,
    settled_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX exception_by_till_day ON exception (till, business_day);
CREATE INDEX exception_open ON exception (recorded_ms) WHERE settled_ms IS NULL;

-- Four disjoint buckets; only movements change them. `kept`: somebody received or counted the SKU, so that less than
-- none of it is a mistake that people should hear of; before that nobody keeps its stock.
CREATE TABLE stock (
    sku TEXT PRIMARY KEY,
    sellable_milli INTEGER NOT NULL,
    reserved_milli INTEGER NOT NULL,
    staged_milli INTEGER NOT NULL,
    quarantine_milli INTEGER NOT NULL,
    kept INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Labels: binding, exclusion, and what was last offered and proven. `outstanding`: the last offer is not proven yet.
-- `off_shelf_powered_ms`: excluded or unbound; from then on the label's claims do not count.
CREATE TABLE label (
    label TEXT PRIMARY KEY,
    station TEXT NOT NULL,
    type_name TEXT NOT NULL,
    sku TEXT,
    excluded_reason TEXT,
    off_shelf_powered_ms INTEGER,
    settle_ms INTEGER NOT NULL DEFAULT 0,
    offer_order INTEGER NOT NULL DEFAULT 0,
    outstanding INTEGER NOT NULL DEFAULT 0,
    offered_ms INTEGER,
    proven_version TEXT,
    proven_content TEXT,
    proven_ms INTEGER,
    failure TEXT,
    battery_mv INTEGER,
    temperature_c INTEGER,
    rssi_dbm INTEGER,
    seen_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX label_by_sku ON label (sku) WHERE sku IS NOT NULL;

-- Pictures offered to a label and not yet ruled out, so that a proof can be read.
CREATE TABLE picture (
    label TEXT NOT NULL,
    version TEXT NOT NULL,
    offer_order INTEGER NOT NULL,
    content TEXT NOT NULL,
    sku TEXT NOT NULL,
    price_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    term TEXT NOT NULL DEFAULT '',
    ends_powered_ms INTEGER,
    PRIMARY KEY (label, version)
) STRICT, WITHOUT ROWID;

-- A price a shopper may have read (DESIGN.md section 5). `closes_powered_ms` NULL: nothing has closed it yet.
-- `left_at`: '' for a claim of the label where it is served now; else a base station that served it before, went away
-- with a picture still outstanding, and may yet give it to the label. `term`: what may be read is what one gets on a
-- condition (`shown_term`), and the price is 0. `ends_powered_ms`: the picture says itself until when.
CREATE TABLE claim (
    label TEXT NOT NULL,
    left_at TEXT NOT NULL DEFAULT '',
    sku TEXT NOT NULL,
    price_minor INTEGER NOT NULL,
    term TEXT NOT NULL DEFAULT '',
    offer_order INTEGER NOT NULL,
    closes_powered_ms INTEGER,
    ends_powered_ms INTEGER,
    PRIMARY KEY (label, left_at, sku, price_minor, term)
) STRICT, WITHOUT ROWID;
CREATE INDEX claim_by_term ON claim (term) WHERE term <> '';
CREATE INDEX claim_ending ON claim (ends_powered_ms) WHERE ends_powered_ms IS NOT NULL;
CREATE INDEX claim_left ON claim (left_at) WHERE left_at <> '';
CREATE INDEX claim_by_sku ON claim (sku);
CREATE INDEX claim_closing ON claim (closes_powered_ms) WHERE closes_powered_ms IS NOT NULL;

-- The lowest open claim per SKU. `valid_until_powered_ms`: when the next claim of the SKU closes.
CREATE TABLE price_cap (
    sku TEXT PRIMARY KEY,
    cap_minor INTEGER NOT NULL,
    valid_until_powered_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX price_cap_expiring ON price_cap (valid_until_powered_ms) WHERE valid_until_powered_ms IS NOT NULL;

-- Terms of promotions that labels show, in their own words: they stay in force while a claim of them is open, whatever
-- became of the promotion. `open_until_powered_ms` NULL: nothing has closed the last claim yet; 0: all that is left are
-- claims of labels that do not count now.
CREATE TABLE shown_term (
    term TEXT PRIMARY KEY,
    promotion_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    terms BLOB NOT NULL,
    open_until_powered_ms INTEGER
) STRICT, WITHOUT ROWID;

-- Counts the changes of `shown_term`, so that whoever keeps them in memory knows when to read again.
CREATE TABLE shown_terms_revision (revision INTEGER NOT NULL) STRICT;
INSERT INTO shown_terms_revision (revision) VALUES (0);

-- What a till could be asked to charge, as intervals. Kept 400 days.
CREATE TABLE price_interval (
    sku TEXT NOT NULL,
    from_ms INTEGER NOT NULL,
    charge_minor INTEGER NOT NULL,
    PRIMARY KEY (sku, from_ms)
) STRICT, WITHOUT ROWID;

-- Prices that tills are held low for, because a shelf may still show less: since when, by both clocks.
CREATE TABLE price_hold (
    sku TEXT PRIMARY KEY,
    since_ms INTEGER NOT NULL,
    since_powered_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX price_hold_by_age ON price_hold (since_powered_ms);

-- Which version of the price book last changed a SKU: a till that keeps a copy asks for what is newer.
CREATE TABLE book_change (sku TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX book_change_by_version ON book_change (version);

-- Tills that keep a copy of the price book, and the version that each said it has.
CREATE TABLE till_copy (till TEXT PRIMARY KEY, version INTEGER NOT NULL, acked_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- What the comparison of hub, tills and labels found after each business day, as JSON.
CREATE TABLE price_comparison (business_day TEXT PRIMARY KEY, report BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- A person's word on a batch the price guard held; it outlives a replica that is loaded again.
CREATE TABLE guard_decision (
    batch_digest TEXT PRIMARY KEY,
    approved INTEGER NOT NULL,
    actor TEXT NOT NULL,
    decided_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE feed_cursor (feed TEXT PRIMARY KEY, generation TEXT NOT NULL, offset INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE pickup (
    order_id TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    state TEXT NOT NULL,
    placed_ms INTEGER NOT NULL,
    currency TEXT NOT NULL,
    code_hmac TEXT NOT NULL,
    code_attempts INTEGER NOT NULL DEFAULT 0,
    person_id TEXT NOT NULL,
    notified_ms INTEGER,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    changed_ms INTEGER NOT NULL,
    step_epoch INTEGER NOT NULL DEFAULT 0,
    step_sequence INTEGER NOT NULL DEFAULT 0,
    progress TEXT NOT NULL DEFAULT 'placed',
    ended TEXT NOT NULL DEFAULT '',
    arrived_ms INTEGER,
    bay TEXT NOT NULL DEFAULT '',
    reassigned INTEGER NOT NULL DEFAULT 0,
    offer INTEGER NOT NULL DEFAULT 0,
    accept_by_ms INTEGER,
    confirmed INTEGER NOT NULL DEFAULT 0,
    method TEXT NOT NULL DEFAULT 'pickup',
    place TEXT NOT NULL DEFAULT '',
    is_over INTEGER NOT NULL GENERATED ALWAYS AS (
        state IN ('handed_over', 'rejected', 'cancelled', 'expired', 'no_show', 'refused', 'reassigned')) VIRTUAL
) STRICT, WITHOUT ROWID;
CREATE INDEX pickup_by_code ON pickup (code_hmac);
CREATE INDEX pickup_by_state ON pickup (state, placed_ms);
CREATE INDEX pickup_unconfirmed ON pickup (accept_by_ms) WHERE offer > 0 AND confirmed = 0;

-- Steps that came back from the hub for orders this box has not heard of (again); replayed when the order arrives.
CREATE TABLE pickup_past (
    order_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    occurred_ms INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (order_id, epoch, sequence)
) STRICT, WITHOUT ROWID;

-- `picked_milli`: what is put aside now, without what was handed over or put back. `replaces`: a substitute for that
-- line, offered at `offered_ms`.
CREATE TABLE pickup_line (
    order_id TEXT NOT NULL,
    line INTEGER NOT NULL,
    sku TEXT NOT NULL,
    quantity_milli INTEGER NOT NULL,
    price_minor INTEGER NOT NULL,
    reserved_milli INTEGER NOT NULL DEFAULT 0,
    picked_milli INTEGER NOT NULL DEFAULT 0,
    may_substitute INTEGER NOT NULL DEFAULT 0,
    handed_milli INTEGER NOT NULL DEFAULT 0,
    short_milli INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    replaces INTEGER,
    answer TEXT NOT NULL DEFAULT '',
    decided_here INTEGER NOT NULL DEFAULT 0,
    offered_ms INTEGER,
    PRIMARY KEY (order_id, line)
) STRICT, WITHOUT ROWID;
CREATE INDEX pickup_line_put_aside ON pickup_line (order_id) WHERE picked_milli > 0;

-- People's data, sealed, erasable without touching the chain.
CREATE TABLE person (person_id TEXT PRIMARY KEY, sealed BLOB NOT NULL, erase_after_ms INTEGER) STRICT, WITHOUT ROWID;

-- Tasks of the chain (feed `tasks`), applied by revision. `done_revision`: as of which revision it was done, 0 for never.
CREATE TABLE task (
    task_id TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    title TEXT NOT NULL,
    detail TEXT NOT NULL,
    due_ms INTEGER,
    withdrawn INTEGER NOT NULL,
    done_revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Price books that came by files (edge/prices/local_prices.py): what is in force, by the id of its price list entry.
-- `local_change`: what a file changes; it counts from the moment its book is sealed, and then moves over in slices.
CREATE TABLE local_price (entry_id TEXT PRIMARY KEY, version INTEGER NOT NULL, doc BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE local_change (entry_id TEXT PRIMARY KEY, version INTEGER NOT NULL, doc BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE local_book (book TEXT PRIMARY KEY, version INTEGER NOT NULL, sealed INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Files of hot folders that were taken, so that the same again is known for one. `number` grows with each.
CREATE TABLE taken_file (
    folder TEXT NOT NULL,
    digest TEXT NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    taken_ms INTEGER NOT NULL,
    PRIMARY KEY (folder, digest)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX taken_file_by_number ON taken_file (folder, number);

-- --- The stock ledger (edge/stock): counts, deliveries, transfers ---------------------------------------------------

-- Somebody goes along the shelves: `how` is cycle, directed (`count_wanted` names the SKUs) or full. What is scanned is
-- kept scan by scan until it is submitted as facts; then, or when it is given up, `closed_ms` is set. `submitting`: that
-- has begun, so that nothing more can be scanned.
CREATE TABLE count_session (
    session_id TEXT PRIMARY KEY,
    how TEXT NOT NULL,
    place TEXT NOT NULL,
    with_staged INTEGER NOT NULL,
    actor TEXT NOT NULL,
    opened_ms INTEGER NOT NULL,
    submitting INTEGER NOT NULL DEFAULT 0,
    closed_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX count_session_open ON count_session (opened_ms) WHERE closed_ms IS NULL;

CREATE TABLE count_wanted (session_id TEXT NOT NULL, sku TEXT NOT NULL, PRIMARY KEY (session_id, sku)) STRICT, WITHOUT ROWID;

-- `sets`: the figure of its SKU and place, as counted by hand; else it is added. `sku` '': no product has the code.
CREATE TABLE count_scan (
    session_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    scan_id TEXT NOT NULL,
    sku TEXT NOT NULL,
    code TEXT NOT NULL,
    place TEXT NOT NULL,
    quantity_milli INTEGER NOT NULL,
    sets INTEGER NOT NULL,
    counted_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    PRIMARY KEY (session_id, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX count_scan_by_id ON count_scan (session_id, scan_id);

-- What was counted of a SKU. `state`: in-force (it moved stock), waiting (for a supervisor), recount (sent to be counted
-- again), outdated (counted again later). `expected_milli` of a waiting one goes on following what happened before it.
-- `own`: of this life of the box, not of history that the hub sent back.
CREATE TABLE count_line (
    count_id TEXT NOT NULL,
    sku TEXT NOT NULL,
    place TEXT NOT NULL,
    counted_milli INTEGER NOT NULL,
    expected_milli INTEGER NOT NULL,
    counted_ms INTEGER NOT NULL,
    with_staged INTEGER NOT NULL,
    state TEXT NOT NULL,
    actor TEXT NOT NULL,
    own INTEGER NOT NULL,
    PRIMARY KEY (count_id, sku)
) STRICT, WITHOUT ROWID;
CREATE INDEX count_line_by_sku ON count_line (sku, counted_ms);
CREATE INDEX count_line_by_moment ON count_line (counted_ms);
CREATE INDEX count_line_waiting ON count_line (counted_ms) WHERE state = 'waiting';

-- Goods on their way (feed `deliveries`), applied by revision; `closed_ms`: a person said that nothing more will come.
CREATE TABLE delivery (
    delivery_id TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    supplier TEXT NOT NULL,
    reference TEXT NOT NULL,
    due_ms INTEGER,
    from_store TEXT NOT NULL,
    transfer TEXT NOT NULL,
    withdrawn INTEGER NOT NULL DEFAULT 0,
    closed_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_open ON delivery (due_ms) WHERE closed_ms IS NULL;

CREATE TABLE delivery_line (
    delivery_id TEXT NOT NULL,
    sku TEXT NOT NULL,
    expected_milli INTEGER NOT NULL DEFAULT 0,
    received_milli INTEGER NOT NULL DEFAULT 0,
    damaged_milli INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (delivery_id, sku)
) STRICT, WITHOUT ROWID;

-- Returns of online orders (edge/pickups/returns.py): what is back of an order here, whether it was brought from here or
-- not. `line` 0: nobody said which line. Kept as long as the facts it adds up.
CREATE TABLE order_return (
    order_id TEXT NOT NULL,
    line INTEGER NOT NULL,
    sku TEXT NOT NULL,
    returned_milli INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    PRIMARY KEY (order_id, line, sku)
) STRICT, WITHOUT ROWID;
CREATE INDEX order_return_by_age ON order_return (changed_ms);
CREATE INDEX stock_quarantined ON stock (sku) WHERE quarantine_milli > 0;

-- Parcels of orders that are shipped (edge/pickups/parcels.py). `lines`: JSON, line and quantity.
CREATE TABLE parcel (
    parcel_id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    lines BLOB NOT NULL,
    weight_g INTEGER NOT NULL,
    carrier TEXT NOT NULL,
    service TEXT NOT NULL,
    tracking TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX parcel_by_order ON parcel (order_id, number);

-- --- picking, by people at the staff page (edge/pickups/picking_desk.py) -------------------------------------------

-- Steps that a person took and may take back (edge/pickups/planned.py): durable, and not yet facts. One act is one tap or
-- scan, with one or more steps; all orders of an act wait together. `taken_back`: it never happened, kept a while so
-- that the same form sent again does nothing.
CREATE TABLE planned_step (
    act_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    order_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    step BLOB NOT NULL,
    occurred_ms INTEGER NOT NULL,
    due_powered_ms INTEGER NOT NULL,
    taken_back INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (act_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX planned_step_by_order ON planned_step (order_id) WHERE NOT taken_back;
CREATE INDEX planned_step_due ON planned_step (due_powered_ms);

-- Who picks which orders together, and where each will stand. `tote`: its number in the trolley, by which units are
-- told apart where there is no place for it.
CREATE TABLE pick_list (
    order_id TEXT PRIMARY KEY,
    list_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    began_ms INTEGER NOT NULL,
    tote INTEGER NOT NULL,
    place TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pick_list_by_actor ON pick_list (actor);

-- Where goods lie on the sales floor, from a planogram file. `walk`: when one comes by, 0 where the file does not say.
CREATE TABLE shelf_place (
    sku TEXT NOT NULL,
    aisle TEXT NOT NULL,
    bay TEXT NOT NULL,
    shelf TEXT NOT NULL,
    position TEXT NOT NULL,
    walk INTEGER NOT NULL,
    PRIMARY KEY (sku, aisle, bay, shelf, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX shelf_place_by_bay ON shelf_place (aisle, bay);
