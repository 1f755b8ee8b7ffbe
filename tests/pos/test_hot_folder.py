"""Hot folders: inbox to done or bad, whatever happens in the middle (DESIGN.md section 8, retail.md 1.2)."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.doctor import in_the_loop
from edge.errors import Transient
from edge.health.folder_checks import folder_issues
from edge.pos import hot_folder
from edge.pos.hot_folder import PLACES, HotFolder
from edge.pos.poslog.desk import PoslogDesk
from edge.pos.poslog.dialect import load_dialect
from tests.pos.poslog_documents import document, sale, transaction
from tests.store_kit import StoreKit, gtin_of

MILK = gtin_of("milk")


class Folder:
    """A folder that takes POSLogs, in the hands of the test."""

    def __init__(self, store: StoreKit) -> None:
        self.store = store
        self.path = store.directory / "tlog"
        self.desk = PoslogDesk(store.store, store.tills)
        self.dialect = load_dialect("ncr-acs")
        self.starts()

    def starts(self) -> None:
        """The daemon starts, anew or for the first time."""
        self.folder = HotFolder("tlog", self.path, lambda chunks: self.desk.take_file(chunks, self.dialect), 7,
                                in_the_loop)

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
    assert [name.partition("-")[2] for name in folder.names("done")] == ["a.xml"]
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
    takes, stop_after = folder.desk.take_file, 1

    async def stops(chunks: AsyncIterator[bytes]) -> list[str]:
        await takes(chunks, folder.dialect)
        raise Transient("the disk is full")

    folder.folder = HotFolder("tlog", folder.path, stops, 7, in_the_loop)
    await folder.looks(1)
    with pytest.raises(Transient):
        await folder.looks(1)
    assert (folder.names("work"), folder.sold()) == (["a.xml"], 3000)
    folder.starts()
    await folder.looks(stop_after)
    assert (folder.names("work"), folder.sold()) == ([], 3000)
    assert len(folder.names("done")) == 1


async def test_the_same_file_under_another_name_counts_once(folder: Folder) -> None:
    for name in ("a.xml", "b.xml"):
        folder.put(name, log(1))
    await folder.looks()
    assert folder.sold() == 1000
    assert len({name.partition("-")[0] for name in folder.names("done")}) == 1


async def test_a_file_beyond_all_measure_is_put_aside_unread(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot_folder, "HOT_FILE_BYTES_MAX", 10)
    folder.put("a.xml", log(1))
    await folder.looks()
    assert folder.sold() == 0
    assert len(folder.names("bad")) == 2


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
