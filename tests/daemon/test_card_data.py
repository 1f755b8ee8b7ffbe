"""No card number survives on the disk, by whatever door it came in (DESIGN.md section 8): a real store is sent planted
numbers, tracks and chip fields, is stopped, and every byte it left is read."""

import base64
import gzip
import json
import os
import time
from pathlib import Path
from urllib.parse import quote

import httpx

from tests.daemon.real_box import DAY, MILK_GTIN, RealBox
from tests.planted_cards import Cards, card_like, everything, luhn, parted
from tests.pos.poslog_documents import document, other, sale, transaction

DATABASE_KEY = "a database key"
FOLDER_WAIT_S = 40.0


class Doors:
    """A running store, and all the ways into it that a till, a file or a stranger has."""

    def __init__(self, box: RealBox, cards: Cards) -> None:
        self.box = box
        self.cards = cards
        self.inbox = box.directory / "tlog" / "inbox"
        self._sequence = 0
        self._client = httpx.Client(base_url=box.url, headers={"Authorization": "Bearer till 1"}, timeout=10)

    def sale(self, **changes: object) -> httpx.Response:
        """A sale as JSON."""
        self._sequence += 1
        line = {"line": 1, "code": MILK_GTIN, "quantity_milli": 1000, "amount_minor": 99,
                **changes.pop("line", {})}  # type: ignore[dict-item]
        body = {"type": "sale", "currency": "EUR", "total_minor": 99, "occurred_at": f"{DAY}T12:00:00+01:00",
                "lines": [line], **changes}
        return self._client.put(f"/v1/transactions/1/{DAY}/{self._sequence}", json=body)

    def by_json(self) -> None:
        new = self.cards.by
        taken = [self.sale(line={"code": new("line.code")}), self.sale(line={"sku": new("line.sku"), "code": ""}),
                 self.sale(line={"code": parted(new("line.code with spaces"))}),
                 self.sale(line={"sku": "paid by " + parted(new("line.sku with dashes"), "-"), "code": ""}),
                 self.sale(operator=new("operator")), self.sale(operator=f"Ana {parted(new('operator, parted'))}"),
                 self.sale(line={"code": f"%B{new('track 1')}^DOE/JOHN^25121010000012345678?"}),
                 self.sale(line={"code": f";{new('track 2')}=25121010000012345678?"}),
                 self.sale(line={"code": f"5A08{new('chip number')}"}),
                 self.sale(line={"quantity_milli": int(new("quantity"))}),
                 self.sale(line={"quantity_milli": -int(new("negative quantity"))}),
                 self.sale(line={"line": int(new("line number"))})]
        assert [answer.status_code for answer in taken] == [201] * len(taken)
        again = self.sale(operator=new("first of a conflict"))
        assert again.status_code == 201
        self._sequence -= 1
        assert self.sale(line={"amount_minor": 1, "code": new("a conflict")}, total_minor=1).status_code == 409

    def by_broken_requests(self) -> None:
        new, put = self.cards.by, self._client.put
        where = f"/v1/transactions/1/{DAY}/900"
        refused = [self.sale(pan=new("unknown field")), self.sale(currency=new("currency")),
                   put(where, content=f'{{"type": {new("no JSON")}'), put(where, content=new("number as a body")),
                   put(f"/v1/transactions/1/{DAY}/{new('sequence')}", json={}),
                   put(f"/v1/transactions/1/{new('business day')}/1", json={}),
                   put(f"/v1/transactions/{new('till')}/{DAY}/1", json={}),
                   self._client.get(f"/v1/lookup/{new('lookup')}"),
                   self._client.get("/v1/tills/1/high-water", params={"business_day": new("query")}),
                   self._client.get("/v1/stock/1001", params={"q": new("unknown query")},
                                    headers={"Authorization": f"Bearer {new('token')}"}),
                   self._client.get(f"/{new('path')}?card={new('query of nothing')}"),
                   self._client.post("/v1/baskets/price", json={"lines": [{"code": new("basket")}]}),
                   self._client.post("/v1/tills/1/close", json={"business_day": new("close")}),
                   self._client.post("/staff/sign-in", data={"name": new("sign-in"), "pin": "1"})]
        assert all(400 <= answer.status_code < 500 for answer in refused), [each.status_code for each in refused]

    def poslog(self, door: str) -> str:
        """A log with card data wherever a dialect or a careless till puts it."""
        def new(place: str) -> str:
            return self.cards.by(f"{door}, {place}")

        self._sequence += 1
        tender = (f"<Amount>0.99</Amount><CreditDebit><PrimaryAccountNumber>{new('tender')}</PrimaryAccountNumber>"
                  f"<Track2>;{new('track')}=25121010000012345678?</Track2>"
                  f"<EMV>9F3602001A5713{new('chip')}D25121010000012345678F</EMV></CreditDebit>")
        receipt = base64.b64encode(gzip.compress(f"PAID {new('packed receipt')}".encode())).decode()
        plain = base64.b64encode(f"PAID BY CARD {new('base64 receipt')} THANK YOU".encode()).decode()
        good = transaction(self._sequence, sale(1, new("item code"), "0.99"), other(2, "Tender", tender),
                           other(3, "Comment", f"called {parted(new('comment'))}"),
                           sale(4, MILK_GTIN, "0.99").replace("MILK", new("description")))
        return good.replace("A. Name", new("operator's name")).replace(">91<", f">{new('operator')}<").replace(
            "</Transaction>", f"<Receipt>{receipt}</Receipt><Image>{plain}</Image></Transaction>")

    def bad_poslog(self, door: str) -> str:
        """Transactions that cannot be read, for what stands in the wrong field."""
        def new(place: str) -> str:
            return self.cards.by(f"{door}, {place}")

        return "".join((transaction(9_001, sale(1, "x", new("amount"))),
                        transaction(9_002, sale(1, "x", "1", new("quantity"))),
                        transaction(9_003, sale(1, "x", "1"), day=new("day")),
                        transaction(9_004, sale(1, "x", "1"), ended=new("time")),
                        transaction(9_005, sale(1, MILK_GTIN, "1"), till=new("till")),
                        transaction(9_006, sale(1, "x", "1")).replace("EUR", new("currency"))))

    def by_poslog(self) -> None:
        post = self._client.post
        answers = [post("/v1/poslog", content=document(self.poslog("log"))),
                   post("/v1/poslog", content=document(self.bad_poslog("bad log"))),
                   post(f"/v1/poslog?dialect={self.cards.by('dialect')}", content=document()),
                   post("/v1/poslog", content=f"<POSLog><{self.cards.by('log that is none')}")]
        assert answers[0].json()["recorded"] == 1
        assert len(answers[1].json()["problems"]) == 6
        assert answers[2].status_code == 422

    def by_hot_folder(self) -> None:
        """Good files, bad files, other encodings, and names."""
        self.inbox.mkdir(parents=True, exist_ok=True)
        utf_16 = document(self.poslog("UTF-16 file")).replace('"1.0"', '"1.0" encoding="UTF-16"')
        files = {"good.xml": document(self.poslog("file")).encode(),
                 "bad.xml": document(self.bad_poslog("bad file"), self.poslog("good part of a bad file")).encode(),
                 "utf16.xml": utf_16.encode("utf-16"),
                 "rubbish.csv": f"a,b\n1,{self.cards.by('file of another kind')}\n".encode(),
                 f"{self.cards.by('name of a good file')}.xml": document(self.poslog("named file")).encode(),
                 f"{self.cards.by('name of a bad file')}.xml": b"<nothing",
                 "long.xml": document(*(f"<Other>{'x' * 60_000} {self.cards.by(f'long file {part}')}</Other>"
                                        for part in range(40))).encode()}
        for name, data in files.items():
            (self.inbox / f"{name}.part").write_bytes(data)
            (self.inbox / f"{name}.part").rename(self.inbox / name)
        until_s = time.monotonic() + FOLDER_WAIT_S
        while any(self.inbox.iterdir()) or any((self.inbox.parent / "work").iterdir()):
            assert time.monotonic() < until_s, "the folder was not read"
            time.sleep(0.2)

    def by_scanner(self, line: int) -> None:
        os.write(line, f"{self.cards.by('scanner')}\r;{self.cards.by('stripe on a scanner')}=2512101?\r".encode())

    def by_headers(self) -> None:
        with self._client.stream("GET", "/v1/events", headers={"Last-Event-ID": self.cards.by("last event")}) as answer:
            assert answer.status_code == 200
            next(answer.iter_lines())


def test_p11_no_card_number_of_a_planted_set_survives_anywhere_on_disk(
        box: RealBox, terminal: tuple[int, str]) -> None:
    line, device = terminal
    box.more = (f"scanners: [{{name: desk, port: {device}}}]\n"
                f"hot_folders: [{{name: tlog, directory: {box.directory / 'tlog'}, dialect: v6}}]\n")
    box.stock_milk()
    box.start()
    doors = Doors(box, Cards())
    doors.by_json()
    doors.by_broken_requests()
    doors.by_poslog()
    doors.by_scanner(line)
    doors.by_headers()
    doors.by_hot_folder()
    assert box.service.stop() == 0

    names = sorted(path.name for place in ("done", "bad") for path in (box.directory / "tlog" / place).iterdir())
    assert len(names) >= 10, names
    assert all(luhn(number) for number in doors.cards.doors)
    assert len(doors.cards.doors) > 80
    assert doors.cards.survivors(everything(box.directory, DATABASE_KEY)) == []


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """A search that finds nothing must be one that could."""
    cards = Cards()
    card = cards.by("a door")
    for name, data in {"plain": card.encode(), "spaces": parted(card).encode(), "wide": card.encode("utf-16"),
                       "packed": base64.b64encode(b"number " + card.encode() + b" ok"),
                       "zipped": base64.b64encode(gzip.compress(b"x" * 40 + card.encode()))}.items():
        (tmp_path / name).write_bytes(data)
    found = {place.split(":")[0] for place in cards.survivors(everything(tmp_path, "no database"))}
    assert found == {"plain", "spaces", "wide", "packed", "zipped"}
    assert card_like(f"x{card}y") == [card]


def test_what_an_ordinary_day_leaves_holds_no_number_that_a_card_could_have(box: RealBox) -> None:
    """A Luhn test over everything stored; times, hashes and bar codes are all that has so many digits."""
    box.more = f"hot_folders: [{{name: tlog, directory: {box.directory / 'tlog'}, dialect: v6}}]\n"
    box.stock_milk()
    box.start()
    for sequence in range(1, 60):
        code = f"{sequence:012d}"
        assert box.put_sale(sequence, operator="ana", lines=[
            {"line": 1, "code": code, "quantity_milli": 1000, "amount_minor": 99}]).status_code == 201
    answer = httpx.post(f"{box.url}/v1/poslog", content=document(transaction(70, sale(1, MILK_GTIN, "0.99"))),
                        headers={"Authorization": "Bearer till 1"}, timeout=10)
    assert answer.json()["recorded"] == 1
    assert box.service.stop() == 0
    fingerprints = (".hash", ".digest", "doc_fingerprint")
    found = [(place, card_like(data.decode("latin-1"))) for place, data in everything(box.directory, DATABASE_KEY)
             if not place.endswith((".db", ".db-wal", ".db-shm")) and not place.endswith(fingerprints)]
    assert [each for each in found if each[1]] == []
    assert any("entry.payload" in place for place, _ in found), "the ledger was read"
    assert json.loads(answer.text)["problems"] == []


def test_quoting_hides_nothing(box: RealBox) -> None:
    """A form's spaces travel as plus signs and percents."""
    box.start()
    cards = Cards()
    body = f"name={quote(parted(cards.by('form')))}&pin=1&next=&form_token=x"
    httpx.post(f"{box.url}/staff/sign-in", content=body, timeout=10,
               headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert box.service.stop() == 0
    assert cards.survivors(everything(box.directory, DATABASE_KEY)) == []
