"""Backups for real: files, keys, the command. A backup opens with the recovery key alone, and is checked."""

import json
import os
import random
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloud_sync.contract.facts import Movement, StockMove
from edge.backup import LedgerFile, make_backup, new_recovery_keys, restore_backup
from edge.cli import main
from edge.db.backup import check_ledger
from edge.db.books import derive_key
from edge.db.connection import connect, migrate
from edge.db.ledger import Chain, draft, load_chain, record
from edge.errors import Corrupt, Rejected, Transient

PRIVATE, PUBLIC = new_recovery_keys(bytes(range(32)))
OTHER_PRIVATE, _ = new_recovery_keys(bytes(range(1, 33)))
STORE = "7"


def ledger_in(directory: Path, facts: int, secret: str = "a database key", store: str = STORE) -> LedgerFile:
    """A ledger with so many goods received."""
    directory.mkdir(exist_ok=True)
    ledger = LedgerFile(directory, store, secret)
    connection = connect(ledger.path, ledger.key, synchronous="FULL")
    migrate(connection, "ledger")
    connection.execute("BEGIN")
    chain = load_chain(connection, store)
    append(connection, chain, facts)
    connection.execute("COMMIT")
    connection.close()
    return ledger


def append(connection, chain: Chain, facts: int) -> None:
    begin = connection.execute("SELECT COUNT(*) FROM entry").fetchone()[0]
    for number in range(begin, begin + facts):
        fact = Movement("receipt", (StockMove("milk", 1000),), "ana", f"document {number} " + "x" * 900)
        record(connection, chain, draft(f"movement/{number}", fact, occurred_ms=1, recorded_ms=1, business_day="d"))


def stock(ledger: LedgerFile) -> int:
    connection = connect(ledger.path, ledger.key, synchronous="FULL")
    try:
        return int(connection.execute("SELECT sellable_milli FROM stock").fetchone()[0])
    finally:
        connection.close()


def backed_up(ledger: LedgerFile, to: Path, stamp: str = "20260101T000000Z", keep: int = 14) -> Path:
    return Path(make_backup(ledger, PUBLIC, to, 1, stamp, keep).file)


def test_p1_a_backup_made_while_the_store_writes_is_a_whole_ledger_of_one_moment(tmp_path: Path):
    ledger = ledger_in(tmp_path / "box", 3000)
    writer = connect(ledger.path, ledger.key, synchronous="FULL")
    writes = []

    def between_pages(_done: int, _total: int) -> None:
        if len(writes) < 5:
            writer.execute("BEGIN IMMEDIATE")
            append(writer, Chain(STORE, 1), 1)
            writer.execute("COMMIT")
            writes.append(1)

    made = make_backup(ledger, PUBLIC, tmp_path / "usb", 1, "20260101T000000Z", progress=between_pages)
    writer.close()
    assert writes
    new = LedgerFile(tmp_path / "new box", STORE, "another box's own key")
    restored = restore_backup(new, Path(made.file), PRIVATE)
    assert restored.sequence == made.sequence >= 3000
    assert stock(new) == restored.sequence * 1000
    assert check_ledger(new.path, new.key).place == (1, restored.sequence)


def test_p11_a_backup_holds_nothing_readable_and_is_its_owners_alone(tmp_path: Path):
    file = backed_up(ledger_in(tmp_path / "box", 5), tmp_path / "usb")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    for word in (b"receipt", b"SQLite", derive_key("a database key", "ledger.db"), b"milk"):
        assert word not in content
    assert [path.name for path in (tmp_path / "box").glob("*copying*")] == []
    with pytest.raises(Rejected, match="does not open"):
        restore_backup(LedgerFile(tmp_path / "x", STORE, "k"), file, OTHER_PRIVATE)


def test_a_backup_that_is_damaged_anywhere_or_cut_short_is_refused_and_changes_nothing(tmp_path: Path):
    ledger = ledger_in(tmp_path / "box", 2500)
    whole = backed_up(ledger, tmp_path / "usb").read_bytes()
    assert len(whole) > 2 * 2**20
    odd, there = tmp_path / "odd.backup", ledger.path.read_bytes()
    randomness = random.Random(7)
    cuts = [len(whole) - 1, 2**20 + 16 + 200, 100, 25, 0]
    spots = [randomness.randrange(len(whole)) for _ in range(12)]
    for content in [whole[:cut] for cut in cuts] + [
            whole[:spot] + bytes([whole[spot] ^ 1]) + whole[spot + 1:] for spot in spots]:
        odd.write_bytes(content)
        with pytest.raises((Rejected, Corrupt)):
            restore_backup(ledger, odd, PRIVATE, force=True)
        assert ledger.path.read_bytes() == there
        assert list((tmp_path / "box").glob("*restoring*")) == []


def test_a_restore_does_not_replace_a_newer_ledger_unless_told_and_then_sets_it_aside(tmp_path: Path):
    ledger = ledger_in(tmp_path / "box", 5)
    file = backed_up(ledger, tmp_path / "usb")
    ledger_in(tmp_path / "box", 2)
    with pytest.raises(Rejected, match="entry 7 of epoch 1, the backup to entry 5"):
        restore_backup(ledger, file, PRIVATE)
    assert stock(ledger) == 7000
    restored = restore_backup(ledger, file, PRIVATE, force=True)
    assert stock(ledger) == 5000
    assert restored.set_aside is not None
    aside = connect(Path(restored.set_aside), ledger.key, synchronous="FULL")
    assert aside.execute("SELECT COUNT(*) FROM entry").fetchone()[0] == 7
    aside.close()


def test_a_restore_waits_until_the_daemon_is_stopped(tmp_path: Path):
    ledger = ledger_in(tmp_path / "box", 5)
    file = backed_up(ledger, tmp_path / "usb")
    daemon = connect(ledger.path, ledger.key, synchronous="FULL")
    daemon.execute("SELECT * FROM entry").fetchall()
    with pytest.raises(Transient, match="stop the daemon"):
        restore_backup(ledger, file, PRIVATE, force=True)
    daemon.close()
    assert restore_backup(ledger, file, PRIVATE).sequence == 5


def test_a_backup_of_another_store_is_refused_and_a_damaged_ledger_is_not_backed_up(tmp_path: Path):
    file = backed_up(ledger_in(tmp_path / "other", 3, store="8"), tmp_path / "usb")
    ledger = ledger_in(tmp_path / "box", 200)
    with pytest.raises(Rejected, match="store 8"):
        restore_backup(ledger, file, PRIVATE)
    connection = connect(ledger.path, ledger.key, synchronous="FULL")
    connection.execute("UPDATE entry SET payload = CAST('{}' AS BLOB) WHERE sequence = 77")
    connection.close()
    with pytest.raises(Corrupt, match="chain is broken at entry 77"):
        backed_up(ledger, tmp_path / "usb2")
    assert list((tmp_path / "usb2").iterdir()) == []


def test_p10_only_the_newest_backups_of_this_store_are_kept(tmp_path: Path):
    ledger = ledger_in(tmp_path / "box", 2)
    other = backed_up(ledger_in(tmp_path / "other", 1, store="8"), tmp_path / "usb")
    for day in range(1, 6):
        backed_up(ledger, tmp_path / "usb", f"2026010{day}T000000Z", keep=2)
    names = sorted(path.name for path in (tmp_path / "usb").iterdir())
    assert names == ["7-20260104T000000Z-1-2.backup", "7-20260105T000000Z-1-2.backup", other.name]


def test_the_commands_make_keys_back_up_and_restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRASTIENDA_DATABASE_KEY", "a database key")
    run = CliRunner().invoke
    key_file = tmp_path / "recovery.key"
    public = json.loads(run(main, ["recovery-key", str(key_file), "--json"]).output)["recovery_key"]
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert run(main, ["recovery-key", str(key_file)]).exit_code == 1
    config = settings_in(tmp_path, f"recovery_key: {public}")
    ledger_in(tmp_path / "state", 4)
    made = run(main, ["backup", str(config), "--to", str(tmp_path / "usb"), "--json"])
    assert made.exit_code == 0, made.output
    (tmp_path / "state" / "ledger.db").unlink()
    file = json.loads(made.output)["file"]
    assert run(main, ["restore", str(config), file]).exit_code == 2
    done = run(main, ["restore", str(config), file, "--recovery-key", str(key_file), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["sequence"] == 4
    assert run(main, ["backup", str(settings_in(tmp_path, "")), "--to", str(tmp_path / "usb")]).exit_code == 2
    assert os.environ.get("TRASTIENDA_RECOVERY_KEY") is None


def settings_in(directory: Path, more: str) -> Path:
    path = directory / "store.yaml"
    path.write_text(f"""\
store: {{id: "{STORE}", name: Corner, time_zone: Europe/Madrid, currency: EUR, language: en}}
state_directory: {directory / "state"}
hub: {{url: "http://127.0.0.1:9"}}
listeners: {{tills: {{host: 127.0.0.1, port: 8443}}, staff: {{host: 127.0.0.1, port: 8443}}}}
database_key: !credential database-key
store_key: !credential store-key
{more}
""")
    return path
