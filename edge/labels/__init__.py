"""Labels: templates, pictures, and the planner that compares wanted with shown (DESIGN.md section 6).

Knows base stations only through `drivers.port`. Claims are committed here before a picture is offered.
"""
