"""Bad input, each with one clear message and the right exit code or answer, and nothing else harmed."""

import json
import os
import socket
from collections.abc import Callable

import httpx
import pytest

from edge.db.books import derive_key
from edge.db.connection import Connection, connect
from tests.daemon.real_box import MILK, RealBox, sale, sale_path

AS_ONE_OF_MANY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
"""Takes from root what lets it write everywhere."""


def said(box: RealBox) -> str:
    """What was said of the failure: the log's lines that are not structured, without a traceback."""
    assert "Traceback" not in box.service.log
    return "\n".join(line for line in box.service.log.splitlines() if not line.startswith("{"))


# --- at the start -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("change", "says"), [
    ({"more": "grace_s: 5\n"}, "store.yaml:12:1: grace_s: belongs to the policy feed: set it at the hub"),
    ({"more": "hours: []\n"}, "store.yaml:12:1: hours: belongs to the policy feed"),
    ({"more": "colour: red\n"}, "store.yaml:12:1: colour: is not a known key"),
    ({"tills": '{id: 1, token: !credential till-1}'}, 'store.yaml:10:14: tills[0].id: must be text, 1 is a number; '
     'write it in quotes: "1"'),
    ({"tills": '{id: "1", token: swordfish}'}, "store.yaml:10:26: tills[0].token: is a secret"),
    ({"more": "state_directory: /elsewhere\n"}, "store.yaml:12:1: state_directory: stands twice, first in line 2"),
])
def test_a_mistake_in_the_settings_is_told_with_file_and_line(box: RealBox, change: dict[str, str],
                                                              says: str) -> None:
    for name, value in change.items():
        setattr(box, name, value)

    assert box.exit_code() == 2
    assert says in said(box)
    assert len(said(box).splitlines()) == 1
    assert box.files() == {}


def test_settings_that_are_not_there_are_told(box: RealBox) -> None:
    box.service.start("run", box.directory / "absent.yaml")

    assert box.service.ends() == 2
    assert "absent.yaml: cannot be read: No such file or directory" in said(box)


def test_a_port_in_use_is_told_and_the_books_stay_closed(box: RealBox) -> None:
    with socket.create_server(("127.0.0.1", box.port)):
        assert box.exit_code() == 2

    assert said(box) == (f"trastienda: 127.0.0.1 port {box.port}: Address already in use: "
                         "is another program listening there?")
    assert box.files() == {}


def test_a_second_daemon_on_the_same_settings_harms_nothing(box: RealBox) -> None:
    box.stock_milk()
    box.start()
    first = box.service.process
    assert box.exit_code() == 2
    box.service.process = first
    assert box.put_sale(1).status_code == httpx.codes.CREATED
    assert box.service.stop() == 0


def test_a_wrong_database_key_is_told_and_the_files_are_unharmed(box: RealBox) -> None:
    box.stock_milk()
    box.start()
    assert box.put_sale(1).status_code == httpx.codes.CREATED
    assert box.service.stop() == 0
    before, right = box.files(), dict(box.secrets)

    box.secrets["TRASTIENDA_DATABASE_KEY"] = "another key"
    assert box.exit_code() == 2
    assert "ledger.db: the database key does not open this file" in said(box)
    assert "restore a backup" in said(box)
    assert box.files() == before

    box.secrets = right
    box.start()
    assert box.put_sale(1).status_code == httpx.codes.CREATED
    assert box.service.stop() == 0
    assert len(box.ledger_rows("SELECT * FROM entry")) == 1


def test_another_stores_ledger_is_told_and_left_alone(box: RealBox) -> None:
    box.start()
    assert box.service.stop() == 0
    before = box.ledger_rows("SELECT * FROM meta WHERE key <> 'clock'")

    box.store = box.store.replace('"7"', '"8"')
    assert box.exit_code() == 2
    assert "ledger.db belongs to store 7, the configuration names store 8" in said(box)
    assert box.ledger_rows("SELECT * FROM meta WHERE key <> 'clock'") == before


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_a_missing_credential_is_told_with_the_key_that_names_it(box: RealBox, value: str | None) -> None:
    if value is None:
        del box.secrets["TRASTIENDA_TILL_1"]
    else:
        box.secrets["TRASTIENDA_TILL_1"] = value

    assert box.exit_code() == 2
    assert "credential till-1 is missing or empty" in said(box)
    assert "TRASTIENDA_TILL_1" in said(box)


def test_two_tills_that_could_not_be_told_apart_are_refused(box: RealBox) -> None:
    box.tills += ', {id: "2", token: !credential till-2}'
    box.secrets["TRASTIENDA_TILL_1"] = box.secrets["TRASTIENDA_TILL_2"] = "swordfish"

    assert box.exit_code() == 2
    assert "credential till-2 of till 2 is the token of till 1 too" in said(box)
    assert "swordfish" not in box.service.log


@pytest.mark.parametrize("directory", ["/proc/trastienda", "/dev/null/state"])
def test_a_state_directory_that_cannot_be_made_is_told(box: RealBox, directory: str) -> None:
    box.write()
    box.config.write_text(box.config.read_text().replace(str(box.state), directory))
    box.service.start("run", box.config, **box.secrets)

    assert box.service.ends() == 2
    assert f"trastienda: {directory}: cannot be used as state directory: " in said(box)


def test_a_state_directory_that_may_not_be_written_is_told(box: RealBox) -> None:
    box.stock_milk()
    box.state.chmod(0o555)
    before = box.files()

    assert box.exit_code(prefix=AS_ONE_OF_MANY if os.geteuid() == 0 else ()) == 2
    assert f"trastienda: {box.state}: cannot be used as state directory: this user may not write there" in said(box)
    assert box.files() == before


# --- damage -----------------------------------------------------------------------------------------------------------

def damage(box: RealBox, table: str) -> None:
    """One page of the table is rubbish, as after a dying flash cell."""
    path = box.state / "ledger.db"
    connection = _ledger(box)
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    size = int(connection.execute("PRAGMA page_size").fetchone()[0])
    connection.close()
    content = bytearray(path.read_bytes())
    content[(root - 1) * size:root * size] = os.urandom(size)
    path.write_bytes(content)


def _ledger(box: RealBox) -> Connection:
    key = derive_key(box.secrets["TRASTIENDA_DATABASE_KEY"], "ledger.db")
    return connect(box.state / "ledger.db", key, synchronous="FULL")


def _cut_short(box: RealBox) -> None:
    path = box.state / "ledger.db"
    path.write_bytes(path.read_bytes()[:-8192])


def _first_page(box: RealBox) -> None:
    path = box.state / "ledger.db"
    path.write_bytes(os.urandom(4096) + path.read_bytes()[4096:])


@pytest.mark.parametrize(("spoil", "exit_code"), [
    (lambda box: damage(box, "entry"), 1), (lambda box: damage(box, "fact"), 1), (_cut_short, 1), (_first_page, 2),
], ids=["entries", "facts", "cut short", "first page"])
def test_p1_a_damaged_ledger_is_told_and_nothing_is_written_over_it(box: RealBox, spoil: Callable[[RealBox], None],
                                                                    exit_code: int) -> None:
    box.stock_milk()
    box.start()
    for sequence in range(40):
        assert box.put_sale(sequence).status_code == httpx.codes.CREATED
    assert box.service.stop() == 0
    spoil(box)
    before = box.files()["ledger.db"]

    assert box.exit_code() == exit_code
    assert "ledger.db" in said(box)
    assert "restore a backup" in said(box)
    assert box.files()["ledger.db"] == before


def test_a_damaged_replica_is_set_aside_and_the_store_sells_on(box: RealBox) -> None:
    box.stock_milk()
    box.start()
    assert box.put_sale(1).status_code == httpx.codes.CREATED
    assert box.service.stop() == 0
    (box.state / "replica.db").write_bytes(os.urandom(20_000))

    box.start()
    assert box.service.says("replica.db cannot be used")
    assert box.put_sale(2).status_code == httpx.codes.CREATED
    assert box.service.stop() == 0
    assert "replica.damaged.db" in box.files()


# --- tills ------------------------------------------------------------------------------------------------------------

LINE = {"line": 1, "sku": MILK, "quantity_milli": 1000, "amount_minor": 99}


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"type": "sale"}', b'{"type":' * 100, b"[" * 100_000,
    sale(type="gift"), sale(colour="red"), sale(total_minor="99"), sale(total_minor=1.5), sale(total_minor=10**30),
    sale(currency=None), sale(occurred_at="yesterday"), sale(lines={}), sale(lines=[{**LINE, "line": None}]),
    sale(lines=[{**LINE, "quantity_milli": 2**70}]), sale(lines=[{**LINE, "amount_minor": True}]),
    sale(lines=[{**LINE, "surprise": 1}]), sale(lines=[LINE] * 2001), sale(operator="\ud800").replace(b"\\\\", b"\\"),
], ids=lambda body: repr(body[:40]))
def test_a_malformed_transaction_is_a_problem_and_the_next_one_is_fine(running_box: RealBox, body: bytes) -> None:
    till = running_box.connection()
    headers = {"Authorization": "Bearer till 1", "Content-Type": "application/json"}
    till.request("PUT", sale_path(1), body=body, headers=headers)
    answer = till.getresponse()
    problem = json.loads(answer.read())

    assert answer.status == 400, problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["recorded"]) == (400, False)
    assert problem["type"] == "urn:trastienda:problem:malformed"
    assert problem["title"]

    till.request("PUT", sale_path(1), body=sale(), headers=headers)
    assert till.getresponse().status == httpx.codes.CREATED


@pytest.mark.parametrize("path", [
    "/v1/transactions/1/yesterday/1", "/v1/transactions/1/20261123/1", "/v1/transactions/1/2026-11-31/1",
    "/v1/transactions/1/2026-11-23/one", "/v1/transactions/1/2026-11-23/-1",
    "/v1/transactions/1/2026-11-23/99999999999", "/v1/transactions/1/2026-11-23/%D9%A3"])
def test_a_malformed_address_is_a_problem(running_box: RealBox, path: str) -> None:
    answer = httpx.put(f"{running_box.url}{path}", content=sale(), headers={"Authorization": "Bearer till 1"})

    assert answer.status_code == 400, answer.text
    assert answer.json()["recorded"] is False


def test_a_body_without_end_is_refused_unread(running_box: RealBox) -> None:
    answer = httpx.put(f"{running_box.url}{sale_path(1)}", content=b" " * 2_000_000,
                       headers={"Authorization": "Bearer till 1"})

    assert answer.status_code == 413
    assert answer.json()["recorded"] is False


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/", "/v1", "/v1/lookup", "/v1/transactions/1", "/%00", "/v1/lookup/%00",
                                  "/v1/lookup/" + "9" * 5000])
def test_whatever_is_asked_is_answered_and_is_never_the_stores_mistake(running_box: RealBox, method: str,
                                                                       path: str) -> None:
    answer = httpx.request(method, f"{running_box.url}{path}", headers={"Authorization": "Bearer till 1"})

    assert 300 <= answer.status_code < 500
    assert "bug" not in answer.text


@pytest.fixture(scope="module")
def running_box(tmp_path_factory: pytest.TempPathFactory):
    from tests.service import Service

    directory = tmp_path_factory.mktemp("box")
    service = Service(directory)
    box = RealBox(directory, service)
    box.stock_milk()
    box.start()
    yield box
    assert service.stop() == 0
    assert not box.service.events("a request failed")
    service.close()
