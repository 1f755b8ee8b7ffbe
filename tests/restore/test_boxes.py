"""Boxes that were restored, replaced, doubled: nothing is lost, nothing counts twice (P1, P2, P9)."""

import asyncio

import pytest

from tests.restore.world import STORE, Town, sale_key


async def test_p2_a_restored_box_takes_its_lost_sales_back_and_keeps_what_it_sold_since(any_town: Town):
    town = any_town
    box = town.box
    for sequence in range(1, 6):
        await box.sells(sequence)
    await box.settles()
    copy = box.backs_up()
    for sequence in range(6, 9):
        await box.sells(sequence, "bread")
    await box.settles()

    box.wire.cut = True
    await box.is_restored(copy)
    await box.sells(20)              # sold before it ever spoke with the hub again
    await box.sells(7, "bread")      # a till sends again what the lost disk had acknowledged
    box.wire.cut = False
    await town.agree(box)

    assert box.epoch_now == 2
    assert box.stock() == {"milk": (-6000, 0, 0, 0), "bread": (-3000, 0, 0, 0)}
    assert {sale_key(number) for number in (1, 5, 6, 7, 8, 20)} <= box.fact_keys()
    status = await town.hub.status(STORE)
    assert (status.transactions, status.alarms, status.epoch) == (9, (), 2)
    rows = box.kit.books.ledger_reader.execute(
        "SELECT fact_key, rebased_epoch FROM entry WHERE epoch = 2 AND kind = 'transaction' ORDER BY sequence")
    assert rows.fetchall() == [(sale_key(20), 1), (sale_key(7), 1)]
    await box.sells(21)
    await town.agree(box)
    assert box.epoch_now == 2


async def test_p2_a_box_restored_exactly_at_the_hubs_head_goes_on_in_its_epoch(any_town: Town):
    town = any_town
    await town.box.sells(1)
    await town.box.settles()
    await town.box.is_restored(town.box.backs_up())
    await town.box.sells(2)
    await town.agree(town.box)
    assert town.box.epoch_now == 1


async def test_p1_a_replaced_box_begins_with_an_empty_disk_and_ends_with_the_whole_story(any_town: Town):
    town = any_town
    for sequence in range(1, 6):
        await town.box.sells(sequence)
    await town.box.settles()
    await town.box.is_killed()
    other = await town.enrols("other box")
    other.wire.cut = True
    await other.starts()
    await other.sells(6)
    other.wire.cut = False
    await town.agree(other)
    assert other.epoch_now == 2
    assert other.stock() == {"milk": (-6000, 0, 0, 0)}
    row = other.kit.books.ledger_reader.execute(
        "SELECT count, first_sequence, last_sequence, total_minor FROM till_day")
    assert row.fetchall() == [(6, 1, 6, 600)]


async def test_p4_two_boxes_alive_the_older_enrolment_is_fenced_and_alarmed_and_both_go_on_selling(any_town: Town):
    town = any_town
    old = town.box
    await old.sells(1)
    await old.settles()
    new = await town.enrols("new box")
    await new.starts()
    await town.agree(new)
    await old.sells(2)
    await old.until(lambda: old.link.state.fence is not None)
    assert old.link.state.fence.reason.value == "superseded"
    await new.sells(3)
    await town.agree(new)
    assert sale_key(2) not in await town.hub_facts()
    await asyncio.sleep(60)
    assert [alarm.reason for alarm in (await town.hub.status(STORE)).alarms] == ["superseded"]
    await old.sells(4)               # P4: it sells on

    await new.is_killed()            # and what it sold comes in once it is enrolled again
    old.token = "another token"
    await town.trades(await town.makes_code(), old.token)
    await old.restarts()
    await town.agree(old)
    assert {sale_key(number) for number in (1, 2, 3, 4)} <= set(await town.hub_facts())


async def test_p2_a_disk_that_was_cloned_and_runs_twice_is_noticed_and_loses_nothing(any_town: Town):
    town = any_town
    await town.box.sells(1)
    await town.box.settles()
    copy = town.box.backs_up()
    twin = town.add("twin", town.box.token)
    await twin.is_restored(copy)
    await twin.sells(2, "bread")
    await twin.settles()
    await town.box.sells(3)
    await town.box.until(lambda: town.box.link.state.fence is not None)
    assert town.box.link.state.fence.reason.value == "twin"
    await asyncio.sleep(60)
    assert [alarm.reason for alarm in (await town.hub.status(STORE)).alarms] == ["twin"]
    await twin.is_killed()
    await town.box.restarts()
    await town.agree(town.box)
    assert {sale_key(number) for number in (1, 2, 3)} <= set(await town.hub_facts())
    assert town.box.stock() == {"milk": (-2000, 0, 0, 0), "bread": (-1000, 0, 0, 0)}


@pytest.mark.parametrize("forked", [False, True], ids=["behind its end", "beside its own"])
async def test_p2_a_hub_that_forgot_a_box_takes_entries_of_its_twin_and_the_box_hears_of_them(
        any_town: Town, forked: bool):
    """A hub is restored to before this box left its first epoch, and an old clone of its disk comes first: what that
    sold stands in an epoch that this box has left, behind the epoch's end or beside entries of its own there."""
    town, box = any_town, any_town.box
    await box.sells(1)
    await box.settles()
    early, early_hub = box.backs_up(), town.hub_backs_up()
    await box.sells(2)
    await box.settles()
    cloned, hub_copy = (early, early_hub) if forked else (box.backs_up(), town.hub_backs_up())
    await box.is_restored(early)
    await box.sells(3)
    await town.agree(box)
    assert box.epoch_now == 2

    box.wire.cut = True
    town.hub_is_restored(hub_copy)
    twin = town.add("twin", box.token)
    await twin.is_restored(cloned)
    await twin.sells(4, "bread")
    await twin.settles()
    await twin.is_killed()
    box.wire.cut = False
    await box.sells(5)
    await town.agree(box)
    sold = {sale_key(number) for number in range(1, 6)}
    assert sold <= set(await town.hub_facts())
    assert sold <= box.fact_keys()
    assert box.stock() == {"milk": (-4000, 0, 0, 0), "bread": (-1000, 0, 0, 0)}
    assert [alarm.reason for alarm in (await town.hub.status(STORE)).alarms] == []
