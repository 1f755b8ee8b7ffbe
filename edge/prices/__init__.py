"""What may be charged: the price desk, the book of claims, and price batches that wait for a person.

DESIGN.md section 5; the rules are in `edge.domain.claims` and `edge.domain.pricing`. Tills, labels and the staff page
all ask here; this room knows none of them.
"""
