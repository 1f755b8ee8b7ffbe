"""Radios on ptys and labels on a loop of their own, and the books of a store whose labels all show an old price."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

from drivers.openepaperlink.picture_codec import tag_types
from drivers.virtual.pty_port import PtyPort
from drivers.virtual.radio import Direction, VirtualRadio
from drivers.virtual.shelf import VirtualShelf
from edge.db.books import derive_key
from edge.db.connection import connect, migrate
from edge.db.queries import LEDGER
from edge.prices.claim_book import Offered, close_by_proof, open_claim
from tests.bench._radio_model import TracedLabel, draw_trace, read_model

TAG_TYPE = 0x01
Heard = Callable[[Direction, bytes], None]


def _silence(_direction: Direction, _data: bytes) -> None:
    """Nobody listens to the line."""


async def radios_and_labels(ready: Callable[[tuple[list[Path], Callable[[], int]]], None], radios_count: int,
                            labels_count: int, horizon_s: float, heard: Callable[[int], Heard] = lambda _: _silence
                            ) -> None:
    """Run them; `ready` gets the ptys' paths and a count of the labels that showed something."""
    model = read_model()
    begins: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    begins.set_result(asyncio.get_running_loop().time())
    radios = [VirtualRadio(random.Random(number), timing=model.timing, slots_max=model.slots, on_wire=heard(number))
              for number in range(radios_count)]
    ports = [PtyPort(radio, paced=True) for radio in radios]
    labels = [TracedLabel(address(number), tag_types()[TAG_TYPE], radios[number % radios_count],
                          draw_trace(model, number, horizon_s), begins) for number in range(labels_count)]
    shelves = [VirtualShelf(radio, labels[number::radios_count]) for number, radio in enumerate(radios)]
    ready(([port.path for port in ports], lambda: sum(len(label.history) for label in labels)))
    await asyncio.gather(*(shelf.run(port.run()) for shelf, port in zip(shelves, ports, strict=True)))


def hang_labels(directory: Path, database_key: str, radios_count: int, skus: list[str], currency: str = "USD") -> None:
    """A label under each of these items, which has proven a price of 1."""
    ledger = connect(directory / "ledger.db", derive_key(database_key, "ledger.db"), synchronous="FULL")
    migrate(ledger, "ledger")
    ledger.execute("BEGIN IMMEDIATE")
    for number, sku in enumerate(skus):
        label = address(number)
        ledger.execute(LEDGER.insert_label, (label, f"radio-{number % radios_count}", "oepl:01", 20_000, 0))
        ledger.execute(LEDGER.bind_label, (sku, None, label))
        offered = Offered(label, f"{number:016x}", "old", sku, 1, currency)
        order = open_claim(ledger, offered, 0, 0)
        close_by_proof(ledger, label, offered.version, 0, 0, 0, handed_order=order)
    ledger.execute("COMMIT")
    ledger.close()


def address(number: int) -> str:
    """A label's address."""
    return f"{0x0200_0000_0000 + number:016x}"
