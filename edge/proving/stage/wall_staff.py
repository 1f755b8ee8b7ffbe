"""Staff at the wall: hang every label under its product, look what the store says of it, move and exclude a few."""

import random
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence

from drivers.port import LabelId
from edge.proving.sightings import Span
from edge.proving.stage.goods import Goods
from edge.proving.stage.play import Play
from edge.proving.stage.staff_hands import Label, StaffHands

LOOK_EVERY_S = 2.0
HEARD_LOOK_S = 0.2
EXCLUDED_FOR_S = 5.0
SHOWN = "shown"


class WallStaff:
    """`hangs`: label → product it hangs under, as last acknowledged. Three pairs of hands: one hangs, one looks, one
    rearranges."""

    def __init__(self, hanging: StaffHands, looking: StaffHands, rearranging: StaffHands, play: Play,
                 randomness: random.Random) -> None:
        self.hangs: dict[LabelId, Goods] = {}
        self.states: Counter[str] = Counter()
        self._hanging = hanging
        self._looking = looking
        self._rearranging = rearranging
        self._play = play
        self._randomness = randomness
        self._acts = 0

    async def hang_all(self, wanted: Mapping[LabelId, Goods]) -> None:
        """Every label as soon as its base station has heard it; ends early when the play does."""
        waiting = dict(wanted)
        while waiting and not self._play.ending.is_set():
            for label in await self._hanging.labels():
                if label.label in waiting and not self._play.ending.is_set():
                    await self._hang(self._hanging, label.label, waiting.pop(label.label))
            if waiting:
                await self._play.pause(HEARD_LOOK_S)

    async def look(self) -> list[Label]:
        """What the store says of every label; what it calls shown is put before the witness."""
        began_s = self._play.now_s()
        before = dict(self.hangs)
        labels = await self._looking.labels()
        asked = self._play.since(began_s)
        for label in labels:
            hangs = self.hangs.get(label.label)
            if label.state == SHOWN and label.sku and hangs is before.get(label.label) and hangs is not None:
                self._play.witness.label_claimed_shown(label.label, label.sku, asked)
        self.states = Counter(label.state for label in labels if label.sku)
        return labels

    async def keep_looking(self) -> None:
        """Until the play ends."""
        while await self._play.pause(LOOK_EVERY_S):
            await self.look()

    async def rearrange(self, goods: Sequence[Goods], pause_s: float) -> None:
        """Now and then a label moves to another product, or does not count for a while."""
        while await self._play.pause(pause_s * self._randomness.uniform(0.6, 1.4)):
            if not self.hangs:
                continue
            label = self._randomness.choice(sorted(self.hangs))
            if self._randomness.random() < 0.5:
                await self._hang(self._rearranging, label, self._randomness.choice(goods))
            else:
                await self._exclude_for_a_while(label)

    async def _hang(self, hands: StaffHands, label: LabelId, goods: Goods) -> None:
        self.hangs.pop(label, None)
        act_id = self._act_id()
        asked = await self._done(hands.bind(label, goods.code, act_id), act_id)
        self._play.witness.on_shelf(label, asked)
        self.hangs[label] = goods

    async def _exclude_for_a_while(self, label: LabelId) -> None:
        act_id = self._act_id()
        asked = await self._done(self._rearranging.exclude(label, act_id, "covered by a poster"), act_id)
        self._play.witness.off_shelf(label, asked)
        await self._play.pause(EXCLUDED_FOR_S)
        act_id = self._act_id()
        asked = await self._done(self._rearranging.include(label, act_id), act_id)
        self._play.witness.on_shelf(label, asked)

    async def _done(self, doing: Awaitable[None], act_id: str) -> Span:
        """Carry it out; it is a fact now."""
        began_s = self._play.now_s()
        await doing
        self._play.witness.acknowledged(f"staff/{act_id}")
        return self._play.since(began_s)

    def _act_id(self) -> str:
        self._acts += 1
        return f"demo-{self._acts}"
