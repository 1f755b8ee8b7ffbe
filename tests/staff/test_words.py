"""Two languages, both complete; and the other rooms' sentences, held against what these rooms really say."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po

import edge.staff
from cloud_sync.client.link_state import Fence, FenceReason, LinkState
from cloud_sync.contract.documents import Policy, Price
from cloud_sync.contract.facts import Flag, TransactionKind
from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.pickup import PickupState, ShortReason, Step
from drivers.port import StationState
from edge.db import books
from edge.disk_budget import Shed
from edge.domain.pricing import Move, guard
from edge.errors import Rejected, Transient
from edge.health import checks as health_checks
from edge.health.checks import StoreChecks
from edge.heartbeats import Stall
from edge.labels.planner import LabelState
from edge.pickups.desk import StepRequest
from edge.pos.access import PEOPLE
from edge.pos.label_routes import LabelIn
from edge.staff.label_index import Standing
from edge.staff.said import SENTENCES, TITLES, in_words, title_of
from edge.staff.words import CATALOGUES, LANGUAGES, words_of
from edge.supervisor import PartState, PartStatus
from tests.staff.shop import BREAD, MILK, SHELF, WINE, Shop

ROOM = Path(edge.staff.__file__).parent
KEYWORDS = {"_": None, "say": None, "marked": None, "count": (1, 2)}
SAME_IN_BOTH = {"PIN", "Supervisor"}
"""Words that are the same in Spanish."""

ENGLISH, SPANISH = words_of("en"), words_of("es")
Message = str | tuple[str, ...]


def messages_in_the_room() -> set[Message]:
    """Every message that a page or a module of the room says."""
    found: set[Message] = set()
    for kind, pattern in (("jinja2.ext:babel_extract", "*.html"), ("python", "*.py")):
        for path in ROOM.rglob(pattern):
            options = {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
            found |= {message for _, message, _, _ in extract_from_file(kind, path, KEYWORDS, options=options)}
    return found


def messages_of(language: str) -> dict[Message, tuple[str, ...]]:
    """What a catalogue has, by message; one text for each form."""
    with (CATALOGUES / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language, abort_invalid=True)
    return {entry.id if isinstance(entry.id, str) else tuple(entry.id):
            (entry.string,) if isinstance(entry.string, str) else tuple(entry.string)
            for entry in catalogue if entry.id}


OTHERS = sorted(set(LANGUAGES) - {"en"})


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_has_its_line_and_every_line_its_message(language: str) -> None:
    wanted, there = messages_in_the_room(), set(messages_of(language))

    assert wanted - there == set(), "say it in every language: add these to the catalogue"
    assert there - wanted == set(), "nobody says this any more: take it out"


@pytest.mark.parametrize("language", OTHERS)
def test_no_message_was_left_in_english(language: str) -> None:
    for message, texts in messages_of(language).items():
        assert all(text.strip() for text in texts), message
        said = message if isinstance(message, tuple) else (message,)
        if message not in SAME_IN_BOTH:
            assert set(texts) & set(said) == set(), message


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_names_the_same_values_and_ends_as_the_original_does(language: str) -> None:
    for message, texts in messages_of(language).items():
        original = message[-1] if isinstance(message, tuple) else message
        for text in texts:
            assert set(re.findall(r"%\(\w+\)s", text)) == set(re.findall(r"%\(\w+\)s", original)), message
            assert text.endswith(".") is original.endswith("."), message
            assert len(text) <= len(original) * 2 + 10, message


def test_numbers_take_the_form_that_the_language_has_for_them() -> None:
    one, many = "%(num)s receipt", "%(num)s receipts"
    assert [ENGLISH.count(one, many, number) for number in (0, 1, 2)] == ["0 receipts", "1 receipt", "2 receipts"]
    assert [SPANISH.count(one, many, number) for number in (0, 1, 2)] == ["0 tiques", "1 tique", "2 tiques"]


def test_a_language_the_page_does_not_speak_reads_as_english() -> None:
    assert words_of("de").language == "en"
    assert words_of("es-MX").language == "es"


CODES: Iterable[object] = (*Standing, *PickupState, *StationState, *TransactionKind, *Flag, *FenceReason,
                           *sorted(PEOPLE, key=str))


@pytest.mark.parametrize("code", CODES, ids=str)
def test_every_code_that_a_page_shows_has_its_word(code: object) -> None:
    value = str(getattr(code, "value", code))
    assert value in TITLES
    assert title_of(code, SPANISH) not in (value, title_of(code, ENGLISH)) or title_of(code, SPANISH) in SAME_IN_BOTH


def test_every_reason_for_which_a_room_asks_for_a_person_has_its_word() -> None:
    reasons = {reason for path in ROOM.parent.rglob("*.py")
               for reason in re.findall(r'ExceptionRaised\(\s*reason="([^"]+)"', path.read_text())}

    assert len(reasons) >= 3
    assert reasons - set(TITLES) == set()


@pytest.mark.parametrize(("_pattern", "message"), SENTENCES, ids=[message for _, message in SENTENCES])
def test_a_sentence_fills_in_only_what_its_pattern_finds(_pattern: re.Pattern[str], message: str) -> None:
    assert set(re.findall(r"%\((\w+)\)s", message)) <= set(_pattern.groupindex)


def is_said_in_spanish(sentence: str) -> None:
    """The room's own sentence is known to the page."""
    assert in_words(sentence, SPANISH) not in (sentence, in_words(sentence, ENGLISH)), sentence


async def refusal_of(doing: object) -> str:
    try:
        await doing  # type: ignore[misc]  # a coroutine of any result
    except (Rejected, Transient) as refusal:
        return str(refusal)
    raise AssertionError("it was not refused")


async def test_what_the_label_desk_refuses_is_said_in_the_persons_language(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    mint = shop.store.mint
    is_said_in_spanish(await refusal_of(shop.labels.bind(SHELF, "4006381333931", "ana", mint())))
    is_said_in_spanish(await refusal_of(shop.labels.exclude(SHELF, "ana", mint(), " ")))
    for reason in (" ", "wrong price"):
        strike = LabelIn(act_id=mint(), sku=MILK, price_minor=7, reason=reason)
        is_said_in_spanish(await refusal_of(shop.labels.void_claim(SHELF, strike, "ana")))
    act_id = mint()
    await shop.labels.bind(SHELF, BREAD, "ana", act_id)
    is_said_in_spanish(await refusal_of(shop.labels.bind(SHELF, MILK, "ana", act_id)))


async def test_what_the_pickup_desk_refuses_is_said_in_the_persons_language(shop: Shop) -> None:
    await shop.receives(MILK, 10)
    await shop.order("O-1", MILK, code="RIGHT")

    async def take(step: Step, line: int | None = None, code: str = "", order: str = "O-1") -> str:
        return await refusal_of(shop.pickups.take_step(StepRequest(order, shop.store.mint(), step, "ana", line, code)))

    async def took(step: Step) -> None:
        await shop.pickups.take_step(StepRequest("O-1", shop.store.mint(), step, "ana"))

    is_said_in_spanish(await take(Step.PICK, order="none"))
    is_said_in_spanish(await take(Step.READY))
    await took(Step.PICK)
    is_said_in_spanish(await take(Step.PICK, line=1))
    await took(Step.STAGE)
    await took(Step.READY)
    for _ in range(6):
        is_said_in_spanish(await take(Step.HAND_OVER, code="WRONG"))


async def test_what_the_picking_desk_refuses_is_said_in_the_persons_language(shop: Shop) -> None:
    await shop.receives(MILK, 10)
    mint, desk, damaged = shop.store.mint, shop.picking, ShortReason.DAMAGED
    is_said_in_spanish(await refusal_of(desk.start(mint(), "ana")))
    await shop.order("O-1", MILK, phone="")
    is_said_in_spanish(await refusal_of(desk.scan(mint(), "ana", ["O-1"], BREAD)))
    is_said_in_spanish(await refusal_of(desk.scan(mint(), "ana", ["O-2"], MILK)))
    is_said_in_spanish(await refusal_of(desk.short(mint(), "ana", ["O-1"], MILK, 99_000, damaged)))
    is_said_in_spanish(await refusal_of(desk.short(mint(), "ana", ["O-1"], MILK, 1_000, damaged, MILK)))
    await desk.pick(mint(), "ana", ["O-1"], MILK)
    is_said_in_spanish(await refusal_of(desk.pick(mint(), "ana", ["O-1"], MILK)))
    is_said_in_spanish(await refusal_of(desk.start(mint(), "ana", "O-1")))
    await desk.ready(mint(), "ana", ["O-1"])

    async def hand_over(order_id: str, reason: str) -> str:
        request = StepRequest(order_id, mint(), Step.HAND_OVER, "ana", phone="1234", reason=reason)
        return await refusal_of(shop.pickups.take_step(request))
    is_said_in_spanish(await hand_over("O-1", ""))
    is_said_in_spanish(await hand_over("O-1", "no code"))
    await shop.receives(BREAD, 10)
    await shop.order("O-2", BREAD, code="OTHER123", phone="4711")
    await desk.pick(mint(), "ana", ["O-2"], BREAD)
    for _ in range(5):
        is_said_in_spanish(await hand_over("O-2", "no code"))


async def test_why_a_label_is_not_what_it_should_be_is_said_in_the_persons_language(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    await shop.feed_item("9998", "YATE")
    await shop.feed(Feed.PRICES, {"regular/9998": Price("9998", 123_456_789_012, "EUR")})

    async def why_after(change: object) -> str:
        await change  # type: ignore[misc]  # a coroutine of any result
        await shop.until(lambda: shop.state(SHELF) is LabelState.FAILED)
        row = shop.row(SHELF)
        assert row is not None
        return shop.planner.state_of(row)[1]

    is_said_in_spanish(await why_after(shop.labels.bind(SHELF, "9998", "ana", shop.store.mint())))
    await shop.labels.bind(SHELF, MILK, "ana", shop.store.mint())
    await shop.until(lambda: shop.state(SHELF) is not LabelState.FAILED)
    is_said_in_spanish(await why_after(shop.forget_item(MILK)))
    shop.planner._wanted_hash.clear()
    await shop.hangs("0000021b1ad03b99", BREAD)
    shop.planner._wanted_hash.clear()
    row = shop.row("0000021b1ad03b99")
    assert row is not None
    is_said_in_spanish(shop.planner.state_of(row)[1])


async def test_why_a_label_of_an_odd_size_shows_nothing_is_said(shop: Shop) -> None:
    shop.station.hears(SHELF, (17, 31))
    await shop.until(lambda: shop.row(SHELF) is not None)
    await shop.labels.bind(SHELF, MILK, "ana", shop.store.mint())
    await shop.until(lambda: shop.state(SHELF) is LabelState.FAILED)
    row = shop.row(SHELF)
    assert row is not None
    is_said_in_spanish(shop.planner.state_of(row)[1])


def test_why_the_guard_holds_prices_is_said_in_the_persons_language() -> None:
    is_said_in_spanish(guard([Move("milk", 100, 1000)], 100, Policy()).reason)
    is_said_in_spanish(guard([Move(str(number), 100, 101) for number in range(90)], 100, Policy()).reason)


async def test_every_issue_and_what_to_do_about_it_is_said_in_the_persons_language(
        shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.feed(Feed.PRICES, {f"regular/{WINE}": Price(WINE, 7, "EUR")})
    await shop.hangs(SHELF, MILK)
    await shop.sells("no such product", 1, price_minor=100)
    shop.store.clock.trusted = False
    shop.station.goes(StationState.OFFLINE)
    await shop.books.ledger.submit(
        lambda c: c.execute("UPDATE label SET failure = 'x', battery_mv = 2300, seen_ms = 0"))
    await shop.books.ledger.submit(lambda c: c.execute("INSERT INTO price_hold VALUES (?, 0, ?)", (MILK, -10**12)))
    monkeypatch.setattr(health_checks, "LABEL_SILENT_S", 0.0)
    failed = [PartStatus("planner", True, state, 1.0, 1, "boom", None) for state in PartState]
    found = []
    for link in (LinkState(up=False, since_ms=0), LinkState(up=False, since_ms=0, last_error="feed items: refused"),
                 LinkState(up=True, since_ms=0, fence=Fence(FenceReason.FORK, 1, 7, "another entry 7")),
                 LinkState(up=True, since_ms=0, fence=Fence(FenceReason.PRUNED, 1, 7, "no longer kept"))):
        checks = StoreChecks(shop.store, shop.planner, shop.guard, shop.book, {"aisle": shop.station},
                             lambda state=link: state, lambda: failed,
                             lambda: [Stall("planner", 40.0, 30.0)], ["0.0.0.0:80"])
        found += list(checks.issues())
    for shop.store.disk.level in (Shed.TELEMETRY, Shed.FACTS):
        found += list(checks.issues())
    monkeypatch.setattr(books, "WAL_BYTES_MAX", 0)
    found += list(checks.issues())

    assert {"labels-battery", "labels-silent", "prices-wait"} <= {issue.key for issue in found}
    assert len({issue.key for issue in found}) >= 16
    for issue in found:
        is_said_in_spanish(issue.what)
        is_said_in_spanish(issue.action)


def test_a_sentence_nobody_knows_is_shown_as_it_came() -> None:
    assert in_words("the moon is in the wrong place", SPANISH) == "the moon is in the wrong place"
