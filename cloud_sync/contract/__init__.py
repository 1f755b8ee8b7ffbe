"""What store and hub must agree on: wire records, facts, the hash chain, the pickup lattice. Pure.

Imports nothing of ours. A change here is a change of protocol: store N−1 works with hub N, and N with N−1.
"""
