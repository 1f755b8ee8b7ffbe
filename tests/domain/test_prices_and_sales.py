"""Which price holds, what the guard holds back, and what a sale means: rules as values."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.contract.documents import Policy, PriceKind
from cloud_sync.contract.facts import Flag, LineKind, SaleLine, Transaction, TransactionKind, stock_moves
from edge.domain.pricing import FEW_SKUS, Move, PriceEntry, guard, select
from edge.domain.transaction import fact_key, line_flags, meaning_digest, transaction_flags


def entry(name: str, price: int, priority: int = 0, begins: int = 0, ends: int | None = None) -> PriceEntry:
    return PriceEntry(name, 1, "milk", price, "EUR", PriceKind.REGULAR, priority, begins, ends)


entries = st.lists(st.builds(entry, st.sampled_from("abcdef"), st.integers(1, 5), st.integers(0, 2), st.integers(0, 20),
                             st.none() | st.integers(0, 30)), unique_by=lambda one: one.entry_id)


@given(entries, st.integers(0, 40))
def test_what_holds_is_of_the_highest_priority_and_of_equals_the_cheapest(some: list[PriceEntry], now: int):
    chosen = select(some, now).entry
    holding = [one for one in some
               if one.valid_from_ms <= now and (one.valid_until_ms is None or now < one.valid_until_ms)]
    assert (chosen is None) == (not holding)
    for other in holding:
        assert chosen is not None
        assert (-chosen.priority, chosen.price_minor) <= (-other.priority, other.price_minor)


@given(entries, st.integers(0, 40))
def test_p8_nothing_changes_before_the_moment_to_look_again(some: list[PriceEntry], now: int):
    found = select(some, now)
    assert found.until_ms is None or found.until_ms > now
    for later in range(now, min(found.until_ms or 45, 45)):
        assert select(some, later).entry == found.entry


@given(st.lists(st.builds(Move, st.sampled_from([f"sku {number}" for number in range(30)]), st.integers(0, 300),
                          st.none() | st.integers(0, 700)), max_size=60), st.integers(0, 200))
def test_the_guard_holds_every_wild_move_and_everything_when_too_much_moves(moves: list[Move], priced: int):
    verdict = guard(moves, priced, Policy())
    moved = {move.sku for move in moves if move.before_minor != move.after_minor}
    for move in moves:
        wild = move.after_minor is not None and move.before_minor != move.after_minor and (
            move.after_minor * 2 < move.before_minor or move.after_minor > move.before_minor * 2)
        assert not wild or move.sku in verdict.held_skus
    if len(moved) >= FEW_SKUS and len(moved) * 5 > priced:
        assert verdict.held_skus == moved
    assert bool(verdict.reason) == bool(verdict.held_skus)


def sale(**fields: Any) -> Transaction:
    line = SaleLine(1, LineKind.SALE, 1000, 99, sku="milk", code="4006381333931")
    plain = Transaction("1", "2026-11-23", 7, TransactionKind.SALE, "EUR", 99, (line,))
    line_fields = {name: fields.pop(name) for name in list(fields)
                   if name in SaleLine.__struct_fields__ and name != "flags"}
    return msgspec.structs.replace(plain, lines=(msgspec.structs.replace(line, **line_fields),), **fields)


@pytest.mark.parametrize("fields", [
    {"scanned_ms": 5}, {"actor": "luis"}, {"flags": (Flag.CLOCK_UNTRUSTED,)}, {"sku": "what the catalogue says now"},
    {"line": 9}, {"code": "04006381333931"}, {"unit_price_minor": 99}])
def test_p2_what_is_no_meaning_changes_no_digest(fields: dict[str, Any]):
    assert meaning_digest(sale(**fields)) == meaning_digest(sale())


@pytest.mark.parametrize("fields", [
    {"quantity_milli": 1001}, {"amount_minor": 98}, {"code": "4006381333948"}, {"kind": LineKind.RETURN},
    {"total_minor": 98}, {"currency": "USD"}, {"type": TransactionKind.VOID}, {"voids_sequence": 0}])
def test_p2_what_is_meaning_changes_the_digest(fields: dict[str, Any]):
    assert meaning_digest(sale(**fields)) != meaning_digest(sale())


def test_p2_no_text_of_one_line_can_pass_for_two_lines():
    def of(*codes: str) -> bytes:
        lines = tuple(SaleLine(1, LineKind.SALE, 1, 1, code=code) for code in codes)
        return meaning_digest(msgspec.structs.replace(sale(), lines=lines))
    assert of("a\t1\t1\nsale\tb") != of("a", "b")


@given(st.integers(0, 9_999_999_999), st.integers(0, 9_999_999_999))
def test_keys_of_a_till_sort_as_its_sequences_do(one: int, other: int):
    first, second = fact_key("1", "2026-11-23", one), fact_key("1", "2026-11-23", other)
    assert (first < second) == (one < other)


@given(st.booleans(), st.integers(-2**63, 2**63 - 1))
def test_p4_every_line_has_its_flags_and_is_kept(known: bool, quantity: int):
    flags = line_flags(known, quantity)
    assert (Flag.UNKNOWN_ITEM in flags) == (not known)
    line = SaleLine(1, LineKind.SALE, quantity, 99, sku="milk", flags=flags)
    told = transaction_flags(TransactionKind.SALE, 99, (line,), clock_trusted=False)
    assert {*flags, Flag.CLOCK_UNTRUSTED} == set(told)
    assert list(told) == sorted(told)


@given(st.integers(-2**63, 2**63 - 1), st.sampled_from(list(LineKind)))
def test_p2_a_void_moves_back_exactly_what_its_sale_moved(quantity: int, kind: LineKind):
    sold = sale(quantity_milli=quantity, kind=kind)
    there, back = (sum(move.sellable_milli + move.quarantine_milli for move in stock_moves(fact))
                   for fact in (sold, msgspec.structs.replace(sold, type=TransactionKind.VOID)))
    assert there + back == 0
    assert abs(there) <= 10**12
