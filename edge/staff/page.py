"""The staff page of one running store: everything its handlers share, built from what the daemon hands over."""

from collections.abc import Callable
from dataclasses import dataclass

from cloud_sync.client.link_state import LinkState
from drivers.port import BaseStation
from edge.health.issues import IssueList
from edge.labels.artist import Artist
from edge.labels.planner import LabelPlanner
from edge.labels.wanted import WantedPictures
from edge.pickups.desk import PickupDesk
from edge.pickups.picking_desk import PickingDesk
from edge.pos.access import Rule
from edge.pos.label_routes import LabelDesk
from edge.prices.guard_desk import GuardDesk
from edge.prices.price_desk import PriceDesk
from edge.staff.assets import Assets
from edge.staff.board import Board
from edge.staff.door import Door
from edge.staff.label_index import LabelIndex
from edge.staff.live import Live
from edge.staff.orders import Orders
from edge.staff.pick_lights import PickLights
from edge.staff.picks import Picks
from edge.staff.pictures import LabelPictures
from edge.staff.sessions import Sessions
from edge.staff.sign_in import Member, SignIn
from edge.staff.tiles import Tiles
from edge.staff.view import View
from edge.stock.desk import StockDesk
from edge.store import News, Store


@dataclass(frozen=True, slots=True)
class StaffParts:
    """What the page needs of the other rooms. `stations` may change while the store runs; the others stay.

    `link_state`: the line to the hub now. `members`: who may sign in (`edge.staff.sign_in.members_of`).
    """

    store: Store
    prices: PriceDesk
    pickups: PickupDesk
    guard: GuardDesk
    planner: LabelPlanner
    wanted: WantedPictures
    labels: LabelDesk
    stations: dict[str, BaseStation]
    artist: Artist
    link_state: Callable[[], LinkState]
    issues: IssueList
    members: tuple[Member, ...]
    stock: StockDesk
    picking: PickingDesk


class StaffPage:
    """`door` is the `Authenticate` hook of the application, `follow_news` a listener of the store, `run` a part for the
    supervisor: it must be stopped before the server, because it ends the live streams that the server waits for."""

    def __init__(self, parts: StaffParts, rules: tuple[Rule, ...]) -> None:
        store = parts.store
        self.parts = parts
        self.sessions = Sessions(store.clock.powered_ms)
        self.sign_in = SignIn(store, parts.members)
        self.index = LabelIndex(store, parts.planner, parts.stations)
        self.pictures = LabelPictures(store, parts.planner, parts.wanted, parts.stations, parts.artist)
        self.live = Live(self.index, self.sessions, store.mint())
        self.sessions.ended.append(self.live.end)
        self.assets = Assets()
        self.view = View(store, self.assets, lambda: self.live.version)
        self.door = Door(self.sessions, rules, self.view)
        tiles = Tiles(store, self.index, self.pictures, parts.stations)
        orders = Orders(store, parts.pickups, parts.picking, self.index, tiles)
        self.picks = Picks(store, parts.picking, orders)
        self.pick_lights = PickLights(parts.labels.light, orders.lights, store.clock.powered_ms)
        self.board = Board(store, parts.prices, parts.guard, self.index, tiles, orders, parts.stations,
                           parts.link_state, parts.issues, lambda: self.live.version)

    def follow_news(self, news: News) -> None:
        """The store's listener."""
        self.index.follow_news(news)
        self.live.follow_news(news)

    def scanned(self, person: str, code: str) -> bool:
        """See `edge.staff.live.Live.scanned`."""
        return self.live.scanned(person, code)

    async def run(self) -> None:
        """Keep open pages live until cancelled."""
        await self.live.run()

    @property
    def progress(self) -> int:
        """Grows while `run` works."""
        return self.live.progress
