"""Every bound of the store in one place: a name, a unit, and what happens at it (P10).

A bound that only one protocol knows (a frame, a block) stands in that driver's codec instead.
"""

# --- files the store reads -------------------------------------------------------------------------------------

SETTINGS_BYTES_MAX = 1024 * 1024
"""A settings file beyond it is refused unread."""

CREDENTIAL_BYTES_MAX = 64 * 1024
"""A credential beyond it is refused; certificates with their chain stay far below."""

# --- the writer (DESIGN.md section 4) --------------------------------------------------------------------------

WRITER_GROUP_MAX = 32
"""Jobs committed together; what waits beyond that goes into the next commit."""

WRITER_SHORT_MAX = 16
"""Short operations that the event loop runs in one go: about a millisecond for which lookups wait."""

WRITER_LOG_PAGES = 1_000
"""Pages in a database's write-ahead log (4 MB) from which the writer moves them into the file."""

WRITER_QUEUE_MAX = 1024
"""Jobs waiting for the writer; one more is answered `Transient`: not acknowledged, keep it."""

WAL_KEPT_BYTES = 8 * 2**20
"""A write-ahead log that grew beyond it (a bulk load, a long reader) is cut back to it at its next restart."""

WAL_BYTES_MAX = 64 * 2**20
"""A log beyond it raises an issue: something reads the database for so long that nothing can be moved out of it."""

# --- the disk under the state directory (DESIGN.md section 4) ---------------------------------------------------
# What is left for the store: free on the file system, and free inside ledger.db. What is shed, in this order:

DISK_TELEMETRY_BYTES = 256 * 2**20
"""Below it battery, signal and `last seen` of labels are no longer written."""

DISK_CHATTER_BYTES = 192 * 2**20
"""Below it only warnings and errors are logged."""

DISK_HISTORY_BYTES = 128 * 2**20
"""Below it pictures beyond `PICTURES_SHED_KEEP` per label and prices before `PRICES_SHED_KEEP_DAYS` are forgotten."""

DISK_FACTS_BYTES = 32 * 2**20
"""Below it facts are answered 503, "not acknowledged, keep it". What is left lets logs be moved and old entries go."""

DISK_BACK_PERCENT = 125
"""A level ends when so much of its bound is free again, so that none flutters."""

DISK_LOOK_EVERY_S = 10.0
"""How often the disk is looked at. At 500 facts a second it fills by some 20 MB in between."""

PICTURES_SHED_KEEP = 4
"""Newest pictures of a label kept while history is shed, and the one it proved."""

PRICES_SHED_KEEP_DAYS = 90
"""Price history kept while history is shed: the 30 days before a reduction (EU 98/6/EC) lie well inside."""

# --- supervision (DESIGN.md section 3) -------------------------------------------------------------------------

RESTART_BASE_S = 1.0
"""Upper bound of the first pause before a part is started again; it doubles with every failure in the window."""

RESTART_CAP_S = 60.0
"""Upper bound of any pause before a part is started again."""

RESTART_FAILURES_MAX = 8
"""Failures within `RESTART_WINDOW_S` after which a part is given up: FAILED, seen in health, not started again.
`Transient` ones are no reason to give up, only to wait longer."""

RESTART_WINDOW_S = 900.0
"""How far back failures of a part count."""

PART_STOP_S = 5.0
"""How long one part may take to end once it is cancelled; then it is named in the log and left behind."""

SUPERVISOR_STOP_S = 30.0
"""How long all parts together may take to end; systemd's TimeoutStopSec is longer (systemd/trastienda.service)."""

PART_ERROR_CHARACTERS_MAX = 500
"""What is kept of a part's last error for health; the rest is cut, the log has it whole."""

WATCHDOG_STATUS_CHARACTERS_MAX = 400
"""Length of STATUS= sent to systemd; the rest is cut."""

# --- labels (DESIGN.md sections 5 and 6) -----------------------------------------------------------------------

CLAIMS_PER_LABEL_MAX = 16
"""Claims one label may hold; above it the dearest of a SKU fold into its cheapest."""

PICTURES_PER_LABEL_MAX = 32
"""Pictures per label that a proof can be read by; a proof of one older than these only makes the label due again."""

LABELS_MAX = 20_000
"""Labels a store knows; further ones that are heard are not proposed."""

LABELS_ON_AIR_PER_STATION_MAX = 1_200
"""Offers outstanding at one base station, whose driver holds them in memory; the next waits for a proof."""

PLACES_KEPT_FOR_URGENT = 200
"""Of these, places that only labels which hold a till get."""

DRIVER_EVENTS_MAX = 10_000
"""Events of base stations waiting for the planner; above it sightings and telemetry are dropped, proofs never."""

DRAWS_AT_ONCE_MAX = 8
"""Labels drawn and offered at once; the next waits."""

OFFER_EVERY_S = 0.025
"""Labels are put on air no faster than this: a radio takes fifty times as long for each, and tills want answers."""

UNHURRIED_STRETCH_S, UNHURRIED_REST = 0.001, 3.0
"""How long the replica's writer works in Python at a time while it applies what the hub sent, and how many times as
long it then rests."""

NEWS_REST_S = 0.005
"""Between two portions of news about prices, and of what they make a till charge."""

ARTIST_WORKERS = 1
"""Processes that draw pictures; the other core of a small box belongs to the tills."""

ARTIST_REST, ARTIST_REST_MAX_S = 1.0, 0.05
"""Whoever draws rests so many times as long after each picture, at most so many seconds: the air takes a hundred times
as long as the drawing, and the tills need both cores of a small box."""

AHEAD_S = 1800.0
"""So long before a dated price begins its pictures are drawn; radios take longer to deliver them than boxes to draw."""

AHEAD_LOOK_S = 60.0
"""Between looks for prices that begin soon."""

AHEAD_SKUS_MAX = 20_000
"""SKUs whose price begins soon that one look goes through."""

AHEAD_SKUS_AT_ONCE = 50
"""SKUs between two moments in which tills are answered."""

PREPARED_BYTES_MAX = 16 * 2**20
"""Pictures kept for prices that begin soon, some 8,000; what is more is drawn when its time has come."""

PREPARED_KEEP_S = 2 * 3600.0
"""What was prepared and not wanted for so long was for a change that was taken back."""

PICTURE_CACHE_MAX = 2_000
"""Pictures the simulator's artist remembers; the oldest goes."""

OFFER_RETRY_S = 5.0
"""About how long after a refused or failed offer the label is offered again; jittered by half."""

OFFER_RETRY_DOUBLINGS_MAX = 10
"""Each failure in a row doubles the pause, at most so often."""

OFFER_RETRY_CAP_S = 300.0
"""Longest such pause before jitter; a label that is heard again is tried at once."""

WRITE_TROUBLE_PAUSE_S = 5.0
"""How long planner and housekeeper wait when the ledger takes nothing, before they try again."""

PAPER_WAITS_S = 1800.0
"""After this a paper tag that was not hung and scanned is told as an issue."""

BOOK_LINES_AT_ONCE = 200
"""Lines of the price book between two moments in which tills are answered."""

TILL_COPIES_MAX = 200
"""Tills of a store that keep a copy of its price book."""

TILL_COPY_KEEP_DAYS = 7
"""A till that acknowledged no price book for so long keeps no copy."""

TILL_COPY_LATE_S = 300.0
"""A copy that lacks changes for so long is told as an issue."""

EVENTS_KEPT_MAX = 1_000
"""Events that a till which was away may still be told; after more it asks for everything."""

EVENT_SUBJECTS_MAX = 100
"""SKUs or orders that one event names; of more it says only that there are many."""

EVENT_STREAMS_MAX = 64
"""Tills and displays that follow the events at once."""

EVENT_HEARTBEAT_S = 15.0
"""So often a stream without news says that it is still there."""

BASKET_LINES_MAX = 500
"""Lines of a basket that is priced."""

BASKET_PIECES_MAX = 5_000
"""Pieces of a basket that is priced; no trolley holds more."""

PROMOTIONS_MAX = 20_000
"""Promotions kept in memory; the rest is told and not applied."""

HOLD_LABELS_NAMED_MAX = 20
"""Labels that the report of holds names for one product."""

PRICE_HISTORY_MAX = 1_000
"""Price changes of one product that a reduction is measured by; more than two a day for a year."""

REPORT_ROWS_MAX = 1_000
"""Rows of a report; how many more there are stands beside them."""

POSLOG_BYTES_MAX = 64 * 2**20
"""One POSLog document; a day of a large store is some 20 MiB."""

POSLOG_DEPTH_MAX = 48
"""How deep elements of a POSLog nest; makers need about ten."""

POSLOG_ELEMENTS_MAX = 100_000
"""Elements of one transaction of a POSLog."""

POSLOG_PROBLEMS_MAX = 200
"""Transactions that could not be read which an answer names."""

HOT_FOLDER_LOOK_S = 5.0
"""Between looks into a hot folder; a file that did not change from one to the next is whole."""

HOT_FILES_AT_ONCE = 20
"""Files that one look takes; the others wait for the next."""

HOT_FILE_BYTES_MAX = 256 * 2**20
"""A larger file is put aside unread."""

HOT_FOLDER_CHUNK_BYTES = 64 * 1024
"""Read at once."""

HOT_FOLDER_PROBLEMS_MAX = 500
"""Problems that an `.err` file lists."""

HOT_FOLDER_NAMES_KEPT = 1_000
"""Files of a folder that are known when they come again; the one taken longest ago is forgotten."""

FILE_CHUNK_BYTES = 64 * 1024
"""Read and decoded at once."""

FILE_LINE_CHARACTERS_MAX = 64 * 1024
"""A longer line, or row of XML, is refused with its file."""

FILE_ROWS_AT_ONCE = 250
"""Rows between two moments in which tills are answered."""

XML_DEPTH_MAX = 48
"""How deep elements of a file may nest."""

XML_ROW_FIELDS_MAX = 500
"""Texts and attributes of one row element."""

XML_OUTSIDE_MAX = 1_000
"""Texts and attributes outside of rows."""

XML_TAG_BYTES_MAX = 1024 * 1024
"""A longer tag is refused with its file."""

LOCAL_PRICES_MAX = 50_000
"""Prices of a price book that comes by files; a file that would make it longer is refused."""

LOCAL_PRICE_ROWS_MAX = 200_000
"""Rows of a price file; one with more is refused."""

LOCAL_PRICES_AT_ONCE = 500
"""Of these, how many one transaction writes."""

LOCAL_PRICES_LOOK_S = 3600.0
"""How often local price books are compared with the prices in force."""

SALES_FILE_TRANSACTIONS_MAX = 200_000
"""Transactions of a sales file; one with more is refused."""

SCAN_SILENCE_S = 0.15
"""A scanner without a suffix has ended its code when it says nothing for so long; at 9600 baud a byte takes 1 ms."""

SCAN_AGAIN_S = 0.7
"""The same code again within this is the same scan: hands tremble."""

HEARD_ALONE_MIN = 4
"""So often in a row another base station hears a label while its own does not, before it takes the label over."""

HEARD_BEFORE_COMPARED_MIN = 5
"""So often both must have heard a label before their signals are compared."""

STRONGER_BY_DB = 8.0
"""A clearly better signal: people who pass by change one by half of this."""

STATION_AWAY_S = 60.0
"""A base station that is gone for so long gives its labels to whoever hears them; one that starts anew keeps them."""

OFFER_STALE_S = 1800.0
"""An offer without proof or failure for this long is made again."""

LABEL_SILENT_S = 4 * 3600.0
"""A label on a shelf that was not heard for so long is shown to people; long beside `TELEMETRY_ALL_S`."""

BATTERY_LOW_MV = 2_400
"""Below it a label's battery (a lithium cell of 3 V) will end within weeks: it is shown to people."""

TELEMETRY_FLUSH_S = 60.0
"""How often battery and signal that changed by a step below are written, all labels together; the last value wins."""

TELEMETRY_ALL_S = 900.0
"""How often all that was heard is written, changed or not, when it is newer by `TELEMETRY_NEWER_S`."""

TELEMETRY_NEWER_S = 30.0
"""A label's `last seen` is not worth a write before it is newer by this (engineering.md 5.2: chatter kills cards)."""

BATTERY_STEP_MV = 100
TEMPERATURE_STEP_C = 5
SIGNAL_STEP_DBM = 10
"""A label's figure that moved by so much is written at the next flush."""

# --- tills (DESIGN.md section 8) -------------------------------------------------------------------------------

CLOSE_MISSING_LISTED_MAX = 1000
"""Missing sequences named in one answer; the rest is counted and named once these have been sent."""

CLOSE_SPAN_MAX = 100_000
"""Sequences between a close's first and last; a wider span is refused as a mistake of the till."""

BODY_BYTES_MAX = 1024 * 1024
"""A request body beyond it is answered 413, unread."""

TRANSACTION_LINES_MAX = 2000
"""Lines of one transaction; more is answered 400."""

AMOUNT_MINOR_MAX = 10**12
"""Money of one line or transaction, either way; beyond it is no amount but a mistake, answered 400."""

SEQUENCE_MAX = 9_999_999_999
"""Highest sequence of a till; ten digits, so that keys sort as text."""

KEY_CHARACTERS_MAX = 200
"""Length of SKUs, ids and names that callers give; longer is answered 400, because the hub could not keep it."""

TILL_CLOCK_OFF_S = 120.0
"""A till whose clock is wrong by so much is shown to people."""

TILL_CLOCK_FORGOTTEN_S = 7 * 86_400.0
"""A till that sold nothing for so long has no clock that anybody should set."""

TILL_CLOCKS_MAX = 1000
"""Tills whose clocks are watched, those that sold last."""

TILL_CLOCK_STEPS_MAX = 64
"""Changes of one till's clock that are remembered."""

# --- pickups (DESIGN.md section 9) -----------------------------------------------------------------------------

CODE_ATTEMPTS_MAX = 5
"""Wrong pickup codes per order; then only a supervisor may hand it over."""

PICKUPS_LISTED_MAX = 500
"""Open orders shown at once, oldest first."""

PHONE_DIGITS = 4
"""Last digits of a customer's number that stand in for a lost code."""

UNDO_S = 10.0
"""How long a person may take back the last step on the page; only then it is a fact and leaves the box."""

PLANNED_LOOK_EVERY_S = 1.0
"""How often steps are looked at that wait to become facts, while there are any."""

PLANNED_STEPS_MAX = 64
"""Steps of one tap: every order of a pick list, picked and put aside."""

PLANNED_ACTS_AT_ONCE = 64
"""Taps that become facts in one look; the next second takes the next."""

TAKEN_BACK_KEEP_S = 3600.0
"""How long a step that was taken back is remembered, so that a page that sends it once more is not believed."""

PICK_LIST_ORDERS_MAX = 6
"""Orders picked together: as many totes as a trolley has room for."""

PICK_LIST_STALE_S = 4 * 3600.0
"""A pick list that somebody left lying: its orders may be picked by others."""

SHELF_PLACES_MAX = 200_000
"""Rows of a planogram; a file with more is refused."""

PICK_LIGHT_S = 60.0
"""How long a label flashes for whoever picks; it ends when the line is done, and begins again when its turn comes."""

PICK_LIGHT_PATIENCE_S = 10.0
"""How long one base station is waited for that is asked to let a label flash; then the next label's turn comes."""

PICK_LIGHTS_MAX = 32
"""Labels that flash for one pick list at once, the first on the way; the others when their turn comes."""

# --- housekeeping ----------------------------------------------------------------------------------------------

HOUSEKEEPING_BATCH_MAX = 500
"""Dated prices, claims or people taken care of in one transaction; the rest follows in the next."""

BACKUPS_KEPT = 14
"""Backups of a store that stay in a directory unless said otherwise; the oldest go."""

BACKUP_CHUNK_BYTES = 1024 * 1024
"""What is encrypted at once; two such pieces are in memory."""

BACKUP_LABEL_BYTES_MAX = 64 * 1024
"""A backup whose sealed label is said to be longer is none."""

REBASE_ENTRIES_MAX = 200
"""Own entries moved to a new epoch in one transaction, so that no till waits for more."""

OWN_ACTS_MAX = 2_000
"""Acts of people since a restore that history does not overrule; those before them it does."""

GAPS_LISTED_MAX = 50
"""Ranges of missing sequences named in one exception or answer; the rest is counted."""

LEDGER_KEEP_DAYS = 35
"""Ledger entries stay at least so long, and until the hub has acknowledged them."""

FACT_KEEP_DAYS = 400
"""How long a repeat of a fact is known as one, and a price history, a till's day or an exception can be looked up."""

PRUNE_EVERY_S = 3600.0
"""How often the books are looked through for what was kept long enough."""

HISTORY_EVERY_S = 86_400.0
"""How often the price history is walked through from its beginning; while history is shed every `PRUNE_EVERY_S`."""

HISTORY_SLICES_MAX = 20
"""Slices of `HOUSEKEEPING_BATCH_MAX` rows walked per round; the next round goes on behind them."""

HOUSEKEEPING_PAUSE_MAX_S = 30.0
"""Longest pause between two rounds; also how stale the persisted powered clock may be."""

HOUSEKEEPING_PAUSE_MIN_S = 0.05
"""Shortest pause between two rounds, so that a swarm of news is one round."""

PRICE_INTERVALS_BATCH_MAX = 200
"""SKUs whose applied price is read in one go, which lookups wait for, and written down in one transaction."""

HELD_BATCHES_SHOWN_MAX = 100
"""Held price batches listed at once, oldest first."""

# --- feeds -----------------------------------------------------------------------------------------------------

COPY_SLICE_ROWS = 2_000
"""Rows of a feed's copy that are looked at again, or taken away, in one transaction."""

NEWS_SUBJECTS_MAX = 200
"""SKUs told in one piece of news; a first load is told in portions, with room for tills in between."""

RECOUNT_EVERY_S = 86_400.0
"""How often every copy of a feed is counted again from its rows."""

RECOUNT_FIRST_S = 3600.0
"""When the first recount after a start begins: a box that restarts every day counts all the same."""

TASKS_LISTED_MAX = 500
"""Open tasks shown at once, the most urgent first."""

DOCTOR_BUCKETS_MAX = 64
"""Buckets of one feed that a doctor fetches at once; asked again, it goes on with the rest."""

DOCTOR_ENTRIES_SLICE = 2_000
"""Ledger entries that a doctor holds in memory at a time."""

DOCTOR_KEYS_MAX = 200
"""Row keys named per feed in a doctor's report; the rest is counted."""

# --- HTTP ------------------------------------------------------------------------------------------------------

CONNECTIONS_MAX = 1000
"""Connections served at once on one listener; further ones are answered 503."""

LISTEN_BACKLOG = 512
"""Connections the kernel keeps waiting."""

JOINED_WRITES_BYTES = 65_536
"""Of an answer that is written piece by piece, what may wait for the end of a turn of the event loop."""

KEEP_ALIVE_S = 75
"""How long an idle connection of a till stays open."""

SHUTDOWN_S = 3
"""How long requests in flight may take to end when the daemon stops; shorter than `PART_STOP_S`."""

# --- watchdog (DESIGN.md section 3) ----------------------------------------------------------------------------

WATCH_INTERVAL_S = 5.0
"""How often progress is looked at and systemd is told; a third of WatchdogSec at most."""

WRITER_QUIET_S_MAX = 30.0
"""A writer idles with progress every half second; a commit that takes longer than this hangs."""

STATION_QUIET_S_MAX = 30.0
"""A base station shows progress while connected, connecting and waiting."""

ROOM_QUIET_S_MAX = 120.0
"""The planner and the housekeeper look around at least every minute."""

# --- staff page (staff-and-operations.md section A) --------------------------------------------------------------

SIGN_IN_FREE_FAILURES = 3
"""Wrong PINs of one person without a wait; then each doubles it, from a second up."""

SIGN_IN_FAILURES_MAX = 10
"""Wrong PINs of one person in a row that lock the sign-in; while locked each further one locks it again."""

SIGN_IN_DEVICE_FAILURES_MAX = 30
"""Wrong PINs from one device in a row, whoever it was for, that lock the sign-in on that device."""

SIGN_IN_LOCK_S = 900
"""How long a locked sign-in stays locked; restarting the daemon ends it."""

SIGN_IN_NAMES_MAX = 1024
"""Names and devices whose failures are remembered; the one tried longest ago is forgotten."""

SIGN_IN_WAITING_MAX = 8
"""PINs waiting to be checked, one at a time (each takes 64 MiB for a moment); the next is told to try again."""

SESSIONS_MAX = 64
"""People signed in at once, each on each device; one more signs out the one idle longest."""

SESSION_S = 12 * 3600
"""A signed-in session ends after this, used or not: one shift."""

SESSION_IDLE_S = 2 * 3600
"""A session that no person used for this long ends; what a page fetches by itself does not count as use."""

SESSION_MESSAGES_MAX = 4
"""Messages waiting to be shown to a person; the oldest goes."""

CODE_SEARCH_MISSES_MAX = 10
"""Pickup codes searched for in one session without finding an order; then only by the order's own page."""

FORM_FIELDS_MAX = 40
"""Fields of a form; one with more is refused."""

STAFF_STREAMS_MAX = 64
"""Pages followed live at once; one more is answered 503 and asks every few seconds instead."""

STAFF_STREAM_EVENTS_MAX = 16
"""Events waiting for one slow page; above it all become one "fetch everything again"."""

STAFF_STREAM_S = 1800.0
"""How long one live stream lasts; the page opens the next, and shows by it that it is still signed in."""

STAFF_HEARTBEAT_S = 15.0
"""How often a live stream says that it is alive."""

STAFF_COALESCE_S = 0.25
"""How long news are gathered before pages are told."""

STAFF_SUBJECTS_MAX = 256
"""Labels named in one event; above it pages fetch what they show."""

STAFF_SWEEP_S = 2.0
"""How often some labels are looked at again without news, while somebody follows a page."""

STAFF_IDLE_SWEEP_S = 60.0
"""The same while nobody does; also how often the staff page then counts its progress."""

STAFF_SWEEP_LABELS_MAX = 128
"""Labels looked at again in one sweep, and as many that wait; the next sweep goes on behind them."""

STAFF_SLICE_LABELS = 32
"""Labels looked at in the event loop without a pause for the tills: a few milliseconds."""

WALL_LABELS_PER_PAGE = 48
"""Labels on one page of the wall."""

STAFF_PICTURES_MAX = 1024
"""Label pictures kept as PNG files in memory, about 2 KB each; the one looked at longest ago goes."""

STAFF_DRAWS_AT_ONCE_MAX = 2
"""Label pictures drawn at once for pages; the next waits, so that the planner's own drawing goes on."""

LAST_SALES_MAX = 50
"""Transactions on the sales page, newest first."""

LAST_SALES_SCAN_MAX = 64_000
"""Ledger entries searched for them after a start."""

HELD_PRICES_SHOWN_MAX = 200
"""Prices of a held batch listed for the person who decides; the rest is counted."""

EXCEPTIONS_SHOWN_MAX = 200
"""Open exceptions listed at once, newest first."""

COMPARISON_LOOK_S = 60.0
COMPARISON_AGAIN_S = 3600.0
COMPARISON_FROM_HOUR = 3
"""The comparison of a business day is made from this hour of the next day on, in the store's zone."""
COMPARISON_SLICE_LABELS = 200
COMPARISON_NIGHTS_MAX = 31
"""Nights that one answer tells of."""

# --- the stock ledger (DESIGN.md section 9) ----------------------------------------------------------------------

COUNT_NEAR_SALE_MS = 60_000
"""A sale that came in late and happened so shortly before a count may be on either side of it: a person is told."""

COUNT_AGE_MAX_S = 2 * 86_400
"""What was counted longer ago is to be counted again."""

COUNT_AHEAD_MAX_S = 120
"""So far may a counter's clock be ahead of the store's."""

COUNT_WAITING_LISTED_MAX = 500
"""Differences listed at once for a supervisor, oldest first."""

COUNT_SESSIONS_LISTED_MAX = 100
"""Open count sessions listed at once; one more cannot be opened."""

COUNT_SCANS_MAX = 50_000
"""Scans of one session; a larger store counts by aisle."""

COUNT_UNCOUNTED_LISTED_MAX = 500
"""SKUs of a session named as not counted yet; the rest is counted."""

COUNT_REST_MAX = 20_000
"""SKUs that one session may say are all gone."""

COUNT_LINES_AT_ONCE = 200
"""SKUs of a session that one fact and one transaction hold: tills are answered in between."""

DELIVERIES_LISTED_MAX = 500
"""Deliveries listed at once, the most urgent first."""

AUDIT_LISTED_MAX = 1_000
"""SKUs and orders named by an audit of reservations."""

RETURN_LINES_MAX = 100
"""More lines in one return of an online order are refused; it may come in parts."""

QUARANTINED_LISTED_MAX = 500
"""Products in quarantine that a list shows; the others follow when these are graded."""
