"""Connectors against the real thing: commerce systems that the tests install and start (`make test-live`)."""
