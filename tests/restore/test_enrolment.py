"""Enrolment by one-time code: once, in time, for one store; the newest speaks; the secret never travels."""

import hashlib
import json
import stat
from pathlib import Path

import httpx
import msgspec
import pytest
from click.testing import CliRunner

from cloud_sync.contract.rebase import Enrol, Enrolled
from cloud_sync.hub.stores import Registration
from edge.cli import main
from edge.credentials import Credentials
from edge.enrolment import CREDENTIAL_FILE, enrol, hub_credential
from edge.errors import ConfigurationError, Rejected
from edge.settings import load
from tests.hub.world import HubWorld
from tests.restore.test_backup import settings_in
from tests.restore.world import STORE, Town


async def test_a_code_is_traded_once_and_the_same_box_may_ask_again_for_the_answer_it_lost(any_town: Town):
    town = any_town
    code = await town.makes_code()
    first = await town.trades(code, "token a")
    assert (first.enrolment, first.epoch) == (2, 2)
    assert await town.trades(code.lower().replace("-", " "), "token a") == first
    refused = await town.asks_to_enrol(code, "token b")
    assert (refused.status_code, "used before" in refused.text) == (403, True)
    assert (await town.hub.client("token b").get(f"/v1/stores/{STORE}/status")).status_code == 401
    assert (await town.hub.client("token a").get(f"/v1/stores/{STORE}/status")).status_code == 200


async def test_a_code_ends_in_time(town: Town):
    code = await town.makes_code(valid_s=60)
    town.hub.now_ms += 60_000
    refused = await town.asks_to_enrol(code, "token")
    assert (refused.status_code, "too old" in refused.text) == (403, True)
    for seconds in (0, 31 * 86_400):
        answer = await town.hub.operator.post(f"/v1/stores/{STORE}/enrolment-codes", json={"valid_s": seconds})
        assert answer.status_code == 422


async def test_a_code_is_for_one_store_and_stands_nowhere_in_clear(town: Town):
    await town.hub.operator.put("/v1/stores/other", json={})
    code = await town.makes_code()
    assert (await town.asks_to_enrol(code, "token", "other")).status_code == 403
    assert (await town.asks_to_enrol(code, "token", "nowhere")).status_code == 403
    assert (await town.asks_to_enrol("ABCD-EFGH-JKLM-NPQR-STUV", "token")).status_code == 403
    with town.hub.storage.database.transaction() as connection:
        rows = connection.exec_driver_sql("SELECT code_hash FROM enrolment_code").fetchall()
    plain = code.replace("-", "")
    assert [row[0] for row in rows] == [hashlib.sha256(plain.encode()).hexdigest()]
    assert (await town.hub.operator.post("/v1/stores/nowhere/enrolment-codes")).status_code == 404


async def test_p11_a_box_that_was_replaced_gets_no_orders_and_writes_nothing_and_still_gets_prices(town: Town):
    old = town.hub.client(town.box.token)
    await town.enrols("new box")
    assert (await old.get(f"/v1/stores/{STORE}/feeds/orders")).status_code == 403
    assert (await old.get(f"/v1/stores/{STORE}/feeds/prices")).status_code == 200
    assert (await old.get(f"/v1/stores/{STORE}/history?before_epoch=9")).status_code == 409


async def test_a_token_renewed_by_hand_leaves_the_box_in_its_epoch(town: Town):
    await town.box.sells(1)
    await town.box.settles()
    fresh = await town.hub.operator.put(f"/v1/stores/{STORE}", json={"fresh_token": True})
    town.box.token = fresh.json()["token"]
    await town.box.restarts()
    await town.box.sells(2)
    await town.agree(town.box)
    assert town.box.epoch_now == 1


def test_the_hubs_commands_make_a_code_and_renew_a_restored_database(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRASTIENDA_HUB_KEY", "0123456789abcdef" * 4)
    monkeypatch.setenv("TRASTIENDA_HUB_OPERATOR_TOKEN", "an operator's token of some length")
    url = f"sqlite:///{tmp_path / 'hub.db'}"
    hub = HubWorld(url)
    hub.storage.stores.register("7", Registration())
    before = hub.storage.database.hub_epoch()
    hub.stop()
    run = CliRunner().invoke
    assert run(main, ["hub-enrolment", "8", "--database", url]).exit_code == 1
    made = json.loads(run(main, ["hub-enrolment", "7", "--database", url, "--json"]).output)
    epoch = json.loads(run(main, ["hub-restored", "--database", url, "--json"]).output)["hub_epoch"]
    hub.start()
    assert epoch == hub.storage.database.hub_epoch() != before
    assert hub.storage.enrolments.trade(Enrol("7", made["code"], "0" * 64)) == Enrolled("7", 2, 1)
    hub.stop()


def test_enroll_keeps_the_credential_for_its_owner_alone_and_the_same_token_until_the_hub_answered(tmp_path: Path):
    settings = load(settings_in(tmp_path, ""))
    with pytest.raises(ConfigurationError, match="not enrolled"):
        hub_credential(settings, Credentials({}))
    hashes: list[str] = []

    def line_is_down(_code: str, token_hash: str) -> Enrolled:
        hashes.append(token_hash)
        raise ConnectionError("no line")

    for code in ("A", "A", "B"):
        with pytest.raises(ConnectionError):
            enrol(settings, code, line_is_down)
    assert hashes[0] == hashes[1] != hashes[2]

    done = enrol(settings, "B", lambda _code, token_hash: Enrolled("7", 3, 2))
    assert hashlib.sha256(done.token.encode()).hexdigest() == hashes[2]
    path = tmp_path / "state" / CREDENTIAL_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [CREDENTIAL_FILE]
    assert hub_credential(settings, Credentials({})) == done
    assert done.token not in repr(done)
    assert "code" not in repr(Enrol("7", "code", "hash"))


def test_a_credential_named_in_the_settings_counts_and_enroll_refuses_to_make_another(tmp_path: Path):
    path = settings_in(tmp_path, "")
    path.write_text(path.read_text().replace(':9"}', ':9", token: !credential hub-token}'))
    settings = load(path)
    assert hub_credential(settings, Credentials({"TRASTIENDA_HUB_TOKEN": "by hand"})).token == "by hand"
    with pytest.raises(ConfigurationError, match=r"hub\.token"):
        enrol(settings, "code", lambda _code, _hash: Enrolled("7", 1, 1))


def test_what_a_hub_says_to_a_bad_code_is_told_and_a_foreign_credential_is_refused(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from edge.enrolment import hub_trade

    settings = load(settings_in(tmp_path, ""))

    def answer(status: int, body: object) -> None:
        monkeypatch.setattr(httpx, "post", lambda *_a, **_k: httpx.Response(status, content=json.dumps(body).encode()))

    answer(403, {"detail": "this code was used before"})
    with pytest.raises(Rejected, match="used before"):
        enrol(settings, "code", hub_trade(settings))
    answer(502, {"odd": 1})
    with pytest.raises(ConnectionError):
        enrol(settings, "code", hub_trade(settings))
    answer(200, msgspec.to_builtins(Enrolled("7", 1, 1)))
    enrol(settings, "code", hub_trade(settings))
    (tmp_path / "store.yaml").write_text((tmp_path / "store.yaml").read_text().replace('id: "7"', 'id: "8"'))
    with pytest.raises(ConfigurationError, match="enrolled as store 7"):
        hub_credential(load(tmp_path / "store.yaml"), Credentials({}))
