"""The central service: catalogue, prices and orders in; feeds out; every store's ledger in, exactly once.

SQLite for one person trying it, PostgreSQL for a fleet. Never imports `edge`; agrees by `cloud_sync.contract`.

`main` composes the process. `app` speaks HTTP (`access`: who may what; `principals`: whose token it is; `incoming`,
`answers`, `problems`, `bells`; `shop_handlers`, `webhook_handlers`, `connector_handlers`: what web shops, operators
of webhooks and connectors ask), `doorbell` MQTT. `storage` holds the rooms that keep things, each method one
synchronous transaction: `stores`, `catalogue`, `orders` with `people`, `ledgers` with `effects` and `quarantine`,
`shops`, `availability` with its rule `online_stock`, `webhooks` with the `outbox`, `connectors` (their leases and
notes); beneath them `feeds` with `feed_statements`, `rows` (many rows in one statement), `database`, `schema` and
`sql/`. `courier` and `sender` carry events out of the outbox (`happenings`: what they say, `signatures`, `endpoints`:
where they may go), `silence` looks for stores that are not heard of. `importer` and `catalogue_file` bring a
catalogue in.
"""
