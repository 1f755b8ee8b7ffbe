"""Paper tags: printed by people, hung by people, proven by a scan of what hangs there (DESIGN.md section 2).

`codec.py` is pure: sizes, pictures, and what the code on a tag says. `session.py` keeps what waits to be printed.
"""
