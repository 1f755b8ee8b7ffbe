"""The demo's stage: a store of real processes, sockets and pseudo terminals, and the people in it.

Hub and daemon run as their own processes and are spoken to as anybody would: by HTTP, MQTT and a serial line.
`edge.demo` puts the parts together; `edge.proving.witness` says what it saw.
"""
