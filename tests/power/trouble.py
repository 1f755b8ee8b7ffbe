"""Scenes of a disk that fails, run under the recorder: `python -m tests.power.trouble DIRECTORY SCENE`.

Each asserts what tills are told while it lasts; what a power cut leaves of it is judged outside, from the recording.
"""

import sys
from pathlib import Path

import httpx

from edge.errors import Corrupt, Transient
from tests.power.workload import SKUS, BusyHour, MarkedStore, run, shorten_the_log

SALES_MAX = 300
BIG_SALE_LINES = 150
CHECKPOINTS_FAILED = 3


class Scene:
    """A store that has worked for a little while."""

    def __init__(self, directory: Path) -> None:
        self.kit = MarkedStore(directory)
        self.sequence = 50_000

    async def begins(self) -> None:
        await self.kit.open()
        hour = BusyHour(self.kit, 1)
        await hour.opens()
        await hour.goes_by(1)

    async def sells(self, lines: int = 1) -> httpx.Response:
        """The next sale; who is told 503 sends the same again."""
        line = {"sku": SKUS[0], "quantity_milli": 1000, "amount_minor": 100, "code": "x" * 48}
        response = await self.kit.till(1).sends(self.sequence, *[line] * lines)
        self.kit.acknowledged(response)
        self.sequence += response.is_success
        return response

    async def sells_until_it_breaks(self) -> None:
        """A sale after which a checkpoint breaks is stored all the same and says so; the next is not."""
        for _ in range(SALES_MAX):
            response = await self.sells()
            if response.status_code == 503:
                return
            assert response.status_code == 201
        raise AssertionError("the books never broke")

    async def only_reads(self) -> None:
        """Facts get 503, prices are answered, nothing is written by anybody."""
        assert self.kit.books.ledger.broken
        for _ in range(3):
            assert (await self.sells()).status_code == 503
        assert self.kit.till(1).asks(SKUS[0]) not in ("unknown", "no price")
        await self.kit.time_passes(120)
        assert (await self.sells()).status_code == 503


async def the_logs_fsync_fails(scene: Scene) -> None:
    """A commit's own fsync."""
    scene.kit.recorder.syncs_fail("ledger.db-wal", after=3)
    await scene.sells_until_it_breaks()
    await scene.only_reads()
    await scene.kit.close()


async def the_files_fsync_fails(scene: Scene) -> None:
    """A checkpoint's fsync: the facts are safe in the log, and SQLite itself would keep quiet about it."""
    scene.kit.recorder.syncs_fail("ledger.db")
    await scene.sells_until_it_breaks()
    await scene.only_reads()
    await scene.kit.close()


async def the_replicas_fsync_fails(scene: Scene) -> None:
    """The hub's news wait; facts and prices go on."""
    scene.kit.recorder.syncs_fail("replica.db-wal")
    try:
        for number in range(SALES_MAX):
            await scene.kit.hub.has_items(*SKUS, brand=f"{number}" + "." * 3000)
    except Corrupt:
        assert scene.kit.books.replica.broken
        assert (await scene.sells()).status_code == 201
        assert scene.kit.till(1).asks(SKUS[0]) not in ("unknown", "no price")
        return await scene.kit.close()
    raise AssertionError("the replica never broke")


async def there_is_no_room(scene: Scene) -> None:
    """503 while the log has no room; afterwards the same is stored. Then for checkpoints, then for the hub's news."""
    for _ in range(3):
        scene.kit.recorder.disk_is_full("ledger.db-wal")
        for lines in (1, BIG_SALE_LINES, 1):
            assert (await scene.sells(lines)).status_code == 503
        assert scene.kit.till(1).asks(SKUS[0]) not in ("unknown", "no price")
        await scene.kit.time_passes(60)
        scene.kit.recorder.disk_has_room()
        for _ in range(5):
            assert (await scene.sells()).status_code == 201
    await _the_file_cannot_grow(scene)
    await _the_replica_has_no_room(scene)
    assert not scene.kit.books.ledger.broken
    assert not scene.kit.books.replica.broken
    await scene.kit.close()


async def _the_file_cannot_grow(scene: Scene) -> None:
    """Only the log has room: facts are taken, and one day a checkpoint comes through again."""
    scene.kit.recorder.disk_is_full("ledger.db")
    for _ in range(SALES_MAX):
        assert (await scene.sells(BIG_SALE_LINES)).status_code == 201
        if scene.kit.recorder.faults() >= CHECKPOINTS_FAILED:
            break
    else:
        raise AssertionError("no checkpoint was tried")
    scene.kit.recorder.disk_has_room()
    assert (await scene.sells()).status_code == 201


async def _the_replica_has_no_room(scene: Scene) -> None:
    """A batch is put off, whole, and comes again."""
    scene.kit.recorder.disk_is_full("replica.db-wal")
    try:
        await scene.kit.hub.has_items(*SKUS, brand="another")
    except Transient:
        scene.kit.recorder.disk_has_room()
        await scene.kit.hub.sends_again(-1)
        assert (await scene.sells()).status_code == 201
        return
    raise AssertionError("it found room")


SCENES = {scene.__name__: scene for scene in (
    the_logs_fsync_fails, the_files_fsync_fails, the_replicas_fsync_fails, there_is_no_room)}


async def _main(directory: Path, name: str) -> None:
    shorten_the_log()
    scene = Scene(directory)
    await scene.begins()
    await SCENES[name](scene)


if __name__ == "__main__":
    run(_main(Path(sys.argv[1]), sys.argv[2]))
