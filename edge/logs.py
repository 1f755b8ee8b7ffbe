"""Logs: JSON lines for the journal, readable ones on a terminal. Personal data and secrets never come this far."""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from edge.domain.card_data import masked

_UNNEEDED = frozenset({"debug", "info"})


def set_up_logs(*, as_json: bool, quiet: bool = False) -> None:
    """Send structlog, and what libraries log, to stderr. `quiet`: only errors, for commands that talk themselves."""
    level = logging.ERROR if quiet else logging.INFO
    finish: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(), _no_cards]
    if not as_json:  # the plain traceback: the pretty one prints local variables, secrets among them
        finish = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback), _no_cards]
    shared: list[Processor] = [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level,
                               structlog.processors.TimeStamper(fmt="iso", utc=True)]
    structlog.configure(processors=[_CHATTER, *shared, *finish],
                        wrapper_class=structlog.make_filtering_bound_logger(level),
                        logger_factory=structlog.WriteLoggerFactory(sys.stderr))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish]))
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def _no_cards(_logger: WrappedLogger, _method: str, line: object) -> str:
    """What tills and people sent may stand in an error's text."""
    return masked(str(line))


def shed_chatter(shed: bool) -> None:
    """While `shed`, only warnings and errors are written: the journal may live on the disk that is full."""
    _CHATTER.shed = shed


class _Chatter:
    """Drops what is only nice to know."""

    def __init__(self) -> None:
        self.shed = False

    def __call__(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if self.shed and method in _UNNEEDED:
            raise structlog.DropEvent
        return event


_CHATTER = _Chatter()
