"""Paper tags on the page: made, printed on a sheet, hung and scanned."""

import io
import re

import pytest
import zxingcpp
from PIL import Image

from edge.health import checks
from edge.labels.planner import LabelState
from tests.staff.shop import MILK, SHELF, Shop, Visitor


async def _makes_a_tag(shop: Shop, ana: Visitor) -> str:
    await ana.fills("/staff/tags", "/staff/tags", code=MILK, size="50x25")
    await shop.until(lambda: bool(shop.paper.waiting()))
    return shop.paper.waiting()[0].label


async def test_a_clerk_makes_prints_hangs_and_scans_a_tag(shop: Shop) -> None:
    async with shop.signed_in() as ana:
        tag = await _makes_a_tag(shop, ana)
        picture, code = re.findall(r'src="(/staff/tags/[^"]+)"', await ana.reads("/staff/tags/sheet"))
        with Image.open(io.BytesIO((await ana.client.get(picture)).content)) as image:
            assert image.size == (400, 200)
            links = [each.text for each in zxingcpp.read_barcodes(image.convert("L"))]
            assert any(link.startswith("https://id.example.com/") for link in links)
        with Image.open(io.BytesIO((await ana.client.get(code)).content)) as image:
            (said,) = zxingcpp.read_barcodes(image)
        answer = await ana.fills("/staff/tags", "/staff/tags/scan", code=said.text)
        assert re.search(r"shows €1\.09|shows 1[.,]09", await ana.message(answer))
        await shop.until(lambda: shop.state(tag) is LabelState.SHOWN)
        assert "Every paper tag hangs as it should." in await ana.reads("/staff/tags")
        assert (await ana.client.get(picture)).status_code == 404


async def test_an_old_tag_is_told_as_such(shop: Shop) -> None:
    async with shop.signed_in() as ana:
        await _makes_a_tag(shop, ana)
        old = shop.paper.waiting()[0]
        await shop.sets_price(MILK, 129)
        await shop.until(lambda: shop.paper.waiting()[0].blob.version != old.blob.version)
        answer = await ana.fills("/staff/tags", "/staff/tags/scan", code=old.code.text)
        assert "print the new one and hang it there" in await ana.message(answer)


async def test_tags_that_wait_for_long_are_an_issue_that_ends_by_itself(
        shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async with shop.signed_in() as ana:
        await _makes_a_tag(shop, ana)
        assert "tags-waiting" not in {issue.key for issue in shop.page.parts.issues.now()}
        monkeypatch.setattr(checks, "PAPER_WAITS_S", 0.0)
        assert "tags-waiting" in {issue.key for issue in shop.page.parts.issues.now()}
        shop.paper.scanned(shop.paper.waiting()[0].code)
        assert "tags-waiting" not in {issue.key for issue in shop.page.parts.issues.now()}


async def test_the_bindings_are_there_as_a_file(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    async with shop.signed_in() as ana:
        answer = await ana.client.get("/staff/labels.csv")
    assert answer.text.splitlines() == ["label,code", f"{SHELF},{MILK}"]
    assert "attachment" in answer.headers["content-disposition"]
