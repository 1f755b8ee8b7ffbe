"""Store and hub talking: `contract/` is what both agree on, `client/` the store's side, `hub/` the central service."""
