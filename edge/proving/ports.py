"""What the simulated world needs of a store and a hub: built by the composition root from the real components."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from starlette.types import ASGIApp

from drivers.port import LabelId
from edge.proving.sightings import BooksSeen, SoldLine

SHOWN = "shown"
"""The state in which the store says that a label shows what it should."""

STORE_ID = "store-7"
CURRENCY = "EUR"
MONITOR_TOKEN = "the monitor of a simulated store"  # noqa: S105 - opens nothing outside a simulation
OPERATOR_TOKEN = "the operator of a simulated hub"  # noqa: S105 - opens nothing outside a simulation


@dataclass(frozen=True, slots=True)
class LabelStanding:
    """What the store says of a label. `state` is `SHOWN` or something else."""

    label: LabelId
    sku: str | None
    state: str


class RunningStore(Protocol):
    """One life of the store daemon, opened. What staff do goes through the rooms that the staff page uses."""

    @property
    def app(self) -> ASGIApp:
        """The tills' door."""
        ...

    async def run(self) -> None:
        """Work until cancelled."""
        ...

    def abandon(self) -> None:
        """Close the files without finishing anything, as the end of the process does."""
        ...

    async def bind(self, label: LabelId, code: str, act_id: str) -> None:
        """Raises an exception of the store's for a label or product it does not know."""
        ...

    async def unbind(self, label: LabelId, act_id: str) -> None: ...

    async def exclude(self, label: LabelId, act_id: str, reason: str) -> None: ...

    async def include(self, label: LabelId, act_id: str) -> None: ...

    async def light(self, label: LabelId) -> None:
        """Flash the label; that it cannot now is no harm."""
        ...

    async def receive(self, movement_id: str, quantities_milli: Mapping[str, int]) -> None:
        """Goods came in."""
        ...

    async def count(self, count_id: str, counted_milli: Mapping[str, int]) -> None:
        """Somebody counted what is on the shelf."""
        ...

    async def approve_held(self) -> int:
        """A supervisor approves every price batch that the guard holds; returns how many."""
        ...

    async def refuse(self, digest: str) -> None:
        """A supervisor drops a held batch; one that is no longer held is none to drop."""
        ...

    def refusable(self) -> dict[str, list[str]]:
        """Held batches of nothing but everyday prices, by digest, with their SKUs."""
        ...

    def held_prices(self) -> dict[str, bool]:
        """SKUs of the report of holds, and whether it calls each late."""
        ...

    def labels_waited_for(self) -> set[LabelId]:
        """Labels that this report names as those that hold a price low for too long."""
        ...

    async def refunds(self) -> set[SoldLine]:
        """Lines of all days that the accuracy report lists as charged too much."""
        ...

    def issues(self) -> set[str]:
        """Keys of the issues that people are shown."""
        ...

    def labels(self) -> list[LabelStanding]:
        """Every label the store has heard."""
        ...

    def open_claims(self) -> list[tuple[LabelId, str, int]]:
        """Label, SKU and price of every claim that is kept."""
        ...

    def epoch(self) -> int:
        """The box epoch that its ledger is written in now."""
        ...

    def held_batches(self) -> int:
        """How many price batches wait for a person's word."""
        ...

    def books(self, skus: Iterable[str]) -> BooksSeen:
        """The whole ledger, and the stock of these SKUs."""
        ...


class RunningHub(Protocol):
    """One life of the hub."""

    @property
    def app(self) -> ASGIApp: ...

    async def work(self) -> None:
        """What it does by itself until cancelled: tell whoever wants to hear."""
        ...

    def close(self) -> None: ...
