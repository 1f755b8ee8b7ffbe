"""P10: mutated files are accounted for in every row, or lie in `bad/` with a reason. The long run is a soak."""

import random
import re

import pytest

from edge.files.file_map import load_map
from tests.files.conftest import Folder
from tests.files.samples import SAMPLES, SKUS
from tests.store_kit import StoreKit

MUTANTS = 300
PRICE_MAPS = {"prices.csv": "prices-csv", "prices.txt": "prices-fixed", "prices-hr.xml": "prices-hr"}
SALES_MAPS = {"sales.csv": "sales-csv", "sales.txt": "sales-fixed"}
DAYS_KEPT = "2026-01-01"
"""Till days before are forgotten after a while."""


def mutated(original: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, gone, or put in again."""
    mutant = bytearray(original)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(mutant))
        match chance.choice([0, 1, 1, 2, 3, 4, 5, 5, 5, 5]):
            case 0:
                mutant[place] = chance.randrange(256)
            case 1:
                mutant[place] = chance.choice(b"0123456789;,.\n\"<>/ TDRV")
            case 2:
                del mutant[place : place + chance.randint(1, 30)]
            case 3:
                mutant[place:place] = mutant[chance.randrange(len(mutant)) :][: chance.randint(1, 30)]
            case 4:
                del mutant[place:]
            case _:  # a number that is another one
                mutant[place:] = re.sub(rb"\d", b"%d" % chance.randrange(10), mutant[place:], count=1)
        if not mutant:
            break
    return bytes(mutant)


async def price_mutants(store: StoreKit, count: int, seed: int) -> dict[str, int]:
    """Take mutated price lists in; returns how many went where."""
    await store.hub.has_items(*SKUS)
    await store.hub.sets_prices({"apples": "2.49", "soap": "32.00"})
    chance, went = random.Random(seed), {"done": 0, "bad": 0}
    folders = {name: Folder(store, map_name, "prices", load_map(map_name, "prices"))
               for name, map_name in PRICE_MAPS.items()}
    for number in range(count):
        name = chance.choice(list(PRICE_MAPS))
        before = book_of(store, PRICE_MAPS[name])
        beside = await folders[name].takes(mutated(SAMPLES[name], chance), f"full{number}-{name}")
        went[folders[name].went_to] += 1
        if folders[name].went_to == "bad":
            assert len(beside.splitlines()) >= 3
            assert book_of(store, PRICE_MAPS[name]) == before, beside
        elif "The same contents" not in beside:
            (rows, put, gone, left_out), = re.findall(
                r"list of (\d+) rows: (\d+) prices put in force, (\d+) taken out, (\d+) rows left out", beside)
            held = sum(map(int, re.findall(r"(\d+) prices wait", beside)))
            assert int(left_out) == beside.count(": left out ")
            assert int(put) + held <= int(rows) - int(left_out) + int(gone) + held
    return went


def book_of(store: StoreKit, book: str) -> list[tuple[str, bytes]]:
    return list(store.books.ledger_reader.execute("SELECT entry_id, doc FROM local_price WHERE entry_id LIKE ?",
                                                  (f"local/{book}/%",)).fetchall())


async def sales_mutants(store: StoreKit, count: int, seed: int) -> dict[str, int]:
    """Take mutated sales in; returns how many went where."""
    chance, went = random.Random(seed), {"done": 0, "bad": 0}
    folders = {name: Folder(store, map_name, "sales", load_map(map_name, "sales"))
               for name, map_name in SALES_MAPS.items()}
    for number in range(count):
        name = chance.choice(list(SALES_MAPS))
        before = transactions(store)
        mutant = mutated(SAMPLES[name], chance)
        beside = await folders[name].takes(mutant, f"{number}-{name}")
        went[folders[name].went_to] += 1
        new = transactions(store) - before
        if folders[name].went_to == "done" and "The same contents" not in beside:
            assert f"{new} transactions recorded" in beside
        else:
            assert len(beside.splitlines()) >= 2
            assert new <= len(re.split(rb"[\r\n]+", mutant))
    days, entries = (store.books.ledger_reader.execute(query, (DAYS_KEPT,)).fetchone()[0] for query in (
        "SELECT TOTAL(count) FROM till_day WHERE business_day > ?",
        "SELECT COUNT(*) FROM entry WHERE kind = 'transaction' AND business_day > ?"))
    assert days == entries
    return went


def transactions(store: StoreKit) -> int:
    return int(store.books.ledger_reader.execute("SELECT COUNT(*) FROM entry WHERE kind = 'transaction'").fetchone()[0])


async def test_p10_mutated_price_lists_are_accounted_for_or_refused_with_a_reason(store: StoreKit) -> None:
    went = await price_mutants(store, MUTANTS, 1)
    assert min(went.values()) > MUTANTS // 20, "both ways are gone"


async def test_p10_mutated_sales_are_accounted_for_or_refused_with_a_reason(store: StoreKit) -> None:
    went = await sales_mutants(store, MUTANTS, 2)
    assert min(went.values()) > MUTANTS // 20


@pytest.mark.soak
async def test_p10_ten_thousand_mutated_price_lists(store: StoreKit) -> None:
    went = await price_mutants(store, 10_000, 3)
    assert sum(went.values()) == 10_000, went


@pytest.mark.soak
async def test_p10_ten_thousand_mutated_sales(store: StoreKit) -> None:
    went = await sales_mutants(store, 10_000, 4)
    assert sum(went.values()) == 10_000, went
