"""Bought online, returned in store: nothing comes back twice, goods wait in quarantine until somebody graded them,
and a return is taken in whoever knows the order (DESIGN.md section 9, retail.md 2.4.7)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.contract.documents import Order, OrderLine
from cloud_sync.contract.facts import (
    Grading,
    LineKind,
    OrderReturn,
    ReturnedLine,
    SaleLine,
    Transaction,
    TransactionKind,
    decode_fact,
    stock_moves,
)
from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.pickup import Step
from cloud_sync.contract.returns import Grade, SoldLine, graded, owed, refunded_otherwise, returns_of
from edge.db.queries import LEDGER
from edge.domain.transaction import meaning_digest
from edge.pickups.returns import returnable
from edge.pos.access import Role
from tests.store_kit import BUSINESS_DAY, StoreKit

CODE = "K7P3XQ2M"
CARD = "4111111111111111"


async def handed_over(store: StoreKit, order_id: str = "A-1", **pieces: int) -> None:
    """An order went to its customer."""
    wanted = pieces or {"milk": 2}
    for sku, count in wanted.items():
        await store.receives(sku, count)
    await store.hub.places_order(order_id, wanted, code=CODE)
    for step in (Step.PICK, Step.STAGE, Step.READY):
        await store.takes_step(order_id, step)
    await store.takes_step(order_id, Step.HAND_OVER, code=CODE)


def line(number: int = 1, milli: int = 1000, **more: object) -> dict[str, object]:
    return {"line": number, "quantity_milli": milli, **more}


async def brings(store: StoreKit, *lines: dict[str, object], order_id: str = "A-1", return_id: str = "",
                 role: Role = Role.STAFF) -> tuple[int, dict[str, object]]:
    async with store.caller(role, "luis") as caller:
        answer = await caller.post("/v1/returns", json={
            "return_id": return_id or store.new_id("return"), "order_id": order_id, "lines": list(lines)})
    return answer.status_code, answer.json()


async def grades(store: StoreKit, grade: str, milli: int = 1000, sku: str = "milk", **more: object) -> int:
    async with store.caller(Role.STAFF, "luis") as caller:
        answer = await caller.post("/v1/gradings", json={
            "grading_id": store.new_id("grading"), "sku": sku, "quantity_milli": milli, "grade": grade, **more})
    return answer.status_code


def returns(store: StoreKit) -> list[OrderReturn]:
    facts = [decode_fact(entry.payload) for entry in store.entries()]
    return [fact for fact in facts if isinstance(fact, OrderReturn)]


def left(store: StoreKit, order_id: str = "A-1") -> list[int]:
    return [each.left_milli for each in returnable(store.books.ledger_reader, order_id)]


async def test_what_comes_back_waits_in_quarantine_and_no_more_than_left(store: StoreKit) -> None:
    await handed_over(store)
    status, _ = await brings(store, line())
    assert (status, store.stock("milk"), left(store)) == (201, (0, 0, 0, 1), [1000])
    assert (await brings(store, line(milli=2000)))[0] == 422
    assert (await brings(store, line()))[0] == 201
    assert (await brings(store, line()))[0] == 422
    assert (store.stock("milk"), left(store), len(returns(store))) == ((0, 0, 0, 2), [0], 2)
    assert all(fact.known for fact in returns(store))


async def test_p2_a_return_sent_again_counts_once_also_after_a_restart(store: StoreKit) -> None:
    await handed_over(store)
    first = await brings(store, line(), return_id="r-1")
    await store.restarts()
    assert await brings(store, line(), return_id="r-1") == first
    assert (await brings(store, line(milli=2000), return_id="r-1"))[0] == 409
    assert (store.stock("milk"), left(store), store.exceptions()) == ((0, 0, 0, 1), [1000], ["conflict"])


async def test_by_product_or_code_where_nobody_knows_the_line(store: StoreKit) -> None:
    await handed_over(store, milk=2, bread=1)
    assert (await brings(store, {"sku": "milk", "quantity_milli": 1000}, line(2)))[0] == 201
    assert left(store) == [1000, 0]
    assert (await brings(store, {"sku": "milk", "quantity_milli": 2000}))[0] == 422
    assert (await brings(store, {"quantity_milli": 1000}))[0] == 422
    assert (await brings(store, line(9)))[0] == 422
    assert (await brings(store, line(1, sku="bread")))[0] == 422
    assert store.stock("bread") == (0, 0, 0, 1)


async def test_two_lines_of_one_product_are_counted_together_and_apart(store: StoreKit) -> None:
    await store.receives("milk", 2)
    lines = (OrderLine(1, "milk", 1000, 100), OrderLine(2, "milk", 1000, 50))
    await store.hub.sends(Feed.ORDERS, {"A-1": Order("A-1", 1, store.clock.wall_ms(), lines, "EUR", pickup_code=CODE)})
    for step in (Step.PICK, Step.STAGE, Step.READY):
        await store.takes_step("A-1", step)
    await store.takes_step("A-1", Step.HAND_OVER, code=CODE)
    assert (await brings(store, {"sku": "milk", "quantity_milli": 2000}))[0] == 201
    assert (await brings(store, line(1)))[0] == 422
    assert left(store) == [0, 0]


async def test_p4_an_order_that_this_store_never_heard_of_is_taken_in_offline(store: StoreKit) -> None:
    assert (await brings(store, line(2), order_id="B-9"))[0] == 422
    assert (await brings(store, line(2, sku="milk"), order_id="B-9"))[0] == 201
    (fact,) = returns(store)
    assert (fact.known, fact.lines, store.stock("milk")) == (False, (ReturnedLine("milk", 1000, 2),), (0, 0, 0, 1))
    async with store.caller(Role.STAFF) as caller:
        assert (await caller.get("/v1/returns/B-9")).json() == {"order_id": "B-9", "known": False, "lines": []}


async def test_p11_the_number_of_a_card_is_no_order(store: StoreKit) -> None:
    assert (await brings(store, line(1, sku="milk"), order_id=CARD))[0] == 422
    assert returns(store) == []


@pytest.mark.parametrize(("grade", "stock"), [("sellable", (1, 0, 0, 1)), ("reduced", (1, 0, 0, 1)),
                                              ("waste", (0, 0, 0, 1)), ("supplier", (0, 0, 0, 1))])
async def test_each_grade_has_its_own_effect_on_stock(
        store: StoreKit, grade: str, stock: tuple[int, int, int, int]) -> None:
    await handed_over(store)
    await brings(store, line(milli=2000))
    assert (await grades(store, grade), store.stock("milk")) == (201, stock)
    async with store.caller(Role.SUPERVISOR) as caller:
        assert (await caller.get("/v1/quarantine")).json() == [{"sku": "milk", "quantity_milli": 1000}]


async def test_no_more_is_graded_than_waits_and_the_same_grading_counts_once(store: StoreKit) -> None:
    await handed_over(store)
    await brings(store, line(milli=2000))
    assert await grades(store, "waste", 3000) == 422
    for _ in range(2):
        assert await grades(store, "waste", 2000, grading_id="g-1") == 201
    assert (await grades(store, "waste"), store.stock("milk")) == (422, (0, 0, 0, 0))
    assert await grades(store, "nonsense") == 400


async def test_reduced_goods_may_be_sold_as_an_article_of_their_own(store: StoreKit) -> None:
    await handed_over(store)
    await brings(store, line(milli=2000))
    assert await grades(store, "reduced", as_sku="milk-outlet") == 201
    assert (store.stock("milk"), store.stock("milk-outlet")) == ((0, 0, 0, 1), (1, 0, 0, 0))
    assert await grades(store, "waste", as_sku="milk-outlet") == 422


async def rings(store: StoreKit, sequence: int, *lines: dict[str, object], kind: str = "return",
                **more: object) -> int:
    """A till sends a transaction."""
    total = sum((-1 if one.get("kind") == "return" else 1) * int(str(one["amount_minor"])) for one in lines)
    body = {"type": kind, "currency": "EUR", "total_minor": total, "occurred_at": "2026-11-23T12:00:00",
            "lines": list(lines), **more}
    async with store.caller(Role.TILL, "1") as till:
        return (await till.put(f"/v1/transactions/1/{BUSINESS_DAY}/{sequence}", json=body)).status_code


def till_line(milli: int = 1000, **more: object) -> dict[str, object]:
    return {"line": 1, "kind": "return", "sku": "milk", "quantity_milli": milli, "amount_minor": 99,
            "order_id": "A-1", **more}


async def test_p4_a_return_at_the_till_with_an_order_does_the_same_and_is_never_refused(store: StoreKit) -> None:
    await handed_over(store)
    assert await rings(store, 1, till_line()) == 201
    assert await rings(store, 1, till_line()) == 201
    assert (store.stock("milk"), left(store), store.exceptions()) == ((0, 0, 0, 1), [1000], [])
    assert await rings(store, 2, till_line(2000)) == 201
    assert (store.stock("milk"), left(store), store.exceptions()) == ((0, 0, 0, 3), [0], ["return-beyond-order"])


async def test_a_negative_sale_line_with_an_order_is_a_return(store: StoreKit) -> None:
    await handed_over(store)
    negative = till_line(-1000, kind="sale", amount_minor=-99)
    assert await rings(store, 1, negative, kind="sale") == 201
    fact = decode_fact(store.entries()[-1].payload)
    assert isinstance(fact, Transaction)
    (said,) = fact.lines
    assert (said.kind, said.quantity_milli, said.amount_minor, fact.flags) == (LineKind.RETURN, 1000, 99, ())
    assert (store.stock("milk"), left(store)) == ((0, 0, 0, 1), [1000])


@pytest.mark.parametrize("void_first", [False, True])
async def test_a_voided_return_is_as_if_it_never_was(store: StoreKit, void_first: bool) -> None:
    await handed_over(store)
    numbers = (2, 1) if void_first else (1, 2)
    for sequence in numbers:
        if sequence == 1:
            assert await rings(store, 1, till_line()) == 201
        else:
            assert await rings(store, 2, kind="void", voids_sequence=1) == 201
    assert (store.stock("milk"), left(store)) == ((0, 0, 0, 0), [2000])
    (said,) = [fact for entry in store.entries()
               if isinstance(fact := decode_fact(entry.payload), Transaction) and fact.type is TransactionKind.RETURN]
    assert bool(list(returns_of(said))) is not void_first, "a return that never was asks for no money"
    assert ("return-voided" in store.exceptions()) is not void_first
    assert await rings(store, 1, till_line()) == 201, "sent again it is the same"


async def test_p11_a_card_instead_of_an_order_is_dropped_and_the_return_stands(store: StoreKit) -> None:
    assert await rings(store, 1, till_line(order_id=CARD)) == 201
    assert CARD.encode() not in b"".join(bytes(entry.payload) for entry in store.entries())
    assert store.stock("milk") == (0, 0, 0, 1)


def test_what_a_return_without_an_order_means_is_what_it_always_meant() -> None:
    """Digests of before are still found, and an order makes another meaning."""
    def digest(**more: object) -> str:
        said = SaleLine(1, LineKind.RETURN, 1000, 99, sku="milk", **more)
        return meaning_digest(Transaction("1", BUSINESS_DAY, 1, TransactionKind.RETURN, "EUR", -99, (said,))).hex()
    assert digest() == digest(order_line=3)
    assert len({digest(), digest(order_id="A-1"), digest(order_id="A-1", order_line=2)}) == 3


async def test_p10_what_was_returned_is_forgotten_with_the_facts(store: StoreKit) -> None:
    await brings(store, line(2, sku="milk"), order_id="B-9")
    await store.books.ledger.submit(lambda c: c.execute(LEDGER.prune_order_returns, (store.clock.wall_ms() + 1, 10)))
    assert store.books.ledger_reader.execute(LEDGER.order_returns, ("B-9",)).fetchall() == []


MILLI = st.integers(0, 5)
STORIES = st.lists(st.tuples(st.sampled_from(("out", "back", "loose", "cancelled")), st.integers(1, 3), MILLI),
                   max_size=25)
SKUS = {1: "milk", 2: "milk", 3: "bread"}


def told(story: list[tuple[str, int, int]]) -> tuple[dict[tuple[int, str], SoldLine], dict[int, int]]:
    """The lines after a story that is settled after each of its words, and what was asked back."""
    lines: dict[tuple[int, str], SoldLine] = {}
    asked: dict[int, int] = {}
    for what, number, milli in story:
        key = (0 if what == "loose" else number, SKUS[number])
        before = lines.get(key, SoldLine(*key))
        if what == "cancelled":
            lines = {(each.line, each.sku): each for each in refunded_otherwise(tuple(lines.values()), (number,))}
        else:
            field = "out_milli" if what == "out" else "returned_milli"
            lines[key] = replace(before, **{field: getattr(before, field) + milli})
        after = owed(tuple(lines.values()))
        assert owed(after.lines) == type(after)(after.lines, ()), "done again it asks for nothing"
        lines = {(each.line, each.sku): each for each in after.lines}
        for line_number, due in after.refunds:
            asked[line_number] = asked.get(line_number, 0) + due
    return lines, asked


@given(STORIES)
def test_p2_money_is_asked_once_per_unit_and_never_for_more_than_left_or_came_back(
        story: list[tuple[str, int, int]]) -> None:
    lines, asked = told(story)
    for sku in set(SKUS.values()):
        numbers = [number for number, each in SKUS.items() if each == sku]
        out = sum(milli for what, number, milli in story if what == "out" and number in numbers)
        back = sum(milli for what, number, milli in story if what in ("back", "loose") and number in numbers)
        assert sum(asked.get(number, 0) for number in numbers) <= min(out, back)
    for (number, _), each in lines.items():
        assert each.refunded_milli <= each.out_milli or number == 0


@given(STORIES, st.randoms(use_true_random=False))
def test_p9_whatever_is_heard_first_the_same_money_is_asked_for_in_the_end(story: list[tuple[str, int, int]],
                                                                          chance: object) -> None:
    """Hand-over and return come from different stores, in any order. By product: which of two lines of one product a
    customer means, nobody can know."""
    plain = [word for word in story if word[0] in ("out", "back")]
    other = list(plain)
    chance.shuffle(other)  # type: ignore[attr-defined]
    assert told(plain)[1] == told(other)[1]


@pytest.mark.parametrize("grade", Grade)
def test_grading_conserves_what_stays_and_removes_what_leaves(grade: Grade) -> None:
    moves = graded("milk", 3000, grade, "outlet" if grade is Grade.REDUCED else "")
    total = sum(move.sellable_milli + move.quarantine_milli for move in moves)
    assert sum(move.quarantine_milli for move in moves) == -3000
    assert total == (0 if grade in (Grade.SELLABLE, Grade.REDUCED) else -3000)
    assert stock_moves(Grading("g", "milk", 3000, grade, moves, "ana")) == moves
