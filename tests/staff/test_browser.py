"""The page in a real browser on a phone: live, by thumb and by scanner, with nothing loaded from outside the box."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from drivers.port import StationState
from edge.limits import STAFF_COALESCE_S
from edge.pos.server import HttpServer, bind
from edge.stock.count_sessions import How, ScanRequest
from edge.stock.counts import Counted, CountRequest
from edge.store import Topic
from tests.needs import need
from tests.staff.shop import BREAD, MILK, OTHER, PINS, SHELF, Shop

PHONE = (360, 740)
NARROW = (320, 640)
TABLET = (1024, 768)
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")
"""A browser that talks to the box only, so that whatever else it asks for is our page's doing."""

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.slow]

TARGET_MIN_PX = 44
SCANNER_GAP_S = 0.005
expect.set_options(timeout=15_000)


class Phone:
    """A person's browser at the shop's box; remembers what it asked for and what it complained of."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", self._hears)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hears(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(said.text)

    async def opens(self, path: str) -> None:
        """Go to a page of the box."""
        await self.page.goto(self.base + path)

    async def signs_in(self, person: str = "ana") -> None:
        """By name and PIN."""
        await self.opens("/")
        await self.page.get_by_label("Name").fill(person)
        await self.page.get_by_label("PIN").fill(PINS[person])
        await self.page.get_by_role("button", name="Sign in").tap()
        await self.page.wait_for_selector("#home")

    async def starts_picking(self) -> None:
        """Begin a pick list, or go on with it."""
        await self.opens("/staff/pickups")
        await self.page.locator("#start, #go-on").tap()
        await self.page.wait_for_url("**/staff/picking")

    async def is_live(self) -> None:
        """The stream is open."""
        await expect(self.page.locator("#live")).to_have_text("Live")

    async def scans(self, code: str) -> None:
        """A hand scanner types fast and ends with Enter, however late this machine delivers its keys."""
        await self.page.wait_for_load_state()  # a person waits for the page; its script must hear the keys
        keys = await self.page.context.new_cdp_session(self.page)
        start_s = time.time()
        for n, key in enumerate([*code, "Enter"]):
            text = "\r" if key == "Enter" else key
            await keys.send("Input.dispatchKeyEvent", {"type": "keyDown", "key": key, "text": text,
                                                       "timestamp": start_s + n * SCANNER_GAP_S})
        await keys.detach()

    def talked_to_the_box_only(self) -> None:
        """Nothing was loaded from elsewhere, and the browser had nothing to complain of."""
        assert {urlsplit(address).netloc for address in self.asked} == {urlsplit(self.base).netloc}
        assert self.complaints == []


@pytest_asyncio.fixture
async def base(shop: Shop) -> AsyncIterator[str]:
    """The shop's page on a socket."""
    listener = bind("127.0.0.1", 0)
    serving = asyncio.create_task(HttpServer(shop.app, listener, None).run())
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    shop.stop_page()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    listener.close()


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    chromium = need("chromium")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=str(chromium), args=list(QUIET))
        yield running
        await running.close()


async def phone_of(browser: Browser, base: str, size: tuple[int, int] = PHONE, **choices: bool) -> Phone:
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]}, device_scale_factor=2,
                                        has_touch=True, locale="en", java_script_enabled=choices.get("scripts", True))
    return Phone(await context.new_page(), base)


@pytest_asyncio.fixture
async def phone(browser: Browser, base: str) -> Phone:
    return await phone_of(browser, base)


async def test_p7_a_label_goes_queued_on_air_shown_before_ones_eyes(shop: Shop, phone: Phone) -> None:
    await shop.hangs(SHELF, MILK)
    await phone.signs_in()
    await phone.page.get_by_role("link", name="Labels", exact=True).last.tap()
    await phone.is_live()
    tile = phone.page.locator(f"#tile-{SHELF}")
    await expect(tile.locator(".state")).to_have_text("Shown")
    before = await tile.locator(".esl img").get_attribute("src")

    shop.station.goes(StationState.OFFLINE)
    await shop.sets_price(MILK, 129)
    await expect(tile.locator(".state")).to_have_text("Queued")
    shop.station.goes(StationState.READY)
    await expect(tile.locator(".state")).to_have_text("On air")
    assert await tile.locator(".esl img").get_attribute("src") == before, "still what customers read"
    await expect(tile.locator(".coming b")).to_have_text("€1.29")

    shop.station.proves(SHELF)
    await expect(tile.locator(".state")).to_have_text("Shown")
    assert await tile.locator(".esl img").get_attribute("src") != before
    await expect(tile.locator(".coming")).to_have_count(0)
    picture = tile.locator(".esl img")
    assert await picture.evaluate("async image => { await image.decode(); return image.naturalWidth }") == 296
    phone.talked_to_the_box_only()


async def test_a_failed_label_says_why_and_the_counts_follow(shop: Shop, phone: Phone) -> None:
    await shop.hangs(SHELF, MILK, proven=False)
    await phone.signs_in()
    await phone.opens("/staff/labels")
    await phone.is_live()
    shop.station.fails(SHELF, "the label did not fetch it in time")

    tile = phone.page.locator(f"#tile-{SHELF}")
    await expect(tile.locator(".why")).to_have_text("The label did not fetch its picture in time.")
    await expect(phone.page.locator("#filters .chip.failed")).to_contain_text("1")


async def test_home_follows_sales_pickups_and_the_line(shop: Shop, phone: Phone) -> None:
    await phone.signs_in()
    await phone.is_live()
    home = phone.page.locator("#home")
    await expect(home).to_contain_text("No sale yet.")

    await shop.receives(BREAD, 10)
    await shop.sells(MILK, 1)
    await expect(home).to_contain_text("1 receipt")
    await shop.order("O-1", BREAD)
    await expect(home.locator(".figure", has_text="Pickups to do").locator(".big")).to_have_text("1")
    shop.station.goes(StationState.OFFLINE)
    await expect(home).to_contain_text("Base station aisle does not answer (offline).")
    phone.talked_to_the_box_only()


async def test_every_page_fits_the_narrowest_phone_and_every_target_a_thumb(shop: Shop, browser: Browser,
                                                                          base: str) -> None:
    await shop.hangs(SHELF, MILK)
    await shop.hangs(OTHER, BREAD)
    await shop.sets_price(MILK, 129)
    await shop.receives(MILK, 10)
    await shop.sells(MILK, 1)
    await shop.order("O-1", MILK)
    await shop.hold_a_price()
    await shop.announces("D-7", MILK, BREAD)
    await shop.stock.sessions.open("shelf", How.DIRECTED, "luis", place="aisle 4", skus=[MILK, BREAD])
    await shop.stock.sessions.scan(ScanRequest("shelf", "1", MILK, 1000, "luis"))
    await shop.stock.counts.take(CountRequest("large", (Counted(MILK, 99_000),), "luis"))
    for size in (NARROW, PHONE, TABLET):
        phone = await phone_of(browser, base, size)
        await phone.signs_in()
        await phone.starts_picking()
        for path in ("/staff", "/staff/labels", f"/staff/labels/{SHELF}", "/staff/pickups", "/staff/pickups/O-1",
                     "/staff/picking", "/staff/price?code=1001", "/staff/receive", "/staff/held", "/staff/exceptions",
                     "/staff/sales", "/staff/link", "/staff/stock", "/staff/counts/shelf", "/staff/deliveries/D-7"):
            await phone.opens(path)
            assert await phone.page.evaluate("document.documentElement.scrollWidth") <= size[0], (size, path)
            assert await phone.page.evaluate(SMALL_TARGETS, TARGET_MIN_PX) == [], (size, path)
        phone.talked_to_the_box_only()
        await phone.page.context.close()


SMALL_TARGETS = """(least) => [...document.querySelectorAll("a:not(.skip), button, input, select, summary")]
  .filter((element) => element.checkVisibility())
  .filter((element) => {
    const own = element.getBoundingClientRect();
    const spread = getComputedStyle(element, "::after");
    const host = spread.position === "absolute" ? element.closest(".tile, .figure, .issue") : null;
    const box = host ? host.getBoundingClientRect() : own;
    return box.width < least || box.height < least;
  }).map((element) => element.outerHTML.slice(0, 120))"""
"""What can be tapped and is smaller than a thumb; a link that covers its whole card counts as the card."""


async def test_a_scan_anywhere_is_a_price_check_and_in_a_form_it_goes_where_it_belongs(shop: Shop,
                                                                                      phone: Phone) -> None:
    await shop.hangs(SHELF, MILK)
    await phone.signs_in()
    await phone.scans("8410000000018")
    await expect(phone.page.locator(".price")).to_have_text("€1.09")
    await phone.scans("8410000000025")
    await expect(phone.page.locator(".price")).to_have_text("€1.89")

    await phone.opens(f"/staff/labels/{SHELF}")
    await phone.scans("8410000000025")
    await expect(phone.page.locator(".message")).to_contain_text("now hangs under Pan de Molde; before: Leche Entera.")
    await phone.page.get_by_role("button", name="Back to Leche Entera").tap()
    await expect(phone.page.locator(".message")).to_contain_text("now hangs under Leche Entera")

    await phone.opens("/staff/receive")
    await phone.page.get_by_label("How many came in").focus()
    await phone.scans("8410000000018")
    await expect(phone.page.get_by_label("Product code")).to_have_value("8410000000018")
    await expect(phone.page.get_by_label("How many came in")).to_have_value("")
    await phone.page.keyboard.type("12", delay=150)
    await phone.page.keyboard.press("Enter")
    await expect(phone.page.locator(".message")).to_contain_text("Received: 12 × Leche Entera.")
    phone.talked_to_the_box_only()


async def test_a_counters_scanner_acts_on_the_page_that_its_person_looks_at(shop: Shop, phone: Phone) -> None:
    """As a hand scanner does, on a serial port (retail.md 1.8)."""
    await shop.hangs(SHELF, MILK)
    await phone.signs_in()
    await phone.is_live()
    assert shop.page.scanned("ana", "8410000000018")
    await expect(phone.page.locator(".price")).to_have_text("€1.09")
    await phone.is_live()
    assert not shop.page.scanned("luis", "8410000000025"), "luis looks at no page"
    assert shop.page.scanned("ana", "8410000000025")
    await expect(phone.page.locator(".price")).to_have_text("€1.89")

    await phone.opens("/staff/receive")
    await phone.is_live()
    await phone.page.get_by_label("How many came in").focus()
    shop.page.scanned("ana", "8410000000018")
    await expect(phone.page.get_by_label("Product code")).to_have_value("8410000000018")
    await expect(phone.page.get_by_label("How many came in")).to_have_value("")
    await phone.page.keyboard.type("12", delay=150)
    await phone.page.keyboard.press("Enter")
    await expect(phone.page.locator(".message")).to_contain_text("Received: 12 × Leche Entera.")
    phone.talked_to_the_box_only()


async def test_an_order_is_picked_by_scans_and_handed_over_with_its_code(shop: Shop, phone: Phone) -> None:
    for sku in (MILK, BREAD):
        await shop.receives(sku, 10)
    await shop.order("O-1", MILK, BREAD, code="K7P3XQ2M")
    await phone.signs_in("luis")
    await phone.page.get_by_role("link", name="Pickups", exact=True).tap()
    await phone.page.get_by_text("Marta R.").tap()
    await phone.page.wait_for_url("**/O-1")
    for code, name in (("8410000000018", "Leche Entera"), ("8410000000025", "Pan de Molde")):
        for left in (1, 0):
            await phone.scans(code)
            await expect(phone.page.locator(".message")).to_contain_text(f"1 × {name} into A1.")
            if left:
                await expect(phone.page.locator("#pickup")).to_contain_text("1 picked.")
    await phone.page.get_by_role("button", name="Ready for the customer").tap()
    await expect(phone.page.locator(".message")).to_contain_text("Ready for Marta R.")
    await phone.page.wait_for_url("**/staff/pickups")
    await phone.scans("K7P3XQ2M")
    await phone.page.get_by_role("button", name="Hand over").tap()
    await expect(phone.page.locator(".message")).to_contain_text("Handed over to Marta R.")
    phone.talked_to_the_box_only()


async def test_what_somebody_types_survives_the_news(shop: Shop, phone: Phone) -> None:
    await shop.hangs(SHELF, MILK)
    await phone.signs_in()
    await phone.opens(f"/staff/labels/{SHELF}")
    await phone.is_live()
    await phone.page.get_by_text("This label does not count").tap()
    await phone.page.get_by_label("More, if needed").fill("screen crac")
    await shop.sets_price(MILK, 129)

    await expect(phone.page.locator("#label-now")).to_contain_text("€1.29")
    await expect(phone.page.get_by_label("More, if needed")).to_have_value("screen crac")
    await expect(phone.page.get_by_label("More, if needed")).to_be_focused()


async def test_without_scripts_every_form_works_by_reloading(shop: Shop, browser: Browser, base: str) -> None:
    await shop.hangs(SHELF, MILK)
    phone = await phone_of(browser, base, scripts=False)
    await phone.signs_in()
    await phone.opens(f"/staff/labels/{SHELF}")
    await phone.page.get_by_label("Product code").fill("8410000000025")
    await phone.page.get_by_role("button", name="Bind").tap()
    await expect(phone.page.locator(".message")).to_contain_text("now hangs under Pan de Molde")
    await phone.opens("/staff/labels")
    await expect(phone.page.locator(f"#tile-{SHELF} h3")).to_have_text("Pan de Molde")
    phone.talked_to_the_box_only()


async def test_the_page_says_when_it_is_no_longer_live_and_comes_back_by_itself(shop: Shop, phone: Phone) -> None:
    await shop.hangs(SHELF, MILK)
    await phone.signs_in()
    await phone.is_live()
    await phone.page.context.set_offline(True)
    shop.close_streams()
    await expect(phone.page.locator("#live")).to_contain_text("Not live since")
    await shop.sells(MILK, 1)
    await asyncio.sleep(STAFF_COALESCE_S)
    await phone.page.context.set_offline(False)

    await expect(phone.page.locator("#live")).to_have_text("Live", timeout=20_000)
    await expect(phone.page.locator("#home")).to_contain_text("1 receipt")


async def test_p11_signing_out_elsewhere_closes_what_stands_open(shop: Shop, phone: Phone) -> None:
    await phone.signs_in()
    await phone.is_live()
    second = Phone(await phone.page.context.new_page(), phone.base)
    await second.opens("/staff")
    await second.page.get_by_text("Ana").first.tap()
    await second.page.get_by_role("button", name="Sign out").tap()
    await second.page.wait_for_url("**/staff/sign-in")

    await phone.page.wait_for_url("**/staff/sign-in*", timeout=20_000)


async def test_the_keyboard_reaches_everything_and_one_sees_where_it_is(shop: Shop, phone: Phone) -> None:
    await shop.hangs(SHELF, MILK)
    await phone.signs_in()
    await phone.opens(f"/staff/labels/{SHELF}")
    wanted = await phone.page.evaluate(
        "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary')]"
        ".filter(element => element.checkVisibility()).length")
    reached = set()
    for _ in range(wanted):
        await phone.page.keyboard.press("Tab")
        reached.add(await phone.page.evaluate("document.activeElement.outerHTML"))
        outline = "[document.activeElement.outerHTML, getComputedStyle(document.activeElement).outlineStyle]"
        element, style = await phone.page.evaluate(outline)
        assert style != "none", element

    assert len(reached) == wanted


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_stands_out_from_its_ground_in_both_schemes(shop: Shop, phone: Phone, scheme: str) -> None:
    await shop.hangs(SHELF, MILK)
    await shop.hangs(OTHER, BREAD)
    await shop.sets_price(MILK, 129)
    await shop.hold_a_price()
    await phone.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await phone.signs_in()
    for path in ("/staff", "/staff/labels", f"/staff/labels/{SHELF}", "/staff/price?code=1001", "/staff/held"):
        await phone.opens(path)
        assert await phone.page.evaluate(FAINT_TEXTS) == [], path


FAINT_TEXTS = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => channels(colour).slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      const [, , , alpha = 1] = channels(colour);
      if (alpha === 1) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const seen = element.getClientRects().length && !element.closest(".hidden-text, .skip, script");
    if (!seen || !walker.currentNode.data.trim()) continue;
    const style = getComputedStyle(element);
    if (parseFloat(style.fontSize) === 0) continue;
    const [one, other] = [light(style.color), light(ground(element))].sort((a, b) => b - a);
    if ((one + 0.05) / (other + 0.05) >= 4.5) continue;
    faint.push(`${walker.currentNode.data.trim()}: ${style.color} on ${ground(element)}`);
  }
  return faint;
}"""
"""Texts with less contrast than 4.5:1 (WCAG 1.4.3), measured as the browser draws them."""


async def test_a_button_does_not_go_away_under_the_finger(shop: Shop, phone: Phone) -> None:
    await shop.receives(MILK, 10)
    await shop.order("O-1", MILK)
    await phone.signs_in()
    await phone.opens("/staff/pickups/O-1")
    await phone.is_live()
    button = phone.page.locator("#pick-1")
    await button.hover()
    await phone.page.mouse.down()
    asked = len(phone.asked)
    shop.store.tell(Topic.PICKUP, "O-1")
    await asyncio.sleep(STAFF_COALESCE_S * 3)
    assert len(phone.asked) == asked, "nothing is fetched for what is being pressed"
    await phone.page.mouse.up()

    await expect(phone.page.locator(".message")).to_contain_text("× Leche Entera into")
