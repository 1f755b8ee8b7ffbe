"""Signing in: who gets in, who waits, and how long anybody stays."""

import asyncio
from http.cookies import SimpleCookie

import pytest

from edge.credentials import Credential, Credentials
from edge.errors import ConfigurationError, Rejected, Transient
from edge.limits import (
    SESSION_IDLE_S,
    SESSION_S,
    SESSIONS_MAX,
    SIGN_IN_DEVICE_FAILURES_MAX,
    SIGN_IN_FAILURES_MAX,
    SIGN_IN_FREE_FAILURES,
    SIGN_IN_LOCK_S,
    SIGN_IN_NAMES_MAX,
    SIGN_IN_WAITING_MAX,
)
from edge.pos.access import Principal, Role
from edge.settings import StaffMember
from edge.staff import sign_in as sign_in_room
from edge.staff.sessions import Sessions
from edge.staff.sign_in import SignIn, WaitFirst, WrongPin, hash_pin, members_of
from tests.staff.shop import PIN_HASHES, PINS, Shop, form_token, messages


async def wrong_pins(shop: Shop, count: int, name: str = "ana") -> None:
    """Somebody guesses, as fast as it is allowed."""
    for _ in range(count):
        with pytest.raises(WrongPin):
            await shop.page.sign_in.sign_in(name, "000000", "tablet")
        shop.clocks.pass_s(shop_wait_s(shop, name))


def shop_wait_s(shop: Shop, name: str) -> int:
    return shop.page.sign_in._by_member.wait_s(name)


async def test_a_right_pin_opens_the_page_and_the_cookie_is_for_this_browser_alone(shop: Shop) -> None:
    async with shop.browser() as visitor:
        response = await visitor.signs_in("ana")

        assert (response.status_code, response.headers["location"]) == (303, "/staff")
        cookie = next(SimpleCookie(line)["staff-session"] for line in response.headers.get_list("set-cookie")
                      if line.startswith("staff-session"))
        assert cookie["httponly"]
        assert cookie["samesite"] == "strict"
        assert cookie["path"] == "/"
        assert not cookie["expires"], "gone with the browser"
        assert "Ana" in await visitor.reads("/staff")


async def test_over_tls_the_browser_itself_holds_the_cookie_to_this_host(shop: Shop) -> None:
    async with shop.browser("https://shop.test") as visitor:
        response = await visitor.signs_in("ana")

        cookies = [line for line in response.headers.get_list("set-cookie") if line.startswith("__Host-session=")]
        assert len(cookies) == 1
        assert "Secure" in cookies[0]
        assert "Path=/" in cookies[0]
        assert (await visitor.client.get("/staff")).status_code == 200


async def test_the_name_on_the_badge_and_the_id_both_do_whatever_the_capitals(shop: Shop) -> None:
    for name in ("Ana", "ana", "  ANA "):
        assert (await shop.page.sign_in.sign_in(name, PINS["ana"], "tablet")).id == "ana"


async def test_p11_a_wrong_pin_and_an_unknown_name_get_the_same_answer(shop: Shop) -> None:
    async with shop.browser() as visitor:
        wrong = await visitor.signs_in("ana", "111111")
        unknown = await visitor.signs_in("ghost", "111111")

    assert wrong.status_code == unknown.status_code == 401
    assert messages(wrong.text) == messages(unknown.text) == ["This name and PIN do not go together."]
    assert form_token(wrong.text), "the form is there again"
    assert "111111" not in wrong.text


async def test_p11_every_wrong_pin_after_the_third_waits_twice_as_long(shop: Shop) -> None:
    await wrong_pins(shop, SIGN_IN_FREE_FAILURES)
    waits = []
    for _ in range(4):
        with pytest.raises(WrongPin):
            await shop.page.sign_in.sign_in("ana", "000000", "tablet")
        waits.append(shop_wait_s(shop, "ana"))
        with pytest.raises(WaitFirst):
            await shop.page.sign_in.sign_in("ana", PINS["ana"], "tablet")
        shop.clocks.pass_s(waits[-1])

    assert waits == [1, 2, 4, 8]


async def test_p11_ten_wrong_pins_lock_even_the_right_one_out_until_the_time_has_passed(shop: Shop) -> None:
    await wrong_pins(shop, SIGN_IN_FAILURES_MAX - 1)
    with pytest.raises(WrongPin):
        await shop.page.sign_in.sign_in("ana", "000000", "tablet")

    async with shop.browser() as visitor:
        refused = await visitor.signs_in("ana")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) == SIGN_IN_LOCK_S
    assert messages(refused.text) == ["Too many wrong PINs. Try again in 15 minutes."]

    shop.clocks.pass_s(SIGN_IN_LOCK_S - 1)
    with pytest.raises(WaitFirst):
        await shop.page.sign_in.sign_in("ana", PINS["ana"], "tablet")
    shop.clocks.pass_s(1)
    assert (await shop.page.sign_in.sign_in("ana", PINS["ana"], "tablet")).id == "ana"
    assert shop_wait_s(shop, "ana") == 0


async def test_p11_a_lock_is_something_for_a_person_to_look_at(shop: Shop) -> None:
    await wrong_pins(shop, SIGN_IN_FAILURES_MAX)

    raised = shop.page.board.exceptions()
    assert [(each.reason, each.about) for each in raised] == [("sign-in-locked", "ana")]


async def test_p11_setting_the_wall_clock_forward_unlocks_nobody(shop: Shop) -> None:
    await wrong_pins(shop, SIGN_IN_FAILURES_MAX - 1)
    with pytest.raises(WrongPin):
        await shop.page.sign_in.sign_in("ana", "000000", "tablet")
    shop.clocks.wall += SIGN_IN_LOCK_S * 1000 * 10

    with pytest.raises(WaitFirst):
        await shop.page.sign_in.sign_in("ana", PINS["ana"], "tablet")


async def test_p11_guessing_at_many_people_locks_the_device(shop: Shop) -> None:
    for number in range(SIGN_IN_DEVICE_FAILURES_MAX):
        with pytest.raises(WrongPin):
            await shop.page.sign_in.sign_in(f"guess {number}", "000000", "the stranger's phone")

    with pytest.raises(WaitFirst):
        await shop.page.sign_in.sign_in("luis", PINS["luis"], "the stranger's phone")
    assert (await shop.page.sign_in.sign_in("luis", PINS["luis"], "tablet")).id == "luis"


async def test_p11_made_up_names_push_no_colleagues_failures_out(shop: Shop) -> None:
    await wrong_pins(shop, SIGN_IN_FREE_FAILURES)
    for number in range(SIGN_IN_NAMES_MAX + 10):
        shop.page.sign_in._by_stranger.count_failure(f"made up {number}")
        shop.page.sign_in._by_device.count_failure(f"device {number}")

    with pytest.raises(WrongPin):
        await shop.page.sign_in.sign_in("ana", "000000", "tablet")
    assert shop_wait_s(shop, "ana") == 1
    assert len(shop.page.sign_in._by_stranger._failures) == SIGN_IN_NAMES_MAX


async def test_p11_guesses_sent_at_once_are_not_looked_at_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    monkeypatch.setattr(sign_in_room, "_verified", lambda pin_hash, pin: looked_at.append(pin) or False)

    guesses = [shop.page.sign_in.sign_in("ana", f"{number:06}", "tablet") for number in range(50)]
    answers = await asyncio.gather(*guesses, return_exceptions=True)

    assert len(looked_at) == SIGN_IN_FREE_FAILURES + 1
    assert all(isinstance(answer, WrongPin | WaitFirst) for answer in answers)


async def test_p10_only_so_many_pins_wait_to_be_checked(shop: Shop) -> None:
    sign_ins = [shop.page.sign_in.sign_in(f"stranger {number}", "000000", f"device {number}")
                for number in range(SIGN_IN_WAITING_MAX + 3)]
    answers = await asyncio.gather(*sign_ins, return_exceptions=True)

    assert sum(isinstance(answer, Transient) for answer in answers) == 3


async def test_a_pin_is_checked_beside_the_event_loop(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    loop_went_on = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_pin_hash: str, _pin: str) -> bool:
        loop.call_soon_threadsafe(loop_went_on.set)
        return asyncio.run_coroutine_threadsafe(loop_went_on.wait(), loop).result(5)
    monkeypatch.setattr(sign_in_room, "_verified", slow)

    assert (await shop.page.sign_in.sign_in("ana", "anything", "tablet")).id == "ana"


async def test_a_session_ends_when_nobody_uses_it_and_a_page_that_asks_by_itself_is_no_use(shop: Shop) -> None:
    async with shop.signed_in() as ana:
        shop.clocks.pass_s(SESSION_IDLE_S - 1)
        assert (await ana.client.get("/staff")).status_code == 200
        shop.clocks.pass_s(SESSION_IDLE_S - 1)
        assert (await ana.client.get("/staff/fragments/home")).status_code == 200
        shop.clocks.pass_s(1)

        assert (await ana.client.get("/staff/fragments/home")).status_code == 401
        assert (await ana.client.get("/staff")).headers["location"] == "/staff/sign-in"


async def test_a_session_ends_with_the_shift_however_busy(shop: Shop) -> None:
    async with shop.signed_in() as ana:
        for _ in range(SESSION_S // 3600 - 1):
            shop.clocks.pass_s(3600)
            await ana.reads("/staff")
        shop.clocks.pass_s(3600)

        assert (await ana.client.get("/staff")).status_code == 303


def test_p10_one_session_too_many_ends_the_one_idle_longest() -> None:
    now_ms = 0
    sessions = Sessions(lambda: now_ms)
    ended = []
    sessions.ended.append(ended.append)
    tokens = []
    for number in range(SESSIONS_MAX):
        now_ms += 1
        tokens.append(sessions.open(Principal(str(number), Role.STAFF), "en"))
    now_ms += 1
    assert sessions.find(tokens[0], by_person=True) is not None
    sessions.open(Principal("late", Role.STAFF), "en")

    assert sessions.find(tokens[0], by_person=False) is not None
    assert sessions.find(tokens[1], by_person=False) is None
    assert [session.principal.id for session in ended] == ["1"]


async def test_signing_out_ends_the_session_and_not_only_the_cookie(shop: Shop) -> None:
    async with shop.signed_in() as ana:
        token = ana.client.cookies["staff-session"]
        response = await ana.fills("/staff", "/staff/sign-out")

        assert response.headers["location"] == "/staff/sign-in"
        assert "staff-session" not in ana.client.cookies
        assert shop.page.sessions.find(token, by_person=False) is None


async def test_signing_in_again_gives_another_session_and_ends_the_one_before(shop: Shop) -> None:
    async with shop.signed_in("luis") as visitor:
        before = visitor.client.cookies["staff-session"]
        html = await visitor.reads("/staff")
        page = await visitor.client.get("/staff/sign-in")
        assert page.status_code == 303, "already signed in"
        await visitor.sends("/staff/sign-out", {"form_token": form_token(html)})
        await visitor.signs_in("ana")

        assert visitor.client.cookies["staff-session"] != before
        assert shop.page.sessions.find(before, by_person=False) is None


@pytest.mark.parametrize("pin", ["12345", "abcdef", "", "１２３４５６", "123 456"])
def test_a_pin_is_six_digits_or_more(pin: str) -> None:
    with pytest.raises(Rejected):
        hash_pin(pin)


def test_members_come_from_the_settings_and_a_credential_that_is_no_hash_is_named() -> None:
    staff = [StaffMember(id="ana", name="Ana", pin=Credential("staff-ana"), role="supervisor")]

    members = members_of(staff, Credentials({"TRASTIENDA_STAFF_ANA": PIN_HASHES["ana"]}))
    assert [(member.id, member.role) for member in members] == [("ana", Role.SUPERVISOR)]
    assert PIN_HASHES["ana"] not in repr(members), "a traceback shows no verifier"

    with pytest.raises(ConfigurationError, match="staff-ana"):
        members_of(staff, Credentials({"TRASTIENDA_STAFF_ANA": PINS["ana"]}))


async def test_a_store_without_staff_has_a_page_that_nobody_enters(shop: Shop) -> None:
    with pytest.raises(WrongPin):
        await SignIn(shop.store, ()).sign_in("ana", PINS["ana"], "tablet")
