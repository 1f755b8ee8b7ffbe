"""Reading what recorder.c wrote down, and running a program under it."""

import ctypes
import errno
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

SOURCE = Path(__file__).parent / "recorder.c"
ROOT = Path(__file__).parents[2]
_HEAD = struct.Struct("=B3xIIIQq")  # `struct record` of recorder.c
PROGRAM_S = 120


class Kind(Enum):
    """What happened to a file, or was said."""

    MARK = "M"
    OPEN = "O"
    CREATE = "C"
    WRITE = "W"
    TRUNCATE = "T"
    SYNC = "S"
    SYNC_FAILED = "F"
    SYNC_DIRECTORY = "D"
    RENAME = "R"
    UNLINK = "U"


@dataclass(frozen=True, slots=True)
class Record:
    """One call. `file` is the inode, which a later file may have again; `offset` of a truncation is the new size."""

    kind: Kind
    path: str
    data: bytes
    file: int
    offset: int


def build_recorder(compiler: Path, directory: Path) -> Path:
    """Compile recorder.c; returns the library."""
    library = directory / "recorder.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl",
                    "-lpthread"], check=True)
    return library


def run_recorded(library: Path, directory: Path, log: Path, *arguments: str, swallow: bool = False) -> str:
    """Run `python -m ARGUMENTS` with every write below `directory` recorded; returns what it printed."""
    directory.mkdir(exist_ok=True)
    environment = {**os.environ, "LD_PRELOAD": str(library), "POWER_DIRECTORY": str(directory), "POWER_LOG": str(log),
                   "POWER_SWALLOW": "1" if swallow else "0"}
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, env=environment, timeout=PROGRAM_S, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, f"{arguments} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def read_log(path: Path) -> list[Record]:
    """Every record, in the order in which it happened."""
    return list(_records(path.read_bytes()))


def _records(log: bytes) -> Iterator[Record]:
    place = 0
    while place < len(log):
        kind, path_bytes, data_bytes, _, file, offset = _HEAD.unpack_from(log, place)
        place += _HEAD.size
        path = log[place:place + path_bytes].decode()
        place += path_bytes
        yield Record(Kind(chr(kind)), path, log[place:place + data_bytes], file, offset)
        place += data_bytes


class Recorder:
    """The recorder inside a recorded program: marks for the log, and faults of the disk."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._library.power_fail.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_long, ctypes.c_long, ctypes.c_int]

    def mark(self, text: bytes) -> None:
        """Say something in the log, at its place among the writes."""
        self._library.power_mark(text, ctypes.c_size_t(len(text)))

    def syncs_fail(self, file: str, *, after: int = 0) -> None:
        """Once, after so many that succeed, fsync of the file fails as of a dying disk."""
        self._library.power_fail(ord("S"), file.encode(), after, 1, errno.EIO)

    def disk_is_full(self, file: str) -> None:
        """From now on nothing can be written to the file."""
        self._library.power_fail(ord("W"), file.encode(), 0, -1, errno.ENOSPC)

    def faults(self) -> int:
        """How often the present fault has struck."""
        return int(self._library.power_faults_given())

    def disk_has_room(self) -> None:
        """No fault any more."""
        self._library.power_fail(0, b"", 0, 0, 0)
