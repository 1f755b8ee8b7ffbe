"""The stock ledger: counts, goods that come in, transfers, adjustments, and the audit of what orders reserve.

Every act is a fact in the ledger and moves stock by it; nothing overwrites a quantity (DESIGN.md section 9, retail.md
section 3). Orders are `edge.pickups`', sales `edge.pos`'. HTTP and pages call the desks here.
"""
