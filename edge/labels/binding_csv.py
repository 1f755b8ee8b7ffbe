"""Bindings as a CSV file: two columns, `label` and `code`. Pure.

A cell that a spreadsheet would take for a formula is written with an apostrophe before it, which reading takes off.
"""

import csv
import io
import re
from collections.abc import Iterable

COLUMNS = ("label", "code")
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_QUOTED_FORMULA = re.compile(r"'(?='*[=+\-@\t\r])")


def as_csv(bindings: Iterable[tuple[str, str]]) -> str:
    """Labels and the SKUs under which they hang, with a header."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    writer.writerows((_write_cell(label), _write_cell(sku)) for label, sku in bindings)
    return file.getvalue()


def read_cell(cell: str) -> str:
    """A cell as it was meant."""
    return _QUOTED_FORMULA.sub("", cell.strip(), count=1) if _QUOTED_FORMULA.match(cell.strip()) else cell.strip()


def _write_cell(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text
