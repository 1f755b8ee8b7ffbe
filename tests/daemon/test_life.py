"""The life of a real daemon: it starts, is asked, reloads, and leaves without losing what it acknowledged."""

import asyncio
import json
import signal
import socket
import time

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge.clock import ClockStamp, SystemClock
from edge.domain.transaction import fact_key
from tests.daemon.real_box import DAY, MILK, MILK_GTIN, RealBox, sale, sale_path

TILLS_AT_ONCE = 8
ANSWERED_MIN = 150


async def sell_until_it_is_gone(box: RealBox, answered: dict[int, bytes], first: int) -> None:
    """One till with a connection of its own: every 201 is written down."""
    async with httpx.AsyncClient(base_url=box.url, headers={"Authorization": "Bearer till 1"}) as client:
        for sequence in range(first, 1_000_000, TILLS_AT_ONCE):
            try:
                answer = await client.put(sale_path(sequence), content=sale())
            except httpx.TransportError:
                return
            if answer.status_code == httpx.codes.CREATED:
                answered[sequence] = answer.content
            else:
                assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
                assert answer.json()["recorded"] is False
                return


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_p1_what_was_acknowledged_before_a_stop_is_there_afterwards_and_a_repeat_gets_the_same_answer(
        box: RealBox, number: signal.Signals) -> None:
    box.stock_milk()
    box.start()
    answered: dict[int, bytes] = {}
    tills = [asyncio.create_task(sell_until_it_is_gone(box, answered, first)) for first in range(TILLS_AT_ONCE)]
    while len(answered) < ANSWERED_MIN and not any(till.done() for till in tills):  # noqa: ASYNC110 - tills count
        await asyncio.sleep(0.01)
    box.service.signal(number)
    await asyncio.gather(*tills)
    assert await asyncio.to_thread(box.service.ends) == (0 if number != signal.SIGKILL else -signal.SIGKILL)
    assert len(answered) >= ANSWERED_MIN

    kept = {str(key) for (key,) in box.ledger_rows("SELECT fact_key FROM entry WHERE kind = 'transaction'")}
    assert {fact_key("1", DAY, sequence) for sequence in answered} <= kept
    assert len(kept) <= len(answered) + TILLS_AT_ONCE, "at most what was on its way"

    box.start()
    for sequence in [*answered][:3] + [*answered][-3:]:
        assert box.put_sale(sequence).content == answered[sequence]
    assert box.service.stop() == 0


def test_a_clean_stop_leaves_closed_books_and_the_clock_stamped(box: RealBox) -> None:
    box.stock_milk()
    box.start()
    assert box.put_sale(1).status_code == httpx.codes.CREATED
    assert box.service.stop() == 0

    assert sorted(box.files()) == ["ledger.db", "replica.db"], "no write-ahead log is left"
    clock = SystemClock()
    ((stamped,),) = box.ledger_rows("SELECT value FROM meta WHERE key = 'clock'")
    stamp = ClockStamp(**json.loads(str(stamped)))
    assert stamp.boot_id == clock.boot_id
    assert clock.boot_ms() - 5_000 < stamp.boot_ms <= clock.boot_ms()
    box.service.says("store closed")


def test_a_till_keeps_its_connection_over_a_reload_that_changes_nothing(box: RealBox) -> None:
    box.stock_milk()
    box.start()
    till = box.connection()
    till.request("GET", f"/v1/lookup/{MILK}", headers={"Authorization": "Bearer till 1"})
    assert till.getresponse().read()
    socket_before = till.sock

    box.service.signal(signal.SIGHUP)
    box.service.says("reload: nothing changed")

    till.request("GET", f"/v1/lookup/{MILK_GTIN}", headers={"Authorization": "Bearer till 1"})
    assert till.getresponse().status == 200
    assert till.sock is socket_before
    assert box.service.stop() == 0


def test_a_reload_takes_over_a_till_refuses_a_bad_file_and_says_what_needs_a_restart(box: RealBox) -> None:
    box.stock_milk()
    box.start()
    assert box.get(f"/v1/lookup/{MILK}", "till 2").status_code == httpx.codes.UNAUTHORIZED

    box.tills += ', {id: "2", token: !credential till-2}'
    box.write()
    box.service.signal(signal.SIGHUP)
    assert box.service.says("reloaded")["changed"] == ["tills[2]"]
    assert box.get(f"/v1/lookup/{MILK}", "till 2").status_code == httpx.codes.OK

    box.tills, good = '{id: "2", tokn: !credential till-2}', box.tills
    box.write()
    box.service.signal(signal.SIGHUP)
    assert "did you mean token?" in str(box.service.says("reload refused")["problems"])
    box.service.hears("STATUS=the new settings were refused, see the journal")
    assert box.get(f"/v1/lookup/{MILK}", "till 1").status_code == httpx.codes.OK

    box.tills, box.store = good, box.store.replace("Corner", "Corner shop")
    box.write()
    box.service.signal(signal.SIGHUP)
    box.service.hears("STATUS=restart to change store.name")
    assert box.service.stop() == 0


def test_many_reloads_at_once_end_in_the_last_file(box: RealBox) -> None:
    box.stock_milk()
    box.start()
    for count in range(10):
        box.base_stations = f"{{name: aisle-{count}, driver: openepaperlink, port: /dev/absent-{count}}}"
        box.write()
        box.service.signal(signal.SIGHUP)
        time.sleep(0.01)
    wanted = {"aisle-9"}
    deadline_s = time.monotonic() + 20
    while set(box.get("/v1/status", "monitor").json()["stations"]) != wanted and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert set(box.get("/v1/status", "monitor").json()["stations"]) == wanted
    assert box.service.stop() == 0


def test_metrics_are_prometheus_text_for_monitors_only(box: RealBox) -> None:
    box.stock_milk()
    box.start()
    assert box.put_sale(1).status_code == httpx.codes.CREATED
    assert box.get("/metrics").status_code == httpx.codes.FORBIDDEN
    assert httpx.get(f"{box.url}/metrics").status_code == httpx.codes.UNAUTHORIZED

    answer = box.get("/metrics", "monitor")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {sample.name: sample.value for family in text_string_to_metric_families(answer.text)
             for sample in family.samples if not sample.labels}
    assert found["trastienda_link_up"] == 0
    assert found["trastienda_items"] == 1
    assert found["trastienda_ledger_entries_total"] == found["trastienda_backlog_entries"] == 1
    assert box.service.stop() == 0


def test_health_needs_no_token_and_tells_nothing_of_the_store(box: RealBox) -> None:
    box.stock_milk()
    box.start()
    assert httpx.get(f"{box.url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{box.url}/readyz").json() == {"status": "ready"}
    assert box.service.stop() == 0


def test_every_line_of_the_log_is_json(box: RealBox) -> None:
    box.stock_milk()
    box.base_stations = "{name: aisle, driver: openepaperlink, port: /dev/absent}"
    box.start()
    box.service.says("base station lost")
    assert box.put_sale(1).status_code == httpx.codes.CREATED
    with socket.create_connection(("127.0.0.1", box.port)) as stranger:
        stranger.sendall(b"\x16\x03\x01 this is no HTTP, and uvicorn warns of it\r\n\r\n")
        assert stranger.recv(1000).startswith(b"HTTP/1.1 400")
    assert box.service.stop() == 0

    lines = [json.loads(line) for line in box.service.log.splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    assert {"store open", "store closed"} <= {line["event"] for line in lines}
    assert not any(secret in box.service.log for secret in box.secrets.values())
