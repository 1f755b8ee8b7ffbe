"""What every test shares: what the run says at its end of tests left out (tests/needs.py) and of planted bugs."""

import pytest

from tests.needs import LEFT_OUT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    _say_what_was_left_out(terminalreporter)
    _say_what_was_caught(terminalreporter)


def _say_what_was_left_out(terminalreporter: pytest.TerminalReporter) -> None:
    """Name each missing part once, with the number of tests that did not run for it."""
    counts: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if LEFT_OUT in reason:
            what = reason.split(f"{LEFT_OUT}: ", 1)[1]
            counts[what] = counts.get(what, 0) + 1
    if counts:
        terminalreporter.section("TESTS LEFT OUT", sep="!", red=True, bold=True)
        for what, count in sorted(counts.items()):
            terminalreporter.write_line(f"{count} tests: {what}", red=True)


def _say_what_was_caught(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of planted bugs (tests/planted): name, promise, the seed that caught it and what it said."""
    rows = sorted(str(value) for report in terminalreporter.stats.get("passed", [])
                  for name, value in report.user_properties if name == "planted")
    if rows:
        terminalreporter.section(f"{len(rows)} planted bugs, all caught by the simulator")
        for row in rows:
            terminalreporter.write_line(row)
