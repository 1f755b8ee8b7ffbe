"""`trastienda labels bind CONFIG FILE` and `labels export CONFIG`: bindings as a CSV file, in and out.

Two columns, `label` and `code` (a barcode or SKU), with that header; `;` and tabs separate too. Everything that can be
told from the file and the store's list of labels is told first, all of it, and then nothing was bound. A file that was
carried out once does nothing when it is carried out again.
"""

import csv
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from edge import settings as configuration
from edge.box_door import box_door
from edge.credentials import Credentials
from edge.errors import Rejected
from edge.labels.binding_csv import COLUMNS, read_cell

FILE_BYTES_MAX = 8 * 2**20
PROBLEMS_SHOWN_MAX = 50
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file, counted from 1 with the header."""

    number: int
    label: str
    code: str


class BindingResult(msgspec.Struct, frozen=True):
    """How many labels were bound, and what the store did not take, line by line."""

    bound: int
    refused: list[str]


class _Known(msgspec.Struct, frozen=True):
    label: str
    sku: str | None = None


class _Problem(msgspec.Struct, frozen=True):
    title: str = ""
    detail: str | None = None


def read_lines(path: Path, content: bytes) -> list[Line]:
    """Raises `Rejected` with every mistake of the file at once."""
    if len(content) > FILE_BYTES_MAX:
        raise Rejected(f"{path}: larger than {FILE_BYTES_MAX} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Rejected(f"{path}: is not UTF-8 (byte {error.start})") from error
    head = text.partition("\n")[0]
    delimiter = next((each for each in (";", "\t") if each in head), ",")
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    if not rows or [cell.strip().lower() for cell in rows[0]][:2] != list(COLUMNS):
        raise Rejected(f"{path}:1: the first line must be `label,code`")
    lines, problems, first = [], list[str](), dict[str, int]()
    for number, row in enumerate(rows[1:], start=2):
        cells = [read_cell(cell) for cell in row]
        if not any(cells):
            continue
        label = cells[0].lower().replace(":", "")
        if len(cells) < 2 or not cells[1]:
            problems.append(f"{path}:{number}: no code for label {cells[0]!r}")
        elif not label:
            problems.append(f"{path}:{number}: no label for code {cells[1]!r}")
        elif label in first:
            problems.append(f"{path}:{number}: label {label} stands in line {first[label]} already")
        else:
            first[label] = number
            lines.append(Line(number, label, cells[1]))
    _raise(problems)
    if not lines:
        raise Rejected(f"{path}: holds no label")
    return lines


async def bind_labels(config: Path, path: Path, content: bytes, credentials: Credentials,
                      progress: Callable[[str, int, int], None]) -> BindingResult:
    """Bind what the file `path` says, its `content`, at the running store. `progress`: phase, lines done, of how many.

    Raises `Rejected` with all mistakes, `ConfigurationError`, `ConnectionError`.
    """
    settings = configuration.load(config)
    credentials.require(configuration.credentials_of(settings))
    lines = read_lines(path, content)
    digest = hashlib.sha256(content).hexdigest()[:16]
    refused: list[str] = []
    try:
        async with box_door(settings, credentials, TIMEOUT_S) as door:
            answer = await door.get("/v1/labels")
            answer.raise_for_status()
            known = {each.label for each in msgspec.json.decode(answer.content, type=list[_Known])}
            _raise([f"{path}:{line.number}: no base station has heard a label {line.label}" for line in lines
                    if line.label not in known])
            for number, line in enumerate(lines, start=1):
                answer = await door.post(f"/v1/labels/{line.label}/bind",
                                         json={"code": line.code, "act_id": f"file-{digest}-{line.number}"})
                if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                    answer.raise_for_status()
                if not answer.is_success:
                    refused.append(f"{path}:{line.number}: {_said(answer)}")
                progress("labels", number, len(lines))
    except (httpx.HTTPError, msgspec.MsgspecError) as error:
        raise ConnectionError(f"{door.base_url}: {error}: is this store's daemon running there? What was bound stays "
                              "bound; the same file goes on where it ended") from error
    return BindingResult(len(lines) - len(refused), refused)


async def export_bindings(config: Path, credentials: Credentials) -> list[tuple[str, str]]:
    """Every label that hangs under a product, and the product's SKU, by label, as the running store has them.

    Raises `ConfigurationError`, `ConnectionError`.
    """
    settings = configuration.load(config)
    credentials.require(configuration.credentials_of(settings))
    try:
        async with box_door(settings, credentials, TIMEOUT_S) as door:
            answer = await door.get("/v1/labels")
            answer.raise_for_status()
            known = msgspec.json.decode(answer.content, type=list[_Known])
    except (httpx.HTTPError, msgspec.MsgspecError) as error:
        raise ConnectionError(f"{door.base_url}: {error}: is this store's daemon running there?") from error
    return [(each.label, each.sku) for each in known if each.sku is not None]


def _said(answer: httpx.Response) -> str:
    try:
        problem = msgspec.json.decode(answer.content, type=_Problem)
    except msgspec.MsgspecError:
        return f"answer {answer.status_code}"
    return problem.detail or problem.title


def _raise(problems: list[str]) -> None:
    if problems:
        more = len(problems) - PROBLEMS_SHOWN_MAX
        raise Rejected("\n".join([*problems[:PROBLEMS_SHOWN_MAX], *([f"and {more} more"] if more > 0 else [])]))
