"""What a power cut leaves of a disk: a model of files, names and what was synced, fed with a recording.

What was synced is there. Of what was not, a cut keeps what it likes: all, nothing, everything up to a moment, some
writes, or some sectors of some writes, in any order. Names (created, renamed, deleted files) are kept by a prefix of
their changes, as a journalling file system does, and for certain only after their directory was synced; fsync of a
file does not save its name here, although ext4 would. After a failed fsync the kernel forgets what it could not
write: the next one succeeds and has not saved it (the model keeps a random part).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from pathlib import Path

from tests.power.recording import Kind, Record

SECTOR_BYTES = 512


class Cut(Enum):
    """What becomes of writes that were not synced."""

    DROPPED = "dropped"
    KEPT = "kept"
    UP_TO_A_MOMENT = "up to a moment"
    SOME_WRITES = "some writes"
    SOME_SECTORS = "some sectors"


@dataclass(slots=True, eq=False)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, Record]] = field(default_factory=list)

    def settle(self) -> None:
        for _, record in self.pending:
            _apply(self.durable, record)
        self.pending.clear()


_Names = dict[str, _File]


class Disk:
    """Files as a recording leaves them. `follow` the records one by one, and cut the power wherever you like."""

    def __init__(self, randomness: random.Random) -> None:
        self._randomness = randomness
        self._by_inode: dict[int, _File] = {}
        self._names: _Names = {}
        self._durable_names: _Names = {}
        self._pending_names: list[tuple[int, Record, _File | None]] = []
        self._count = 0

    def follow(self, record: Record) -> None:
        """The next thing that happened."""
        self._count += 1
        match record.kind:
            case Kind.CREATE:
                self._by_inode[record.file] = _File()
                self._rename(record, self._by_inode[record.file])
            case Kind.OPEN:
                self._by_inode[record.file] = self._names[record.path]
            case Kind.RENAME | Kind.UNLINK:
                self._rename(record, None)
            case Kind.WRITE | Kind.TRUNCATE:
                self._by_inode[record.file].pending.append((self._count, record))
            case Kind.SYNC:
                self._by_inode[record.file].settle()
            case Kind.SYNC_FAILED:
                self._forget(self._by_inode[record.file])
            case Kind.SYNC_DIRECTORY:
                self._durable_names = dict(self._names)
                self._pending_names.clear()

    def cut(self, how: Cut) -> dict[str, bytes]:
        """What the files hold when the power comes back. The disk itself goes on as if nothing had been."""
        pending = sorted({number for file in self._names.values() for number, _ in file.pending}
                         | {number for number, _, _ in self._pending_names})
        moment = self._moment(how, pending)
        names = dict(self._durable_names)
        for number, record, file in self._pending_names:
            if number <= moment:
                _apply_name(names, record, file)
        keep = self._keeper(how, moment)
        return {path: bytes(keep(file)) for path, file in names.items()}

    def _moment(self, how: Cut, pending: list[int]) -> int:
        """Up to which record names were written back; for a cut in order, contents too."""
        if how is Cut.DROPPED or not pending:
            return 0
        return self._count if how is Cut.KEPT else self._randomness.choice([0, *pending])

    def _keeper(self, how: Cut, moment: int) -> Callable[[_File], bytearray]:
        share = self._randomness.choice((0.05, 0.5, 0.95))

        def keep(file: _File) -> bytearray:
            content = bytearray(file.durable)
            newest_size = len(content)
            for number, record in file.pending:
                newest_size = _size_after(newest_size, record)
                if how in (Cut.DROPPED, Cut.KEPT, Cut.UP_TO_A_MOMENT):
                    parts = [record] if number <= moment else []
                elif how is Cut.SOME_WRITES or record.kind is Kind.TRUNCATE:
                    parts = [record] if self._randomness.random() < share else []
                else:
                    parts = [part for part in _sectors(record) if self._randomness.random() < share]
                for part in parts:
                    _apply(content, part)
            if how in (Cut.SOME_WRITES, Cut.SOME_SECTORS) and self._randomness.random() < 0.5:
                _resize(content, newest_size)  # the size was written back, blocks under it were not
            return content
        return keep

    def _rename(self, record: Record, file: _File | None) -> None:
        self._pending_names.append((self._count, record, file))
        _apply_name(self._names, record, file)

    def _forget(self, file: _File) -> None:
        for _, record in file.pending:
            if self._randomness.random() < 0.5:
                _apply(file.durable, record)
        file.pending.clear()


def write_out(files: dict[str, bytes], directory: Path) -> None:
    """Make the files of a cut. There is nothing else in the directory."""
    directory.mkdir()
    for path, content in files.items():
        (directory / path).write_bytes(content)


def _apply_name(names: _Names, record: Record, file: _File | None) -> None:
    match record.kind:
        case Kind.CREATE:
            assert file is not None
            names[record.path] = file
        case Kind.RENAME:
            names[record.data.decode()] = names.pop(record.path)
        case _:
            del names[record.path]


def _apply(content: bytearray, record: Record) -> None:
    if record.kind is Kind.TRUNCATE:
        _resize(content, record.offset)
        return
    if len(content) < record.offset:
        _resize(content, record.offset)
    content[record.offset:record.offset + len(record.data)] = record.data


def _resize(content: bytearray, size: int) -> None:
    if len(content) < size:
        content.extend(bytes(size - len(content)))
    del content[size:]


def _size_after(size: int, record: Record) -> int:
    return record.offset if record.kind is Kind.TRUNCATE else max(size, record.offset + len(record.data))


def _sectors(record: Record) -> list[Record]:
    """The write, cut at the disk's sectors."""
    first = -record.offset % SECTOR_BYTES
    places = [0, *range(first or SECTOR_BYTES, len(record.data), SECTOR_BYTES), len(record.data)]
    return [Record(Kind.WRITE, "", record.data[start:end], record.file, record.offset + start)
            for start, end in pairwise(places)]
