"""Tills: they ask prices, sell, take back, void, and send every transaction until the store has answered for good.

Some keep a copy of the price book and charge by it. A till whose line is cut sells on, and sends it all when the line
is back; its clock may be wrong by minutes or by years.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from edge.proving.asgi import Answer, Question
from edge.proving.catalogue import COUPONS, Item
from edge.proving.errands import Errands
from edge.proving.plan import TIME_ZONE
from edge.proving.ports import CURRENCY
from edge.proving.price_copy import PriceCopy
from edge.proving.process import Gone
from edge.proving.receipts import AskedBasket, AskedLine, Receipt
from edge.proving.sightings import SentLine, Span, TillTransaction
from edge.proving.till_line import REQUEST_LOST_SHARE, RETRY_S, TillLine
from edge.proving.till_record import Sending
from edge.proving.world import World

LINES_MAX = 5
VOID_SHARE = 0.04
RETURN_SHARE = 0.05
CONFLICT_SHARE = 0.02
ODD_LINE_SHARE = 0.03
DONE_S_MAX = 3_600.0
"""So long a till waits for the last answers of a store that runs."""

ODD_QUANTITIES_MILLI = (0, -1_000, 1_500_000, 437)
UNKNOWN_CODE = "4006381333931"
OWN_PRICE_MINOR = 199
"""What a till asks for what nobody told it a price of."""

WHOLE_BASKET_SHARE = 0.4
"""Baskets that the store prices as a whole."""

MEMBER_SHARE = 0.3
COUPON_SHARE = 0.3
FROM_COPY_SHARE = 0.7
COPY_EVERY_S = (4.0, 16.0)
"""How often a till that keeps a copy asks what changed."""


@dataclass(frozen=True, slots=True)
class Priced:
    """What a till knows to charge per unit, and how: asked in `asked`; or by a copy, loaded when `copied_s` says.

    `judged`: whether it is for the store to answer for, as it is not for a copy that the till failed to renew.
    """

    unit_minor: int
    asked: Span
    copied_s: float | None = None
    judged: bool = True


class _Quote(msgspec.Struct):
    sku: str
    charge_minor: int
    list_price_minor: int
    price_version: str


class _Problem(msgspec.Struct):
    recorded: bool | None = None


class _Line(msgspec.Struct):
    line: int
    quantity_milli: int
    amount_minor: int
    code: str
    kind: str = "sale"
    unit_price_minor: int | None = None
    scanned_at: datetime | None = None


class _Body(msgspec.Struct, omit_defaults=True):
    type: str
    currency: str
    total_minor: int
    occurred_at: datetime
    lines: list[_Line]
    voids_sequence: int | None = None


class _Closed(msgspec.Struct):
    agrees: bool
    missing_count: int
    missing: list[int] = []


@dataclass(frozen=True, slots=True)
class Wanted:
    """A customer brings so much of what a code stands for."""

    code: str
    quantity_milli: int


class Till:
    """One till with a memory of its own: what it has not been answered for, it sends again, in any order.

    `wrong_ms`: how far its own clock stands beside the truth.
    """

    def __init__(self, world: World, number: int, token: str, *, copies: bool = False) -> None:
        self.name = str(number)
        self.wrong_ms = 0
        self._world = world
        self._token = token
        self._randomness = world.plan.randomness(f"till {number}")
        self.line = TillLine(world, self.name, self._randomness)
        self._copy = PriceCopy() if copies else None
        self._zone = ZoneInfo(TIME_ZONE)
        self._sending = Errands(world)
        self._days: dict[str, dict[int, int]] = {}
        self._journal: dict[TillTransaction, tuple[_Body, list[SentLine]]] = {}

    @property
    def _tells_time(self) -> bool:
        """Whether what it was charged at can be compared with what the store asked then."""
        return self.wrong_ms == 0 and self._world.clock.on

    @property
    def waiting(self) -> int:
        """Transactions not answered for good."""
        return len(self._sending)

    async def run(self) -> None:
        """Serve customers until the busy time is over."""
        await asyncio.gather(self._serve_all_day(), self._keep_copy())

    # --- prices -------------------------------------------------------------------------------------------------

    async def price(self, code: str) -> int | None:
        """What the store says to charge for a code; `None` when it does not answer, or has no price."""
        priced = await self._looked_up(code)
        return priced.unit_minor if priced else None

    async def quote(self, code: str) -> Priced | None:
        """The same, or what the till's copy says."""
        if self._copy is not None and (not self.line.there or self._randomness.random() < FROM_COPY_SHARE):
            return self._from_copy(self._copy, code)
        return await self._looked_up(code)

    async def receipt(self, wanted: Sequence[Wanted], *, member: bool, coupons: tuple[str, ...] = ()
                      ) -> tuple[Receipt, Span] | None:
        """What the store makes of a whole basket, whose lines are numbered from 1; `None` when it does not answer."""
        world, began_s = self._world, self._world.begun()
        basket = AskedBasket(tuple(AskedLine(number, each.code, each.quantity_milli)
                                   for number, each in enumerate(wanted, start=1)), member, coupons)
        body = msgspec.json.encode({"lines": basket.lines, "member": member, "coupons": coupons})
        answer = await self.line.ask(Question.of("POST", "/v1/baskets/price", self._token, body))
        if answer is None or answer.status != 200:
            if answer is not None and answer.status < 500:
                world.violations.append(f"receipts: a basket was answered {answer.status}: {answer.body!r}")
            return None
        receipt, asked = msgspec.json.decode(answer.body, type=Receipt), world.asked(began_s)
        world.witness.receipt(self.name, basket, receipt, asked, world.truth.promotions_known)
        world.tally.did("baskets priced", self.name, receipt.total_minor)
        return receipt, asked

    async def _looked_up(self, code: str) -> Priced | None:
        world, began_s = self._world, self._world.begun()
        if not self.line.there or self._randomness.random() < REQUEST_LOST_SHARE:
            return None
        try:
            answer = await world.box.request(Question.of("GET", f"/v1/lookup/{code}", self._token))
        except Gone:
            return None
        if answer.status != 200:
            return None
        quote = msgspec.json.decode(answer.body, type=_Quote)
        asked = world.asked(began_s)
        world.witness.lookup(self.name, code, asked, quote.charge_minor)
        world.holds.told(quote.sku, quote.price_version, held=quote.charge_minor < quote.list_price_minor,
                         now_s=asked.ended_s, boots=world.clock.boots)
        world.tally.note("price", self.name, code, quote.charge_minor)
        return Priced(quote.charge_minor, asked)

    def _from_copy(self, copy: PriceCopy, code: str) -> Priced | None:
        unit_minor, world = copy.price(code), self._world
        if unit_minor is None or copy.loaded_s is None:
            return None
        asked, fresh = Span.at(world.begun()), copy.is_fresh()
        world.tally.did("prices from a copy" if fresh else "prices from a late copy", self.name, code, unit_minor)
        if fresh:
            world.witness.lookup(f"{self.name} with a copy", code, asked, unit_minor, copy.loaded_s)
        return Priced(unit_minor, asked, copy.loaded_s, fresh)

    async def _keep_copy(self) -> None:
        while self._copy is not None and not self._world.over:
            await asyncio.sleep(self._randomness.uniform(*COPY_EVERY_S))
            if self.line.there:
                await self._load(self._copy)

    async def _load(self, copy: PriceCopy) -> None:
        """What changed since the last time, and the word that the till has it."""
        began_s, began_at_s = self._world.begun(), asyncio.get_running_loop().time()
        question = Question.of("GET", f"/v1/pricebook?since={copy.version}", self._token)
        try:
            answer = await self._world.box.stream(question)
        except Gone:
            return
        if answer.status != 200 or not copy.take(answer.body):
            return
        body = msgspec.json.encode({"version": copy.version})
        said = await self.line.ask(Question.of("POST", f"/v1/tills/{self.name}/pricebook", self._token, body))
        if said is not None and said.status == 200:
            copy.acknowledged(began_s, began_at_s)
            self._world.tally.did("price books acknowledged", self.name, copy.version)

    # --- selling ------------------------------------------------------------------------------------------------

    async def _serve_all_day(self) -> None:
        world = self._world
        while await world.pause(world.plan.rates.baskets / world.plan.tills, self._randomness):
            await self.serve(self.basket())

    async def serve(self, codes: Iterable[str]) -> None:
        """Scan everything, then send the transaction; the next customer does not wait for the answer."""
        kind = "return" if self._randomness.random() < RETURN_SHARE else "sale"
        wanted = [Wanted(code, self._quantity_milli()) for code in codes]
        priced = None
        if kind == "sale" and self._randomness.random() < WHOLE_BASKET_SHARE:
            member = self._randomness.random() < MEMBER_SHARE
            priced = await self.receipt(wanted, member=member, coupons=self._coupons())
        if priced is not None:
            self.sell_by(wanted, *priced)
            return
        self.sell([(each, await self.quote(each.code)) for each in wanted], kind)

    def sell(self, lines: Sequence[tuple[Wanted, Priced | None]], kind: str = "sale") -> None:
        """Each line at its own price."""
        self._send_lines(kind, [
            (each, _amount(priced.unit_minor if priced else OWN_PRICE_MINOR, each.quantity_milli), priced)
            for each, priced in lines])

    def sell_by(self, wanted: Sequence[Wanted], receipt: Receipt, asked: Span) -> None:
        """As the store priced the basket; what it does not know has the till's own price."""
        known = {line.line: line for line in receipt.lines}
        self._send_lines("sale", [
            (each, line.net_minor, Priced(line.unit_minor, asked)) if (line := known.get(number)) is not None
            else (each, _amount(OWN_PRICE_MINOR, each.quantity_milli), None)
            for number, each in enumerate(wanted, start=1)])

    def _send_lines(self, kind: str, sold: Sequence[tuple[Wanted, int, Priced | None]]) -> None:
        lines: list[_Line] = []
        sent: list[SentLine] = []
        for number, (each, amount_minor, priced) in enumerate(sold, start=1):
            unit_minor = priced.unit_minor if priced else None
            asked = priced.asked if priced and priced.judged else None
            late_at_s = priced.asked.ended_s if priced and not priced.judged and self._tells_time else None
            lines.append(_Line(number, each.quantity_milli, amount_minor, each.code, kind, unit_minor,
                               self._now() if priced and priced.copied_s is not None else None))
            sent.append(SentLine(each.code, each.quantity_milli, amount_minor, unit_minor, asked,
                                 priced.copied_s if priced else None, late_at_s))
        total_minor = sum(-line.amount_minor if kind == "return" else line.amount_minor for line in lines)
        transaction = self._next(total_minor)
        task = self._keep_sending(transaction, _Body(kind, CURRENCY, total_minor, self._now(), lines), sent)
        self._world.tally.did("sales" if self.line.there else "sales while a till's line was cut")
        self._follow_up(transaction, task)

    def basket(self) -> list[str]:
        """What the next customer brings."""
        items = list(self._world.truth.items.values())
        codes = [self._code(self._randomness.choice(items)) for _ in range(self._randomness.randint(1, LINES_MAX))]
        return [code if self._randomness.random() > ODD_LINE_SHARE else UNKNOWN_CODE for code in codes]

    async def close_days(self) -> None:
        """The till's own account of every day; the store must have exactly that."""
        for day, totals in self._days.items():
            first, last, count, total_minor = min(totals), max(totals), len(totals), sum(totals.values())
            body = msgspec.json.encode({"business_day": day, "first": first, "last": last, "count": count,
                                        "total_minor": total_minor})
            question = Question.of("POST", f"/v1/tills/{self.name}/close", self._token, body)
            closed = await self._close(question)
            while self._world.restored and closed.missing:  # asked for by name: what a lost disk had acknowledged
                for sequence in closed.missing:
                    transaction = TillTransaction(self.name, day, sequence)
                    self._keep_sending(transaction, *self._journal[transaction])
                await self.done()
                closed = await self._close(question)
            self._world.witness.acknowledged(f"close/{self.name}/{day}/{first:010d}/{last:010d}/{count}/{total_minor}")
            if not closed.agrees:
                self._world.violations.append(f"P2: till {self.name} and the store differ about {day}: {closed}")

    async def _close(self, question: Question) -> _Closed:
        return msgspec.json.decode((await self.line.insist(question)).body, type=_Closed)

    async def done(self) -> None:
        """Wait until everything was answered for; what is not by then never will be, and P4 is broken."""
        await self._sending.done(DONE_S_MAX)

    def _code(self, item: Item) -> str:
        return item.sku if self._randomness.random() < 0.1 else item.code

    def _coupons(self) -> tuple[str, ...]:
        return COUPONS if self._randomness.random() < COUPON_SHARE else ()

    def _quantity_milli(self) -> int:
        if self._randomness.random() < ODD_LINE_SHARE:
            return self._randomness.choice(ODD_QUANTITIES_MILLI)
        return 1000 * self._randomness.randint(1, 3)

    def _next(self, total_minor: int) -> TillTransaction:
        day = self._now().astimezone(self._zone).date().isoformat()
        totals = self._days.setdefault(day, {})
        totals[len(totals) + 1] = total_minor
        return TillTransaction(self.name, day, len(totals))

    def _follow_up(self, transaction: TillTransaction, sending: "asyncio.Task[None]") -> None:
        """Now and then a transaction is voided at once, or sent again with another meaning by a confused till."""
        if self._randomness.random() < VOID_SHARE:
            void = self._next(0)  # of the same business day: no clock was put wrong in between
            self._keep_sending(void, _Body("void", CURRENCY, 0, self._now(), [], transaction.sequence), [])
        if self._randomness.random() < CONFLICT_SHARE:
            body = _Body("sale", CURRENCY, 777_777, self._now(), [_Line(1, 1000, 777_777, "confused")])
            self._keep_sending(transaction, body, [SentLine("confused", 1000, 777_777)], after=sending)

    def _keep_sending(self, transaction: TillTransaction, body: _Body, lines: list[SentLine],
                      after: "asyncio.Task[None] | None" = None) -> "asyncio.Task[None]":
        self._journal.setdefault(transaction, (body, lines))
        return self._sending.begin(self._send(transaction, body, lines, after),
                                   f"till {self.name} sends {transaction.sequence}")

    async def _send(self, transaction: TillTransaction, body: _Body, lines: list[SentLine],
                    after: "asyncio.Task[None] | None") -> None:
        """Until the store has said what became of it."""
        if after is not None:
            await asyncio.wait((after,))
        world = self._world
        target = f"/v1/transactions/{self.name}/{transaction.business_day}/{transaction.sequence}"
        question = Question.of("PUT", target, self._token, msgspec.json.encode(body))
        while True:
            await self.line.is_back()
            sending = world.witness.sent(transaction, body.type, lines)
            answer = await self.line.ask(question)
            if answer is not None and self._answered(sending, transaction, answer):
                return
            await asyncio.sleep(self._randomness.uniform(*RETRY_S))

    def _answered(self, sending: Sending, transaction: TillTransaction, answer: Answer) -> bool:
        recorded = msgspec.json.decode(answer.body, type=_Problem).recorded if answer.status >= 300 else None
        self._world.tally.note("answer", transaction.fact_key, answer.status)
        return self._world.witness.answered(sending, answer.status, recorded)

    def _now(self) -> datetime:
        """As the till has it."""
        return datetime.fromtimestamp((self._world.clock.true_ms() + self.wrong_ms) / 1000, UTC)


def _amount(unit_minor: int, quantity_milli: int) -> int:
    return unit_minor * quantity_milli // 1000

