"""Head office changes prices every few seconds, up and down, now and dated; how long they take is measured.

From the hub's answer to the change on: to the `XFC>` of a label that holds it, and, for decreases, to the first answer
to a till that says it. An increase must wait for the shelf and the grace, so its way to the till says nothing about
speed. What was on its way while the line was cut is not measured either: that would measure the cut.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from drivers.port import LabelId
from edge.proving.picture_reader import ItemKey, Printed
from edge.proving.stage.goods import Goods
from edge.proving.stage.http_line import HttpLine, LineBroken
from edge.proving.stage.hub_operator import HubOperator, HubRefused, PriceEntry
from edge.proving.stage.play import Play

REST_S = 12.0
"""How long a product keeps a price before it is changed again."""

ASK_TILL_EVERY_S = 0.005
ASK_TILL_S_MAX = 10.0
DATED_AHEAD_S = (4.0, 9.0)
DATED_FOR_S = (6.0, 15.0)
DATED_SHARE = 0.3
LOWEST_MINOR = 10


class _Quote(msgspec.Struct, frozen=True):
    charge_minor: int


@dataclass(slots=True)
class _Change:
    """A price on its way to the shelf."""

    price_minor: int
    answered_s: float
    spoilt: bool = False


class PriceChanger:
    """`pause_s`: between two changes. Samples are in milliseconds."""

    def __init__(self, hub: HubOperator, till: HttpLine, play: Play, goods: Sequence[Goods], randomness: random.Random,
                 pause_s: float) -> None:
        self.count = 0
        self.to_proof_ms: list[float] = []
        self.to_till_ms: list[float] = []
        self._hub = hub
        self._till = till
        self._play = play
        self._goods = list(goods)
        self._randomness = randomness
        self._pause_s = pause_s
        self._prices = {each.sku: each.price_minor for each in goods}
        self._rested_s: dict[str, float] = {}
        self._on_their_way: dict[ItemKey, _Change] = {}

    async def run(self) -> None:
        """Until the play ends."""
        while await self._play.pause(self._pause_s * self._randomness.uniform(0.6, 1.4)):
            goods = self._next()
            if goods is None:
                continue
            try:
                if self._randomness.random() < DATED_SHARE:
                    await self.change_later([goods], self._randomness.uniform(*DATED_AHEAD_S))
                else:
                    await self._change_now(goods)
            except (HubRefused, LineBroken) as error:
                self._play.witness.note_trouble(f"a price change failed: {error}")

    async def change_later(self, goods: Sequence[Goods], ahead_s: float) -> None:
        """Promotions that begin and end by the store's own clock."""
        now_ms = self._play.clock.wall_ms()
        entries = []
        for each in goods:
            begins_ms = now_ms + int(ahead_s * 1000)
            ends_ms = begins_ms + int(self._randomness.uniform(*DATED_FOR_S) * 1000)
            price_minor = max(LOWEST_MINOR, self._prices[each.sku] * self._randomness.randint(70, 92) // 100)
            entries.append(PriceEntry(f"promotion:{each.sku}", each.sku, price_minor, self._hub.currency, "promotion",
                                      10, begins_ms, ends_ms))
            self._rested_s[each.sku] = self._play.now_s() + (ends_ms - now_ms) / 1000 + REST_S
        await self._hub.set_prices(entries)
        self.count += len(entries)

    def choose(self, count: int) -> list[Goods]:
        """Products whose prices have rested."""
        return [goods for _ in range(count) if (goods := self._next()) is not None]

    def line_cut(self) -> None:
        """What is on its way now, or sets out before the line is mended, is not measured."""
        for change in self._on_their_way.values():
            change.spoilt = True

    def screen_changed(self, _label: LabelId, printed: Printed, done_s: float) -> None:
        """A label holds this since `done_s`."""
        change = self._on_their_way.get(printed.item)
        if change is None or change.price_minor != printed.price_minor or done_s < change.answered_s:
            return
        if not change.spoilt:
            self.to_proof_ms.append((done_s - change.answered_s) * 1000)

    async def _change_now(self, goods: Goods) -> None:
        play, before = self._play, self._prices[goods.sku]
        rises = self._randomness.random() < 0.5
        share = self._randomness.randint(103, 125) if rises else self._randomness.randint(78, 97)
        price_minor = max(LOWEST_MINOR, before * share // 100 + (1 if rises else -1))
        await self._hub.set_prices([PriceEntry(f"regular:{goods.sku}", goods.sku, price_minor, self._hub.currency)])
        answered_s = play.now_s()
        self.count += 1
        self._prices[goods.sku] = price_minor
        self._rested_s[goods.sku] = answered_s + REST_S
        self._on_their_way[_key(goods)] = _Change(price_minor, answered_s, spoilt=not play.line_up)
        if price_minor < before and play.line_up:
            await self._ask_till(goods, price_minor, answered_s)

    async def _ask_till(self, goods: Goods, price_minor: int, answered_s: float) -> None:
        """Ask until the till would charge the new price."""
        play = self._play
        while play.now_s() - answered_s < ASK_TILL_S_MAX and not play.ending.is_set():
            began_s = play.now_s()
            try:
                answer = await self._till.ask("GET", f"/v1/lookup/{goods.code}")
            except LineBroken:
                return
            asked = play.since(began_s)
            if answer.status != 200 or not play.line_up:
                return
            charge_minor = msgspec.json.decode(answer.body, type=_Quote).charge_minor
            play.witness.lookup("price check", goods.code, asked, charge_minor)
            if charge_minor == price_minor:
                self.to_till_ms.append((asked.ended_s - answered_s) * 1000)
                return
            await asyncio.sleep(ASK_TILL_EVERY_S)

    def _next(self) -> Goods | None:
        """A product whose price has stood for a while."""
        now_s = self._play.now_s()
        for _ in range(20):
            goods = self._randomness.choice(self._goods)
            if self._rested_s.get(goods.sku, 0.0) <= now_s:
                self._rested_s[goods.sku] = now_s + REST_S
                return goods
        return None


def _key(goods: Goods) -> ItemKey:
    return f"01/{goods.gtin.zfill(14)}" if goods.gtin else f"s/{goods.sku}"
