"""Every bound of the store in one place: a name, a unit, and what happens at it (P10).

A bound that only one protocol knows (a frame, a block) stands in that driver's codec instead.
"""

# --- files the store reads -------------------------------------------------------------------------------------

SETTINGS_BYTES_MAX = 1024 * 1024
"""A settings file beyond it is refused unread."""

CREDENTIAL_BYTES_MAX = 64 * 1024
"""A credential beyond it is refused; certificates with their chain stay far below."""

# --- the writer (DESIGN.md section 4) --------------------------------------------------------------------------

WRITER_GROUP_MAX = 32
"""Jobs committed together; what waits beyond that goes into the next commit."""

WRITER_QUEUE_MAX = 1024
"""Jobs waiting for the writer; one more is answered `Transient`: not acknowledged, keep it."""

# --- supervision (DESIGN.md section 3) -------------------------------------------------------------------------

RESTART_BASE_S = 1.0
"""Upper bound of the first pause before a part is started again; it doubles with every failure in the window."""

RESTART_CAP_S = 60.0
"""Upper bound of any pause before a part is started again."""

RESTART_FAILURES_MAX = 8
"""Failures within `RESTART_WINDOW_S` after which a part is given up: FAILED, seen in health, not started again."""

RESTART_WINDOW_S = 900.0
"""How far back failures of a part count."""

PART_STOP_S = 5.0
"""How long one part may take to end once it is cancelled; then it is named in the log and left behind."""

SUPERVISOR_STOP_S = 30.0
"""How long all parts together may take to end; systemd's TimeoutStopSec is longer (systemd/trastienda.service)."""

PART_ERROR_CHARACTERS_MAX = 500
"""What is kept of a part's last error for health; the rest is cut, the log has it whole."""

WATCHDOG_STATUS_CHARACTERS_MAX = 400
"""Length of STATUS= sent to systemd; the rest is cut."""
