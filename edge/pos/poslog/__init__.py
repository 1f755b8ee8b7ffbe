"""POSLog, the till's transaction log as XML (retail.md 1.1): read as it streams in, and recorded like any other sale.

`xml_stream.py` gives one transaction at a time, `dialect.py` says where a maker keeps what, `reading.py` makes a till's
transaction of it (pure), `desk.py` records them. Only what a sale means is taken: no names, no cards, no receipts.
"""
