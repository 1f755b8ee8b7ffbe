"""Pickups of online orders: reserve, pick, ready, hand over with a code (DESIGN.md section 9)."""
