"""The two computers of the simulated world: the hub, and the box in the back room. Each can die and start again."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edge.proving.asgi import Answer, Question, ask
from edge.proving.box_clock import BoxClock
from edge.proving.ports import RunningHub, RunningStore
from edge.proving.process import Gone, Process

_Result = TypeVar("_Result")

COPIES_MAX = 6
"""Earlier states of `replica.db` kept to travel back to; the oldest goes."""

_REPLICA_FILES = ("replica.db", "replica.db-wal")
_LEDGER_FILES = ("ledger.db", "ledger.db-wal")
_HUB_FILES = ("hub.db", "hub.db-wal")


@dataclass(frozen=True, slots=True)
class DiskCopy:
    """Files as they stood between two commits, write-ahead logs included."""

    files: dict[str, bytes]


def read_disk(directory: Path, names: Iterable[str]) -> DiskCopy:
    """A copy of those that exist."""
    return DiskCopy({name: (directory / name).read_bytes() for name in names if (directory / name).exists()})


def write_disk(directory: Path, disk: DiskCopy) -> None:
    """Another disk in its place: every database of the old one is gone."""
    for file in directory.glob("*.db*"):
        file.unlink()
    for name, content in disk.files.items():
        (directory / name).write_bytes(content)


class HubServer:
    """The hub's computer. What it committed survives every crash.

    `renew` is what an operator does with a database that was put back from a backup, before the hub starts on it.
    """

    def __init__(self, directory: Path, start: Callable[[], RunningHub], renew: Callable[[], None]) -> None:
        self._directory = directory
        self._start = start
        self._renew = renew
        self._hub: RunningHub | None = None
        self._process = Process("hub")
        self._process.alive = False

    @property
    def up(self) -> bool:
        """Whether it takes requests."""
        return self._hub is not None

    def start(self) -> None:
        """Switch it on."""
        self._process = Process("hub")
        self._hub = self._start()
        self._process.start(self._hub.work())

    async def crash(self) -> None:
        """Whatever it was doing ends here."""
        hub, self._hub = self._hub, None
        await self._process.kill()
        if hub is not None:
            hub.close()

    def back_up(self) -> DiskCopy:
        """Its database now."""
        return read_disk(self._directory, _HUB_FILES)

    async def restore(self, backup: DiskCopy) -> None:
        """Its disk died; a backup is put on a new one. It is still off afterwards."""
        await self.crash()
        write_disk(self._directory, backup)
        self._renew()

    def take(self, question: Question) -> "asyncio.Task[Answer]":
        """A request arrives. Raises `Gone` while nobody is there; the task is cancelled when the hub crashes."""
        if self._hub is None:
            raise Gone("hub")
        return self._process.start(ask(self._hub.app, question))

    async def ask(self, question: Question) -> Answer:
        """Ask from a place whose own line never fails. Raises `Gone`."""
        if self._hub is None:
            raise Gone("hub")
        return await self._process.ask(ask(self._hub.app, question))


class StoreBox:
    """The box in the back room: the store daemon, its two databases and the box's clock.

    `opened` is called whenever a daemon has opened its books, before it does anything else, `another_disk` when its
    ledger is another one from now on. `mark_restored` is what
    `trastienda restore` does with a ledger that it put back.
    """

    def __init__(self, directory: Path, clock: BoxClock, open_store: Callable[[], RunningStore],
                 randomness: random.Random, mark_restored: Callable[[], None] = lambda: None) -> None:
        self.clock = clock
        self.lives = 0
        self._directory = directory
        self._open_store = open_store
        self._mark_restored = mark_restored
        self._randomness = randomness
        self._process = Process("box")
        self._process.alive = False
        self._store: RunningStore | None = None
        self._copies: list[DiskCopy] = []
        self._failures: asyncio.Queue[BaseException] = asyncio.Queue()
        self.opened: Callable[[], None] = lambda: None
        self.another_disk: Callable[[], None] = lambda: None

    @property
    def up(self) -> bool:
        """Whether the daemon runs."""
        return self._store is not None

    @property
    def store(self) -> RunningStore:
        """The running daemon. Raises `Gone`."""
        if self._store is None:
            raise Gone("box")
        return self._store

    def power_up(self) -> None:
        """A new boot, and the daemon starts."""
        self.clock.switch_on()
        self.start_daemon()

    def start_daemon(self) -> None:
        """systemd starts the daemon (again)."""
        self.lives += 1
        self._process = Process(f"box life {self.lives}")
        self._process.start(self._live()).add_done_callback(self._ended)

    async def kill_daemon(self) -> None:
        """`kill -9`: nothing is finished, the machine goes on."""
        store, self._store = self._store, None
        await self._process.kill()
        if store is not None:
            store.abandon()

    async def lose_power(self, *, replica_back: bool) -> bool:
        """The power is cut. What the ledger committed is on the disk; of the replica only some earlier state may be.

        Returns whether the replica really went back.
        """
        await self.kill_daemon()
        self.clock.switch_off()
        return replica_back and self._send_replica_back()

    def lose_replica(self) -> None:
        """The file is gone; the store builds it anew from the hub. Only while the daemon is down."""
        for name in (*_REPLICA_FILES, "replica.db-shm"):
            (self._directory / name).unlink(missing_ok=True)

    def copy_replica(self) -> None:
        """Remember the replica as its disk may still have it after a power cut."""
        self._copies.append(read_disk(self._directory, _REPLICA_FILES))
        del self._copies[:-COPIES_MAX]

    def back_up(self) -> DiskCopy:
        """The ledger now; the replica is the hub's to give again."""
        return read_disk(self._directory, _LEDGER_FILES)

    def clone(self) -> DiskCopy:
        """Everything on its disk."""
        return read_disk(self._directory, (*_LEDGER_FILES, *_REPLICA_FILES))

    def put_in(self, disk: DiskCopy, *, restored: bool) -> None:
        """Another disk, while the box is off; `restored`: by the command that says so to the ledger."""
        self._directory.mkdir(parents=True, exist_ok=True)
        write_disk(self._directory, disk)
        self._copies.clear()
        self.another_disk()
        if restored:
            self._mark_restored()

    async def do(self, work: Callable[[RunningStore], Coroutine[Any, Any, _Result]]) -> _Result:
        """Have something done in the daemon. Raises `Gone`, or what the daemon raised."""
        return await self._process.ask(work(self.store))

    async def request(self, question: Question) -> Answer:
        """A till's request. Raises `Gone` when nobody answers."""
        store = self.store
        if question.method == "GET":  # answered from memory and point reads, without a pause in which to die
            return await ask(store.app, question)
        return await self._process.ask(ask(store.app, question))

    async def stream(self, question: Question) -> Answer:
        """A request whose answer comes in pieces, with pauses in which to die. Raises `Gone`."""
        return await self._process.ask(ask(self.store.app, question))

    async def failure(self) -> BaseException:
        """Wait until a daemon ends by itself; why it did."""
        return await self._failures.get()

    async def _live(self) -> None:
        self._store = self._open_store()
        self.opened()
        await self._store.run()

    def _ended(self, life: "asyncio.Task[None]") -> None:
        if not life.cancelled() and (error := life.exception()) is not None:
            self._failures.put_nowait(error)

    def _send_replica_back(self) -> bool:
        if not self._copies:
            return False
        copy = self._randomness.choice(self._copies)
        self.lose_replica()
        for name, content in copy.files.items():
            (self._directory / name).write_bytes(content)
        return True
