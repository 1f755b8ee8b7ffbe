"""Bindings as a file that a spreadsheet may open (`edge.labels.binding_csv`)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.binding_file import read_lines
from edge.labels.binding_csv import as_csv, read_cell

CODES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30)


@given(st.dictionaries(st.text("0123456789abcdef", min_size=12, max_size=16), CODES, min_size=1, max_size=20))
def test_what_is_written_is_read_back(bindings: dict[str, str]) -> None:
    lines = read_lines(Path("labels.csv"), as_csv(bindings.items()).encode())
    assert {line.label: line.code for line in lines} == bindings


@pytest.mark.parametrize("code", ["=1+1", "+49", "-5", "@SUM(A1)", "'=1"])
def test_no_cell_is_a_formula(code: str) -> None:
    cell = as_csv([("ffff92000001", code)]).splitlines()[1].partition(",")[2].strip('"')
    assert cell.startswith("'")
    assert read_cell(cell) == code
