"""Count sessions: somebody, or several people, go along shelves and scan; at the end the findings become a count.

Every scan is committed before it is answered, so none is lost when a device, a person or the box goes away; it has an
id, so none counts twice. Scans are added or set, never changed: a mistake is taken back by another scan.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge.db.connection import Connection
from edge.db.queries import LEDGER, many
from edge.errors import Rejected
from edge.limits import (
    COUNT_LINES_AT_ONCE,
    COUNT_REST_MAX,
    COUNT_SCANS_MAX,
    COUNT_SESSIONS_LISTED_MAX,
    COUNT_UNCOUNTED_LISTED_MAX,
)
from edge.prices.price_desk import PriceDesk
from edge.stock.answers import Conflict, OutOfDate, Unknown
from edge.stock.counts import CountDesk, Counted, CountRequest
from edge.store import Store, Topic


class How(StrEnum):
    """What a session counts: whatever comes along, named SKUs, or everything that the book has."""

    CYCLE = "cycle"
    DIRECTED = "directed"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Session:
    """One row of table `count_session`."""

    session_id: str
    how: How
    place: str
    with_staged: bool
    actor: str
    opened_ms: int
    submitting: bool
    closed_ms: int | None


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """A scan, once per `scan_id`. `sets`: the quantity is all there is at this place, counted by hand; else it is
    added, and a negative one takes a scan back. `counted_ms`: `None` for now; `place`: empty for the session's."""

    session_id: str
    scan_id: str
    code: str
    quantity_milli: int
    actor: str
    sets: bool = False
    place: str = ""
    counted_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What was found of a SKU so far, at all places together, last at `counted_ms`."""

    sku: str
    counted_milli: int
    counted_ms: int
    scans: int


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as the people who count see it: nothing of what is expected. `unmatched`: codes of no product.

    `uncounted`: SKUs that are still to be counted, at most a named number; `uncounted_number`: how many there are.
    """

    session: Session
    tallies: tuple[Tally, ...]
    unmatched: tuple[str, ...]
    uncounted: tuple[str, ...]
    uncounted_number: int


@dataclass(frozen=True, slots=True)
class _Scan:
    """A row of table `count_scan`, without its id."""

    number: int
    sku: str
    code: str
    place: str
    quantity_milli: int
    sets: bool
    counted_ms: int
    actor: str


class CountSessions:
    """Opens, fills and ends sessions."""

    def __init__(self, store: Store, prices: PriceDesk, counts: CountDesk) -> None:
        self._store = store
        self._prices = prices
        self._counts = counts

    async def open(self, session_id: str, how: How, actor: str, *, place: str = "", skus: Sequence[str] = (),
                   with_staged: bool = False) -> SessionView:
        """Begin a session; said again, it is the same one. Raises `Conflict`, `Rejected` for too many or no SKUs."""
        if (how is How.DIRECTED) is not bool(skus):
            raise Rejected("a directed count names its SKUs, and no other does")
        now_ms, wanted = self._store.clock.wall_ms(), sorted(set(skus))
        asked = (how.value, place, int(with_staged))

        def operation(connection: Connection) -> Rejected | None:
            row = connection.execute(LEDGER.count_session, (session_id,)).fetchone()
            if row is not None:
                before = [sku for (sku,) in connection.execute(LEDGER.count_wanted, (session_id,)).fetchall()]
                same = (row[1:4], before) == (asked, wanted)
                return None if same else Conflict(recorded=False)
            rows = connection.execute(LEDGER.open_count_sessions, (COUNT_SESSIONS_LISTED_MAX,)).fetchall()
            if len(rows) >= COUNT_SESSIONS_LISTED_MAX:
                return Rejected("too many count sessions are open: end some first")
            connection.execute(LEDGER.put_count_session, (session_id, *asked, actor, now_ms))
            connection.execute(LEDGER.put_count_wanted, (session_id, many(wanted)))
            return None

        if refusal := await self._store.record(operation):
            raise refusal
        return self.view(session_id)

    def open_ones(self) -> list[Session]:
        """Sessions that are not ended, the oldest first."""
        rows = self._store.books.ledger_reader.execute(LEDGER.open_count_sessions, (COUNT_SESSIONS_LISTED_MAX,))
        return [_session(row) for row in rows.fetchall()]

    def view(self, session_id: str) -> SessionView:
        """A session with what was found so far. Raises `Unknown`."""
        reader = self._store.books.ledger_reader
        session, scans = _need(reader, session_id), read_scans(reader, session_id)
        tallies = tally(scans)
        uncounted = self._uncounted(reader, session, {each.sku for each in tallies})
        unmatched = sorted({scan.code for scan in scans if not scan.sku})
        return SessionView(session, tuple(tallies), tuple(unmatched), tuple(uncounted[:COUNT_UNCOUNTED_LISTED_MAX]),
                           len(uncounted))

    async def scan(self, request: ScanRequest) -> str:
        """Keep a scan; returns the SKU it was of, empty for a code of no product, which is kept too.

        Raises `Unknown`, `OutOfDate` for an ended session, `Conflict`, `Rejected` when it is full.
        """
        sku, now_ms = self._prices.sku_of(request.code), self._store.clock.wall_ms()
        asked = (request.code, request.quantity_milli, int(request.sets))

        def operation(connection: Connection) -> Rejected | None:
            session = _need_in(connection, request.session_id)
            if isinstance(session, Rejected):
                return session
            known = connection.execute(LEDGER.count_scan, (session.session_id, request.scan_id)).fetchone()
            if known is not None:
                same = (known[1], known[3], known[4]) == asked
                return None if same else Conflict(recorded=False)
            if session.closed_ms is not None or session.submitting:
                return OutOfDate(f"the count {session.session_id} has ended")
            number = connection.execute(LEDGER.count_scan_number, (session.session_id,)).fetchone()[0] + 1
            if number > COUNT_SCANS_MAX:
                return Rejected(f"the count {session.session_id} has too many scans: end it and begin another")
            moment_ms = now_ms if request.counted_ms is None else min(request.counted_ms, now_ms)
            connection.execute(LEDGER.put_count_scan, (
                session.session_id, number, request.scan_id, sku, request.code, request.place or session.place,
                request.quantity_milli, int(request.sets), moment_ms, request.actor))
            return None

        if refusal := await self._store.record(operation, short=True):
            raise refusal
        return sku

    async def submit(self, session_id: str, actor: str, *, rest_is_none: bool = False) -> list[str]:
        """End a session: what was found becomes counts, some SKUs in each; returns their ids. Broken off by a crash and
        said again, it goes on.

        `rest_is_none`: what was to be counted and was not is not there. Raises `Unknown`, `OutOfDate` for one that was
        given up, `Rejected` for one without a finding, or with a negative one.
        """
        reader = self._store.books.ledger_reader
        if (session := _need(reader, session_id)).closed_ms is None:
            await self._begin_submitting(session, actor, rest_is_none=rest_is_none)
        found = tally(read_scans(reader, session_id))
        ids = [session_id if not start else f"{session_id}.{start // COUNT_LINES_AT_ONCE + 1}"
               for start in range(0, len(found), COUNT_LINES_AT_ONCE)]
        if session.closed_ms is not None and not session.submitting:
            raise OutOfDate(f"the count {session_id} was given up")
        for place, count_id in enumerate(ids if session.closed_ms is None else ()):
            part = found[place * COUNT_LINES_AT_ONCE : (place + 1) * COUNT_LINES_AT_ONCE]
            lines = tuple(Counted(each.sku, each.counted_milli, each.counted_ms, session.with_staged) for each in part)
            await self._counts.take(CountRequest(count_id, lines, actor, session.place, session_id))
        await self._end(session_id, LEDGER.close_count_session)
        return ids

    async def give_up(self, session_id: str) -> None:
        """End a session without a count; of one whose submission was broken off, what became a count stays one.

        Raises `Unknown`.
        """
        _need(self._store.books.ledger_reader, session_id)
        await self._end(session_id, LEDGER.give_up_count_session)

    async def _begin_submitting(self, session: Session, actor: str, *, rest_is_none: bool) -> None:
        now_ms = self._store.clock.wall_ms()

        def operation(connection: Connection) -> Rejected | None:
            if _need(connection, session.session_id).submitting:
                return None
            found = tally(read_scans(connection, session.session_id))
            if wrong := next((each.sku for each in found if each.counted_milli < 0), None):
                return Rejected(f"{wrong} was taken back more often than it was counted: count it again")
            rest = self._uncounted(connection, session, {each.sku for each in found}) if rest_is_none else []
            if not found and not rest:
                return Rejected("nothing was counted")
            number = connection.execute(LEDGER.count_scan_number, (session.session_id,)).fetchone()[0]
            for place, sku in enumerate(rest, start=1):
                connection.execute(LEDGER.put_count_scan, (
                    session.session_id, number + place, f"rest/{sku}", sku, sku, session.place, 0, 1, now_ms, actor))
            connection.execute(LEDGER.begin_submitting, (session.session_id,))
            return None

        if refusal := await self._store.record(operation):
            raise refusal

    async def _end(self, session_id: str, statement: str) -> None:
        now_ms = self._store.clock.wall_ms()
        await self._store.record(lambda connection: connection.execute(statement, (now_ms, session_id)))
        self._store.tell(Topic.ISSUE)

    @staticmethod
    def _uncounted(connection: Connection, session: Session, counted: set[str]) -> list[str]:
        if session.how is How.CYCLE:
            return []
        rows = (connection.execute(LEDGER.count_wanted, (session.session_id,)) if session.how is How.DIRECTED
                else connection.execute(LEDGER.stocked_skus, (COUNT_REST_MAX,)))
        return [sku for (sku,) in rows.fetchall() if sku not in counted]


def read_scans(connection: Connection, session_id: str) -> list[_Scan]:
    """What was scanned, in order."""
    rows = connection.execute(LEDGER.count_scans, (session_id,)).fetchall()
    return [_Scan(number, sku, code, place, milli, bool(sets), counted_ms, actor)
            for number, sku, code, place, milli, sets, counted_ms, actor in rows]


def tally(scans: Iterable[_Scan]) -> list[Tally]:
    """What scans come to, by SKU. A figure set by hand stands for all before it at its place."""
    places: dict[str, dict[str, int]] = {}
    seen: dict[str, tuple[int, int]] = {}
    for scan in scans:
        if scan.sku:
            figures = places.setdefault(scan.sku, {})
            figures[scan.place] = scan.quantity_milli + (0 if scan.sets else figures.get(scan.place, 0))
            newest_ms, number = seen.get(scan.sku, (0, 0))
            seen[scan.sku] = (max(newest_ms, scan.counted_ms), number + 1)
    return list(_tallies(places, seen))


def _tallies(places: dict[str, dict[str, int]], seen: dict[str, tuple[int, int]]) -> Iterator[Tally]:
    for sku in sorted(places):
        yield Tally(sku, sum(places[sku].values()), *seen[sku])


def _need(connection: Connection, session_id: str) -> Session:
    session = _need_in(connection, session_id)
    if isinstance(session, Rejected):
        raise session
    return session


def _need_in(connection: Connection, session_id: str) -> Session | Rejected:
    """Inside the writer a refusal is returned: what is raised there breaks the whole operation off."""
    row = connection.execute(LEDGER.count_session, (session_id,)).fetchone()
    return _session(row) if row else Unknown(f"there is no count {session_id}")


def _session(row: tuple[str, str, str, int, str, int, int, int | None]) -> Session:
    return Session(row[0], How(row[1]), row[2], bool(row[3]), row[4], row[5], bool(row[6]), row[7])
