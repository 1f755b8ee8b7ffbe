"""Tells endpoints what happened: takes rounds out of the outbox, sends, notes what became of it, comes again.

One round at a time per endpoint and fleet; a slow endpoint holds up no other. An endpoint that heard nothing of a round
is tried again with full jitter by one event alone; an event that it refuses comes again by itself, its subject waits.
"""

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from random import Random

import structlog

from cloud_sync.hub.app import Run
from cloud_sync.hub.limits import (
    DELIVER_EVERY_S,
    ENDPOINT_RETRY_FIRST_S,
    ENDPOINT_RETRY_MAX_S,
    EVENT_RETRY_FIRST_S,
    EVENT_RETRY_MAX_S,
    KEEP_OUTBOX_EVERY_S,
)
from cloud_sync.hub.outbox import Delivery, Round, Settled
from cloud_sync.hub.sender import Outcome, Sender
from cloud_sync.hub.signatures import signed_headers
from cloud_sync.hub.webhooks import Webhooks

_DOUBLINGS_MAX = 20
"""Of a pause; far beyond its upper bound."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a round. `endpoint`: new values of its row."""

    settled: tuple[Settled, ...]
    endpoint: dict[str, object]


def judge(round_: Round, outcomes: list[Outcome], random: Random, now_ms: int) -> Verdict:
    """What becomes of each delivery and of the endpoint. Pure but for `random`; outcomes in the order of deliveries."""
    endpoint: dict[str, object] = {}
    if any(outcome.heard for outcome in outcomes):
        endpoint = {"delivered_ms": now_ms, "failures": 0, "last_error": ""}
    failed = [outcome for outcome in outcomes if not outcome.heard]
    endpoint_due_ms = now_ms
    if failed:
        endpoint["last_error"] = str(failed[-1])
    if len(failed) == len(outcomes):  # whatever is wrong, the next event would hardly fare better
        endpoint["failures"] = round_.failures + 1
        endpoint_due_ms += _jitter_ms(random, ENDPOINT_RETRY_FIRST_S, ENDPOINT_RETRY_MAX_S, round_.failures)
    if any(outcome.away for outcome in outcomes):
        endpoint_due_ms = max(endpoint_due_ms, now_ms + int(1000 * max(
            outcome.retry_after_s for outcome in outcomes if outcome.away)))
    if any(outcome.status == HTTPStatus.GONE for outcome in outcomes):
        endpoint["disabled_ms"] = now_ms
    endpoint["due_ms"] = endpoint_due_ms
    return Verdict(tuple(_settled(delivery, outcome, endpoint_due_ms, random, now_ms) for delivery, outcome in zip(
        round_.deliveries, outcomes, strict=True)), endpoint)


def _settled(delivery: Delivery, outcome: Outcome, endpoint_due_ms: int, random: Random, now_ms: int) -> Settled:
    if outcome.heard:
        return Settled(delivery)
    if outcome.away or outcome.status == HTTPStatus.GONE:  # the event's turn comes with the endpoint's
        return Settled(delivery, str(outcome), endpoint_due_ms)
    pause_ms = max(_jitter_ms(random, EVENT_RETRY_FIRST_S, EVENT_RETRY_MAX_S, delivery.attempts),
                   int(1000 * outcome.retry_after_s))
    return Settled(delivery, str(outcome), now_ms + pause_ms)


def _jitter_ms(random: Random, first_s: float, max_s: float, failures: int) -> int:
    """Anything from 0 to a bound that doubles with every failure."""
    return int(1000 * random.uniform(0, min(max_s, first_s * 2 ** min(failures, _DOUBLINGS_MAX))))


class Courier:
    """`run` until cancelled."""

    def __init__(self, webhooks: Webhooks, run: Run, sender: Sender, random: Random, now_ms: Callable[[], int]) -> None:
        self._webhooks = webhooks
        self._run = run
        self._sender = sender
        self._random = random
        self._now_ms = now_ms
        self._calling: dict[str, asyncio.Task[None]] = {}
        self._log = structlog.get_logger("webhooks")
        self._said_away: set[str] = set()

    async def run(self) -> None:
        """A database that is away for a while does not end it."""
        clock = asyncio.get_running_loop().time
        keep_s = clock() + KEEP_OUTBOX_EVERY_S
        try:
            while True:
                try:
                    await self.look()
                    if clock() >= keep_s:
                        keep_s = clock() + KEEP_OUTBOX_EVERY_S
                        await self._keep()
                except Exception as error:
                    self._log.error("the outbox could not be read, trying again", error=type(error).__name__)
                await asyncio.sleep(DELIVER_EVERY_S)
        finally:
            calling = list(self._calling.values())
            for task in calling:
                task.cancel()
            await asyncio.gather(*calling, return_exceptions=True)

    async def look(self) -> None:
        """Begin to call every endpoint that waits and is not being called by this process."""
        for webhook in await self._run(self._webhooks.claimable):
            if webhook not in self._calling:
                task = asyncio.create_task(self._call(webhook), name=f"webhook {webhook}")
                self._calling[webhook] = task
                task.add_done_callback(functools.partial(self._called, webhook))

    def _called(self, webhook: str, _task: asyncio.Task[None]) -> None:
        self._calling.pop(webhook, None)

    async def _call(self, webhook: str) -> None:
        """Round after round, until there is nothing to do or it does not answer."""
        try:
            while (claimed := await self._run(self._webhooks.claim, webhook)) is not None:
                round_, key = claimed
                outcomes = list(await asyncio.gather(*(
                    self._send(round_.url, key, delivery) for delivery in round_.deliveries)))
                verdict = judge(round_, outcomes, self._random, self._now_ms())
                await self._run(self._webhooks.settle, webhook, verdict.settled, verdict.endpoint)
                self._say(webhook, verdict)
        except asyncio.CancelledError:  # this process ends: another need not wait for the claim to end
            await self._run(self._webhooks.settle, webhook, (), {})
            raise
        except Exception as error:  # the claim ends by itself, and the events come again
            self._log.error("an endpoint could not be called, trying again", webhook=webhook,
                            error=type(error).__name__)

    async def _send(self, url: str, key: bytes, delivery: Delivery) -> Outcome:
        now_ms = self._now_ms()
        headers = signed_headers(key, delivery.event_id, now_ms // 1000, delivery.body)
        return await self._sender.send(url, headers, delivery.body, now_ms)

    async def _keep(self) -> None:
        given_up = await self._run(self._webhooks.keep)
        if given_up:
            self._log.warning("events were given up: see /v1/webhooks", count=given_up)

    def _say(self, webhook: str, verdict: Verdict) -> None:
        """Once when lost, once when back."""
        if verdict.endpoint.get("failures") and webhook not in self._said_away:
            self._said_away.add(webhook)
            self._log.warning("an endpoint does not take what it is told, trying again", webhook=webhook,
                              why=verdict.endpoint["last_error"])
        elif verdict.endpoint.get("delivered_ms") and webhook in self._said_away:
            self._said_away.discard(webhook)
            self._log.info("an endpoint takes what it is told again", webhook=webhook)
        if verdict.endpoint.get("disabled_ms"):
            self._log.warning("an endpoint says that it is gone: put it again to go on", webhook=webhook)
