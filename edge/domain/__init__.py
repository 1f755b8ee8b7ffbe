"""Pure rules of a store: money, barcodes, terms, claims, stock, pickups. No I/O, no clock, no database.

Every function takes values and gives values, so that a rule can be read, tested and argued about alone.
Everybody in `edge` may call these; they call nobody.
"""
