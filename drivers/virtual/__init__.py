"""Radios and labels in software, for tests, the demo and the simulator. Speaks the real protocols byte for byte.

`radio` and `label` are an OpenEPaperLink access-point radio and its labels; `pty_port` puts a radio on a pseudo
terminal, `memory_port` on a link in memory that also runs under virtual time; `line_faults` spoils a line;
`own_thread` gives a shelf of labels its own thread and loop. `gicisky_label` and `easytag_label` are labels that are
connected to, `gicisky_screen` a panel; `bluetooth` is the air between them and adapters, `bluetooth_backend` lets bleak
use those. Shares only byte formats with the drivers it is used against, so a witness can also listen to the wire by
itself (`VirtualRadio(on_wire=…)`).
"""
