"""Ties between the hub and commerce systems: goods, prices and orders in; stock, refunds and fulfilments out.

A connector is a process of its own and a client of the hub's HTTP API with a token of its own (role `connector`). It
keeps nothing: how far it has read and what is called what outside are notes in the hub's database (`hub`), and only
the process that holds the connector's lease may write them. README.md says how to write another one.

`port`: what a connector offers · `hub`: the hub as a connector sees it · `told`: what became of an order, folded from
the store's ledger by the contract's own rules (pure) · `settings`: the YAML and the credentials · `runner`: rounds,
back-off, the end · `main`: the composition that `trastienda connect` calls · `vendure/`: the first of them.

Imports `cloud_sync.contract` and libraries only; never the hub's insides, never `edge`.
"""
