"""The hub's bounds: how much it takes at once, how long it waits, how long it keeps, and what happens at the limit."""

STORE_ID_MAX_CHARS = 64
"""Longer names of stores and zones are answered 422."""

KEY_MAX_CHARS = 200
"""Documents under longer keys are answered 422; facts under longer keys go to quarantine (P4: never refused)."""

TEXT_MAX_CHARS = 2_000
"""Longer texts in documents are answered 422."""

CODES_PER_ITEM_MAX = 64
PROMOTION_TERMS_MAX_BYTES = 16 * 2**10
"""Longer terms are answered 422."""

ORDER_LINES_MAX = 1_000
PROBLEMS_SHOWN_MAX = 20
"""How many mistakes of one request are named in its answer."""

DOCUMENTS_PER_REQUEST_MAX = 200_000
"""More documents in one request are answered 413; they would be one checkpoint and so one page."""

CATALOGUE_BODY_MAX_BYTES = 128 * 2**20
LEDGER_BODY_MAX_BYTES = 32 * 2**20
SMALL_BODY_MAX_BYTES = 2**20
"""Larger bodies, counted after decompression, are answered 413."""

PUSH_ENTRIES_MAX = 20_000
"""More entries in one push are answered 413; the store sends smaller batches."""

RETRY_ENTRIES_MAX = 1_000
"""Quarantined entries tried again in one transaction."""

HISTORY_ENTRIES_MAX = 500
HISTORY_BYTES_MAX = 2**20
"""Entries and payload bytes of one page of history for a box that takes it back; a longer entry goes alone."""

PAST_LIVES_MAX = 16
"""Processes of a store that are remembered as displaced; one older than these would count as new."""

ENROLMENT_CODE_S = 86_400
ENROLMENT_CODE_S_MAX = 30 * 86_400
"""How long a one-time code may be used, unless said otherwise, and at most."""

AUDIT_ENTRIES_MAX = 1_000
"""Entries per page of the audit trail."""

PAGE_RECORDS_MAX = 5_000
"""A feed page grows up to here; a group of records that belongs together is never cut, however long it is."""

FEED_LOG_RECORDS_MAX = 200_000
"""A log keeps at least so many records behind its head, and tombstones as long; a store that is further behind gets
`409 refetch`, and by then a snapshot is the smaller transfer."""

FEED_PRUNE_BATCH_MAX = 10_000
"""Records forgotten in one transaction."""

SNAPSHOT_FROM_ROWS = 5_000
"""A feed of more rows is loaded as a snapshot, chunk by chunk; up to here it fits one page, which costs one request
and no files."""

SNAPSHOT_LAG_RECORDS_MAX = 20_000
"""A snapshot further behind its feed's head is built anew when somebody asks for it."""

RECOUNT_BUCKETS_MAX = 64
"""Buckets counted again in one transaction."""

KEEP_FEEDS_EVERY_S = 600
"""How often logs are looked at for what may be forgotten."""

RECOUNT_EVERY_S = 86_400
"""How often every fingerprint is counted again from its rows."""

WAIT_MAX_S = 50
"""A long poll that asks for more is answered after this."""

RECHECK_S = 5
"""How often a hub process looks whether another one let a feed grow for which somebody waits here."""

LONG_POLLS_MAX = 20_000
"""Further long polls are answered at once, like plain polls."""

CONNECTIONS_MAX = 25_000
"""Further connections are answered 503 by the server."""

INLINE_RECORDS_MAX = 20
"""A longer page is written out on a thread; a thread costs more than a shorter one."""

KEEP_ALIVE_S = 75
"""An idle connection is closed after this; a store that pushes now and then needs no new TLS handshake each time."""

COMPRESS_FROM_BYTES = 1_024

SEEN_EVERY_MS = 30_000
"""A store's `last seen` is written at most this often: chatter wears disks (engineering.md 5.2)."""

TOKEN_LIFE_S = 15
"""A token ended by one hub process is refused by the others within this; by itself at once."""

TOKENS_KNOWN_MAX = 20_000
"""Tokens answered from memory; beyond it the one known longest is asked for again."""

INTEGER_MAX = 2**63 - 1
"""What a database integer holds."""

MINOR_MAX = 10**12
QUANTITY_MAX_MILLI = 10**12
"""Facts beyond these are quarantined, so that a sum of millions of them still fits an integer."""

PERSON_KEEP_OPEN_MS = 30 * 86_400_000
"""A person of an order that never ends is erased this long after the order's last change."""

ERASE_EVERY_S = 600

RING_PAUSE_S = 0.5
"""A store is rung at most this often; what grows meanwhile is one ring."""

BROKER_STABLE_S = 60.0
"""A connection to the broker that lasted less counts as one more failure."""

PRESENCES_MAX = 20_000
"""Stores whose presence is remembered; of further ones nobody knows."""

DOORBELL_PENDING_MAX = 10_000
"""Feeds waiting to be rung; further ones are dropped, and their stores hear of them at their next poll."""

IMPORT_FILE_MAX_BYTES = 256 * 2**20

AVAILABILITY_SKUS_MAX = 500
AVAILABILITY_FIGURES_MAX = 10_000
"""SKUs, and SKUs × stores, of one answer to a web shop; more are answered 413: ask in parts, or name the stores."""

AVAILABILITY_MAX_AGE_S = 10
"""How long a shop may go on showing an answer."""

LEDGER_FRESH_S = 900
"""A ledger known up to this long ago counts as whole: a store says three times in it where its ledger ends."""

LEDGER_WORTHLESS_S = 4 * 3_600
"""A store silent for so long has nothing for the web; from `LEDGER_FRESH_S` on its figures shrink towards that."""

WEBHOOKS_MAX = 32
"""Further endpoints are answered 413."""

WEBHOOK_URL_MAX_CHARS = 2_000

DELIVER_EVERY_S = 1.0
"""How often a hub process looks whether anything is to be told."""

DELIVERIES_AT_ONCE_MAX = 50
"""Subjects that one endpoint is told of at the same time; one alone while the endpoint hears nothing."""

SEND_TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
"""How long an endpoint may take, in all and to connect; then it counts as away."""

CLAIM_S = 60
"""An endpoint is called by one hub process at a time; the claim of one that died ends after this. Longer than
`SEND_TIMEOUT_S` and a database's hesitation together."""

EVENT_RETRY_FIRST_S = 5.0
EVENT_RETRY_MAX_S = 3_600.0
"""An event that an endpoint refuses comes again within these bounds, with full jitter; its subject's next ones wait."""

ENDPOINT_RETRY_FIRST_S = 1.0
ENDPOINT_RETRY_MAX_S = 300.0
"""An endpoint that heard nothing is tried again within these bounds, with full jitter."""

RETRY_AFTER_MAX_S = 86_400.0
"""An endpoint that asks for more patience than this gets this much."""

DELIVERY_DEAD_AFTER_S = 3 * 86_400
"""An event that was not heard for so long is given up; an operator sees it and can have it sent again."""

DEAD_LETTER_KEEP_S = 30 * 86_400
"""Events that were given up are forgotten after this."""

DEAD_LETTERS_SHOWN_MAX = 500

KEEP_OUTBOX_EVERY_S = 600

ERROR_MAX_CHARS = 200
"""Of what went wrong with a delivery."""

STORE_SILENT_S = 900
"""A store that was not heard of for so long is told to be silent."""

LOOK_FOR_SILENCE_EVERY_S = 30

TRANSFERS_LISTED_MAX = 1_000
"""Lines of transfers in one answer, those that changed last."""

OFFERS_MAX = 5
"""An order that so many stores lost is cancelled; a person who reassigns it allows one more."""

OFFER_GRACE_S = 120
"""So long after a store gave up what was not confirmed to it the hub takes it back: an answer may be under way."""

SOURCE_EVERY_S = 1.0
"""How often a hub process looks which orders need another store."""

SOURCED_AT_ONCE_MAX = 200
"""Orders looked after in one round; the others follow in the next."""

SOURCING_STEPS_MAX = 16
"""Stores and steps tried for one order in one go; then it waits for the next round."""

SOURCED_SKUS_MAX = 200
"""An order of more products for which a store is to be found is answered 422."""

CONNECTORS_MAX = 32
"""Further connectors are answered 413."""

NOTES_BODY_MAX_BYTES = 8 * 2**20
NOTES_PER_REQUEST_MAX = 1_000
NOTE_MAX_BYTES = 2**20
"""Larger writes of a connector are answered 413."""

NOTES_MAX = 500_000
"""What one connector may keep; further notes are answered 413. An order takes one, and so does an item."""

NOTES_SHOWN_MAX = 1_000
"""Notes per page."""

LEASE_S_MIN, LEASE_S_MAX = 1, 600
"""How long a connector's process may ask to be the only one."""

WISHES_KEEP_MS = 35 * 86_400_000
"""For how long a store that reads its orders anew is told of wishes for goods that had left: as long as boxes keep
their ledgers."""
