"""The tills' door: the HTTP API under `/v1`, its roles and its problem answers (DESIGN.md section 8).

Parses, authorises and answers; it decides nothing that `edge.domain` or the writer's transactions decide.
"""
