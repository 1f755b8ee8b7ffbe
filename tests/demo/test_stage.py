"""The stage itself: what customers bring, what is cut, what is lost, so that the demo proves what it seems to prove."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from edge.domain.barcode import check_digit_holds
from edge.errors import ConfigurationError
from edge.proving.stage.baskets import BasketLine, read_sales
from edge.proving.stage.display import qr_text
from edge.proving.stage.goods import minor, read_goods, write_catalogue
from edge.proving.stage.http_line import HttpLine, LineBroken
from edge.proving.stage.outage import CuttableLine
from edge.proving.stage.outage_plan import Outage, outages
from edge.proving.stage.processes import Process, ProcessFailed
from edge.proving.stage.report import percentile

TODAY = date(2026, 11, 22)
HEADER = "basket_id,time,store_id,sku,quantity,sales_value,retail_disc,coupon_disc\n"


def test_a_made_catalogue_has_good_barcodes_and_readable_names_and_comes_again_from_its_seed(tmp_path):
    for name in ("one.csv", "other.csv"):
        write_catalogue(tmp_path / name, 2000, random.Random(7))
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()
    goods = read_goods(tmp_path / "one.csv")
    assert len({each.sku for each in goods}) == len({each.gtin for each in goods}) == 2000
    assert all(len(each.gtin) == 13 and check_digit_holds(each.gtin) for each in goods)
    assert all(each.name == " ".join(each.name.split()) and each.price_minor > 0 for each in goods)


@pytest.mark.parametrize(("text", "amount"), [("3.39", 339), ("3.3", 330), ("3", 300), ("0.05", 5), ("129.99", 12_999)])
def test_money_is_read_exactly(text, amount):
    assert minor(text) == amount


def test_sales_of_many_stores_become_one_stores_tills_and_end_today(tmp_path):
    path = tmp_path / "sales.csv"
    path.write_text(HEADER + "b1,2017-01-01T23:30:00Z,319,A,1,1.50,0,0\nb1,2017-01-01T23:30:00Z,319,B,0,0.00,0,0\n"
                             "b2,2017-01-03T09:00:00Z,320,fuel,12608,27.72,0,0\n")
    queues = read_sales(path, 8, TODAY)
    first, second = queues[319 % 8][0], queues[320 % 8][0]
    assert first.lines == (BasketLine("A", 1000, 150), BasketLine("B", 0, 0))
    assert (first.occurred.date(), first.occurred.hour) == (date(2026, 11, 20), 23)
    assert second.lines == (BasketLine("fuel", 12_608_000, 2772),)
    assert second.occurred.date() == TODAY


@pytest.mark.parametrize(("text", "said"), [
    ("sku,quantity\n", ":1: no column basket_id"), (HEADER, "no sale lines"),
    (HEADER + "b,2017-01-01T23:30:00Z,1,A,one,1.50,0,0\n", ":2: could not convert"),
    (HEADER + "b,yesterday,1,A,1,1.50,0,0\n", ":2: Invalid isoformat"), (HEADER + "b,2017-01-01\n", ":2: "),
])
def test_a_sales_file_that_cannot_be_read_is_told_with_its_line(tmp_path, text, said):
    path = tmp_path / "sales.csv"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        read_sales(path, 8, TODAY)


def test_every_run_has_an_outage():
    assert list(outages((20.0, 15.0), 60.0)) == [Outage(20.0, 15.0)]
    (middle,) = outages(None, 60.0)
    assert 0 < middle.start_s < middle.start_s + middle.length_s < 60
    endless = outages(None, None)
    first, second = next(endless), next(endless)
    assert second.start_s > first.start_s + first.length_s


@pytest.mark.parametrize(("samples", "percent", "value"), [
    ([], 50, 0), ([7.4], 99, 7), ([1.0, 2.0, 3.0], 50, 2), ([float(n) for n in range(101)], 99, 99)])
def test_percentiles(samples, percent, value):
    assert percentile(samples, percent) == value


def test_the_pages_address_can_be_scanned_from_the_terminal():
    import numpy as np
    import zxingcpp

    rows = qr_text("http://127.0.0.1:8480/staff").splitlines()
    upper = [[character in "▀█" for character in row] for row in rows]
    lower = [[character in "▄█" for character in row] for row in rows]
    light = np.array([row for pair in zip(upper, lower, strict=True) for row in pair])
    image = np.where(light, np.uint8(255), np.uint8(0)).repeat(6, axis=0).repeat(6, axis=1)
    found = zxingcpp.read_barcodes(np.pad(image, 24, constant_values=255))
    assert [each.text for each in found] == ["http://127.0.0.1:8480/staff"]


class Echo:
    """A server that answers every request with its number; slow when asked to be."""

    def __init__(self) -> None:
        self.requests = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n")
                           if line.lower().startswith(b"content-length")), 0)
            await reader.readexactly(length)
            self.requests += 1
            body = str(self.requests).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=\"2\"\r\nContent-Length: "
                         + str(len(body)).encode() + b"\r\n\r\n" + body)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await echo.serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    echo.port = server.sockets[0].getsockname()[1]
    yield echo
    server.close()


async def test_a_line_keeps_its_connection_and_reads_cookies(echo):
    line = HttpLine("127.0.0.1", echo.port)
    answers = [await line.ask("GET", "/"), await line.ask("PUT", "/x", b"{}")]
    assert [answer.body for answer in answers] == [b"1", b"2"]
    assert answers[0].cookies() == {"a": "1", "b": "2"}
    line.cut()


async def test_a_reply_that_is_lost_was_a_request_that_arrived(echo):
    line = HttpLine("127.0.0.1", echo.port)
    await line.say("PUT", "/x", b"{}")
    answer = await line.ask("PUT", "/x", b"{}")
    assert answer.body == b"2"
    line.cut()


async def test_a_cut_line_breaks_what_is_connected_and_refuses_what_comes_until_it_is_mended(echo):
    relay = CuttableLine("127.0.0.1", echo.port)
    await relay.open()
    line = HttpLine("127.0.0.1", relay.port)
    assert (await line.ask("GET", "/")).status == 200
    relay.cut()
    for _ in range(2):
        with pytest.raises(LineBroken):
            await line.ask("GET", "/")
    relay.mend()
    assert (await line.ask("GET", "/")).status == 200
    line.cut()
    relay.close()


async def test_nobody_there_is_a_broken_line():
    with pytest.raises(LineBroken):
        await HttpLine("127.0.0.1", 1).ask("GET", "/")


async def test_a_process_that_fails_says_why_and_one_that_was_used_wrongly_says_only_that(tmp_path: Path):
    failing = Process("the price", ["price", "1", "--store", "http://127.0.0.1:1", "--token", "x"], {},
                      tmp_path / "failing.log")
    await failing.start()
    with pytest.raises(ProcessFailed, match=r"the price ended with exit code 1:\n.*is the daemon running"):
        await failing.finish()
    wrong = Process("the check", ["check", str(tmp_path / "none.yaml")], {}, tmp_path / "wrong.log")
    await wrong.start()
    with pytest.raises(ConfigurationError, match=f"^{tmp_path}/none.yaml"):
        await wrong.finish()
