"""The demo as somebody runs it: one command, a whole store, a report, nothing left behind."""

import csv
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.demo import DemoOptions, parse_outage, run_demo
from edge.errors import ConfigurationError
from edge.proving.stage.goods import read_goods, write_catalogue
from edge.proving.stage.premises import free_port

LABELS = 16
REPORT_KEYS = {
    "": {"seconds", "items", "labels", "sale_lines", "price_changes", "orders", "ledger", "backlog", "outage_s",
         "checked", "violations"},
    "labels": {"adopted", "shown", "pending", "proofs"},
    "sale_lines": {"offered", "accepted", "duplicate", "exception"},
    "price_changes": {"count", "hub_to_proof_ms_p50", "hub_to_proof_ms_p99", "hub_to_till_ms_p50"},
    "orders": {"placed", "ready", "handed_over", "other"},
    "ledger": {"store_head", "hub_head"},
    "checked": {"P1", "P2", "P3", "P4", "P5", "P7", "P8"},
}


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the demo puts its files. A short path: pytest's own are too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="demo-") as directory:
        yield Path(directory)


def demo(*arguments: str, temporary: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.Popen([sys.executable, "-c", "from edge.cli import main; main()", "demo", *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def write_sales(path: Path, catalogue: Path, baskets: int) -> None:
    """Real files hold quantity 0, fuel in thousandths and products nobody knows; this one does too."""
    goods, dice = read_goods(catalogue)[:120], random.Random(5)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["basket_id", "time", "store_id", "sku", "quantity", "sales_value", "retail_disc"])
        for basket in range(baskets):
            for _ in range(dice.randint(1, 4)):
                sku = dice.choice(goods).sku if dice.random() < 0.9 else "nobody-knows-me"
                quantity = dice.choice((1, 1, 1, 2, 0, 12_608))
                writer.writerow([f"b{basket}", f"2017-01-{1 + basket * 3 // baskets:02d}T12:30:27Z", 300 + basket % 20,
                                 sku, quantity, "1.50", "0.00"])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("whole store")
def test_a_short_demo_replays_dirty_sales_through_an_outage_and_ends_with_equal_books(tmp_path, temporary):
    catalogue, sales, report = tmp_path / "catalogue.csv", tmp_path / "sales.csv", tmp_path / "report.json"
    write_catalogue(catalogue, 200, random.Random(1))
    write_sales(sales, catalogue, 300)
    running = demo("--catalogue", str(catalogue), "--sales", str(sales), "--labels", str(LABELS), "--seconds", "12",
                   "--outage", "4:5", "--report", str(report), "--port", str(free_port()), "--json",
                   temporary=temporary)
    output, errors = running.communicate(timeout=280)

    found = json.loads(report.read_text())
    assert found["violations"] == []
    assert running.returncode == 0, errors
    assert json.loads(output) == found, "--json prints the report and nothing else"
    for part, keys in REPORT_KEYS.items():
        assert set(found[part] if part else found) == keys
    assert all(count > 0 for count in found["checked"].values()), found["checked"]
    assert (found["items"], found["seconds"], found["outage_s"]) == (200, 12, 5)
    assert found["labels"]["adopted"] == found["labels"]["shown"] == LABELS
    assert found["labels"]["proofs"] > LABELS, "prices changed while it ran"
    assert found["ledger"]["store_head"] == found["ledger"]["hub_head"] > 0
    assert found["backlog"] == 0
    lines, orders = found["sale_lines"], found["orders"]
    assert lines["offered"] == lines["accepted"] + lines["duplicate"] + lines["exception"]
    assert min(lines["accepted"], lines["duplicate"], lines["exception"]) > 0
    assert orders["placed"] == orders["ready"] + orders["handed_over"] + orders["other"] > 0
    assert list(temporary.glob("trastienda-demo-*")) == [], "nothing is left behind"


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.xdist_group("whole store")
def test_ctrl_c_ends_the_endless_demo_and_leaves_nothing_running(temporary):
    running = demo("--labels", "4", "--port", str(free_port()), temporary=temporary)
    assert running.stdout is not None
    for line in running.stdout:
        if "orders" in line:  # the first line of state: everything is up
            break
    children = [int(pid) for pid in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()]
    running.send_signal(signal.SIGINT)
    output, errors = running.communicate(timeout=30)

    assert (running.returncode, errors) == (0, ""), output
    assert "Ended." in output
    assert len(children) == 2, "hub and daemon"
    until_s = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert list(temporary.glob("trastienda-demo-*")) == []


@pytest.mark.parametrize("text", ["", "20", "20:", ":15", "a:b", "20:0", "-1:5", "20:-5", "nan:5", "inf:5", "1:inf"])
def test_an_outage_that_is_none_is_told(text):
    with pytest.raises(ConfigurationError, match="START:LENGTH"):
        parse_outage(text)


def test_an_outage_is_read_in_seconds():
    assert parse_outage("20:15") == (20.0, 15.0)
    assert parse_outage("0:0.5") == (0.0, 0.5)
    assert parse_outage(None) is None


def options(**changed: object) -> DemoOptions:
    plain: dict[str, object] = {"catalogue": None, "sales": None, "labels": 1, "seconds": 10.0, "outage": None,
                                "report": None, "port": 0, "as_json": True}
    return DemoOptions(**(plain | changed))  # type: ignore[arg-type]  the test's own keywords


@pytest.mark.parametrize(("changed", "said"), [
    ({"catalogue": Path("/nowhere.csv")}, "/nowhere.csv: there is no such file"),
    ({"sales": Path(__file__)}, "--sales needs the --catalogue"),
    ({"report": Path("/nowhere/r.json")}, "there is no such folder"),
    ({"outage": (8.0, 5.0)}, "the outage ends after the demo"),
])
async def test_wrong_use_is_told_before_anything_is_started(changed, said):
    with pytest.raises(ConfigurationError, match=said):
        await run_demo(options(**changed))


async def test_a_port_in_use_is_told_before_anything_is_started():
    with (socket.create_server(("127.0.0.1", 0)) as taken,
          pytest.raises(ConfigurationError, match="is another demo running")):
        await run_demo(options(port=taken.getsockname()[1]))


@pytest.mark.timeout(180)
async def test_a_catalogue_with_a_bad_price_is_one_message_with_file_and_line(tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("sku,name,price\n1,Milk,0.99\n2,Bread,free\n")
    with pytest.raises(ConfigurationError, match=f"^{bad}:3: price 'free'"):
        await run_demo(options(catalogue=bad))
