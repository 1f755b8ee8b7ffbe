"""What goes wrong while a box takes up its story again: kills, lost replies, a restored hub, tills, orders."""

import asyncio
import shutil
from pathlib import Path

import httpx
import msgspec
import pytest

from cloud_sync.contract.pickup import Step
from cloud_sync.hub import rebase as hub_rebase
from edge import rebase as edge_rebase
from edge.db.rebase_rows import AskingEpoch, MovingOn, TakingBack, read_rebase
from edge.pos.access import Role
from tests.restore.world import STORE, Box, Town, sale_key
from tests.store_kit import BUSINESS_DAY

OLD_SALES, LOST_SALES, OWN_SALES = range(1, 4), range(4, 24), range(50, 60)


async def lost_its_disk(town: Town) -> Box:
    """A box that is restored and has sold on, and not spoken with the hub since."""
    box = town.box
    for sequence in OLD_SALES:
        await box.sells(sequence)
    await box.settles()
    copy = box.backs_up()
    for sequence in LOST_SALES:
        await box.sells(sequence, "bread")
    await box.settles()
    box.wire.cut = True
    await box.is_restored(copy)
    for sequence in OWN_SALES:
        await box.sells(sequence)
    return box


async def everything_counts_once(town: Town, box: Box) -> None:
    await town.agree(box)
    assert {sale_key(number) for number in (*OLD_SALES, *LOST_SALES, *OWN_SALES)} <= box.fact_keys()
    milk, bread = len(OLD_SALES) + len(OWN_SALES), len(LOST_SALES)
    assert box.stock() == {"milk": (-1000 * milk, 0, 0, 0), "bread": (-1000 * bread, 0, 0, 0)}


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_rebase, "HISTORY_ENTRIES_MAX", 5)
    monkeypatch.setattr(edge_rebase, "REBASE_ENTRIES_MAX", 3)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("phase", [AskingEpoch, MovingOn, TakingBack])
async def test_p2_a_box_killed_at_any_step_of_taking_history_back_goes_on_from_there(town: Town, phase: type):
    box = await lost_its_disk(town)
    kills = 0
    box.wire.cut = False
    for _ in range(4):
        try:
            await box.until(lambda: isinstance(read_rebase(box.kit.books.ledger_reader), phase),
                            within_s=3 if kills else 60, look_every_s=0.0005 if phase is MovingOn else 0.01)
        except TimeoutError:
            break
        kills += 1
        await box.restarts()
        await asyncio.sleep(0.05)
    assert kills
    await everything_counts_once(town, box)
    assert box.epoch_now == 2


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("path", ["epochs", "history", "common", "hello", "ledger"])
async def test_p2_a_lost_reply_to_any_question_costs_one_repeat_and_no_second_epoch(town: Town, path: str):
    box = await lost_its_disk(town)
    lost: list[str] = []

    def loses(request: httpx.Request) -> bool:
        if request.url.path.endswith(path) and len(lost) < 2:
            lost.append(path)
            return True
        return False

    box.wire.loses_reply = loses
    box.wire.cut = False
    await everything_counts_once(town, box)
    assert len(lost) == 2
    assert (await town.hub.status(STORE)).epoch == box.epoch_now == 2


@pytest.mark.usefixtures("small_steps")
async def test_p1_it_sells_on_while_history_comes_back_and_pushes_only_then(town: Town):
    box = await lost_its_disk(town)
    pushed_early: list[str] = []

    def watch(request: httpx.Request) -> bool:
        if request.url.path.endswith("/ledger") and read_rebase(box.kit.books.ledger_reader) is not None:
            pushed_early.append(request.url.path)
        return False

    box.wire.before = watch
    box.wire.cut = False
    await box.until(lambda: isinstance(read_rebase(box.kit.books.ledger_reader), MovingOn | TakingBack))
    await box.sells(99)
    assert pushed_early == []
    await town.agree(box)
    assert sale_key(99) in await town.hub_facts()


async def test_p2_restored_twice_from_the_same_copy_and_once_from_a_copy_made_in_between(any_town: Town):
    town = any_town
    box = town.box
    await box.sells(1)
    await box.settles()
    first = box.backs_up()
    await box.sells(2)
    await box.settles()
    await box.is_restored(first)
    await town.agree(box)
    second = box.backs_up()
    await box.sells(3)
    await box.settles()
    await box.is_restored(first)
    await box.sells(4)
    await town.agree(box)
    await box.is_restored(second)
    await box.sells(5)
    await town.agree(box)
    assert box.stock() == {"milk": (-5000, 0, 0, 0)}
    assert (await town.hub.status(STORE)).alarms == ()


@pytest.mark.usefixtures("small_steps")
async def test_p2_a_copy_made_while_history_came_back_is_as_good_as_any(town: Town):
    box = await lost_its_disk(town)
    copies: list[Path] = []

    def copy(_request: httpx.Request) -> bool:
        if read_rebase(box.kit.books.ledger_reader) is not None:
            copies.append(box.backs_up())
        return False

    box.wire.before = copy
    box.wire.cut = False
    await everything_counts_once(town, box)
    box.wire.before = lambda request: False
    assert len(copies) >= 5
    for each in copies[::3]:
        await box.is_restored(each)
        await everything_counts_once(town, box)


async def test_p2_a_restored_hub_is_sent_older_epochs_again_too(any_town: Town, database_url: str):
    town = any_town
    if not database_url.startswith("sqlite"):
        return await _postgres_loses_its_newest_rows(town)
    box, hub_file = town.box, Path(database_url.removeprefix("sqlite:///"))
    await box.sells(1)
    await box.settles()
    copy = box.backs_up()
    town.hub.stop()
    shutil.copyfile(hub_file, hub_file.with_suffix(".copy"))
    town.hub.start()
    for sequence in range(2, 6):
        await box.sells(sequence)
    await box.settles()
    await box.is_restored(copy)
    await box.sells(6)
    await town.agree(box)
    assert box.epoch_now == 2

    town.hub.stop()
    for leftover in hub_file.parent.glob("hub.db-*"):
        leftover.unlink()
    shutil.copyfile(hub_file.with_suffix(".copy"), hub_file)
    town.hub.start()
    town.hub.storage.database.renew_after_restore()
    await box.sells(7)
    await town.agree(box)
    assert {sale_key(number) for number in range(1, 8)} <= set(await town.hub_facts())
    first = (await town.hub.status(STORE)).heads[0]
    assert (first.epoch, first.sequence) == (1, 5)
    return None


async def _postgres_loses_its_newest_rows(town: Town) -> None:
    """The same loss, row by row: PostgreSQL's backups are not files of ours."""
    import sqlalchemy as sa

    box = town.box
    await box.sells(1)
    await box.settles()
    copy = box.backs_up()
    await box.sells(2)
    await box.settles()
    await box.is_restored(copy)
    await box.sells(3)
    await town.agree(box)
    with town.hub.storage.database.transaction() as connection:
        for table in ("ledger_entry", "ledger_head", "ledger_epoch", "box_session", "stock", "till_day"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    town.hub.storage.database.renew_after_restore()
    with town.hub.storage.database.transaction() as connection:
        connection.execute(sa.text("INSERT INTO box_session VALUES ('0042', 1, 0, '', '[]', '', '')"))
    await box.sells(4)
    await town.agree(box)
    assert {sale_key(number) for number in range(1, 5)} <= set(await town.hub_facts())


async def test_tills_are_told_what_the_restored_ledger_holds_and_gaps_are_listed(town: Town):
    box = town.box
    for sequence in (1, 2, 3):
        await box.sells(sequence)
    await box.settles()
    copy = box.backs_up()
    await box.sells(4)
    await box.settles()
    box.wire.cut = True
    await box.sells(5)               # never reached the hub: gone with the disk, only the till has it
    await box.is_restored(copy)
    assert await high_water(box) == {"last": 3, "count": 3, "ranges": [], "settled": True}
    await box.sells(7)               # the till goes on selling before it asks
    box.wire.cut = False
    await town.agree(box)
    assert await high_water(box) == {"last": 7, "count": 5, "ranges": [[5, 6]], "settled": True}
    assert "till-gap" in box.kit.exceptions()
    for sequence in (5, 6):
        await box.sells(sequence)
    await box.kit.till().closes(1, 7, 7, "7.00")
    assert "till-gap" not in box.kit.exceptions()
    await town.agree(box)


async def high_water(box: Box) -> dict[str, object]:
    async with box.kit.caller(Role.TILL, "1") as client:
        answer = (await client.get("/v1/tills/1/high-water", params={"business_day": BUSINESS_DAY})).json()
    return {name: answer[name] for name in ("last", "count", "ranges", "settled")}


async def test_p2_one_key_with_two_meanings_in_two_lives_counts_as_the_hub_has_it_and_a_person_is_told(town: Town):
    box = town.box
    await box.sells(1)
    await box.settles()
    copy = box.backs_up()
    await box.sells(2, "bread", 3)
    await box.settles()
    box.wire.cut = True
    await box.is_restored(copy)
    await box.sells(2, "milk", 5)
    box.wire.cut = False
    await town.agree(box)
    assert box.stock()["bread"] == (-3000, 0, 0, 0)
    assert box.stock()["milk"] == (-1000, 0, 0, 0)
    assert "conflict" in box.kit.exceptions()
    row = box.kit.books.ledger_reader.execute("SELECT count, total_minor FROM till_day").fetchone()
    assert row == (2, 400)


@pytest.mark.parametrize("lost", ["void", "sale"])
async def test_p2_a_sale_and_its_void_in_different_lives_leave_the_goods_where_they_are(town: Town, lost: str):
    box = town.box
    copy = box.backs_up()
    if lost == "void":
        await box.kit.till().voids(2, 1)
        await box.settles()
    else:
        await box.sells(1)
        await box.settles()
    box.wire.cut = True
    await box.is_restored(copy)
    await (box.sells(1) if lost == "void" else box.kit.till().voids(2, 1))
    box.wire.cut = False
    await town.agree(box)
    assert box.stock().get("milk", (0, 0, 0, 0)) == (0, 0, 0, 0)


@pytest.mark.parametrize("replaced", [False, True])
async def test_p6_an_order_handed_over_by_the_lost_disk_stays_handed_over(town: Town, replaced: bool):
    box = town.box
    await box.kit.receives("milk", 10)
    await box.until(lambda: box.kit.pickups.cursor() is not None)
    copy = box.backs_up()
    order = {"lines": [{"line": 1, "sku": "milk", "quantity_milli": 2000, "price_minor": 100}], "currency": "EUR",
             "pickup_code": "K7P3XQ2M", "person": {"display_name": "Marta"}}
    for order_id in ("o1", "o2"):
        assert (await town.hub.operator.put(f"/v1/stores/{STORE}/orders/{order_id}", json=order)).status_code == 201
    await box.until(lambda: box.kit.pickups.find("o2") is not None)
    for step in (Step.PICK, Step.STAGE, Step.READY):
        await box.kit.takes_step("o1", step)
    await box.kit.takes_step("o1", Step.HAND_OVER, code="K7P3XQ2M")
    await box.kit.takes_step("o2", Step.PICK)
    await box.settles()
    if replaced:
        await box.is_killed()
        box = await town.enrols("other box")
        await box.starts()
    else:
        await box.is_restored(copy)
    await town.agree(box)
    await box.until(lambda: box.kit.pickups.find("o2") is not None)
    if replaced:  # a new box gets open orders only; one that has ended comes when the hub has more to say of it
        assert box.kit.pickups.find("o1") is None
        await town.hub.operator.post(f"/v1/stores/{STORE}/orders/o1/cancel-request")
        await box.until(lambda: box.kit.pickups.find("o1") is not None)
    await town.agree(box)
    first, second = box.kit.pickups.find("o1"), box.kit.pickups.find("o2")
    assert first is not None
    assert second is not None
    assert (first.row.state, second.row.state) == ("handed_over", "picking")
    assert [(line.reserved_milli, line.staged_milli) for line in second.lines] == [(0, 2000)]
    assert box.stock()["milk"] == (6000, 0, 2000, 0)
    for step in (Step.STAGE, Step.READY):
        await box.kit.takes_step("o2", step, transition_id=f"later-{step}")
    await box.kit.takes_step("o2", Step.HAND_OVER, transition_id="later", code="K7P3XQ2M")
    await town.agree(box)
    assert box.stock()["milk"] == (6000, 0, 0, 0)


async def test_p3_a_restored_box_asks_no_more_than_the_lost_disk_had_seen_proven_on_the_shelf(town: Town):
    box = town.box
    label, till = box.kit.label("aisle 4"), box.kit.till()
    await label.hangs_under("milk")
    await label.proves()
    await box.settles()
    copy = box.backs_up()
    await sets_price(town, 90)
    await box.until(lambda: label.is_offered() == "0.90")
    await label.proves()
    await sets_price(town, 110)
    await box.until(lambda: label.is_offered() == "1.10")
    assert till.asks("milk") == "0.90"
    await box.settles()
    offers = len(label.offers())
    await box.is_restored(copy)
    await town.agree(box)
    await box.until(lambda: till.asks("milk") != "unknown" and till.list_price("milk") == "1.10")
    assert till.asks("milk") == "0.90"
    await box.until(lambda: len(label.offers()) > offers and label.is_offered() == "1.10")
    assert till.asks("milk") == "0.90"
    await label.proves()
    await box.kit.time_passes(box.kit.settle_s + box.kit.policy.grace_s + 1)
    assert till.asks("milk") == "1.10"


async def test_p3_a_replaced_box_knows_what_labels_it_never_heard_have_proven(town: Town):
    await town.box.kit.label("aisle-4").hangs_under("milk")
    await town.box.kit.label("aisle-4").proves()
    await town.box.settles()
    await sets_price(town, 110)
    await town.box.is_killed()
    box = await town.enrols("other box")
    await box.starts()
    await town.agree(box)
    till, label = box.kit.till(), box.kit.label("aisle-4")
    await box.until(lambda: till.asks("milk") != "unknown" and till.list_price("milk") == "1.10")
    assert till.asks("milk") == "1.00"
    assert [(each.label, each.sku) for each in box.kit.labels.all()] == [("aisle-4", "milk")]
    box.kit.station.is_heard("aisle-4")
    await box.until(lambda: label.offers() == ["1.10"])
    await label.proves("1.10")
    await box.kit.time_passes(box.kit.settle_s + box.kit.policy.grace_s + 1)
    assert till.asks("milk") == "1.10"


async def test_a_label_hangs_where_it_was_hung_last_by_either_life_of_the_box(town: Town):
    box = town.box
    for label in ("aisle-1", "aisle-2"):
        await box.kit.label(label).hangs_under("milk")
    await box.settles()
    copy = box.backs_up()
    for label in ("aisle-1", "aisle-2"):
        await box.kit.label(label).hangs_under("bread")
    await box.settles()
    box.wire.cut = True
    await box.is_restored(copy)
    await box.until(lambda: box.kit.planner.progress > 0)
    box.kit._ids = 1000  # people mint new ids, whatever became of a disk
    await box.kit.labels.unbind("aisle-2", "ana", "unbound")
    box.wire.cut = False
    await town.agree(box)
    assert [(each.label, each.sku) for each in box.kit.labels.all()] == [("aisle-1", "bread"), ("aisle-2", None)]


async def sets_price(town: Town, price_minor: int) -> None:
    price = {"id": "milk", "sku": "milk", "price_minor": price_minor, "currency": "EUR"}
    assert (await town.hub.operator.put("/v1/catalogue/prices", json=[price])).status_code == 200


async def test_a_hub_that_sends_nonsense_as_history_is_not_believed(town: Town, monkeypatch: pytest.MonkeyPatch):
    box = await lost_its_disk(town)
    honest = hub_rebase.Rebases.history

    def forged(self, *arguments):
        page = honest(self, *arguments)
        past = page.entries[3]
        entry = msgspec.structs.replace(past.entry, fact_key="till/1/2026-11-23/0000000777")
        return msgspec.structs.replace(page, entries=(*page.entries[:3], msgspec.structs.replace(past, entry=entry)))

    with monkeypatch.context() as lying:
        lying.setattr(hub_rebase.Rebases, "history", forged)
        box.wire.cut = False
        await box.until(lambda: any("does not follow" in each.text for each in box.link.state.troubles))
        assert sale_key(777) not in box.fact_keys()
    await everything_counts_once(town, box)
