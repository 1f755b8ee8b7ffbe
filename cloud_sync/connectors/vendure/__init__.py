"""The connector to Vendure (3.x), by its admin GraphQL API.

`settings` the YAML · `graphql` the session and its failures · `queries` the documents it sends · `records` what comes
back · `goods` variants → items and prices · `orders` paid orders → placements · `plan` what to do next at Vendure so
that an order agrees with what the store did (pure) · `deeds` does it · `stock` what may be sold → stock levels ·
`connector` a round of all of it.

How Vendure says what: a product that does not come is cancelled off its line (`cancelOrder` with lines: stock is
released, the price of the rest stands), a substitute is one `modifyOrder` that takes the old product off and puts the
new one on; what was paid too much is refunded; goods that were handed over are a fulfilment in state Delivered, made
when they leave the store and not before, because Vendure takes stock off when a fulfilment is made. "Ready" is a note
in the order's history that its customer sees; Vendure has no state for it.
"""
