"""The store's side of the line: hello, feeds, ledger push, doorbell. Knows HTTP, not the hub's insides."""
