"""Logs: JSON lines for the journal, readable ones on a terminal. Personal data and secrets never come this far."""

import logging
import sys

import structlog


def set_up_logs(*, as_json: bool, quiet: bool = False) -> None:
    """Send structlog, and what libraries log, to stderr. `quiet`: only errors, for commands that talk themselves."""
    level = logging.ERROR if quiet else logging.INFO
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level,
                    structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.format_exc_info,
                    renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr))
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr, format="%(name)s: %(message)s")
