"""A hot folder: files that tills or a back office put down, taken in by themselves (DESIGN.md section 8).

`inbox/ → work/ → done/` or `bad/`, with an `.err` beside a bad file that says what is wrong and what to do, and a
`.report` beside a good one. A file is taken when it has stopped growing, and moved by renaming, so that a stop in the
middle leaves it whole in `work/`, where the next start finds it: what was recorded of it counts once, however often it
is read. A file that was taken before is known by its contents, across restarts. Originals are kept without card data
(`originals.py`), and go after `keep_days`.

What a file means is its taker's to say: `edge.pos.poslog.desk`, `edge.pos.price_files`, `edge.pos.sales_files`.
"""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from io import BufferedReader
from pathlib import Path
from time import time
from typing import Any, Protocol

import structlog

from edge.db.taken_files import remember_file, taken_file
from edge.domain.card_data import masked
from edge.errors import Corrupt, Rejected, Transient
from edge.limits import (
    HOT_FILE_BYTES_MAX,
    HOT_FILES_AT_ONCE,
    HOT_FOLDER_CHUNK_BYTES,
    HOT_FOLDER_LOOK_S,
    HOT_FOLDER_PROBLEMS_MAX,
)
from edge.pos.originals import put_away
from edge.store import Store

UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".err", ".report")
"""How uploaders name what is not whole yet; the last two are ours."""
PLACES = ("inbox", "work", "done", "bad")
HASH_DIGITS = 16
NAME_BYTES_MAX = 200
"""Of a file's name, in `done/` and `bad/`; a file system takes 255 with what is put around it."""
UNREAD = "unread"
"""Stands for the hash of a file that was not looked into."""
SECONDS_PER_DAY = 86_400
_log = structlog.get_logger(__name__)

Aside = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs what waits for a disk, or computes for long, off the event loop."""


@dataclass(frozen=True, slots=True)
class HotFile:
    """A file that has stopped growing. `file` is open, and read from its beginning by whoever takes it."""

    name: str
    file: BufferedReader
    aside: Aside

    async def chunks(self) -> AsyncIterator[bytes]:
        """Its bytes, from the first."""
        await self.aside(partial(self.file.seek, 0))
        while chunk := await self.aside(partial(self.file.read, HOT_FOLDER_CHUNK_BYTES)):
            yield chunk


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a file. `problems`: what of it could not be taken, with the line; then it goes to `bad/`.
    `report`: what is to be known of a good one. `waits`: something of it is not in force yet, so that the same file
    may be sent again."""

    problems: list[str] = field(default_factory=list)
    report: list[str] = field(default_factory=list)
    waits: bool = False


class FileTaker(Protocol):
    """Takes the files of one kind."""

    mend: str
    """What to do with a file that had problems."""
    only_newest_repeats: bool
    """Whether the same file counts again once another was taken after it, as a price list does that goes back."""

    async def take(self, file: HotFile) -> Taken:
        """Raises `Transient` for later, `Rejected` for a file of which nothing was taken."""
        ...


@dataclass(frozen=True, slots=True)
class _Seen:
    size: int
    modified_ns: int


class HotFolder:
    """One folder. `run` is a part for the supervisor. `trouble`: why it waits, empty while it works; `bad`: how many
    files lie in `bad/`."""

    def __init__(self, name: str, directory: Path, taker: FileTaker, keep_days: int, store: Store,
                 aside: Aside) -> None:
        self.name = name
        self.progress = 0
        self.directory = directory
        self._taker = taker
        self._keep_days = keep_days
        self._store = store
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
        busy = {path.name for path in (self.directory / "work").iterdir()}
        for path in sorted((self.directory / "inbox").iterdir()):
            if path.name.startswith(".") or path.suffix.lower() in UNFINISHED or not _is_file(path):
                continue
            status = path.lstat()
            found[path.name] = _Seen(status.st_size, status.st_mtime_ns)
            if self._seen.get(path.name) == found[path.name] and path.name not in busy:
                whole.append(path)
        self._seen = found
        room = max(0, HOT_FILES_AT_ONCE - len(left))
        return [*left, *(path.replace(self.directory / "work" / path.name) for path in whole[:room])]

    async def _take_one(self, path: Path) -> None:
        """Put the file where it belongs; whatever it holds, it is not taken again and again."""
        digest = ""
        try:
            with closing(await self._aside(partial(_open, path))) as file:
                digest = await self._aside(partial(_digest, file))
                taken = await self._take_new(HotFile(path.name, file, self._counted), digest)
        except Rejected as problem:
            taken = Taken([str(problem)])
        except PermissionError as problem:
            taken = Taken([f"it may not be read: {problem.strerror}; give the store's user the right to"])
        except (OSError, Transient, Corrupt):
            raise
        except Exception as error:  # a file that breaks its reader must not keep all others waiting for ever
            _log.error("a file broke its reader", folder=self.name, file=_shown(path.name), exc_info=error)
            taken = Taken([f"the program failed on it ({type(error).__name__}), which the log tells more about: please "
                           "report it"])
        if taken.problems:
            _log.warning("a file could not be taken in whole", folder=self.name, file=_shown(path.name),
                         first=taken.problems[0])
        name = f"{digest[:HASH_DIGITS] or UNREAD}-{_cut(masked(path.name))}"
        await self._aside(partial(self._put_away, path, name, taken))

    async def _take_new(self, file: HotFile, digest: str) -> Taken:
        """What was taken before is not taken again, and that is said."""
        books = self._store.books
        known = taken_file(books.ledger_reader, self.name, digest)
        if known is not None and (known.newest or not self._taker.only_newest_repeats):
            when = self._store.local(known.taken_ms).isoformat(timespec="seconds")
            return Taken(report=[f"The same contents were taken on {when} as {known.name}: nothing was taken twice."])
        taken = await self._taker.take(file)
        if not taken.problems:  # one of which something waits is not known when it comes again, but it was the newest
            await books.ledger.submit(partial(
                remember_file, folder=self.name, digest=f"{digest}/waits" if taken.waits else digest,
                name=_shown(file.name), now_ms=self._store.clock.wall_ms()))
        return taken

    async def _counted(self, work: Callable[[], Any]) -> Any:
        """A long file is progress too."""
        self.progress += 1
        return await self._aside(work)

    def _put_away(self, path: Path, name: str, taken: Taken) -> None:
        if taken.problems:
            said = [f"{_shown(path.name)} could not be taken in whole.", self._taker.mend, *_listed(taken.problems)]
            _write(self.directory / "bad" / f"{name}.err", said)
        elif taken.report:
            said = [f"{_shown(path.name)} was taken.", *_listed(taken.report)]
            _write(self.directory / "done" / f"{name}.report", said)
        target = self.directory / ("bad" if taken.problems else "done") / name
        if name.startswith(UNREAD):  # a link, or larger than anything: it is no file of ours to look through
            path.replace(target)
            return
        os.utime(path)  # it is kept from now on, however old it is
        put_away(path, target)

    def _tidy(self) -> None:
        """Originals may hold people's names: they go after a while, the bad ones too."""
        oldest_s = time() - self._keep_days * SECONDS_PER_DAY
        for place in ("done", "bad"):
            for path in (self.directory / place).iterdir():
                if _is_file(path) and path.lstat().st_mtime < oldest_s:
                    path.unlink(missing_ok=True)
        self.bad = sum(not path.name.endswith(".err") for path in (self.directory / "bad").iterdir())


def _open(path: Path) -> BufferedReader:
    """A link is not followed, and nothing waited for. Raises `Rejected`, `OSError`."""
    try:
        file = open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")  # noqa: PTH123, SIM115  no name
    except OSError as error:
        if path.is_symlink():
            raise Rejected("it is a link: put in the file itself") from error
        raise
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_size > HOT_FILE_BYTES_MAX:
        file.close()
        raise Rejected(f"the file has {status.st_size} bytes, at most {HOT_FILE_BYTES_MAX}: split it"
                       if stat.S_ISREG(status.st_mode) else "it is no file")
    return file


def _digest(file: BufferedReader) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, lines: list[str]) -> None:
    path.write_text(masked("\n".join([*lines, ""])), encoding="utf-8", errors="backslashreplace")


def _listed(problems: list[str]) -> list[str]:
    more = len(problems) - HOT_FOLDER_PROBLEMS_MAX
    return [*problems[:HOT_FOLDER_PROBLEMS_MAX], *([f"and {more} more"] if more > 0 else [])]


def _shown(name: str) -> str:
    """A name as people can read it: others may have put anything into it."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return masked("".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text))


def _cut(name: str) -> str:
    """The end of a name that is too long to be made longer."""
    return os.fsdecode(os.fsencode(name)[-NAME_BYTES_MAX:])


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False
