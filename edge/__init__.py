"""What runs in one store: the daemon, its rules, its databases and its faces to tills, labels and staff.

`domain/` holds the pure rules, `db/` the two SQLite files; `pos/`, `labels/`, `pickups/` and `staff/` are
the rooms people and machines come to; `daemon.py`, `demo.py` and `simulate.py` put them together.
Nothing here imports `cloud_sync.hub`; what both sides must agree on is in `cloud_sync.contract`.
"""
