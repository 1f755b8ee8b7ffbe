"""Is the store well: `/healthz`, `/readyz`, `/metrics`, and the list of issues that clear themselves."""
