"""Card numbers that people type where they do not belong, and that online orders bring: none is kept."""

from cloud_sync.contract.documents import Person
from cloud_sync.contract.pickup import Step
from edge.pickups.people import PeopleVault
from edge.pos.access import Role
from tests.planted_cards import Cards, everything, parted
from tests.store_kit import DATABASE_SECRET, STORE_SECRET, StoreKit


async def test_p11_what_people_type_into_any_field_keeps_no_card_number(store: StoreKit) -> None:
    cards = Cards()
    new = cards.by
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.receives("milk", 5)
    await store.hub.places_order("A-1", {"milk": 1}, customer=f"Ana {parted(new('customer'))}")
    label = "aisle 4"
    line = [{"sku": "milk", "quantity_milli": 1000}]
    async with store.caller(Role.SUPERVISOR, "luis") as luis:
        answers = [
            await luis.post("/v1/movements", json={"movement_id": "m1", "lines": line, "reason": new("reason"),
                                                   "document": f"paid {parted(new('document'), '-')}"}),
            await luis.post("/v1/movements", json={"movement_id": "m2", "lines": [
                {"sku": new("sku of a receipt"), "quantity_milli": 1000}]}),
            await luis.post("/v1/counts", json={"count_id": "c1", "place": new("place"), "lines": [
                {"sku": new("sku of a count"), "counted_milli": 1000}]}),
            await luis.post("/v1/count-sessions", json={"session_id": "s1", "place": new("place of a session")}),
            await luis.post("/v1/count-sessions/s1/scans", json={
                "scan_id": "1", "code": new("scanned code"), "place": new("place of a scan")}),
            await luis.post("/v1/adjustments", json={"act_id": "a1", "code": "milk", "quantity_milli": 1,
                                                     "reason": "waste", "note": new("note of an adjustment")}),
            await luis.post(f"/v1/labels/{label}/void-claim", json={"act_id": "v1", "sku": "milk", "price_minor": 99,
                                                                    "reason": new("void of a claim")}),
            await luis.post(f"/v1/labels/{label}/exclude", json={"act_id": "e1", "reason": new("exclusion")}),
            await luis.post("/v1/pickups/A-1/steps", json={"transition_id": "t1", "step": Step.PICK.value,
                                                           "reason": new("reason of a step")})]
        assert [answer.status_code for answer in answers] == [201] * 6 + [200] * 3, [
            answer.text for answer in answers]
        refused = [
            await luis.post("/v1/movements", json={"movement_id": f"paid-{new('movement id')}", "lines": line}),
            await luis.post("/v1/counts", json={"count_id": new("count id"), "lines": [
                {"sku": "milk", "counted_milli": 1}]}),
            await luis.post("/v1/count-sessions", json={"session_id": new("session id")}),
            await luis.post("/v1/count-sessions/s1/scans", json={"scan_id": new("scan id"), "code": "milk"})]
        assert [(answer.status_code, "card" in answer.json()["detail"]) for answer in refused] == [(422, True)] * 4
    await store.close()
    assert cards.survivors(everything(store.directory, DATABASE_SECRET)) == []
    await store.open()


def test_p11_a_sealed_person_has_no_card_number_either() -> None:
    cards, vault = Cards(), PeopleVault(STORE_SECRET)
    person = vault.unseal(vault.seal(Person(f"Ana {cards.by('name')}", cards.by("telephone"))))
    assert cards.survivors([("person", repr((person.display_name, person.phone_last_digits)).encode())]) == []
    assert person.display_name.startswith("Ana ")


async def test_an_id_that_a_program_made_is_no_card_number(store: StoreKit) -> None:
    """Hexadecimal ids hold long rows of digits now and then."""
    async with store.caller(Role.SUPERVISOR, "luis") as luis:
        answer = await luis.post("/v1/movements", json={
            "movement_id": "a4111111111111111bcdef01", "lines": [{"sku": "milk", "quantity_milli": 1000}]})
    assert answer.status_code == 201
    assert answer.json()["fact_key"] == "movement/a4111111111111111bcdef01"


async def test_what_was_masked_is_a_repeat_all_the_same(store: StoreKit) -> None:
    cards = Cards()
    line = {"code": cards.by("code"), "quantity_milli": 1000, "amount_minor": 99}
    first, second = [await store.till().sends(1, line) for _ in range(2)]
    assert (first.status_code, second.status_code, first.content) == (201, 201, second.content)
    assert len(store.entries()) == 2, "the sale, and the exception for a product that nobody knows"
