"""The command: every one of them has --help and --json, and the right exit code; asked of a daemon that runs."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import trustme
from argon2 import PasswordHasher
from click.testing import CliRunner

from edge.cli import main
from tests.daemon.real_box import MILK, MILK_GTIN, RealBox
from tests.service import COMMAND, Service, free_port

COMMANDS = {(name,): command for name, command in main.commands.items() if not isinstance(command, click.Group)} | {
    (name, inner): command for name, group in main.commands.items() if isinstance(group, click.Group)
    for inner, command in group.commands.items()}
PIN = "246810"
HEADER = "sku,gtin,name,price"
MILK_ROW = f"{MILK},{MILK_GTIN},Milk,0.99"


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    returncode: int
    stdout: str
    stderr: str


def trastienda(*arguments: str | Path, typed: str = "", **environment: str) -> Done:
    """The command in this process, which saves a second each time; with nothing of ours in its environment.

    Not for commands that set up logs: those stay set up.
    """
    unset = dict.fromkeys((name for name in os.environ if name.startswith("TRASTIENDA")), None)
    result = CliRunner().invoke(main, [str(each) for each in arguments], input=typed, env={**unset, **environment},
                                prog_name="trastienda")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealBox]:
    """A store that sells milk."""
    directory = tmp_path_factory.mktemp("store")
    service = Service(directory)
    box = RealBox(directory, service)
    box.stock_milk()
    box.start()
    yield box
    assert service.stop() == 0
    service.close()


@pytest.mark.parametrize("name", sorted(COMMANDS), ids=" ".join)
def test_every_command_has_help_and_json(name: tuple[str, ...]) -> None:
    shown = trastienda(*name, "--help")

    assert shown.returncode == 0
    assert "--json" in shown.stdout
    assert (COMMANDS[name].help or "?") in " ".join(shown.stdout.split())
    assert all(isinstance(each, click.Option | click.Argument) for each in COMMANDS[name].params)


def test_the_installed_command_is_this_one() -> None:
    done = subprocess.run([COMMAND, "price", MILK, "--store", f"http://127.0.0.1:{free_port()}", "--token", "x"],
                          cwd="/", capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout) == (1, "")
    assert "is the daemon running" in done.stderr


def test_without_a_command_the_commands_are_shown() -> None:
    assert all(name in trastienda("--help").stdout for name, *_ in COMMANDS)
    assert trastienda("--version").stdout.startswith("trastienda, version ")


@pytest.mark.parametrize("arguments", [
    ("sell",), ("run",), ("price", MILK), ("status",), ("check", "--colour", "x.yaml"), ("hub", "--port", "99999"),
    ("price", MILK, "--token", "x", "--authority", "/absent.pem"), ("import", "x.csv", "--currency")])
def test_wrong_use_is_2_and_told_on_stderr(arguments: tuple[str, ...]) -> None:
    done = trastienda(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr


# --- price and status -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("code", [MILK, MILK_GTIN, f"0{MILK_GTIN}", f"https://id.gs1.org/01/0{MILK_GTIN}"])
def test_price_says_what_a_till_may_charge(store: RealBox, code: str) -> None:
    asked = ("price", code, "--store", store.url)

    plain = trastienda(*asked, TRASTIENDA_TOKEN="till 1")
    assert (plain.returncode, plain.stdout.strip()) == (0, "Milk: €0.99"), plain.stderr
    answer = json.loads(trastienda(*asked, "--json", "--token", "till 1").stdout)
    assert (answer["sku"], answer["charge_minor"], answer["currency"]) == (MILK, 99, "EUR")


@pytest.mark.parametrize(("code", "token", "exit_code", "says"), [
    ("4012345678901", "till 1", 1, "No item under this code"),
    ("what? 100%", "till 1", 1, "No item under this code: what? 100%"),
    (MILK, "stranger", 2, "Who is calling?"),
    (MILK, "monitor", 2, "monitor may not do this"),
])
def test_what_the_store_refuses_is_told_in_its_words(store: RealBox, code: str, token: str, exit_code: int,
                                                     says: str) -> None:
    done = trastienda("price", code, "--store", store.url, "--token", token)
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert says in done.stderr
    assert token not in done.stderr.replace("monitor may", "")

    error = json.loads(trastienda("price", code, "--store", store.url, "--token", token, "--json").stderr)
    assert says in error["error"]


def test_status_says_how_the_store_is(store: RealBox) -> None:
    plain = trastienda("status", "--store", store.url, "--token", "monitor")
    assert plain.returncode == 0, plain.stderr
    assert "Store 7 (Corner): line DOWN, 0 facts wait, 1 items" in plain.stdout
    assert "WARNING: No line to the hub" in plain.stdout

    answer = json.loads(trastienda("status", "--store", store.url, "--token", "monitor", "--json").stdout)
    assert (answer["store"], answer["items"], answer["link_up"]) == ("7", 1, False)


def test_a_daemon_that_is_not_there_is_1_and_a_question_back(tmp_path: Path) -> None:
    done = trastienda("status", "--store", f"http://127.0.0.1:{free_port()}", "--token", "monitor")

    assert done.returncode == 1
    assert "Connection refused: is the daemon running, and is this its address?" in done.stderr


def test_a_store_with_a_certificate_of_its_own_authority_is_asked_too(box: RealBox) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    path = box.directory / "listener.pem"
    path.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    authority.cert_pem.write_to_path(str(box.directory / "authority.pem"))
    box.secrets["TRASTIENDA_LISTENER_KEY"] = certificate.private_key_pem.bytes().decode()
    box.listener = f"{{host: 127.0.0.1, port: {box.port}, certificate: {path}, key: !credential listener-key}}"
    box.stock_milk()
    box.start()
    asked = ("price", MILK, "--store", f"https://127.0.0.1:{box.port}", "--token", "till 1")

    assert trastienda(*asked, "--authority", box.directory / "authority.pem").stdout.strip() == "Milk: €0.99"
    doubted = trastienda(*asked)
    assert doubted.returncode == 1
    assert "CERTIFICATE_VERIFY_FAILED" in doubted.stderr
    assert box.service.stop() == 0


# --- check, pin, import -----------------------------------------------------------------------------------------------

def test_check_says_good_or_every_mistake_and_changes_nothing(box: RealBox) -> None:
    good = trastienda("check", box.write(), **box.secrets)
    assert (good.returncode, good.stderr) == (0, "")
    assert "good. Store 7 (Corner), 0 base stations, 1 tills." in good.stdout
    assert json.loads(trastienda("check", box.config, "--json", **box.secrets).stdout) == {
        "config": str(box.config), "store": "7", "ok": True}

    box.more = "colour: red\ngrace_s: 5\n"
    bad = trastienda("check", box.write(), **box.secrets)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert len(bad.stderr.splitlines()) == 2
    assert ":12:1: colour" in bad.stderr
    assert ":13:1: grace_s" in bad.stderr
    assert "colour" in json.loads(trastienda("check", box.config, "--json", **box.secrets).stderr)["error"]
    assert box.files() == {}


def test_a_pin_is_hashed_and_never_shown() -> None:
    asked = trastienda("pin", typed=f"{PIN}\n{PIN}\n")
    assert asked.returncode == 0, asked.stderr
    assert PIN not in asked.stdout + asked.stderr
    assert PasswordHasher().verify(asked.stdout.splitlines()[-1], PIN)

    given = trastienda("pin", "--json", "--pin", PIN)
    assert PasswordHasher().verify(json.loads(given.stdout)["hash"], PIN)


@pytest.mark.parametrize("pin", ["12345", "abcdef", "12 34 56", ""])
def test_a_pin_that_is_none_is_2(pin: str) -> None:
    done = trastienda("pin", "--pin", pin)

    assert (done.returncode, done.stdout) == (2, "")
    assert "at least 6 digits" in done.stderr


def test_import_is_all_of_the_file_and_says_what_changed(tmp_path: Path) -> None:
    database, file = f"sqlite:///{tmp_path / 'hub.db'}", tmp_path / "catalogue.csv"
    file.write_text(f"{HEADER}\n{MILK_ROW}\n1002,,Bread,1.89\n")

    plain = trastienda("import", file, "--database", database)
    assert plain.returncode == 0, plain.stderr
    assert "2 rows. Items: 2 changed, 0 as before. Prices: 2 changed, 0 as before." in plain.stdout
    answer = json.loads(trastienda("import", file, "--database", database, "--json").stdout)
    assert (answer["rows"], answer["items_changed"], answer["items_unchanged"]) == (2, 0, 2)


@pytest.mark.parametrize(("row", "says"), [
    ("1002,,Bread,1;89", ":4: price '1;89' is not a decimal number"),
    ("1002,,Bread,", ":4: price is empty"),
    (MILK_ROW, f":4: sku '{MILK}' stands already on line 2"),
])
def test_a_catalogue_with_a_bad_price_or_a_sku_twice_is_2_and_nothing_of_it_is_imported(tmp_path: Path, row: str,
                                                                                       says: str) -> None:
    database, file = f"sqlite:///{tmp_path / 'hub.db'}", tmp_path / "catalogue.csv"
    file.write_text(f"{HEADER}\n{MILK_ROW}\n1003,,Eggs,2.40\n{row}\n")

    done = trastienda("import", file, "--database", database)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"trastienda: {file}{says}" in done.stderr
    assert len(done.stderr.splitlines()) == 1

    file.write_text(f"{HEADER}\n{MILK_ROW}\n")
    assert json.loads(trastienda("import", file, "--database", database, "--json").stdout)["items_changed"] == 1
