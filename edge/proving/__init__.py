"""Proof that the promises hold: the witness of demo and simulator, and the worlds they run a store in.

A witness believes only what it saw: bytes on the wire, pictures that labels hold, answers that tills got, and what
the hub ended up with. It imports nothing from `edge.domain`, so that a wrong rule cannot vouch for itself.
"""
