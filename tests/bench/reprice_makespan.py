"""How long 20,000 labels on 8 radios take to be repriced, in virtual time, beside a clairvoyant on the same traces.

Runs the real daemon (planner, ledger, OpenEPaperLink driver) over virtual radios that follow `radio_model.json`. Every
label has shown and proven an old price; half go up and hold a till, half go down.
"""

import asyncio
import random
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import httpx

from drivers.openepaperlink.picture_codec import tag_types
from drivers.port import StationState
from drivers.virtual.memory_port import MemoryPort
from drivers.virtual.radio import VirtualRadio
from drivers.virtual.shelf import VirtualShelf
from edge import settings as configuration
from edge.credentials import Credential, Credentials
from edge.daemon import Daemon, Parts
from edge.db.connection import Connection
from edge.db.queries import LEDGER
from edge.db.writer import LoopWriter
from edge.labels.artist import InlineArtist
from edge.prices.claim_book import Offered, close_by_proof, open_claim
from edge.proving.box_clock import BoxClock
from edge.proving.plan import START_WALL_MS
from edge.proving.process import install_processes
from edge.sd_notify import Notifier
from edge.simulate import WATCH
from edge.virtual_time import run as run_virtually
from tests.bench._radio_model import CheckIn, RadioModel, TracedLabel, clairvoyant_makespan_s, draw_trace, read_model
from tests.bench._store import DATABASE_KEY, ENVIRONMENT, ITEMS, fill

TAG_TYPE = 0x01
HORIZON_S = 6 * 3600.0
LIMIT = 1.10
COMMIT_S = 0.002
PROGRESS_S = 300.0


def run() -> dict[str, object]:
    """The figure: ours and the clairvoyant's makespan in virtual seconds."""
    model = read_model()
    traces = [draw_trace(model, number, HORIZON_S) for number in range(model.labels)]
    directory = Path(tempfile.mkdtemp(prefix="trastienda-bench-"))
    began_s = time.process_time()
    try:
        fill(directory)
        ours_s, parts = run_virtually(_reprice(directory, model, traces))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    taken_s = time.process_time() - began_s
    best_s = max(clairvoyant_makespan_s(model, traces[radio::model.radios], parts[radio::model.radios])
                 for radio in range(model.radios))
    return {"name": "reprice_makespan_s", "value": round(ours_s), "unit": "virtual s", "limit": round(LIMIT * best_s),
            "peer": round(best_s), "ratio": round(ours_s / best_s, 3),
            "conditions": f"{model.labels} labels of 2.9 inch on {model.radios} radios of {model.slots} slots, half of "
                          f"the prices up, pictures of {sum(parts) / len(parts):.2f} blocks, gate {model.gate_s} s, "
                          f"check-ins every {' and '.join(f'{each:g}' for each in model.check_in_s)} s "
                          f"± {model.check_in_spread:.0%}, {model.loss:.0%} lost; {taken_s:.0f} s of a core; "
                          f"peer: a clairvoyant greedy with every label slotted"}


async def _reprice(directory: Path, model: RadioModel,
                   traces: list[tuple[CheckIn, ...]]) -> tuple[float, list[int]]:
    """Returns the makespan and the blocks of each label's picture."""
    install_processes()
    loop = asyncio.get_running_loop()
    begins: asyncio.Future[float] = loop.create_future()
    radios = [VirtualRadio(random.Random(number), timing=model.timing, slots_max=model.slots)
              for number in range(model.radios)]
    ports = {f"radio-{number}": MemoryPort(radio, paced=True) for number, radio in enumerate(radios)}
    labels = [TracedLabel(_address(number), tag_types()[TAG_TYPE], radios[number % model.radios], trace, begins)
              for number, trace in enumerate(traces)]
    shelves = [VirtualShelf(radio) for radio in radios]
    for number, label in enumerate(labels):
        shelves[number % model.radios].put_up(label)
    clock = BoxClock(START_WALL_MS)
    clock.switch_on()
    parts = Parts(clock, random.Random(8), lambda connection, _: LoopWriter(connection, lambda: COMMIT_S),
                  InlineArtist(), lambda port: ports[port].open, hub_transport=httpx.MockTransport(_line_is_down),
                  watch=WATCH)
    daemon = Daemon(_settings(directory, model), Credentials({**ENVIRONMENT, "TRASTIENDA_DATABASE": DATABASE_KEY}),
                    parts, Notifier(None))
    daemon.open(listen=False)
    listed = ((_sku(number), daemon.rooms.prices.list_price(_sku(number))) for number in range(ITEMS))
    prices = {sku: price[0] for sku, price in listed if price is not None}
    await daemon.rooms.store.books.ledger.submit(partial(_shown_before, prices, model))
    tasks = [loop.create_task(each.run()) for each in (daemon, *shelves)]
    while any(station.state is not StationState.READY for station in daemon.rooms.stations.values()) or not \
            daemon.rooms.stations:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    began_s = loop.time()
    begins.set_result(began_s)
    while not all(label.history for label in labels):
        await asyncio.sleep(1.0)
        if (loop.time() - began_s) % PROGRESS_S < 1:
            shown = sum(bool(label.history) for label in labels)
            sys.stderr.write(f"{loop.time() - began_s:6.0f} s: {shown} of {len(labels)}\n")
    ours_s = max(label.history[0].at_s for label in labels) - began_s
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return ours_s, [-(-len(label.history[0].payload) // 4096) for label in labels]


def _shown_before(prices: dict[str, int], model: RadioModel, connection: Connection) -> None:
    """Every label hangs under an item and has proven a price 10% higher or lower than today's."""
    for number in range(model.labels):
        label, sku = _address(number), _sku(number)
        old_minor = round(prices[sku] * (1.1 if number % 4 < 2 else 0.9))
        connection.execute(LEDGER.insert_label, (label, f"radio-{number % model.radios}", "oepl:01", 20_000, 0))
        connection.execute(LEDGER.bind_label, (sku, None, label))
        offered = Offered(label, f"{number:016x}", "old", sku, old_minor, "USD")
        order = open_claim(connection, offered, 0, 0)
        close_by_proof(connection, label, offered.version, 0, 0, 0, handed_order=order)


def _settings(directory: Path, model: RadioModel) -> configuration.Settings:
    listener = configuration.Listener(host="127.0.0.1", port=8443)
    return configuration.Settings(
        store=configuration.Store(id="bench", name="Bench", time_zone="UTC", currency="USD", language="en"),
        hub=configuration.Hub(url="http://hub.invalid", token=Credential("hub-token")),
        listeners=configuration.Listeners(tills=listener, staff=listener), database_key=Credential("database-key"),
        store_key=Credential("store-key"), state_directory=str(directory),
        base_stations=tuple(configuration.OpenEPaperLinkStation(name=f"radio-{number}", port=f"radio-{number}",
                                                                           high_speed=True)
                            for number in range(model.radios)),
        monitors=(configuration.Monitor(id="monitor", token=Credential("monitor")),))


def _line_is_down(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("the line is down", request=request)


def _address(number: int) -> str:
    return f"{0x0200_0000_0000 + number:016x}"


def _sku(number: int) -> str:
    return f"{1_000_000 + number % ITEMS}"
