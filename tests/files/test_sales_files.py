"""Sales by hot folder: each transaction once, whatever its file looks like (DESIGN.md section 8)."""

import pytest

from edge.files.file_map import load_map
from edge.pos import sales_files
from tests.files.conftest import Folder
from tests.files.samples import DIRECTORY
from tests.planted_cards import Cards, everything, parted
from tests.store_kit import DATABASE_SECRET, StoreKit, gtin_of

MILK, BREAD = gtin_of("milk"), gtin_of("bread")
AT = "23.11.2026 11:31:07"


def row(sequence: int | str, code: str = MILK, quantity: str = "1", amount: str = "0,99", kind: str = "",
        voids: str = "", *, till: str = "1", at: str = AT) -> str:
    return f"{till};23.11.2026;{sequence};{at};{code};{quantity};{amount};{kind};{voids}"


def sold_in(*rows: str) -> str:
    return "\n".join(["till;day;number;time;ean;quantity;amount;kind;voids", *rows, f"TOTAL;{len(rows)};;;;;;;", ""])


def sellable(store: StoreKit, sku: str) -> int:
    return store.stock(sku)[0]


async def test_sales_returns_and_voids_move_stock_once(store: StoreKit, sales: Folder) -> None:
    report = await sales.takes((DIRECTORY / "sales.csv").read_bytes(), "day.csv")
    assert report.splitlines() == ["day.csv was taken.", "4 transactions recorded, 0 known before."]
    assert (store.stock("milk"), store.stock("bread")) == ((-2, 0, 0, 0), (-1, 0, 0, 1))
    assert "nothing was taken twice" in await sales.takes((DIRECTORY / "sales.csv").read_bytes(), "again.csv")
    assert (sellable(store, "milk"), store.exceptions()) == (-2, [])


async def test_fixed_width_too(store: StoreKit) -> None:
    folder = Folder(store, "fixed", "sales", load_map("sales-fixed", "sales"))
    assert "2 transactions recorded" in await folder.takes((DIRECTORY / "sales.txt").read_bytes(), "day.txt")
    assert (store.stock("milk"), store.stock("bread")) == ((-2, 0, 0, 0), (-1, 0, 0, 1))


async def test_p2_the_same_sale_by_http_and_by_file_counts_once(store: StoreKit, sales: Folder) -> None:
    await store.till().sends(17, {"code": MILK, "quantity_milli": 2000, "amount_minor": 198},
                             occurred_at="2026-11-23T11:31:07")
    report = await sales.takes(sold_in(row(17, quantity="2", amount="1,98")), "day.csv")
    assert "0 transactions recorded, 1 known before" in report
    assert sellable(store, "milk") == -2


async def test_p2_a_bad_row_harms_no_other_transaction_and_the_mended_file_counts_the_rest(store: StoreKit,
                                                                                            sales: Folder) -> None:
    good = [row(1), row(3, amount="1.234,56", quantity="2")]
    said = await sales.takes(
        sold_in(good[0], row(2, amount="0.99"), row(2), good[1], row("x"), row(4, at="noon")), "d.csv")
    assert sales.went_to == "bad"
    assert said.splitlines()[2:] == [
        "line 3: the amount '0.99' is no number with ',' as its decimal sign; transaction 1/2026-11-23/2 was not "
        "recorded",
        "line 6: the sequence 'x' is no number of up to ten digits; the row was not recorded",
        "line 7: the time 'noon' is no time written as %d.%m.%Y %H:%M:%S or %d.%m.%Y; transaction 1/2026-11-23/4 was "
        "not recorded"]
    assert sellable(store, "milk") == -3
    report = await sales.takes(sold_in(good[0], row(2), row(2), good[1], row(5), row(4)), "d.csv")
    assert "3 transactions recorded, 2 known before." in report
    assert sellable(store, "milk") == -7


async def test_rows_of_a_transaction_that_do_not_follow_one_another_are_refused_together(store: StoreKit,
                                                                                          sales: Folder) -> None:
    said = await sales.takes(sold_in(row(1), row(2), row(1), row(3)), "d.csv")
    assert said.splitlines()[2:] == ["line 4: transaction 1/2026-11-23/1 began at line 2 already: its rows must "
                                     "follow one another; none of them was recorded"]
    assert sellable(store, "milk") == -2


async def test_a_file_that_was_cut_off_counts_nothing(store: StoreKit, sales: Folder) -> None:
    whole = sold_in(row(1), row(2), row(3))
    for length in range(60, len(whole) - 10, 11):
        said = await sales.takes(whole[:length], "d.csv")
        assert (sales.went_to, sellable(store, "milk")) == ("bad", 0), said
    assert len(store.entries()) == 0


async def test_p4_odd_sales_are_recorded_and_flagged(store: StoreKit, sales: Folder) -> None:
    odd = [row(1, code="99999"), row(2, quantity="0"), row(3, quantity="-2", amount="-1,98")]
    assert "3 transactions recorded" in await sales.takes(sold_in(*odd), "d.csv")
    assert store.stock("milk") == (0, 0, 0, 2), "a negative line is a return, and waits to be looked at"
    assert "unknown-item" in store.exceptions()


async def test_another_meaning_is_told_and_kept_for_a_person(store: StoreKit, sales: Folder) -> None:
    await sales.takes(sold_in(row(1)), "d.csv")
    report = await sales.takes(sold_in(row(1, quantity="7")), "e.csv")
    assert "1 known before with another meaning: see the exceptions" in report
    assert store.exceptions() == ["conflict"]


@pytest.mark.parametrize(("rows", "said"), [
    ([row(1, till="a/b")], "'a/b' cannot be a till's name"),
    ([row(1, amount="99.999.999.999.999,00")], "Expected `int` <= 1000000000000"),
    ([row(1, quantity="0,0001")], "the quantity 0.0001 has more than 3 decimals"),
    ([row(1, kind="V", voids="")], "there is no voided sequence"),
    ([row(1, kind="V", voids="7"), row(1)], "what takes a transaction back is one row alone"),
    ([row(1, till="")], "there is no till"), ([row(1, till="t" * 70)], "is too long"),
    ([row(1, code="c" * 70)], "is too long"), ([row(12345678901)], "is no number of up to ten digits"),
    ([row(1, at="23.11.0001")], "is not of our time"),
])
async def test_what_cannot_be_a_sale_is_named(store: StoreKit, sales: Folder, rows: list[str], said: str) -> None:
    assert said in await sales.takes(sold_in(*rows), "d.csv")
    assert (sales.went_to, len(store.entries())) == ("bad", 0)


async def test_p11_no_card_number_of_any_file_survives(store: StoreKit, sales: Folder, prices: Folder) -> None:
    cards = Cards()
    new = cards.by
    good = sold_in(row(1, code=new("code")), row(2, code=parted(new("parted code"))),
                   row(3).replace(";;", f";;{new('voids of a sale')}"))
    bad = sold_in(row(4, till=new("till")), row(5, amount=new("amount")), row(6, kind=new("kind"), quantity="x"),
                  row(new("sequence")))
    price_list = (f"ean;price;from;until;action\n{new('code of a price')};1,00;;;{new('action')}\n"
                  f"{MILK};1,09;;;\nTOTAL;2;;;")
    for folder, content, name in ((sales, good, "good.csv"), (sales, bad, f"{new('name')}.csv"),
                                  (prices, price_list, "full.csv"), (prices, f"x {new('rubbish')}", "rubbish.csv")):
        for encoding in ("utf-8", "utf-16"):
            (folder.path / "inbox" / f"{encoding}-{name}").write_bytes(content.encode(encoding))
    for folder in (sales, prices):
        for _ in range(2):
            await folder.folder.look()
    assert [len(list((folder.path / "inbox").iterdir())) for folder in (sales, prices)] == [0, 0]
    assert len(store.entries()) >= 3
    await store.close()
    found = everything(store.directory, DATABASE_SECRET)
    await store.open()
    assert cards.survivors(found) == []


async def test_p10_so_many_transactions_and_no_more(store: StoreKit, sales: Folder,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sales_files, "SALES_FILE_TRANSACTIONS_MAX", 2)
    assert "it has more than 2 transactions: split it" in await sales.takes(sold_in(row(1), row(2), row(3)), "d.csv")
    assert len(store.entries()) == 0
