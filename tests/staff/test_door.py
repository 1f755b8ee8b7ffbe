"""The page's door: the table route × role, forms of our own pages only, nothing from outside the box."""

import re

import pytest

from edge.pos.access import EVERYBODY, Role, Rule
from edge.staff.door import onward_path
from edge.staff.routes import STAFF_RULES
from tests.staff.shop import MILK, SHELF, Shop, form_fields, form_token

ROLE_OF = {"ana": Role.SUPERVISOR, "luis": Role.STAFF, "teo": Role.TECHNICIAN}
PAGES = ("/staff", "/staff/labels", f"/staff/labels/{SHELF}", "/staff/pickups", "/staff/pickups/O-1",
         "/staff/price?code=8410000000018", "/staff/receive", "/staff/held", "/staff/exceptions", "/staff/sales",
         "/staff/link")
"""Every page, in a shop where each has something to show."""


def address(rule: Rule) -> str:
    """An address that the rule answers."""
    return (rule.path.replace("{label}", SHELF).replace("{order_id}", "O-1").replace("{digest}", "0" * 64)
            .replace("{picture}", "0" * 24).replace("{name}", "none.css"))


async def furnish(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    await shop.receives(MILK, 10)
    await shop.order("O-1", MILK)


async def test_p11_without_signing_in_no_page_shows_and_no_form_does_anything(shop: Shop) -> None:
    await furnish(shop)
    async with shop.browser() as stranger:
        for rule in STAFF_RULES:
            if rule.roles is EVERYBODY:
                continue
            form = {} if rule.method == "POST" else None
            response = await stranger.client.request(rule.method, address(rule), data=form)
            leads_in = response.status_code == 303 and response.headers["location"].startswith("/staff/sign-in")
            assert leads_in or response.status_code == 401, rule
            assert "Leche" not in response.text


@pytest.mark.parametrize("person", sorted(ROLE_OF))
async def test_p11_every_role_gets_its_routes_and_no_others(shop: Shop, person: str) -> None:
    await furnish(shop)
    async with shop.signed_in(person) as visitor:
        for rule in STAFF_RULES:
            if rule.roles is EVERYBODY or rule.handler in ("staff_events", "staff_sign_out"):
                continue
            form = {"form_token": "wrong"} if rule.method == "POST" else None
            response = await visitor.client.request(rule.method, address(rule), data=form)
            forbidden = "Not with your role" in response.text
            assert forbidden is (ROLE_OF[person] not in rule.roles), (rule, response.status_code)
            assert response.status_code == 403 or not forbidden


async def test_p11_a_till_with_its_token_has_no_business_on_the_page(shop: Shop) -> None:
    async with shop.browser() as till:
        response = await till.client.get("/staff", headers={"Authorization": "Bearer till-token"})

    assert response.status_code == 403


async def test_pages_show_what_a_role_may_do_and_nothing_else(shop: Shop) -> None:
    async with shop.signed_in("teo") as technician:
        html = await technician.reads("/staff")
        assert "/staff/pickups" not in html
        assert "/staff/receive" not in html
    async with shop.signed_in("luis") as clerk:
        assert "/staff/pickups" in await clerk.reads("/staff")


@pytest.mark.parametrize("token", ["", "wrong", "another session's"])
async def test_p11_a_form_without_the_sessions_token_changes_nothing(shop: Shop, token: str) -> None:
    await furnish(shop)
    async with shop.signed_in("luis") as other:
        others = form_token(await other.reads("/staff"))
    async with shop.signed_in("ana") as ana:
        fields = form_fields(await ana.reads(f"/staff/labels/{SHELF}"), f"/staff/labels/{SHELF}/unbind")
        fields["form_token"] = others if token == "another session's" else token
        response = await ana.sends(f"/staff/labels/{SHELF}/unbind", fields)

    assert response.status_code == 403
    assert "This form has run out" in response.text
    row = shop.row(SHELF)
    assert row is not None
    assert row.sku == MILK


@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.test"}, {"Origin": "null"}, {"Origin": "https://shop.test"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}])
async def test_p11_a_form_sent_by_another_sites_page_is_refused(shop: Shop, headers: dict[str, str]) -> None:
    await furnish(shop)
    async with shop.signed_in() as ana:
        action = f"/staff/labels/{SHELF}/unbind"
        fields = form_fields(await ana.reads(f"/staff/labels/{SHELF}"), action)
        assert (await ana.client.post(action, data=fields, headers=headers)).status_code == 403
        row = shop.row(SHELF)
        assert row is not None
        assert row.sku == MILK
        ours = {"Origin": "http://shop.test", "Sec-Fetch-Site": "same-origin"}
        assert (await ana.client.post(action, data=fields, headers=ours)).status_code == 303


async def test_p11_the_sign_in_takes_no_form_from_elsewhere(shop: Shop) -> None:
    async with shop.browser() as visitor:
        page = await visitor.client.get("/staff/sign-in")
        fields = {"form_token": form_token(page.text), "name": "ana", "pin": "246810"}
        assert (await visitor.client.post("/staff/sign-in", data=fields,
                                          headers={"Origin": "http://evil.test"})).status_code == 403
        visitor.client.cookies.clear()
        assert (await visitor.client.post("/staff/sign-in", data=fields)).status_code == 403


async def test_p11_the_api_takes_the_session_only_with_a_header_that_no_foreign_page_can_send(shop: Shop) -> None:
    await furnish(shop)
    async with shop.signed_in() as ana:
        assert (await ana.client.get("/v1/labels")).status_code == 200
        body = b'{"act_id": "one"}'
        without = await ana.client.post(f"/v1/labels/{SHELF}/unbind", content=body)
        foreign = await ana.client.post(f"/v1/labels/{SHELF}/unbind", content=body,
                                        headers={"X-Trastienda": "page", "Sec-Fetch-Site": "cross-site"})
        assert (without.status_code, foreign.status_code) == (403, 403)
        ours = await ana.client.post(f"/v1/labels/{SHELF}/unbind", content=body, headers={"X-Trastienda": "page"})

    assert ours.status_code == 200
    assert ours.json()["sku"] is None


@pytest.mark.parametrize("elsewhere", [
    "//evil.test/staff", "https://evil.test/staff", "/\\evil.test", "/v1/labels", "javascript:alert(1)", "",
    "/staff\r\nSet-Cookie: x=1", "/staffroom"])
def test_p11_signing_in_leads_to_our_own_pages_only(elsewhere: str) -> None:
    assert onward_path(elsewhere) == "/staff"


async def test_after_signing_in_one_is_where_one_wanted_to_be(shop: Shop) -> None:
    async with shop.browser() as visitor:
        first = await visitor.client.get("/staff/price?code=8410000000018")
        assert first.headers["location"] == "/staff/sign-in?next=%2Fstaff%2Fprice%3Fcode%3D8410000000018"
        page = await visitor.client.get(first.headers["location"])
        fields = {**form_fields(page.text, "/staff/sign-in"), "name": "ana", "pin": "246810"}
        response = await visitor.sends("/staff/sign-in", fields)

    assert response.headers["location"] == "/staff/price?code=8410000000018"


async def test_p11_every_page_is_strict_about_what_a_browser_may_load(shop: Shop) -> None:
    await furnish(shop)
    async with shop.signed_in() as ana:
        for path in PAGES:
            response = await ana.client.get(path)
            policy = response.headers["content-security-policy"]
            assert policy.startswith("default-src 'self';")
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["cache-control"] == "no-store"
            html = response.text
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html), path
            assert not re.search(r"<script(?![^>]* src=)", html), path
            assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", html), "nothing from outside the box"


async def test_every_page_says_its_language_its_title_and_what_each_field_is(shop: Shop) -> None:
    await furnish(shop)
    async with shop.signed_in() as ana:
        for path in PAGES:
            html = await ana.reads(path)
            assert '<html lang="en">' in html
            assert re.search(r"<title>.+ · Calle Mayor</title>", html)
            assert html.count("<h1") == 1, path
            assert "user-scalable" not in html
            labelled = set(re.findall(r'<label[^>]* for="([^"]+)"', html))
            fields = re.findall(r'<(?:input|select)(?![^>]*type="hidden")[^>]* id="([^"]+)"', html)
            visible = len(re.findall(r'<(?:input|select)(?![^>]*type="hidden")', html))
            assert set(fields) <= labelled, path
            assert len(fields) == visible, path
            assert all('alt="' in image for image in re.findall(r"<img[^>]*>", html))


async def test_assets_have_names_that_carry_their_content_and_may_be_kept_for_ever(shop: Shop) -> None:
    async with shop.browser() as visitor:
        html = (await visitor.client.get("/staff/sign-in")).text
        paths = re.findall(r'/staff/assets/[^"#]+', html)
        assert len(paths) >= 2
        for path in paths:
            assert re.search(r"\.[0-9a-f]{12}\.(css|js|svg)$", path)
            response = await visitor.client.get(path)
            assert response.status_code == 200
            assert "immutable" in response.headers["cache-control"]
        assert (await visitor.client.get("/staff/assets/page.css")).status_code == 404
        assert (await visitor.client.get("/staff/assets/..%2fpage.py")).status_code == 404


async def test_the_first_visit_is_small(shop: Shop) -> None:
    total = sum(len(shop.page.assets.response(shop.page.assets.path(name).rsplit("/", 1)[1]).body)
                for name in ("page.css", "live.js", "scanner.js", "icons.svg", "icon.svg"))
    assert total < 60_000


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a=%ff", b"&".join(b"a%d=1" % number for number in range(100))])
async def test_a_form_that_cannot_be_read_is_a_plain_answer(shop: Shop, body: bytes) -> None:
    async with shop.signed_in() as ana:
        response = await ana.client.post("/staff/sign-out", content=body,
                                         headers={"Content-Type": "application/x-www-form-urlencoded"})

    assert response.status_code == 400
    assert "Not possible" in response.text


async def test_what_is_not_there_is_said_on_a_page(shop: Shop) -> None:
    async with shop.signed_in() as ana:
        for path in ("/staff/labels/ffffffffffffffff", "/staff/pickups/none", f"/staff/pictures/{SHELF}/abc.png"):
            response = await ana.client.get(path)
            assert response.status_code == 404
            assert "Not found" in response.text


async def test_a_bug_is_said_on_a_page_and_names_nothing_inside(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("a secret thing")
    async with shop.signed_in() as ana:
        monkeypatch.setattr(shop.page.board, "figures", broken)
        response = await ana.client.get("/staff")

    assert response.status_code == 500
    assert "The box made a mistake" in response.text
    assert "secret" not in response.text
