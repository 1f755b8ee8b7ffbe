"""The staff page: server-rendered, plain forms first, live by server-sent events, nothing from outside the box."""
