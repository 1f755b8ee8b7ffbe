"""The store's side of the line: hello, feeds, ledger push, doorbell. Knows HTTP, not the hub's insides.

What stands where: `port` what the store must offer and what rings · `feeds`, `ledger` an engine each (pure) and the
loop that feeds it · `loop` the shared rhythm: gate, back-off, progress · `transport` HTTP and its failures · `wire`
the hub's calls by name · `rebase` taking up the story after a restore · `session` all of it as one `HubLink` ·
`doorbell` MQTT · `link_state` what people see.
Imports `cloud_sync.contract` and libraries only; `edge.daemon` builds it and passes everything in.
"""
