"""The store's two SQLite files: `ledger.db` (what was born here) and `replica.db` (a copy of the hub's truth).

Here live opening and migrating, the one writer thread per file, and the named SQL in `sql/`. What the rows
mean is decided by the rooms that use them and by `edge.domain`.
"""
