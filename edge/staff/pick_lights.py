"""Pick-to-light: the labels of a pick list flash until their line is done (DESIGN.md section 9).

A help, never a condition: a label that has no light, is not heard or is busy is passed over. Every light is bounded by
`PICK_LIGHT_S`, so that one nobody ends, also after a restart, goes out by itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

from edge.errors import Rejected, Transient
from edge.limits import PICK_LIGHT_PATIENCE_S, PICK_LIGHT_S, PICK_LIGHTS_MAX
from edge.pickups.pick_list import Stop
from edge.pickups.picking_desk import PickList
from edge.pos.problems import ProblemAnswer

_log = structlog.get_logger(__name__)


class PickLights:
    """What flashes for whom. One task asks the base stations, label after label; the newest wish for a label counts."""

    def __init__(self, light: Callable[[str, float], Awaitable[None]], labels_of: Callable[[str], Iterable[str]],
                 powered_ms: Callable[[], int]) -> None:
        """`light`: a label and for how many seconds, none puts it out. `labels_of`: those of a product with a light."""
        self._light = light
        self._labels_of = labels_of
        self._powered_ms = powered_ms
        self._lit: dict[str, dict[str, int]] = {}
        self._wishes: dict[str, float] = {}
        self._asking: asyncio.Task[None] | None = None

    def show(self, listed: PickList | None, list_id: str) -> None:
        """The list as it stands now: a new one lights its lines; of a known one what is done goes out, and the stop
        whose turn it is is lit again. `None`: nobody picks it any more."""
        now_ms = self._powered_ms()
        self._lit = {other: lit for other, lit in self._lit.items()
                     if other == list_id or any(until > now_ms for until in lit.values())}
        lit = self._lit.setdefault(list_id, {})
        to_do = listed.to_do if listed else []
        wanted = self._labels(to_do)
        for label in [label for label in lit if label not in wanted]:
            if lit.pop(label) > now_ms:
                self._wish(label, 0.0)
        begins = [label for label in (wanted if not lit else self._labels(to_do[:1])) if lit.get(label, 0) <= now_ms]
        for label in begins[:PICK_LIGHTS_MAX]:
            lit[label] = now_ms + int(PICK_LIGHT_S * 1000)
            self._wish(label, PICK_LIGHT_S)
        if not to_do:
            del self._lit[list_id]

    async def settle(self) -> None:
        """Wait until every base station was asked."""
        if self._asking is not None:
            await self._asking

    def _labels(self, stops: Iterable[Stop]) -> list[str]:
        return list(dict.fromkeys(label for stop in stops for label in self._labels_of(stop.sku)))

    def _wish(self, label: str, seconds: float) -> None:
        self._wishes.pop(label, None)
        self._wishes[label] = seconds
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="pick lights")

    async def _ask(self) -> None:
        while self._wishes:
            label = next(iter(self._wishes))
            seconds = self._wishes.pop(label)
            try:
                async with asyncio.timeout(PICK_LIGHT_PATIENCE_S):
                    await self._light(label, seconds)
            except (Transient, Rejected, ProblemAnswer, TimeoutError) as refusal:
                _log.info("a label does not flash", label=label, reason=str(refusal) or "it does not answer")
