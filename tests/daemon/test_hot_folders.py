"""Hot folders of a daemon that really runs: prices, sales and POSLogs in one machine, across a kill and a restart."""

import signal
import time
from pathlib import Path

from tests.daemon.real_box import DAY, MILK_GTIN, RealBox
from tests.daemon.test_commands import trastienda

WAIT_S = 40.0
PRICES = f"ean;price;from;until;action\n{MILK_GTIN};1,09;;;\nTOTAL;1;;;\n"
SALES = ("till;day;number;time;ean;quantity;amount;kind;voids\n"
         f"1;23.11.2026;7;23.11.2026 12:00:00;{MILK_GTIN};2;2,18;;\nTOTAL;1;;;;;;;\n")
POSLOG = (f"<POSLog><Transaction><WorkstationID>1</WorkstationID><SequenceNumber>8</SequenceNumber>"
          f"<BusinessDayDate>{DAY}</BusinessDayDate><EndDateTime>{DAY}T12:00:00</EndDateTime><RetailTransaction>"
          f"<LineItem><Sale><ItemID>{MILK_GTIN}</ItemID><ExtendedAmount>1.09</ExtendedAmount><Quantity>1</Quantity></Sale>"
          "</LineItem></RetailTransaction></Transaction></POSLog>")


def folders(directory: Path) -> str:
    lines = [f"  - {{name: {name}, directory: {directory / name}, {more}}}" for name, more in (
        ("book", "kind: prices, map: prices-csv"), ("sales", "kind: sales, map: sales-csv"), ("tlog", "dialect: v6"))]
    return "\n".join(["hot_folders:", *lines, ""])


def put(directory: Path, folder: str, name: str, text: str) -> None:
    """As careful uploaders do: written aside, then renamed."""
    inbox = directory / folder / "inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / f"{name}.part").write_text(text)
    (inbox / f"{name}.part").replace(inbox / name)


def beside(directory: Path, folder: str, name: str) -> str:
    """What the store writes beside the file, once it is taken."""
    deadline_s = time.monotonic() + WAIT_S
    while not (found := [path for path in (directory / folder).glob(f"*/*-{name}.*")
                         if path.suffix in (".report", ".err")]):
        assert time.monotonic() < deadline_s, f"{name} was not taken"
        time.sleep(0.1)
    return found[0].read_text()


def test_p2_files_are_taken_once_and_prices_stay_across_a_kill(box: RealBox, tmp_path: Path) -> None:
    box.more = folders(tmp_path)
    box.stock_milk()
    box.start()
    put(tmp_path, "book", "full.csv", PRICES)
    put(tmp_path, "sales", "day.csv", SALES)
    put(tmp_path, "tlog", "day.xml", POSLOG)
    put(tmp_path, "sales", "bad.csv", SALES.replace("2,18", "2.18"))
    assert "1 prices put in force" in beside(tmp_path, "book", "full.csv")
    assert "1 transactions recorded" in beside(tmp_path, "sales", "day.csv")
    assert "1 transactions recorded" in beside(tmp_path, "tlog", "day.xml")
    assert "line 2: the amount '2.18' is no number with ',' as its decimal sign" in beside(tmp_path, "sales", "bad.csv")
    quote = box.get(f"/v1/lookup/{MILK_GTIN}").json()
    assert (quote["charge_minor"], quote["sellable_milli"]) == (109, -3000)
    assert quote["price_version"].startswith("local/book/")

    box.service.signal(signal.SIGKILL)
    box.service.ends()
    put(tmp_path, "book", "full-again.csv", PRICES)
    put(tmp_path, "sales", "day-again.csv", SALES)
    box.start()
    for folder, name in (("book", "full-again.csv"), ("sales", "day-again.csv")):
        assert "nothing was taken twice" in beside(tmp_path, folder, name)
    quote = box.get(f"/v1/lookup/{MILK_GTIN}").json()
    assert (quote["charge_minor"], quote["sellable_milli"]) == (109, -3000)
    assert box.service.stop() == 0


def test_p1_prices_of_files_outlive_the_copy_of_the_hub(box: RealBox, tmp_path: Path) -> None:
    box.more = folders(tmp_path)
    box.stock_milk()
    box.start()
    put(tmp_path, "book", "full.csv", PRICES)
    beside(tmp_path, "book", "full.csv")
    box.service.stop()
    for path in box.state.glob("replica.db*"):
        path.unlink()
    box.stock_milk()
    box.start()
    deadline_s = time.monotonic() + WAIT_S
    while box.get(f"/v1/lookup/{MILK_GTIN}").json()["charge_minor"] != 109:
        assert time.monotonic() < deadline_s, "the prices did not come back"
        time.sleep(0.1)


def test_a_map_or_dialect_that_is_not_there_is_said_by_check_and_by_the_start(box: RealBox, tmp_path: Path) -> None:
    box.more = folders(tmp_path).replace("prices-csv", "nobody").replace("v6", "nobody")
    checked = trastienda("check", box.write(), **box.secrets)
    assert checked.returncode == 2
    assert "hot_folders: book: no file map is called 'nobody'" in checked.stderr
    assert "hot_folders: tlog: no POSLog dialect is called 'nobody'" in checked.stderr
    assert box.exit_code() == 2
    box.more = folders(tmp_path).replace("map: prices-csv", "dialect: v6")
    checked = trastienda("check", box.write(), **box.secrets)
    assert "hot_folders[0].map: is missing: nobody knows where a file of prices keeps what" in checked.stderr
