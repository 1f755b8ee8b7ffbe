"""The witness must catch a store that lies: each scene plants one lie, beside the same scene told honestly."""

import hashlib
from collections.abc import Iterable

import msgspec
import pytest

from drivers.openepaperlink import codec
from drivers.openepaperlink.codec import TransferComplete
from drivers.openepaperlink.picture_codec import tag_types
from drivers.port import Picture
from drivers.virtual.label import ScreenChange
from edge.labels.content import label_content
from edge.labels.render import render
from edge.labels.template import load_templates
from edge.proving.picture_reader import PictureReader, Printed, read_link
from edge.proving.promises import GENESIS_HASH
from edge.proving.receipts import AskedBasket, AskedLine, Receipt, ReceiptLine
from edge.proving.sightings import (
    BooksSeen,
    Buckets,
    Finding,
    LedgerEntry,
    SentLine,
    SoldLine,
    Span,
    TillTransaction,
)
from edge.proving.wire_ear import WireEar
from edge.proving.witness import Witness
from edge.shipped import shipped

GRACE_S = 3.0
LABEL = "0000021b1ad03b17"
MILK = "4006381333931"
READER = PictureReader()
SALE = TillTransaction("1", "2026-11-22", 7)


def picture_of(price_minor: int, sku: str = "milk", gtin: str | None = MILK, type_number: int = 0x01) -> Picture:
    content = label_content(sku=sku, name="Whole milk", gtin=gtin, package_text="1 l", price_minor=price_minor,
                            currency="EUR", language="en", unit_system="metric", link_domain="id.gs1.org")
    description = tag_types()[type_number].describe(LABEL)
    template = load_templates([shipped("config/templates")]).select("regular", description)
    return render(template, content, description)


@pytest.fixture
def witness() -> Witness:
    witness = Witness(GRACE_S, READER)
    witness.knows_item("milk", [MILK])
    return witness


def finding(witness: Witness, promise: str, entries: Iterable[LedgerEntry] = (),
            hub: Iterable[LedgerEntry] | None = None, stock: dict[str, Buckets] | None = None) -> Finding:
    entries = tuple(entries)
    store_books = BooksSeen("0042", 1, entries, stock or {})
    hub_books = BooksSeen("0042", 1, entries if hub is None else tuple(hub))
    found = {each.promise: each for each in witness.verdict(store_books, hub_books, 1000.0)}
    return found[promise]


def ledger(*facts: tuple[str, dict[str, object]]) -> tuple[LedgerEntry, ...]:
    entries, before = [], GENESIS_HASH
    for sequence, (key, fact) in enumerate(facts, start=1):
        payload, kind = msgspec.json.encode(fact), str(fact["kind"])
        header = f"{before}\n0042\n1\n{sequence}\n{key}\n{kind}\n0\n2026-11-22\n"
        before = hashlib.sha256(header.encode() + payload).hexdigest()
        entries.append(LedgerEntry(sequence, key, kind, 0, "2026-11-22", payload, before))
    return tuple(entries)


def sale_fact(*lines: tuple[str, int, int]) -> tuple[str, dict[str, object]]:
    total_minor = sum(amount for *_, amount in lines)
    return SALE.fact_key, {"kind": "transaction", "type": "sale", "total_minor": total_minor, "lines": [
        {"kind": "sale", "sku": sku, "quantity_milli": quantity, "amount_minor": amount}
        for sku, quantity, amount in lines]}


def pickup_fact(step: str, order: str = "A-1", **moves: int) -> tuple[str, dict[str, object]]:
    return f"pickup/{order}/{step}", {"kind": "pickup", "order_id": order, "step": step,
                                      "moves": [{"sku": "milk", **moves}] if moves else []}


def receipt(quantity_milli: int) -> tuple[str, dict[str, object]]:
    return "movement/r1", {"kind": "movement", "moves": [{"sku": "milk", "sellable_milli": quantity_milli}]}


def proof_fact(price_minor: int, version: str = "v1") -> tuple[str, dict[str, object]]:
    return f"proof/{version}", {"kind": "proof", "label": LABEL, "version": version, "sku": "milk",
                                "price_minor": price_minor}


@pytest.mark.parametrize("type_number", [0x01, 0x02], ids=["2.9 inch", "4.2 inch"])
@pytest.mark.parametrize("price_minor", [0, 1, 99, 12_345_678])
def test_the_witness_reads_the_price_from_the_picture_alone(type_number, price_minor):
    assert READER.read(picture_of(price_minor, type_number=type_number)) == Printed(f"01/0{MILK}", price_minor)


def test_an_item_without_a_gtin_is_known_by_its_sku():
    assert READER.read(picture_of(250, sku="a b/7", gtin=None)) == Printed("s/a b/7", 250)


@pytest.mark.parametrize("link", ["", "https://x/01/4006381333931?3922=1", "https://x/01/04006381333931", "ftp://x/s/1?3922=1",
                                  "https://x/s/1?3922=-1", "https://x/s/?3922=1", "https://x/02/04006381333931?3922=1"])
def test_what_is_no_shelf_link_says_nothing(link):
    assert read_link(link) is None


def test_a_blank_screen_promises_nothing_but_a_picture_without_a_price_is_a_violation(witness):
    witness.saw_screen(LABEL, 1.0, "v0", None)
    witness.saw_screen(LABEL, 2.0, "v1", Picture(8, 1, bytes(8)))
    assert finding(witness, "P3").violations == (
        f"P3: label {LABEL} shows a picture without a readable price since 2.0 s",)


def test_p3_a_till_that_charges_more_than_the_shelf_shows_is_caught(witness):
    witness.saw_screen(LABEL, 1.0, "v1", picture_of(99))
    witness.lookup("1", MILK, Span(2.0, 2.1), 99)
    witness.lookup("1", "milk", Span(3.0, 3.1), 100)
    found = finding(witness, "P3")
    assert found.checked == 2
    assert len(found.violations) == 1
    assert "till 1 was told 100 for milk" in found.violations[0]


@pytest.mark.parametrize(("asked_s", "caught"), [(10.0, True), (12.9, True), (13.05, False), (20.0, False)])
def test_p3_a_price_that_was_read_counts_until_the_grace_is_over(witness, asked_s, caught):
    witness.saw_screen(LABEL, 1.0, "v1", picture_of(99))
    witness.saw_screen(LABEL, 10.0, "v2", picture_of(109))
    witness.lookup("1", MILK, Span(asked_s, asked_s + 0.05), 109)
    assert bool(finding(witness, "P3").violations) is caught


def test_p3_a_price_that_came_up_while_the_till_was_asking_binds_nobody(witness):
    witness.lookup("1", MILK, Span(1.0, 1.5), 109)
    witness.saw_screen(LABEL, 1.2, "v1", picture_of(99))
    assert finding(witness, "P3").violations == ()


def test_p3_the_picture_binds_the_item_it_names_wherever_the_label_hangs_now(witness):
    witness.knows_item("bread", ["9780201379624"])
    witness.saw_screen(LABEL, 1.0, "v1", picture_of(99, sku="bread", gtin="9780201379624"))
    witness.lookup("1", MILK, Span.at(2.0), 500)
    witness.lookup("1", "bread", Span.at(2.0), 500)
    assert len(finding(witness, "P3").violations) == 1


@pytest.mark.parametrize(("asked_s", "caught"), [(12.0, True), (13.5, False), (21.0, True)])
def test_p3_an_excluded_label_counts_for_the_grace_and_again_when_it_is_included(witness, asked_s, caught):
    witness.saw_screen(LABEL, 1.0, "v1", picture_of(99))
    witness.off_shelf(LABEL, Span(10.0, 10.1))
    witness.on_shelf(LABEL, Span(20.0, 20.1))
    witness.lookup("1", MILK, Span.at(asked_s), 109)
    assert bool(finding(witness, "P3").violations) is caught


@pytest.mark.parametrize(("asked_s", "caught"), [(149.0, True), (151.0, False)])
def test_p3_an_offer_that_names_its_last_day_binds_until_that_day_and_the_grace_are_over(witness, asked_s, caught):
    witness.names_last_days(lambda item, price_minor: 150.0 - GRACE_S if price_minor == 89 else None)
    witness.saw_screen(LABEL, 10.0, "offer", picture_of(89))
    witness.lookup("1", MILK, Span.at(asked_s), 99)
    assert bool(finding(witness, "P3").violations) is caught


def test_p3_nobody_walks_to_a_till_once_the_store_was_cleared(witness):
    witness.saw_screen(LABEL, 1.0, "v1", picture_of(99))
    witness.nobody_there(Span(9.0, 100.0))
    witness.saw_screen(LABEL, 9.5, "v2", picture_of(109))
    witness.lookup("1", MILK, Span.at(10.0), 109)
    witness.lookup("1", MILK, Span.at(101.0), 109)
    assert finding(witness, "P3").violations == ()
    witness.lookup("1", MILK, Span.at(102.0), 110)
    assert len(finding(witness, "P3").violations) == 1


def test_p3_a_receipt_that_charges_more_than_the_shelf_showed_at_the_scan_is_caught(witness):
    witness.saw_screen(LABEL, 1.0, "v1", picture_of(99))
    witness.answered(witness.sent(SALE, "sale", [SentLine(MILK, 2000, 218, 109, Span.at(2.0))]), 201)
    assert any("charged 109" in each for each in finding(witness, "P3").violations)


@pytest.mark.parametrize(("paid_s", "paid_minor", "caught"), [
    (12.9, 198, False), (12.9, 199, True), (13.1, 220, False)], ids=["as read", "more", "after the grace"])
def test_p3_a_customer_who_pays_more_than_was_read_is_caught(witness, paid_s, paid_minor, caught):
    witness.saw_screen(LABEL, 1.0, "v1", picture_of(99))
    reading = witness.read(LABEL, 10.0)
    witness.saw_screen(LABEL, 10.5, "v2", picture_of(110))
    assert reading is not None
    binds = witness.paid(reading, 2000, paid_minor, Span(paid_s - 0.1, paid_s))
    assert binds is (paid_s < 13)
    assert bool(finding(witness, "P3").violations) is caught


def test_nobody_reads_a_label_that_is_off_the_shelf_blank_or_in_an_empty_store(witness):
    assert witness.read(LABEL, 0.5) is None
    witness.saw_screen(LABEL, 1.0, "v1", picture_of(99))
    witness.nobody_there(Span(5.0, 6.0))
    assert witness.read(LABEL, 5.5) is None
    assert witness.read(LABEL, 6.0) is not None
    witness.off_shelf(LABEL, Span(10.0, 10.1))
    assert witness.read(LABEL, 10.2) is None


def test_what_a_customer_read_binds_nobody_after_the_disk_died(witness):
    witness.saw_screen(LABEL, 1.0, "v1", picture_of(99))
    reading = witness.read(LABEL, 2.0)
    assert reading is not None
    witness.disk_died([])
    assert witness.paid(reading, 1000, 200, Span.at(3.0)) is False


@pytest.mark.parametrize(("copied_s", "caught"), [(10.0, False), (16.0, True)])
def test_p3_a_copy_must_know_of_a_label_that_was_put_back_some_seconds_before_it_was_loaded(witness, copied_s, caught):
    witness.saw_screen(LABEL, 1.0, "v1", picture_of(99))
    witness.off_shelf(LABEL, Span(2.0, 2.1))
    witness.on_shelf(LABEL, Span(9.0, 10.0))
    witness.lookup("1 with a copy", MILK, Span.at(20.0), 109, copied_s)
    assert bool(finding(witness, "P3").violations) is caught


def test_p3_a_copy_that_is_not_late_must_know_what_a_label_drew(witness):
    """A decrease goes to the shelf only when every copy has it."""
    witness.saw_screen(LABEL, 15.0, "v1", picture_of(99))
    witness.lookup("1 with a copy", MILK, Span.at(20.0), 109, copied_s=10.0)
    assert len(finding(witness, "P3").violations) == 1


def test_p3_a_receipt_that_charges_more_than_the_shelf_showed_is_caught(witness):
    line = ReceiptLine(1, "milk", 2000, 109, 109, 218, 0, 218, 0)
    basket = AskedBasket((AskedLine(1, MILK, 2000),), member=False)
    witness.saw_screen(LABEL, 1.0, "v1", picture_of(99))
    witness.receipt("1", basket, Receipt([line], [], 0, 218, []), Span(2.0, 2.1), {})
    witness.receipt("1", basket, Receipt([line], [], 0, 217, []), Span(2.0, 2.1), {})
    assert len(finding(witness, "P3").violations) == 2
    assert (finding(witness, "receipts").checked, len(finding(witness, "receipts").violations)) == (2, 1)


def test_a_price_that_is_held_low_without_anybody_being_told_is_caught(witness):
    witness.held_and_told("milk", 900.0, told=True)
    witness.held_and_told("milk", 930.0, told=False)
    found = finding(witness, "holds")
    assert (found.checked, len(found.violations)) == (2, 1)


@pytest.mark.parametrize(("refunds", "taken_back", "caught"), [
    (set(), set(), True), ({SoldLine(SALE.fact_key, 1)}, set(), False), (set(), {SALE.fact_key}, False)])
def test_what_a_late_copy_charged_too_much_must_be_on_the_refund_list(witness, refunds, taken_back, caught):
    witness.saw_screen(LABEL, 1.0, "v1", picture_of(99))
    line = SentLine(MILK, 2000, 218, 109, None, copied_s=0.5, late_at_s=2.0)
    witness.answered(witness.sent(SALE, "sale", [line]), 201)
    witness.look_back(3.0)
    witness.owed(refunds, taken_back)
    assert finding(witness, "P3").violations == (), "not the store's to prevent"
    if not taken_back:
        assert bool(finding(witness, "refunds").violations) is caught


def test_p3_a_claim_that_the_store_lost_is_caught(witness):
    witness.saw_screen(LABEL, 1.0, "v1", picture_of(99))
    assert witness.claims_stand([(LABEL, "milk", 99), (LABEL, "milk", 109)]) == []
    assert len(witness.claims_stand([(LABEL, "milk", 109)])) == 1


def test_p1_a_sale_that_was_acknowledged_and_is_gone_is_caught(witness):
    witness.answered(witness.sent(SALE, "sale", [SentLine("milk", 1000, 99)]), 201)
    assert len(finding(witness, "P1").violations) == 2, "gone from the store and from the hub"


def test_p1_a_sale_that_is_kept_with_another_amount_is_caught(witness):
    witness.answered(witness.sent(SALE, "sale", [SentLine("milk", 1000, 99)]), 201)
    assert finding(witness, "P1", ledger(sale_fact(("milk", 1000, 99)))).violations == ()
    assert len(finding(witness, "P1", ledger(sale_fact(("milk", 1000, 98)))).violations) == 2


def test_p1_a_step_that_was_acknowledged_and_never_reached_the_hub_is_caught(witness):
    witness.acknowledged("pickup/A-1/pick")
    entries = ledger(pickup_fact("pick"))
    assert finding(witness, "P1", entries).violations == ()
    assert finding(witness, "P1", entries, hub=()).violations == (
        "P1: pickup/A-1/pick was acknowledged and is not in the hub's ledger",)


def test_p1_an_entry_that_was_changed_afterwards_is_caught(witness):
    entries = ledger(receipt(1000), receipt(2000))
    tampered = (LedgerEntry(1, entries[0].fact_key, "movement", 0, "2026-11-22", entries[1].payload, entries[0].hash),
                entries[1])
    assert "P1: the store's ledger is broken at entry 1" in finding(witness, "P1", tampered).violations


def test_p2_a_sale_that_counts_twice_is_caught(witness):
    witness.answered(witness.sent(SALE, "sale", [SentLine("milk", 1000, 99)]), 201)
    fact = sale_fact(("milk", 1000, 99))
    honest = finding(witness, "P2", ledger(fact))
    assert (honest.checked, honest.violations) == (1, ())
    assert len(finding(witness, "P2", ledger(fact, fact)).violations) == 2


def test_p2_a_sale_that_no_till_sent_is_caught(witness):
    assert len(finding(witness, "P2", ledger(sale_fact(("milk", 1000, 99)))).violations) == 2


def test_p2_a_ledger_that_ends_elsewhere_than_the_hubs_is_caught(witness):
    entries = ledger(receipt(1000), pickup_fact("pick"))
    assert len(finding(witness, "P2", entries, hub=entries[:1]).violations) == 1


def test_p2_stock_that_its_facts_do_not_add_up_to_is_caught(witness):
    witness.answered(witness.sent(SALE, "sale", [SentLine("milk", 1000, 99)]), 201)
    entries = ledger(receipt(5000), sale_fact(("milk", 1000, 99)))
    assert finding(witness, "P2", entries, stock={"milk": Buckets(4000, 0, 0, 0)}).violations == ()
    assert len(finding(witness, "P2", entries, stock={"milk": Buckets(3000, 0, 0, 0)}).violations) == 1


@pytest.mark.parametrize(("status", "recorded", "fine"), [
    (201, None, True), (409, True, False), (409, False, False), (422, None, False), (400, None, False),
    (503, None, False)])
def test_p4_a_sale_that_ends_in_anything_but_kept_is_caught(witness, status, recorded, fine):
    witness.answered(witness.sent(SALE, "sale", [SentLine("milk", 1000, 99)]), status, recorded)
    assert (finding(witness, "P4").violations == ()) is fine


def test_p4_a_conflict_is_fine_when_an_exception_for_a_person_says_so(witness):
    witness.answered(witness.sent(SALE, "sale", [SentLine("milk", 1000, 99)]), 201)
    witness.answered(witness.sent(SALE, "sale", [SentLine("milk", 2000, 198)]), 409, True)
    conflict = ("conflict/x", {"kind": "exception", "reason": "conflict", "about": SALE.fact_key})
    found = finding(witness, "P4", ledger(sale_fact(("milk", 1000, 99)), conflict))
    assert (found.checked, found.violations) == (2, ())


@pytest.mark.parametrize(("line", "flag"), [
    (("milk", 0, 0), "zero-quantity"), (("milk", -1000, -99), "negative-quantity"),
    (("milk", 1_000_000, 99_000), "odd-quantity"), (("ghost", 1000, 99), "unknown-item")])
def test_p4_an_odd_line_that_nobody_is_told_of_is_caught(witness, line, flag):
    key, fact = sale_fact(line)
    fact["total_minor"] = line[2]
    assert len(finding(witness, "P4", ledger((key, fact))).violations) == 1
    (body,) = fact["lines"]
    fact["lines"], fact["flags"] = [{**body, "flags": [flag]}], [flag]
    assert finding(witness, "P4", ledger((key, fact))).violations == ()


def test_p4_a_sum_that_is_wrong_and_not_flagged_is_caught(witness):
    key, fact = sale_fact(("milk", 1000, 99))
    fact["total_minor"] = 100
    assert len(finding(witness, "P4", ledger((key, fact))).violations) == 1
    fact["flags"] = ["total-differs"]
    assert finding(witness, "P4", ledger((key, fact))).violations == ()


def test_p5_a_unit_promised_to_two_customers_is_caught(witness):
    once = (receipt(1000), pickup_fact("accept", "A-1", sellable_milli=-1000, reserved_milli=1000))
    assert finding(witness, "P5", ledger(*once)).violations == ()
    twice = ledger(*once, pickup_fact("accept", "A-2", sellable_milli=-1000, reserved_milli=1000))
    assert len(finding(witness, "P5", twice).violations) == 1


def test_p5_a_reservation_of_less_than_was_ordered_is_caught(witness):
    witness.placed("A-1", {"milk": 2000})
    entries = ledger(receipt(5000), pickup_fact("accept", "A-1", sellable_milli=-1000, reserved_milli=1000))
    assert len(finding(witness, "P5", entries).violations) == 1


def hears_done(witness: Witness) -> None:
    witness.heard_line("aisle", b"XFC>" + TransferComplete(LABEL).to_bytes())


@pytest.mark.parametrize(("heard", "caught"), [(True, False), (False, True)])
def test_p7_a_proof_without_a_done_on_the_line_is_caught(witness, heard, caught):
    witness.held(LABEL, "v1", 1.0)
    witness.saw_screen(LABEL, 1.5, "v1", picture_of(99))
    if heard:
        hears_done(witness)
    assert bool(finding(witness, "P7", ledger(proof_fact(99))).violations) is caught


def test_what_a_cable_spoilt_past_the_protocols_sum_is_counted_and_held_against_nobody(witness):
    """A zero byte that is lost is made up for by the padding: the block's sum stays right, and no label can tell."""
    sent = b"\x00".join([b"a picture"] * 9)
    wire = codec.wire_block(sent)
    lost_at = wire.index(bytes((codec.BLOCK_XOR,)), 4)
    arrived = codec.block_from_wire(wire[:lost_at] + wire[lost_at + 1:] + bytes((codec.BLOCK_XOR,)))
    assert arrived != sent
    assert ScreenChange(1.5, codec.version_of(sent), tag_types()[0x01], 0x20, arrived).spoilt
    assert not ScreenChange(1.5, codec.version_of(sent), tag_types()[0x01], 0x20, sent).spoilt

    witness.held(LABEL, "v1", 1.0)
    witness.saw_screen(LABEL, 1.5, "v1", Picture(8, 1, bytes(8)), spoilt=True)
    hears_done(witness)
    witness.label_claimed_shown(LABEL, "milk", Span(2.0, 2.1))
    for promise in ("P3", "P7"):
        assert finding(witness, promise, ledger(proof_fact(99))).violations == ()
    assert finding(witness, "spoilt pictures").checked == 1


@pytest.mark.parametrize(("version", "price_minor"), [("v2", 99), ("v1", 98)], ids=["not held", "other price"])
def test_p7_a_proof_of_a_picture_the_label_does_not_hold_is_caught(witness, version, price_minor):
    witness.held(LABEL, "v1", 1.0)
    witness.saw_screen(LABEL, 1.5, "v1", picture_of(99))
    hears_done(witness)
    assert len(finding(witness, "P7", ledger(proof_fact(price_minor, version))).violations) == 1


def test_p7_a_label_called_shown_that_holds_another_items_picture_is_caught(witness):
    witness.knows_item("bread", ["9780201379624"])
    witness.held(LABEL, "v1", 1.0)
    witness.saw_screen(LABEL, 1.5, "v1", picture_of(99))
    witness.label_claimed_shown(LABEL, "milk", Span(2.0, 2.1))
    witness.label_claimed_shown(LABEL, "bread", Span(3.0, 3.1))
    witness.label_claimed_shown("0000000000000001", "milk", Span(3.0, 3.1))
    found = finding(witness, "P7")
    assert (found.checked, len(found.violations)) == (3, 2)


def test_p1_a_label_called_shown_without_a_proof_in_the_ledger_is_caught(witness):
    witness.held(LABEL, "v1", 1.0)
    witness.saw_screen(LABEL, 1.5, "v1", picture_of(99))
    witness.label_claimed_shown(LABEL, "milk", Span(2.0, 2.1))
    assert len(finding(witness, "P1").violations) == 1


def test_p8_a_store_that_stops_anything_while_the_line_is_down_is_caught(witness):
    witness.outage_began()
    witness.lookup("1", MILK, Span.at(1.0), 99)
    witness.answered(witness.sent(SALE, "sale", [SentLine("milk", 1000, 99)]), 201)
    hears_done(witness)
    found = finding(witness, "P8")
    assert (found.checked, found.violations) == (3, ("P8: no pickup steps went on while the line was down",))
    witness.acknowledged("pickup/A-1/pick")
    witness.outage_ended()
    witness.lookup("1", MILK, Span.at(9.0), 99)
    found = finding(witness, "P8")
    assert (found.checked, found.violations) == (4, ())


def test_p8_a_till_that_gets_no_price_is_a_violation(witness):
    witness.lookup_failed("1", MILK, "503")
    assert finding(witness, "P8").violations == (f"P8: till 1 got no price for {MILK}: 503",)


@pytest.mark.parametrize("piece", [1, 3, 7, 1000])
def test_done_is_heard_through_chatter_in_any_pieces_and_a_spoilt_one_is_not(piece):
    good, spoilt = b"XFC>" + TransferComplete(LABEL).to_bytes(), bytearray(b"XFC>" + TransferComplete(LABEL).to_bytes())
    spoilt[8] ^= 1
    line = b"heap 123 XFC" + good + b"BUSY!\n" + bytes(spoilt) + b"ACK>" + good
    ear = WireEar()
    heard = [label for at in range(0, len(line), piece) for label in ear.hear(line[at:at + piece])]
    assert heard == [LABEL, LABEL]


def test_a_label_of_an_item_whose_gtin_is_none_goes_by_its_sku(witness):
    """A wrong check digit is no GTIN: what hangs under it is called by its SKU, on the shelf and by the witness."""
    witness.knows_item("oddly coded", ["4006381333930"])
    witness.saw_screen(LABEL, 1.0, "v1", picture_of(99, sku="oddly coded", gtin="4006381333930"))
    witness.lookup("1", "4006381333930", Span.at(2.0), 100)
    found = finding(witness, "P3")
    assert (found.checked, len(found.violations)) == (1, 1)
