"""Tills: each scans its customers' goods, sends what it sold, and sends again whatever was not answered.

Some replies are lost on purpose, some transactions come again much later, a few come again with another meaning.
"""

import asyncio
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from edge.proving.sightings import SentLine, Span, TillTransaction
from edge.proving.stage.baskets import QUANTITY_MILLI, Basket, BasketLine
from edge.proving.stage.goods import Goods
from edge.proving.stage.http_line import Answer, HttpLine, LineBroken
from edge.proving.stage.play import Play

REPLY_LOST_SHARE = 0.03
SENT_AGAIN_SHARE = 0.02
CONFLICT_EVERY, CONFLICT_AT = 100, 7
"""One sale in so many comes again with another meaning, the seventh for a start."""

VOID_SHARE = 0.01
REMEMBERED_MAX = 32
"""Transactions that may come again; the oldest is forgotten."""

RETRY_S = 0.2
"""How long a till waits before it sends again what was not answered."""


class LineOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line as the store's API takes it."""

    line: int
    quantity_milli: int
    amount_minor: int
    code: str = ""
    sku: str = ""
    unit_price_minor: int | None = None


class TransactionOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """A transaction as the store's API takes it."""

    type: str
    currency: str
    total_minor: int
    occurred_at: datetime
    lines: tuple[LineOut, ...]
    voids_sequence: int | None = None


class _Quote(msgspec.Struct, frozen=True):
    charge_minor: int


class _Problem(msgspec.Struct, frozen=True):
    recorded: bool | None = None


class _Closed(msgspec.Struct, frozen=True):
    agrees: bool
    missing_count: int


@dataclass(frozen=True, slots=True)
class _Scanned:
    """A line with the price the store said for it; `None`: the store does not know the product."""

    line: BasketLine
    code: str
    charge_minor: int | None
    asked: Span


@dataclass(frozen=True, slots=True)
class _Sold:
    """What was sent: enough to send it again, and to tell the witness."""

    transaction: TillTransaction
    out: TransactionOut
    lines: tuple[SentLine, ...]


@dataclass(slots=True)
class _Day:
    """A till's own account of a business day."""

    last: int = 0
    total_minor: int = 0


class Till:
    """One till. `pause_s`: how long the next customer takes to come."""

    def __init__(self, name: str, line: HttpLine, play: Play, goods: dict[str, Goods], currency: str,
                 randomness: random.Random, pause_s: float = 0.0) -> None:
        self.name = name
        self._line = line
        self._play = play
        self._goods = goods
        self._currency = currency
        self._randomness = randomness
        self._pause_s = pause_s
        self._served = 0
        self._days: dict[str, _Day] = {}
        self._remembered: deque[_Sold] = deque(maxlen=REMEMBERED_MAX)

    async def run(self, baskets: Iterable[Basket]) -> None:
        """Serve customers until the play ends or nobody is left; then close every day that is still open."""
        day = ""
        for basket in baskets:
            if self._play.ending.is_set():
                break
            today = basket.occurred.date().isoformat()
            if day and today != day:
                await self._close(day)
            day = today
            await self._serve(basket, day)
            if self._pause_s:
                await self._play.pause(self._pause_s * self._randomness.uniform(0.5, 1.5))
        if day:
            await self._close(day)

    async def _serve(self, basket: Basket, day: str) -> None:
        scanned = [await self._scan(line) for line in basket.lines]
        sold = self._sale(scanned, basket, day)
        await self._send(sold, reply_lost=self._randomness.random() < REPLY_LOST_SHARE)
        self._play.happened["sales"] += 1
        self._served += 1
        self._remembered.append(sold)
        if self._randomness.random() < SENT_AGAIN_SHARE:
            await self._send(self._randomness.choice(self._remembered))
        if self._served % CONFLICT_EVERY == CONFLICT_AT:
            await self._send(_with_another_meaning(sold))
        if self._randomness.random() < VOID_SHARE:
            await self._send(self._void(sold, basket, day))

    async def _scan(self, line: BasketLine) -> _Scanned:
        known = self._goods.get(line.sku)
        code = known.code if known else line.sku
        charge_minor, asked = await self._price(code)
        if charge_minor is None and known is not None:
            self._play.witness.lookup_failed(self.name, code, "no price for an item of the catalogue")
        return _Scanned(line, code if known else "", charge_minor, asked)

    async def _price(self, code: str) -> tuple[int | None, Span]:
        """What to charge; asks until there is an answer."""
        play = self._play
        while True:
            began_s, lives = play.now_s(), play.lives
            try:
                answer = await self._line.ask("GET", f"/v1/lookup/{code}")
            except LineBroken as broken:
                await self._not_answered(code, str(broken), lives)
                continue
            asked = play.since(began_s)
            if answer.status == 200:
                charge_minor = msgspec.json.decode(answer.body, type=_Quote).charge_minor
                play.witness.lookup(self.name, code, asked, charge_minor)
                return charge_minor, asked
            if answer.status in (404, 409):
                return None, asked
            await self._not_answered(code, str(answer.status), lives)

    async def _not_answered(self, code: str, why: str, lives: int) -> None:
        """A store that stood all the while has broken its word (P8); one that was killed may be late."""
        if self._play.store_up and self._play.lives == lives:
            self._play.witness.lookup_failed(self.name, code, why)
        await asyncio.sleep(RETRY_S)

    def _sale(self, scanned: list[_Scanned], basket: Basket, day: str) -> _Sold:
        lines = tuple(_line_out(number, each) for number, each in enumerate(scanned, start=1))
        sent = tuple(SentLine(out.code or out.sku, out.quantity_milli, out.amount_minor, out.unit_price_minor,
                              each.asked if each.charge_minor is not None else None)
                     for out, each in zip(lines, scanned, strict=True))
        total_minor = sum(line.amount_minor for line in lines)
        out = TransactionOut("sale", self._currency, total_minor, basket.occurred, lines)
        return _Sold(self._next(day, total_minor), out, sent)

    def _void(self, sold: _Sold, basket: Basket, day: str) -> _Sold:
        total_minor = -sold.out.total_minor
        out = TransactionOut("void", self._currency, total_minor, basket.occurred, (), sold.transaction.sequence)
        return _Sold(self._next(day, total_minor), out, ())

    def _next(self, day: str, total_minor: int) -> TillTransaction:
        account = self._days.setdefault(day, _Day())
        account.last += 1
        account.total_minor += total_minor
        return TillTransaction(self.name, day, account.last)

    async def _send(self, sold: _Sold, *, reply_lost: bool = False) -> None:
        """Until the store has answered for good."""
        key, witness = sold.transaction, self._play.witness
        path = f"/v1/transactions/{key.till}/{key.business_day}/{key.sequence}"
        body = msgspec.json.encode(sold.out)
        if reply_lost:
            witness.sent(key, sold.out.type, sold.lines)
            await self._say_only(path, body)
        while True:
            sending = witness.sent(key, sold.out.type, sold.lines)
            try:
                answer = await self._line.ask("PUT", path, body)
            except LineBroken:
                await asyncio.sleep(RETRY_S)
                continue
            if witness.answered(sending, answer.status, _recorded(answer)) or answer.status < 500:
                return
            await asyncio.sleep(RETRY_S)

    async def _say_only(self, path: str, body: bytes) -> None:
        try:
            await self._line.say("PUT", path, body)
        except LineBroken:
            await asyncio.sleep(RETRY_S)

    async def _close(self, day: str) -> None:
        """Compare accounts with the store; what it misses would be sent again, had anything been lost."""
        account = self._days[day]
        body = msgspec.json.encode({"business_day": day, "first": 1, "last": account.last, "count": account.last,
                                    "total_minor": account.total_minor})
        answer = await self._ask_until_answered("POST", f"/v1/tills/{self.name}/close", body)
        if answer.status != 200:
            self._play.witness.till_close_failed(self.name, day, f"answered {answer.status}")
            return
        closed = msgspec.json.decode(answer.body, type=_Closed)
        self._play.witness.acknowledged(
            f"close/{self.name}/{day}/{1:010d}/{account.last:010d}/{account.last}/{account.total_minor}")
        if not closed.agrees:
            self._play.witness.till_close_failed(
                self.name, day, f"the store's account differs, {closed.missing_count} transactions missing")

    async def _ask_until_answered(self, method: str, path: str, body: bytes) -> Answer:
        while True:
            try:
                answer = await self._line.ask(method, path, body)
            except LineBroken:
                await asyncio.sleep(RETRY_S)
                continue
            if answer.status < 500:
                return answer
            await asyncio.sleep(RETRY_S)


def _line_out(number: int, scanned: _Scanned) -> LineOut:
    """Price × quantity, rounded once; what the store does not know is sold at the price on the customer's goods."""
    line, charge_minor = scanned.line, scanned.charge_minor
    if charge_minor is None:
        return LineOut(number, line.quantity_milli, line.value_minor, scanned.code, "" if scanned.code else line.sku)
    amount_minor = (2 * charge_minor * line.quantity_milli + QUANTITY_MILLI) // (2 * QUANTITY_MILLI)
    return LineOut(number, line.quantity_milli, amount_minor, scanned.code, "" if scanned.code else line.sku,
                   charge_minor)


def _with_another_meaning(sold: _Sold) -> _Sold:
    """The same transaction, every line one unit more: a till whose memory was damaged."""
    lines = tuple(msgspec.structs.replace(line, quantity_milli=line.quantity_milli + QUANTITY_MILLI)
                  for line in sold.out.lines)
    sent = tuple(SentLine(line.code or line.sku, line.quantity_milli, line.amount_minor) for line in lines)
    return _Sold(sold.transaction, msgspec.structs.replace(sold.out, lines=lines), sent)


def _recorded(answer: Answer) -> bool | None:
    return msgspec.json.decode(answer.body, type=_Problem).recorded if answer.status >= 400 else None
