"""The whole store on this machine, from opening the buildings to the verdict."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from edge.clock import Clock
from edge.proving.picture_reader import Printed
from edge.proving.shelf_eyes import ShelfEyes
from edge.proving.sightings import BooksSeen, Finding
from edge.proving.stage.aisle import Aisle, SpeedUp
from edge.proving.stage.baskets import Basket, made_baskets, read_sales
from edge.proving.stage.books import hub_books, store_books
from edge.proving.stage.chance import chance
from edge.proving.stage.goods import Goods, by_sku, read_goods, write_catalogue
from edge.proving.stage.order_crowd import OrderCrowd
from edge.proving.stage.outage_plan import Outage
from edge.proving.stage.play import Play
from edge.proving.stage.premises import COLLEAGUE, PRICE_CHECK, SPAIN, SUPERVISOR, UNITED_STATES, Premises
from edge.proving.stage.price_changer import PriceChanger
from edge.proving.stage.staff_hands import Label, StaffHands, Status
from edge.proving.stage.till_crowd import Till
from edge.proving.stage.wall_staff import WallStaff
from edge.proving.witness import Witness

MADE_ITEMS = 2_000
GRACE_S = 3
"""The demo's shoppers are quick, so that people see increases wait and end waiting."""

REPLAYING_TILLS, MADE_TILLS = 8, 4
MADE_SALES_PAUSE_S = 0.4
ORDERABLE, CONTESTED = 40, 4
PRICE_PAUSE_S = 1.0
ORDER_PAUSE_S = 0.8
REARRANGE_PAUSE_S = 4.0
LABELS_AT_EASE = 120
"""Up to so many labels check in twice as often."""

CHECK_IN_S, SETTLE_S = 3.0, 1.0
WATCH_EVERY_S = 0.25
CLAIMED_SHOWN_LAG_S = 5.0
"""How long after it was asked a claim is judged: the screens it is about have changed by then."""

DATED_BEFORE_OUTAGE_S = 2.5
DATED_IN_OUTAGE_MAX = 12
"""At most a quarter of the labelled products; the others go on being changed from the hub."""

TILLS_STOP_S = 60.0
LABELS_SETTLE_S = 20.0
DRAIN_S = 90.0
DRAIN_LOOK_S = 0.2
READ_TRIES = 5
CLOCKS_APART_S = 0.1


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be played. Without files, catalogue and sales are made from the seed."""

    labels: int
    port: int
    seed: int
    catalogue: Path | None = None
    sales: Path | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """What the books say in the end. `drained`: the store itself said, in time, that the hub has everything."""

    store: BooksSeen
    hub: BooksSeen
    drained: bool
    items: int
    labels: list[Label]
    findings: list[Finding]

    @property
    def backlog(self) -> int:
        """Facts that the hub did not have when the books were read."""
        return max(0, len(self.store.entries) - len(self.hub.entries))


class Show:
    """`open()`, `run()` (or `begin()` and do as you like), then `end()` for the verdict; `close()` in any case."""

    def __init__(self, script: Script, directory: Path, clock: Clock) -> None:
        self.script = script
        self.play = Play(Witness(GRACE_S), clock)
        self.tills = [str(number + 1) for number in range(REPLAYING_TILLS if script.sales else MADE_TILLS)]
        self.speed_up = SpeedUp(CHECK_IN_S if script.labels > LABELS_AT_EASE else CHECK_IN_S / 2, SETTLE_S)
        self.aisle = Aisle(script.labels, self.speed_up, script.seed, self.play.witness.heard_line)
        self.premises = Premises(directory, script.port, self.tills, self.aisle.ports,
                                 UNITED_STATES if script.catalogue else SPAIN)
        self.goods: list[Goods] = []
        self.opened_s = 0.0
        self.outages_begun: list[Outage] = []
        self.prices: PriceChanger
        self.orders: OrderCrowd
        self.wall: WallStaff
        self._queues: list[list[Basket]] = []
        self._labelled: list[Goods] = []
        self._eyes = ShelfEyes(self.play.witness, self.aisle.labels.values(), on_screen=self._screen_changed)
        self._hands: dict[str, StaffHands] = {}
        self._cast: list[asyncio.Task[None]] = []
        self._tills: list[asyncio.Task[None]] = []
        self._behind: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Everything stands and sells when it returns. Raises `ConfigurationError`, `ProcessFailed`."""
        catalogue = self._catalogue()
        await self.premises.open_hub(_policy(), catalogue)
        self.goods = read_goods(catalogue)
        self._queues = self._read_sales()
        for each in self.goods:
            self.play.witness.knows_item(each.sku, [each.gtin] if each.gtin else [])
        self._labelled = self._choose_labelled()
        self._behind = [asyncio.create_task(self.aisle.run(), name="aisle"),
                        asyncio.create_task(self._watch(), name="watch")]
        await self.premises.open_store()
        self.play.lives, self.play.store_up = 1, True
        await self._sign_in()
        self._engage()
        self.opened_s = self.play.now_s()

    async def run(self, seconds: float | None, outages: Iterator[Outage]) -> None:
        """Play until the time is over. Raises `ProcessFailed` when a process ends by itself."""
        self.begin()
        cutting = asyncio.create_task(self._cut(outages), name="outages")
        try:
            while seconds is None or self.play.now_s() - self.opened_s < seconds:
                await self.play.pause(WATCH_EVERY_S)
                self.check()
        finally:
            cutting.cancel()
            self._mend()

    def begin(self) -> None:
        """Everybody sets to work, until `end()`."""
        hung = dict(zip(self.aisle.labels, itertools.cycle(self._labelled), strict=False))
        jobs = [self.wall.hang_all(hung), self.wall.keep_looking(),
                self.wall.rearrange(self._labelled, REARRANGE_PAUSE_S), self.prices.run(), self.orders.order(),
                self.orders.receive(self._hands["goods in"]), self.orders.pick(self._hands["picker 1"]),
                self.orders.pick(self._hands["picker 2"])]
        self._cast = [asyncio.create_task(job) for job in jobs]
        goods = by_sku(self.goods)
        for number, name in enumerate(self.tills):
            till = Till(name, self.premises.till_line(name), self.play, goods, self.premises.country.currency,
                        chance(self.script.seed, f"till {name}"), 0.0 if self._queues else MADE_SALES_PAUSE_S)
            self._tills.append(asyncio.create_task(till.run(self._baskets(number)), name=f"till {name}"))

    def check(self) -> None:
        """Raises what went wrong behind the scenes: a process that ended, a bug in one of the cast."""
        if self.play.store_up:
            self.premises.check()
        for task in (*self._behind, *self._cast, *self._tills):
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def end(self) -> Ending:
        """Tills stop, everything drains (each for a bounded time), books are read, the witness speaks."""
        self.play.ending.set()
        await self._stop_cast()
        labels = await self._until_labels_settled()
        drained = await self._until_drained()
        await self.orders.look_at_all(self._hands["orders"])
        items = (await self.status()).items
        store, hub = await self._read_books()
        self._eyes.look()
        findings = self.play.witness.verdict(store, hub, self.play.now_s(), self._seconds_of())
        return Ending(store, hub, drained, items, labels, findings)

    async def close(self, *, keep: bool = False) -> None:
        """Leave nothing running. `keep`: the logs stay."""
        self.play.ending.set()
        tasks = [*self._cast, *self._tills, *self._behind]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.premises.close(keep=keep)
        self.aisle.close()

    async def status(self) -> Status:
        """What the store says of itself."""
        return await self._hands["status"].status()

    async def kill_store(self) -> None:
        """The daemon dies at this very moment."""
        self.play.store_up = False
        await self.premises.store.kill()

    def look_at_shelf(self) -> None:
        """Tell the witness what every screen did until now."""
        self._eyes.look()

    async def start_store(self) -> None:
        """It is started again, and sells when this returns."""
        await self.premises.open_store()
        self.play.lives += 1
        self.play.store_up = True

    # --- setting the stage ------------------------------------------------------------------------------------

    def _catalogue(self) -> Path:
        if self.script.catalogue is not None:
            return self.script.catalogue
        path = self.premises.directory / "catalogue.csv"
        write_catalogue(path, MADE_ITEMS, chance(self.script.seed, "catalogue"))
        return path

    def _read_sales(self) -> list[list[Basket]]:
        if self.script.sales is None:
            return []
        today = datetime.fromtimestamp(self.play.clock.wall_ms() / 1000,
                                       ZoneInfo(self.premises.country.time_zone)).date()
        return read_sales(self.script.sales, len(self.tills), today)

    def _choose_labelled(self) -> list[Goods]:
        """What sells most gets a label, so that tills and shelf really meet."""
        if not self._queues:
            return chance(self.script.seed, "labels").sample(self.goods, min(self.script.labels, len(self.goods)))
        return self._by_sales()[:self.script.labels]

    def _choose_quiet(self) -> list[Goods]:
        """What hardly anybody buys in the store is there for those who order."""
        if self._queues:
            return self._by_sales()[-ORDERABLE:]
        labelled = {each.sku for each in self._labelled}
        rest = [each for each in self.goods if each.sku not in labelled] or self.goods
        return chance(self.script.seed, "orderable").sample(rest, min(ORDERABLE, len(rest)))

    def _by_sales(self) -> list[Goods]:
        """What sells most in the file comes first."""
        sold = Counter(line.sku for queue in self._queues for basket in queue for line in basket.lines)
        return sorted(self.goods, key=lambda each: (-sold[each.sku], each.sku))

    async def _sign_in(self) -> None:
        people = {"wall": SUPERVISOR, "look": SUPERVISOR, "status": SUPERVISOR, "goods in": COLLEAGUE,
                  "orders": COLLEAGUE, "picker 1": COLLEAGUE, "picker 2": COLLEAGUE, "rearrange": SUPERVISOR}
        self._hands = {job: self.premises.hands(who) for job, who in people.items()}
        for who in (SUPERVISOR, COLLEAGUE):
            jobs = [self._hands[job] for job, each in people.items() if each == who]
            await jobs[0].sign_in()
            for hands in jobs[1:]:
                hands.share(jobs[0])

    def _engage(self) -> None:
        seed, premises, play = self.script.seed, self.premises, self.play
        self.prices = PriceChanger(premises.operator, premises.till_line(PRICE_CHECK), play, self._labelled,
                                   chance(seed, "prices"), PRICE_PAUSE_S)
        self.orders = OrderCrowd(premises.operator, play, self._choose_quiet(), self._labelled[:CONTESTED],
                                 chance(seed, "orders"), ORDER_PAUSE_S)
        self.wall = WallStaff(self._hands["wall"], self._hands["look"], self._hands["rearrange"], play,
                              chance(seed, "wall"))

    def _baskets(self, till: int) -> Iterator[Basket]:
        """A till's customers; a file that is through begins again, as other customers."""
        if self._queues:
            yield from itertools.cycle(self._queues[till])
            return
        now = datetime.fromtimestamp(self.play.clock.wall_ms() / 1000, ZoneInfo(self.premises.country.time_zone))
        yield from made_baskets(till, self.goods, self._labelled, now, chance(self.script.seed, f"customers {till}"))

    # --- behind the scenes ------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Tell the witness what screens do, and let it judge."""
        while True:
            self._look()
            await asyncio.sleep(WATCH_EVERY_S)

    def _look(self) -> None:
        self._eyes.look()
        self.play.witness.look_back(self.play.now_s() - CLAIMED_SHOWN_LAG_S)

    def _screen_changed(self, label: str, printed: Printed, done_s: float) -> None:
        if self.opened_s:
            self.prices.screen_changed(label, printed, done_s)

    async def _cut(self, outages: Iterator[Outage]) -> None:
        for outage in outages:
            start_s = self.opened_s + outage.start_s
            await asyncio.sleep(max(0.0, start_s - DATED_BEFORE_OUTAGE_S - self.play.now_s()))
            await self._date_prices(start_s - self.play.now_s(), outage.length_s)
            await asyncio.sleep(max(0.0, start_s - self.play.now_s()))
            self.premises.cut_line()
            self.outages_begun.append(outage)
            self.play.line_up = False
            self.play.witness.outage_began()
            self.prices.line_cut()
            await asyncio.sleep(outage.length_s)
            self._mend()

    def _mend(self) -> None:
        if not self.play.line_up:
            self.play.witness.outage_ended()
            self.premises.mend_line()
            self.play.line_up = True

    async def _date_prices(self, until_s: float, length_s: float) -> None:
        """Prices that will begin while the line is down: the store must know when by itself."""
        for goods in self.prices.choose(max(2, min(DATED_IN_OUTAGE_MAX, len(self._labelled) // 4))):
            ahead_s = until_s + chance(self.script.seed, f"dated {goods.sku}").uniform(0.05, 0.4) * length_s
            await self.prices.change_later([goods], ahead_s)

    async def _stop_cast(self) -> None:
        """Tills finish what they have in hand, however long the store takes, within a bound."""
        done, late = await asyncio.wait([*self._tills, *self._cast], timeout=TILLS_STOP_S)
        for task in late:
            self.play.witness.note_trouble(f"{task.get_name()} could not finish in {TILLS_STOP_S:.0f} s")
            task.cancel()
        for task in done:
            task.result()

    async def _until_labels_settled(self) -> list[Label]:
        """Until every label shows what it should; what is still on its way after that is reported as pending."""
        until_s = self.play.now_s() + LABELS_SETTLE_S
        while True:
            labels = await self.wall.look()
            if all(label.state == "shown" for label in labels if label.sku) or self.play.now_s() > until_s:
                return labels
            await asyncio.sleep(DRAIN_LOOK_S)

    async def _until_drained(self) -> bool:
        """Until the store says that the hub has everything (P9), and the hub too, for a bounded time."""
        until_s = self.play.now_s() + DRAIN_S
        while self.play.now_s() < until_s:
            status = await self.status()
            if status.backlog == 0 and await self.hub_head(status.epoch) == status.ledger_sequence:
                return True
            await asyncio.sleep(DRAIN_LOOK_S)
        return False

    async def _read_books(self) -> tuple[BooksSeen, BooksSeen]:
        """Both ledgers at one moment: a label may still prove a price whose time has just come, so read again then."""
        premises = self.premises
        for _ in range(READ_TRIES):
            store = store_books(premises.state_directory, premises.database_key, premises.operator.store)
            hub = await hub_books(premises.operator, store.epoch, sorted(store.stock))
            if len(store.entries) == len(hub.entries):
                break
            await asyncio.sleep(DRAIN_LOOK_S)
        return store, hub

    async def hub_head(self, epoch: int) -> int:
        """How far the hub has the store's ledger."""
        heads = (await self.premises.operator.status()).heads
        return next((head.sequence for head in heads if head.epoch == epoch), 0)

    def _seconds_of(self) -> "WallToSeconds":
        return WallToSeconds(self.play.now_s() - self.play.clock.wall_ms() / 1000)


@dataclass(frozen=True, slots=True)
class WallToSeconds:
    """Wall-clock milliseconds → the witness's seconds, a little late: two clocks of one machine, read in turn."""

    offset_s: float

    def __call__(self, wall_ms: int) -> float:
        return wall_ms / 1000 + self.offset_s + CLOCKS_APART_S


def _policy() -> dict[str, int | str]:
    return {"grace_s": GRACE_S}


def violations_of(ending: Ending) -> list[str]:
    """Everything that was broken; a promise never put to the test, a head behind and a backlog included."""
    violations = [each for finding in ending.findings for each in finding.violations]
    violations += [f"{finding.promise}: never put to the test" for finding in ending.findings
                   if not finding.checked and finding.promise.startswith("P")]
    if not ending.drained:
        violations.append(f"P9: store and hub did not agree within {DRAIN_S:.0f} s, {ending.backlog} facts are missing")
    return violations

