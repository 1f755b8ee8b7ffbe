"""Figures beside their limit or peer; `make bench` prints one JSON object per figure (DESIGN.md section 11)."""
