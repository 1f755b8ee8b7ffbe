"""What every test shares: the loud summary of tests left out for want of a program (tests/needs.py)."""

import pytest

from tests.needs import LEFT_OUT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
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
