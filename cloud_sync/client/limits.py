"""Every bound of the store's side of the line: a name, a unit, and what happens at it (P10)."""

from cloud_sync.contract.feeds import Feed

# --- time: requests --------------------------------------------------------------------------------------------

LONG_POLL_S = 25
"""How long the hub may hold a poll that has nothing to say. An empty page that comes sooner is followed by a rest
of up to what is left, so that this is also the poll interval towards a hub that does not hold polls."""

CONNECT_S = 10.0
"""A connection, TLS included, that takes longer is a line that is down."""

POOL_S = 5.0
"""A place in the client's pool is always free; one that is not after this has leaked (httpcore #1093), and the client
is replaced."""

SEND_S = 20.0
"""Longest silence while a request is written."""

ANSWER_S = 20.0
"""Longest silence of the hub, beyond what a long poll asked for."""

REQUEST_S_MAX = 40.0
"""An answer that has not begun after this, beyond what a long poll asked for, is given up together with its client.
Longer than the time-outs above, which end a request without cancelling it."""

BODY_S_MAX = 900.0
"""An answer's body that is still coming after this is given up: a first catalogue over a slow line fits."""

CLOSE_S = 1.0
"""Closing a client that takes longer is left to the garbage collector."""

# --- time: rhythm ----------------------------------------------------------------------------------------------

BACKOFF_BASE_S = 1.0
"""Upper bound of the first pause after a failure; it doubles with every further one."""

BACKOFF_CAP_S = 60.0
"""Upper bound of any pause after a failure, and of the first one after the hub refused our credential."""

RETRY_AFTER_S_MAX = 3600.0
"""A hub that says more is asked again after this."""

RETRY_AFTER_SPREAD_S = 5.0
"""Spread on top of the hub's Retry-After, so that a fleet does not come back in the same second."""

RING_SPREAD_S = 1.0
"""A ring of the doorbell ends a pause within this: it rings in many stores at once, and a bell gone mad must not
make us ask without a pause."""

REFETCH_SPREAD_S = 10.0
"""A retired generation is fetched anew within this: it is retired for many stores at once."""

HELLO_EVERY_S = 300.0
"""A hello at least this often; after every failure on the line there is one at once."""

SLICE_S = 20.0
"""Every longer wait is cut into pieces of this, each of which counts as progress."""

QUIET_S_MAX = 90.0
"""For the watchdog: a loop that counts no progress for this long hangs. Longer than a long poll with everything that
may go wrong with it (`LONG_POLL_S + REQUEST_S_MAX`); also what the store may take to apply one page."""

# --- sizes -----------------------------------------------------------------------------------------------------

PAGE_BYTES_MAX = 160 * 2**20
"""A feed page, unpacked, beyond it is an answer that makes no sense. The hub sends a whole import (128 MiB at most)
as one page."""

MANIFEST_BYTES_MAX = 4 * 2**20
CHUNK_PACKED_BYTES_MAX = 32 * 2**20
BUCKET_BYTES_MAX = 32 * 2**20
"""A larger manifest, chunk or bucket of rows is an answer that makes no sense; one is held in memory at a time."""

REPAIR_BUCKETS_MAX = 256
"""Where more buckets than a quarter of all differ, the feed is fetched anew instead."""

REPAIR_BUCKETS_AT_ONCE_MAX = 32
"""Buckets fetched and put right in one transaction; the next comparison goes on with the rest."""

REPAIRS_MAX = 8
"""Repairs in a row after which a copy still differs; then the feed is fetched anew."""

ANSWER_BYTES_MAX = 64 * 2**10
"""Any other answer beyond it makes no sense; of a problem's text only this much is read."""

HISTORY_BYTES_MAX = 64 * 2**20
"""A page of history, unpacked, beyond it makes no sense: the hub sends 1 MiB of payloads, or one entry alone."""

HELLO_AGAIN_MAX = 3
"""Hellos in a row that are answered by "again" before the next one backs off."""

PROBLEM_CHARACTERS_MAX = 300
"""What is kept of an error's text; the rest is cut."""

PUSH_ENTRIES_MAX = 500
"""Ledger entries in one push; the rest goes into the next. Halved while the hub says that a push is too large."""

PUSH_BYTES_MAX = 256 * 2**10
"""Payload bytes in one push; a single longer entry goes alone."""

PUSH_COALESCE_S = 0.05
"""How long the first new entry waits for others to travel with it."""

GZIP_FROM_BYTES = 1024
"""Request bodies from this on are compressed."""

FEED_CONNECTIONS_MAX = len(Feed) + 2
"""Places in the feeds channel's pool: more than there are feeds, each of which asks one thing at a time, so that
nothing ever waits for one."""

LEDGER_CONNECTIONS_MAX = 4
"""Places in the ledger channel's pool: hello and push, one each at a time."""

# --- doorbell --------------------------------------------------------------------------------------------------

BELL_HINTS_MAX = 2
"""Messages kept until they are heard, one for each topic; further ones mean the same and are dropped."""

BELL_FLOOD_MESSAGES = 1_000
BELL_FLOOD_S = 10.0
"""More messages than that within that time are a flood: we hang up, and polling goes on. A hub rings each store twice
a second at most."""

BELL_PACE_RINGS = 10
BELL_PACE_S = 2.0
"""So many rings are let through as they come, then one each time this has passed; the rest is made up for by it."""

BELL_PRESENCE_S = 5.0
"""At most so often we take back what the broker says of our absence."""

BELL_KEEPALIVE_S = 30
"""MQTT keep-alive: a broker that is gone without a word is noticed within one and a half of it."""

BELL_CALL_S = 10.0
"""Connecting, subscribing or publishing that takes longer is a lost doorbell."""

BELL_GOODBYE_S = 1.0
"""Telling the broker that we leave; if it takes longer, our last will says it."""

BELL_STABLE_S = 60.0
"""A connection that lasted less counts as one more failure, so that a broker that throws us out at once is not tried
again at once for ever."""

RECORDS_AT_ONCE = 100
"""Records of a page that are decoded before the event loop has its turn."""

AFTER_LOOK_S = 0.5
"""How often a feed that is taken after another looks whether that has come."""
