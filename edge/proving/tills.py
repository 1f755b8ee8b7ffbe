"""Tills: they ask prices, sell, take back, void, and send every transaction until the store has answered for good."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from edge.proving.asgi import Answer, Question
from edge.proving.catalogue import Item
from edge.proving.plan import TIME_ZONE
from edge.proving.ports import CURRENCY
from edge.proving.process import Gone
from edge.proving.sightings import SentLine, TillTransaction
from edge.proving.till_record import Sending
from edge.proving.world import World

RETRY_S = (0.5, 8.0)
"""How long a till waits before it sends again."""

ANSWER_WAIT_S = 15.0
"""A till that was not answered for so long takes the request for lost."""

LINES_MAX = 5
REQUEST_LOST_SHARE = 0.02
REPLY_LOST_SHARE = 0.06
SENT_TWICE_SHARE = 0.04
VOID_SHARE = 0.04
RETURN_SHARE = 0.05
CONFLICT_SHARE = 0.02
ODD_LINE_SHARE = 0.03
ODD_QUANTITIES_MILLI = (0, -1_000, 1_500_000, 437)


class _Quote(msgspec.Struct):
    charge_minor: int


class _Problem(msgspec.Struct):
    recorded: bool | None = None


class _Line(msgspec.Struct):
    line: int
    quantity_milli: int
    amount_minor: int
    code: str
    kind: str = "sale"
    unit_price_minor: int | None = None


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


class Till:
    """One till with a memory of its own: what it has not been answered for, it sends again, in any order."""

    def __init__(self, world: World, number: int, token: str) -> None:
        self.name = str(number)
        self._world = world
        self._token = token
        self._randomness = world.plan.randomness(f"till {number}")
        self._zone = ZoneInfo(TIME_ZONE)
        self._sending: dict[asyncio.Task[None], None] = {}
        self._days: dict[str, dict[int, int]] = {}
        self._journal: dict[TillTransaction, tuple[_Body, list[SentLine]]] = {}

    @property
    def waiting(self) -> int:
        """Transactions not answered for good."""
        return len(self._sending)

    async def run(self) -> None:
        """Serve customers until the busy time is over."""
        world = self._world
        while await world.pause(world.plan.rates.baskets / world.plan.tills, self._randomness):
            await self.serve(self.basket())

    async def price(self, code: str) -> int | None:
        """What the store says to charge for a code; `None` when it does not answer, or has no price."""
        world, began_s = self._world, self._world.begun()
        if self._randomness.random() < REQUEST_LOST_SHARE:
            return None
        try:
            answer = await world.box.request(Question.of("GET", f"/v1/lookup/{code}", self._token))
        except Gone:
            return None
        if answer.status != 200:
            return None
        charge_minor = msgspec.json.decode(answer.body, type=_Quote).charge_minor
        world.witness.lookup(self.name, code, world.asked(began_s), charge_minor)
        world.tally.note("price", self.name, code, charge_minor)
        return charge_minor

    async def serve(self, codes: Iterable[str]) -> None:
        """Scan everything, then send the transaction; the next customer does not wait for the answer."""
        lines: list[_Line] = []
        sent: list[SentLine] = []
        kind = "return" if self._randomness.random() < RETURN_SHARE else "sale"
        for code in codes:
            began_s = self._world.begun()
            unit_minor = await self.price(code)
            asked = self._world.asked(began_s) if unit_minor is not None else None
            quantity_milli = self._quantity_milli()
            amount_minor = (unit_minor if unit_minor is not None else 199) * quantity_milli // 1000
            lines.append(_Line(len(lines) + 1, quantity_milli, amount_minor, code, kind, unit_minor))
            sent.append(SentLine(code, quantity_milli, amount_minor, unit_minor, asked))
        total_minor = sum(-line.amount_minor if kind == "return" else line.amount_minor for line in lines)
        transaction = self._next(total_minor)
        task = self._keep_sending(transaction, _Body(kind, CURRENCY, total_minor, self._now(), lines), sent)
        self._follow_up(transaction, task)

    def basket(self) -> list[str]:
        """What the next customer brings."""
        items = list(self._world.truth.items.values())
        codes = [self._code(self._randomness.choice(items)) for _ in range(self._randomness.randint(1, LINES_MAX))]
        return [code if self._randomness.random() > ODD_LINE_SHARE else "4006381333931" for code in codes]

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
        return msgspec.json.decode((await self._insist(question)).body, type=_Closed)

    async def done(self) -> None:
        """Wait until everything was answered for."""
        while self._sending:
            await asyncio.wait(tuple(self._sending))

    def _code(self, item: Item) -> str:
        return item.sku if self._randomness.random() < 0.1 else item.code

    def _quantity_milli(self) -> int:
        if self._randomness.random() < ODD_LINE_SHARE:
            return self._randomness.choice(ODD_QUANTITIES_MILLI)
        return 1000 * self._randomness.randint(1, 3)

    def _next(self, total_minor: int) -> TillTransaction:
        local = datetime.fromtimestamp(self._world.clock.true_ms() / 1000, UTC).astimezone(self._zone)
        day = local.date().isoformat()
        totals = self._days.setdefault(day, {})
        totals[len(totals) + 1] = total_minor
        return TillTransaction(self.name, day, len(totals))

    def _follow_up(self, transaction: TillTransaction, sending: "asyncio.Task[None]") -> None:
        """Now and then a transaction is voided at once, or sent again with another meaning by a confused till."""
        if self._randomness.random() < VOID_SHARE:
            void = self._next(0)
            self._keep_sending(void, _Body("void", CURRENCY, 0, self._now(), [], transaction.sequence), [])
        if self._randomness.random() < CONFLICT_SHARE:
            body = _Body("sale", CURRENCY, 777_777, self._now(), [_Line(1, 1000, 777_777, "confused")])
            self._keep_sending(transaction, body, [SentLine("confused", 1000, 777_777)], after=sending)

    def _keep_sending(self, transaction: TillTransaction, body: _Body, lines: list[SentLine],
                      after: "asyncio.Task[None] | None" = None) -> "asyncio.Task[None]":
        self._journal.setdefault(transaction, (body, lines))
        work = self._send(transaction, body, lines, after)
        task = asyncio.get_running_loop().create_task(work, name=f"till {self.name} sends {transaction.sequence}")
        self._sending[task] = None
        task.add_done_callback(self._sent)
        return task

    def _sent(self, task: "asyncio.Task[None]") -> None:
        self._sending.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._world.violations.append(f"simulator: {task.get_name()}: {error!r}")

    async def _send(self, transaction: TillTransaction, body: _Body, lines: list[SentLine],
                    after: "asyncio.Task[None] | None") -> None:
        """Until the store has said what became of it."""
        if after is not None:
            await asyncio.wait((after,))
        world = self._world
        target = f"/v1/transactions/{self.name}/{transaction.business_day}/{transaction.sequence}"
        question = Question.of("PUT", target, self._token, msgspec.json.encode(body))
        while True:
            sending = world.witness.sent(transaction, body.type, lines)
            answer = await self._try(question)
            if answer is not None and self._answered(sending, transaction, answer):
                return
            await asyncio.sleep(self._randomness.uniform(*RETRY_S))

    def _answered(self, sending: Sending, transaction: TillTransaction, answer: Answer) -> bool:
        recorded = msgspec.json.decode(answer.body, type=_Problem).recorded if answer.status >= 300 else None
        self._world.tally.note("answer", transaction.fact_key, answer.status)
        return self._world.witness.answered(sending, answer.status, recorded)

    async def _insist(self, question: Question) -> Answer:
        while True:
            answer = await self._try(question)
            if answer is not None and answer.status < 500:
                return answer
            await asyncio.sleep(self._randomness.uniform(*RETRY_S))

    async def _try(self, question: Question) -> Answer | None:
        """One attempt over the store's own network, which loses and doubles things too."""
        point = self._randomness.random()
        if point < REQUEST_LOST_SHARE:
            self._world.tally.count("till_request_lost")
            return None
        lost = point < REQUEST_LOST_SHARE + REPLY_LOST_SHARE
        twice = point > 1 - SENT_TWICE_SHARE
        alone, life = self._world.line.is_cut, self._world.box.lives
        try:
            async with asyncio.timeout(ANSWER_WAIT_S):
                if twice:
                    self._world.tally.count("till_request_duplicated")
                    both = await asyncio.gather(self._world.box.request(question), self._world.box.request(question))
                    answer = both[self._randomness.randrange(2)]
                else:
                    answer = await self._world.box.request(question)
        except Gone:
            return None
        except TimeoutError:
            self._nobody_answered(life)
            return None
        if alone and self._world.line.is_cut:
            self._world.stood_alone += 1
        if lost:
            self._world.tally.count("till_reply_lost")
            return None
        return answer

    def _nobody_answered(self, life: int) -> None:
        """P8: a store that runs and has room answers its tills, whatever the line does."""
        world = self._world
        if world.box.up and world.box.lives == life and not world.disk.full:
            world.violations.append(f"P8: till {self.name} waited {ANSWER_WAIT_S:.0f} s for a store that runs")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._world.clock.true_ms() / 1000, UTC)

