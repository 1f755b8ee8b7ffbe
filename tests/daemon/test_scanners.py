"""A scanner on a terminal device of a running store: what it reads reaches whoever follows, and the settings know whose
page it acts on (retail.md 1.8)."""

import json
import os
from collections.abc import Iterator

import httpx

from tests.daemon.real_box import RealBox

GS1 = "]C10104006381333931\x1d3103001250"


def events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and data of each."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_what_a_scanner_reads_reaches_a_till_that_follows_the_store(box: RealBox, terminal: tuple[int, str]) -> None:
    line, port = terminal
    box.more = f"scanners: [{{name: desk, port: {port}, prefix: S1}}]\n"
    box.start()
    box.service.says("scanner there")
    with httpx.stream("GET", f"{box.url}/v1/events", headers={"Authorization": "Bearer till 1"}, timeout=20) as answer:
        told = events(answer.iter_lines())
        assert next(told) == ("reset", {})
        os.write(line, f"S1{GS1}\r".encode())
        assert next(told) == ("scan", {"scanner": "desk", "code": GS1})
        os.write(line, ("x" * 5_000).encode() + b"\x02S14006381333931\r")
        assert next(told) == ("scan", {"scanner": "desk", "code": "4006381333931"})
    assert box.service.stop() == 0


def test_a_scanner_of_somebody_who_is_not_there_is_refused(box: RealBox, terminal: tuple[int, str]) -> None:
    box.more = f"scanners: [{{name: desk, port: {terminal[1]}, person: eva}}]\n"
    assert box.exit_code() == 2
    assert "scanners[0].person: nobody in `staff` has the id eva" in box.service.log
