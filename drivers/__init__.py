"""Base stations and their labels, byte for byte. `port.py` is what every driver offers; nothing here knows a store.

One folder per maker: `codec.py` is bytes ⇄ records and pure, `session.py` does the talking. `virtual/` holds
radios and labels in software for tests, the demo and the simulator. Never imports `edge` or `cloud_sync`.
"""
