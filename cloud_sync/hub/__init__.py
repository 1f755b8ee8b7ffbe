"""The central service: catalogue, prices and orders in; feeds out; every store's ledger in, exactly once.

SQLite for one person trying it, PostgreSQL for a fleet. Never imports `edge`; agrees by `cloud_sync.contract`.
"""
