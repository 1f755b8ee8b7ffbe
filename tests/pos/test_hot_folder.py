"""Hot folders: inbox to done or bad, whatever happens in the middle (DESIGN.md section 8, retail.md 1.2)."""

import errno
import os
from pathlib import Path

import pytest

from edge.db import taken_files
from edge.doctor import in_the_loop
from edge.errors import Transient
from edge.health.folder_checks import folder_issues
from edge.limits import HOT_FILE_BYTES_MAX
from edge.pos import hot_folder
from edge.pos.hot_folder import PLACES, HotFile, HotFolder, Taken
from edge.pos.poslog.desk import PoslogDesk, PoslogFiles
from edge.pos.poslog.dialect import load_dialect
from tests.pos.poslog_documents import document, sale, transaction
from tests.store_kit import StoreKit, gtin_of

MILK = gtin_of("milk")


class Folder:
    """A folder that takes POSLogs, in the hands of the test."""

    def __init__(self, store: StoreKit) -> None:
        self.store = store
        self.path = store.directory / "tlog"
        self.starts()

    def starts(self) -> None:
        """The daemon starts, anew or for the first time."""
        self.taker = PoslogFiles(PoslogDesk(self.store.store, self.store.tills), load_dialect("ncr-acs"))
        self.folder = HotFolder("tlog", self.path, self.taker, 7, self.store.store, in_the_loop)

    def put(self, name: str, text: str) -> Path:
        (self.path / "inbox").mkdir(parents=True, exist_ok=True)
        path = self.path / "inbox" / name
        path.write_text(text)
        return path

    async def looks(self, times: int = 2) -> None:
        for _ in range(times):
            await self.folder.look()

    def names(self, place: str) -> list[str]:
        return sorted(path.name for path in (self.path / place).iterdir())

    def originals(self, place: str) -> list[str]:
        """Without what the store wrote beside them."""
        return [name for name in self.names(place) if not name.endswith((".err", ".report"))]

    def beside(self, place: str, ending: str) -> str:
        """What the store wrote beside the files there."""
        return "".join((self.path / place / name).read_text() for name in self.names(place) if name.endswith(ending))

    def sold(self) -> int:
        row = self.store.books.ledger_reader.execute("SELECT sellable_milli FROM stock WHERE sku = 'milk'").fetchone()
        return -int(row[0]) if row else 0


@pytest.fixture
def folder(store: StoreKit) -> Folder:
    return Folder(store)


def log(*sequences: int) -> str:
    return document(*(transaction(sequence, sale(1, MILK, "0.99")) for sequence in sequences))


async def test_a_whole_file_is_taken_and_put_away(folder: Folder) -> None:
    folder.put("a.xml", log(1, 2))
    await folder.looks(1)
    assert folder.names("inbox") == ["a.xml"], "it may still grow"
    await folder.looks(1)
    assert [folder.names(place) for place in PLACES[:2]] == [[], []]
    assert [name.partition("-")[2] for name in folder.names("done")] == ["a.xml", "a.xml.report"]
    assert "2 transactions recorded, 0 known before" in folder.beside("done", ".report")
    assert folder.sold() == 2000


async def test_a_file_that_grows_is_left_until_it_stops(folder: Folder) -> None:
    path = folder.put("a.xml", log(1)[:200])
    await folder.looks(1)
    path.write_text(log(1))
    await folder.looks(1)
    assert folder.names("inbox") == ["a.xml"]
    await folder.looks(1)
    assert folder.sold() == 1000


async def test_what_is_not_whole_by_its_name_and_what_is_no_file_is_left_alone(folder: Folder) -> None:
    secret = folder.store.directory / "secret.xml"
    secret.write_text(log(9))
    folder.put("a.xml.part", log(1))
    folder.put(".hidden", log(2))
    (folder.path / "inbox" / "link.xml").symlink_to(secret)
    os.mkfifo(folder.path / "inbox" / "pipe")
    await folder.looks(3)
    assert folder.sold() == 0
    assert len(folder.names("inbox")) == 4


async def test_a_bad_file_gets_an_err_beside_it_and_its_good_part_counts(folder: Folder) -> None:
    folder.put("a.xml", document(transaction(1, sale(1, MILK, "0.99")), transaction(2, sale(1, MILK, "rubbish"))))
    folder.put("b.xml", "not xml")
    await folder.looks()
    assert folder.sold() == 1000
    bad = {name.partition("-")[2]: folder.path / "bad" / name for name in folder.names("bad")}
    assert set(bad) == {"a.xml", "a.xml.err", "b.xml", "b.xml.err"}
    assert "transaction 2: the amount of a line is no number: 'rubbish'" in bad["a.xml.err"].read_text()
    assert "not XML at line 1" in bad["b.xml.err"].read_text()
    (issue,) = folder_issues(folder.folder)
    assert "2 files could not be taken in whole" in issue.what
    for path in bad.values():
        path.unlink()
    await folder.looks(1)
    assert list(folder_issues(folder.folder)) == []


async def test_p2_a_stop_in_the_middle_leaves_the_file_and_nothing_counts_twice(folder: Folder) -> None:
    folder.put("a.xml", log(1, 2, 3))
    takes = folder.taker.take

    async def stops(file: HotFile) -> Taken:
        await takes(file)
        raise Transient("the disk is full")

    folder.taker.take = stops  # type: ignore[method-assign]  # the machine stops behind it
    await folder.looks(1)
    with pytest.raises(Transient):
        await folder.looks(1)
    assert (folder.names("work"), folder.sold()) == (["a.xml"], 3000)
    folder.put("a.xml", log(4))
    folder.starts()
    await folder.looks(1)
    assert (folder.names("work"), folder.names("inbox"), folder.sold()) == ([], ["a.xml"], 3000)
    assert len(folder.originals("done")) == 1
    await folder.looks(1)
    assert folder.sold() == 4000, "the file of the same name waited for the one before it"


async def test_p2_the_same_file_under_another_name_counts_once_and_is_said_to(folder: Folder) -> None:
    folder.put("a.xml", log(1))
    await folder.looks()
    await folder.store.restarts()
    folder.starts()
    folder.put("b.xml", log(1))
    await folder.looks()
    assert folder.sold() == 1000
    assert len({name.partition("-")[0] for name in folder.originals("done")}) == 1
    assert "The same contents were taken on 2026-11-23T12:00:0" in folder.beside("done", "b.xml.report")


async def test_p10_so_many_files_are_remembered_and_no_more(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taken_files, "HOT_FOLDER_NAMES_KEPT", 3)
    for number in range(6):
        folder.put(f"{number}.xml", log(number))
    await folder.looks()
    rows = folder.store.books.ledger_reader.execute("SELECT name FROM taken_file ORDER BY number").fetchall()
    assert [name for (name,) in rows] == ["3.xml", "4.xml", "5.xml"]


async def test_names_that_others_make_up_harm_nothing(folder: Folder) -> None:
    long = "x" * 240 + ".xml"
    for name in (long, "two\nlines.xml", "-rf .xml", os.fsdecode(b"caf\xe9.xml"), "bad\x1b[31m.xml"):
        folder.put(name, log(len(name)) if name == long else "not xml")
    await folder.looks()
    assert [len(folder.originals(place)) for place in PLACES] == [0, 0, 1, 4]
    said = folder.beside("bad", ".err")
    assert "two\\x0alines.xml could not be taken" in said
    assert "caf\\xe9.xml could not be taken" in said
    assert "\x1b" not in said


async def test_a_link_that_takes_a_files_place_is_not_followed(folder: Folder) -> None:
    secret = folder.store.directory / "secret.xml"
    secret.write_text(log(9))
    folder.put("a.xml", log(1))
    await folder.looks(1)
    looks = folder.folder._ready

    def swapped() -> list[Path]:
        found = looks()
        for path in found:
            path.unlink()
            path.symlink_to(secret)
        return found

    folder.folder._ready = swapped  # type: ignore[method-assign]  # somebody swaps it in the very moment
    await folder.looks(1)
    assert folder.sold() == 0
    assert "it is a link: put in the file itself" in folder.beside("bad", ".err")
    assert secret.exists()


async def test_an_old_file_is_kept_from_when_it_was_taken(folder: Folder) -> None:
    os.utime(folder.put("a.xml", log(1)), (1, 1))
    await folder.looks(3)
    assert len(folder.originals("done")) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="LEFT OUT: root may read every file")
async def test_a_file_that_may_not_be_read_is_put_aside(folder: Folder) -> None:
    folder.put("a.xml", log(1)).chmod(0)
    await folder.looks()
    assert "it may not be read" in folder.beside("bad", ".err")


async def test_p10_ten_gigabytes_are_put_aside_unread(folder: Folder) -> None:
    os.truncate(folder.put("a.xml", log(1)), 10 * 2**30)  # with a hole: it takes no room
    await folder.looks()
    assert folder.sold() == 0
    assert folder.names("bad") == ["unread-a.xml", "unread-a.xml.err"]
    assert f"the file has {10 * 2**30} bytes, at most {HOT_FILE_BYTES_MAX}: split it" in folder.beside("bad", ".err")


async def test_a_file_that_breaks_its_reader_does_not_stop_the_others(folder: Folder) -> None:
    takes = folder.taker.take

    async def breaks(file: HotFile) -> Taken:
        if file.name == "a.xml":
            raise ZeroDivisionError
        return await takes(file)

    folder.taker.take = breaks  # type: ignore[method-assign]  # a bug that only one file finds
    folder.put("a.xml", log(1))
    folder.put("b.xml", log(2))
    await folder.looks()
    assert [len(folder.originals(place)) for place in PLACES] == [0, 0, 1, 1]
    assert "the program failed on it (ZeroDivisionError)" in folder.beside("bad", ".err")


async def test_a_disk_without_room_for_the_word_on_a_file_is_waited_for(folder: Folder,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _lines: list[str]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hot_folder, "_write", full)
    folder.put("a.xml", log(1))
    folder.put("b.xml", "not xml")
    await folder.looks(1)
    with pytest.raises(OSError, match="No space left"):
        await folder.looks(1)
    monkeypatch.undo()
    await folder.looks()
    assert ([len(folder.originals(place)) for place in PLACES], folder.sold()) == ([0, 0, 1, 1], 1000)


async def test_p11_originals_are_deleted_when_their_time_is_over(folder: Folder) -> None:
    folder.put("a.xml", log(1))
    folder.put("b.xml", "not xml")
    await folder.looks()
    for place in ("done", "bad"):
        for name in folder.names(place):
            os.utime(folder.path / place / name, (1, 1))
    await folder.looks(1)
    assert [folder.names(place) for place in ("done", "bad")] == [[], []]


async def test_a_directory_that_cannot_be_written_is_told_and_waited_for(folder: Folder) -> None:
    folder.path.write_text("somebody put a file here")
    with pytest.raises(OSError, match="tlog"):
        await folder.looks(1)
