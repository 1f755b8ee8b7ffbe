"""The hub as a process: start, credentials, TLS, a clean end; and `import` as the command calls it."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import msgspec
import pytest
import trustme

from cloud_sync.hub import main
from cloud_sync.hub.catalogue_file import ImportOptions
from cloud_sync.hub.credentials import HUB_KEY, OPERATOR_TOKEN, find_credential, load_credentials
from cloud_sync.hub.errors import AlreadyRunning, ConfigurationError
from cloud_sync.hub.main import HubOptions, HubRunning, import_file, serve
from tests.hub.virtual_time import run_virtually
from tests.hub.world import HubWorld, Ledger

PROCESS = """
import sys
from cloud_sync.hub.main import HubOptions, run_hub
run_hub(HubOptions(database=sys.argv[1], port=0), lambda running: print(running.url, flush=True))
print("ended", flush=True)
"""


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (HUB_KEY, OPERATOR_TOKEN, "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.csv"
    path.write_text("sku,name,price\n1,Milk,0.99\n")
    return path


def minted_token(database_url: str) -> str:
    lines = Path(f"{database_url.removeprefix('sqlite:///')}.credentials").read_text().splitlines()
    return dict(line.split("=") for line in lines)[OPERATOR_TOKEN]


async def test_one_person_tries_it_and_stops_it(sqlite_url: str, catalogue: Path, monkeypatch: pytest.MonkeyPatch):
    started: asyncio.Future[HubRunning] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(HubOptions(sqlite_url, port=0, signals=False), started.set_result))
    running = await started
    assert running.credentials_file == f"{sqlite_url.removeprefix('sqlite:///')}.credentials"
    monkeypatch.setenv(OPERATOR_TOKEN, minted_token(sqlite_url))
    result = await asyncio.to_thread(import_file, catalogue, ImportOptions(), hub=running.url)
    assert result.items_changed == 1
    with pytest.raises(AlreadyRunning, match="import through it with --hub"):
        import_file(catalogue, ImportOptions(), database=sqlite_url)
    async with httpx.AsyncClient(base_url=running.url) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        token = (await client.put("/v1/stores/s", headers={"Authorization": f"Bearer {os.environ[OPERATOR_TOKEN]}"})
                 ).json()["token"]
        poll = asyncio.create_task(client.get("/v1/stores/s/feeds/policy?wait_s=50", timeout=60,
                                              headers={"Authorization": f"Bearer {token}"}))
        await asyncio.sleep(0.2)
        began_s = time.monotonic()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert (await poll).status_code == 200
    assert time.monotonic() - began_s < main.SHUTDOWN_TIMEOUT_S
    assert import_file(catalogue, ImportOptions(), database=sqlite_url).items_unchanged == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_cleanly(sqlite_url: str, number: signal.Signals):
    environment = {**os.environ, "PYTHONPATH": "."}
    with subprocess.Popen([sys.executable, "-c", PROCESS, sqlite_url], env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        url = next(line for line in process.stdout if line.startswith("http")).strip()
        assert httpx.get(f"{url}/healthz").status_code == 200
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output.splitlines()[-1]) == (0, "ended"), errors
    assert not Path(f"{sqlite_url.removeprefix('sqlite:///')}-wal").exists()


def test_p1_what_was_acknowledged_survives_a_kill(sqlite_url: str):
    environment = {**os.environ, "PYTHONPATH": "."}
    ledger = Ledger("s", 1)
    for _ in range(400):
        ledger.sells("milk")
    token, acked = "", 0
    for round_number in range(3):
        with subprocess.Popen([sys.executable, "-c", PROCESS, sqlite_url], env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout
            url = next(line for line in process.stdout if line.startswith("http")).strip()
            operator = {"Authorization": f"Bearer {minted_token(sqlite_url)}"}
            token = token or httpx.put(f"{url}/v1/stores/s", headers=operator).json()["token"]
            status = httpx.get(f"{url}/v1/stores/s/status", headers=operator).json()
            assert status["entries"] == status["transactions"] == acked
            with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as store:
                for _ in range(10 + round_number):
                    body = msgspec.json.encode(ledger.push(acked + 1, acked + 7))
                    acked = store.post("/v1/stores/s/ledger", content=body).json()["acked_sequence"]
            process.kill()
    assert acked == 33 * 7


async def test_tls_with_a_certificate_of_ones_own(sqlite_url: str, tmp_path: Path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    options = HubOptions(sqlite_url, port=0, signals=False, tls_certificate=tmp_path / "certificate.pem",
                         tls_key=tmp_path / "key.pem")
    started: asyncio.Future[HubRunning] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(options, started.set_result))
    running = await started
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    async with httpx.AsyncClient(base_url=running.url, verify=trust) as client:
        assert running.url.startswith("https://")
        assert (await client.get("/healthz")).status_code == 200
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.parametrize(("options", "says"), [
    (HubOptions(host="0.0.0.0"), "--insecure-lan"), (HubOptions(host="hub.example"), "reachable from outside"),
    (HubOptions(host="::"), "reachable from outside"),
    (HubOptions(tls_key=Path("k")), "both a certificate and its key"),
    (HubOptions(tls_key=Path("k"), tls_certificate=Path("c")), "c: there is no such file"),
    (HubOptions("mysql://x/y"), "postgresql://"),
])
async def test_a_hub_that_would_leak_or_cannot_start_says_so(options: HubOptions, says: str):
    with pytest.raises(ConfigurationError, match=says):
        await serve(options)


@pytest.mark.parametrize("options", [HubOptions(host="127.0.0.1"), HubOptions(host="::1"), HubOptions(host="localhost"),
                                     HubOptions(host="0.0.0.0", insecure_lan=True)])
def test_loopback_needs_no_tls(options: HubOptions):
    main.check_options(options)


async def test_a_port_that_is_taken_is_told(sqlite_url: str):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError, match="another hub"):
        await serve(HubOptions(sqlite_url, port=taken.getsockname()[1], signals=False))


async def test_the_hub_runs_on_postgresql_with_given_credentials(postgres, monkeypatch: pytest.MonkeyPatch):
    url = postgres.new_database()
    with pytest.raises(ConfigurationError, match=f"{HUB_KEY} and {OPERATOR_TOKEN} not given"):
        await serve(HubOptions(url, port=0, signals=False))
    monkeypatch.setenv(HUB_KEY, "k" * 64)
    monkeypatch.setenv(OPERATOR_TOKEN, "t" * 32)
    hubs = []
    for _ in range(2):  # stateless processes share one database
        started: asyncio.Future[HubRunning] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(HubOptions(url, port=0, signals=False), started.set_result))
        hubs.append((serving, (await started).url))
    operator = {"Authorization": f"Bearer {'t' * 32}"}
    async with httpx.AsyncClient(headers=operator) as client:
        registered = await client.put(f"{hubs[0][1]}/v1/stores/s")
        store = {"Authorization": f"Bearer {registered.json()['token']}"}
        await client.put(f"{hubs[0][1]}/v1/catalogue/items", json=[{"sku": "milk", "name": "Milk"}])
        page = await client.get(f"{hubs[1][1]}/v1/stores/s/feeds/items", headers=store)
    assert '"key":"milk"' in page.text
    for serving, _ in hubs:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def test_credentials_are_minted_once_and_for_the_owners_eyes(sqlite_url: str):
    first = load_credentials(sqlite_url, {}, os.urandom)
    again = load_credentials(sqlite_url, {}, os.urandom)
    assert first.minted_into
    assert first.minted_into.stat().st_mode & 0o777 == 0o600
    assert again.minted_into is None
    assert again.operator_token == first.operator_token
    assert again.hub_key.derive("x") == first.hub_key.derive("x")
    assert first.operator_token not in repr(first)


def test_credentials_come_from_systemd_before_the_environment(tmp_path: Path, sqlite_url: str):
    (tmp_path / OPERATOR_TOKEN).write_text("from systemd, long enough\n")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path), OPERATOR_TOKEN: "from the environment", HUB_KEY: "k" * 40}
    assert find_credential(OPERATOR_TOKEN, environment) == "from systemd, long enough"
    credentials = load_credentials(sqlite_url, environment, os.urandom)
    assert (credentials.operator_token, credentials.minted_into) == ("from systemd, long enough", None)
    with pytest.raises(ConfigurationError, match="fewer than 16"):
        load_credentials(sqlite_url, {OPERATOR_TOKEN: "short", HUB_KEY: "k" * 40}, os.urandom)


def test_an_import_without_a_token_says_where_to_find_it(catalogue: Path):
    with pytest.raises(ConfigurationError, match=r"\.credentials file"):
        import_file(catalogue, ImportOptions(), hub="http://127.0.0.1:1")


def test_people_are_erased_by_the_running_hub_even_after_an_error(sqlite_url: str):
    calls = []

    async def run(function, *arguments):
        calls.append(function.__name__)
        if len(calls) == 1:
            raise OSError("database away")
        return function(*arguments)

    async def scene() -> None:
        hub = HubWorld(sqlite_url)
        task = asyncio.create_task(main._erase_people(hub.storage, run))
        await asyncio.sleep(2.5 * main.ERASE_EVERY_S)
        task.cancel()
        hub.stop()

    run_virtually(scene())
    assert calls == ["erase_due_people"] * 3
