"""A hot folder: files that tills or a back office put down, taken in by themselves (DESIGN.md section 8).

`inbox/ → work/ → done/` or `bad/`, with a `.err` beside a bad file that says what is wrong and what to do. A file is
taken when it has stopped growing, and moved by renaming, so that a stop in the middle leaves it whole in `work/`, where
the next start finds it: what was recorded of it counts once, however often it is read. Originals are kept without card
data (`originals.py`), and go after `keep_days`.
"""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import structlog

from edge.domain.card_data import masked
from edge.errors import Rejected, Transient
from edge.limits import (
    HOT_FILE_BYTES_MAX,
    HOT_FILES_AT_ONCE,
    HOT_FOLDER_CHUNK_BYTES,
    HOT_FOLDER_LOOK_S,
    HOT_FOLDER_PROBLEMS_MAX,
)
from edge.pos.originals import put_away

UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".err")
"""How uploaders name what is not whole yet; `.err` is ours."""
PLACES = ("inbox", "work", "done", "bad")
HASH_DIGITS = 16
SECONDS_PER_DAY = 86_400
_log = structlog.get_logger(__name__)

Aside = Callable[[Callable[[], Any]], Awaitable[Any]]
TakeFile = Callable[[AsyncIterator[bytes]], Awaitable[list[str]]]
"""Takes one file in, from its bytes; returns what of it could not be taken, in words. Raises `Transient` for later,
`Rejected` for a file that is none of its kind."""


@dataclass(frozen=True, slots=True)
class _Seen:
    size: int
    modified_ns: int


class HotFolder:
    """One folder. `run` is a part for the supervisor. `trouble`: why it waits, empty while it works; `bad`: how many
    files lie in `bad/`."""

    def __init__(self, name: str, directory: Path, take: TakeFile, keep_days: int, aside: Aside) -> None:
        """`aside`: runs what waits for a disk, off the event loop."""
        self.name = name
        self.progress = 0
        self.taken = 0
        self.directory = directory
        self._take = take
        self._keep_days = keep_days
        self._aside = aside
        self._seen: dict[str, _Seen] = {}
        self.trouble = ""
        self.bad = 0

    async def run(self) -> None:
        """Take files until cancelled. A folder that is not there, or may not be written, is waited for and told."""
        while True:
            self.progress += 1
            try:
                await self.look()
                self.trouble = ""
            except (OSError, Transient) as trouble:
                if str(trouble) != self.trouble:
                    _log.warning("a hot folder waits", folder=self.name, reason=str(trouble))
                self.trouble = str(trouble)
            await asyncio.sleep(HOT_FOLDER_LOOK_S)

    async def look(self) -> None:
        """Take what is whole; what was left in the middle comes first. Raises `OSError`, `Transient`."""
        ready = await self._aside(self._ready)
        for path in ready[:HOT_FILES_AT_ONCE]:
            self.progress += 1
            await self._take_one(path)
        await self._aside(self._tidy)

    def _ready(self) -> list[Path]:
        for place in PLACES:
            (self.directory / place).mkdir(parents=True, exist_ok=True)
        left = [path for path in sorted((self.directory / "work").iterdir()) if _is_file(path)]
        found: dict[str, _Seen] = {}
        whole: list[Path] = []
        for path in sorted((self.directory / "inbox").iterdir()):
            if path.name.startswith(".") or path.suffix.lower() in UNFINISHED or not _is_file(path):
                continue
            status = path.lstat()
            found[path.name] = _Seen(status.st_size, status.st_mtime_ns)
            if self._seen.get(path.name) == found[path.name]:
                whole.append(path)
        self._seen = found
        return [*left, *(self._into(path, "work") for path in whole[:HOT_FILES_AT_ONCE])]

    async def _take_one(self, path: Path) -> None:
        digest = hashlib.sha256()
        try:
            if (await self._aside(path.stat)).st_size > HOT_FILE_BYTES_MAX:
                raise Rejected(f"the file has more than {HOT_FILE_BYTES_MAX} bytes")
            problems = await self._take(_read(path, digest, self._aside))
        except Rejected as problem:
            problems = [str(problem)]
        name = f"{digest.hexdigest()[:HASH_DIGITS]}-{masked(path.name)}"
        self.taken += 1
        if problems:
            _log.warning("a file could not be taken in whole", folder=self.name, file=path.name, first=problems[0])
        await self._aside(partial(self._put_away, path, name, problems))

    def _put_away(self, path: Path, name: str, problems: list[str]) -> None:
        if problems:
            shown = problems[:HOT_FOLDER_PROBLEMS_MAX]
            more = [f"and {len(problems) - len(shown)} more"] if len(problems) > len(shown) else []
            said = [f"{path.name} could not be taken in whole.",
                    "What it holds beside the following was recorded; mend it and put it into inbox again, nothing "
                    "counts twice.", *shown, *more, ""]
            (self.directory / "bad" / f"{name}.err").write_text(masked("\n".join(said)), encoding="utf-8")
        put_away(path, self.directory / ("bad" if problems else "done") / name)

    def _into(self, path: Path, place: str) -> Path:
        return path.replace(self.directory / place / path.name)

    def _tidy(self) -> None:
        """Originals may hold people's names: they go after a while, the bad ones too."""
        oldest_s = time() - self._keep_days * SECONDS_PER_DAY
        for place in ("done", "bad"):
            for path in (self.directory / place).iterdir():
                if _is_file(path) and path.lstat().st_mtime < oldest_s:
                    path.unlink(missing_ok=True)
        self.bad = sum(not path.name.endswith(".err") for path in (self.directory / "bad").iterdir())


async def _read(path: Path, digest: "hashlib._Hash", aside: Aside) -> AsyncIterator[bytes]:
    """A file's bytes, read aside; a link is not followed."""
    descriptor = await aside(partial(os.open, path, os.O_RDONLY | os.O_NOFOLLOW))
    with os.fdopen(descriptor, "rb") as file:
        while chunk := await aside(partial(file.read, HOT_FOLDER_CHUNK_BYTES)):
            digest.update(chunk)
            yield chunk


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False
