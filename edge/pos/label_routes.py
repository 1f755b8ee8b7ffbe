"""Labels over the API: the list, their pictures, binding, exclusion, light."""

from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from drivers.paper.codec import ProofCode, new_label
from drivers.paper.session import PaperStation
from drivers.port import BaseStation, Colour, OfferRefused
from edge.db.connection import Connection
from edge.db.label_rows import LabelRow, label_row, label_rows
from edge.db.ledger import Chain
from edge.db.queries import LEDGER
from edge.domain.barcode import CODE_LENGTH_MAX
from edge.domain.card_data import masked
from edge.errors import Rejected, Transient
from edge.labels import bindings
from edge.labels.bindings import Act
from edge.labels.planner import LabelPlanner, Urgency
from edge.labels.render import preview_png
from edge.limits import KEY_CHARACTERS_MAX
from edge.pos.app import Handler, body_of, json_response, principal_of
from edge.pos.problems import ProblemAnswer
from edge.prices.price_desk import PriceDesk
from edge.store import Store, Topic

Change = Callable[[Connection, Chain, Act], None]
LIGHT_SECONDS_MAX = 60.0
TERM_CHARACTERS_MAX = KEY_CHARACTERS_MAX + 40
"""A promotion's id, its version and a digest."""
_Text = Annotated[str, msgspec.Meta(max_length=KEY_CHARACTERS_MAX)]


class LabelOut(msgspec.Struct, frozen=True):
    """A label: where it hangs and whether it shows what it should. Green only when `state` is `shown` (P7)."""

    label: str
    station: str
    type_name: str
    sku: str | None
    state: str
    why: str
    excluded_reason: str | None
    shown_ms: int | None
    battery_mv: int | None


class LabelIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody decides about a label. `act_id` is minted by the caller: sent twice, it counts once. `term`: of a
    claim that is struck, what it promises on a condition (its price is then 0)."""

    act_id: _Text = ""
    code: Annotated[str, msgspec.Meta(max_length=CODE_LENGTH_MAX)] = ""
    reason: _Text = ""
    by: _Text = ""
    sku: _Text = ""
    price_minor: int = 0
    term: Annotated[str, msgspec.Meta(max_length=TERM_CHARACTERS_MAX)] = ""
    seconds: Annotated[float, msgspec.Meta(ge=0, le=LIGHT_SECONDS_MAX)] = 5.0
    minutes: Annotated[int, msgspec.Meta(ge=0, le=1440)] = 60
    size: Annotated[str, msgspec.Meta(max_length=16)] = ""


class PaperScan(msgspec.Struct, frozen=True):
    """What a scan of a paper tag proved. `newest`: it is what should hang there."""

    label: str
    sku: str
    price_minor: int
    currency: str
    newest: bool


class LabelDesk:
    """Carries out what people decide about labels."""

    def __init__(self, store: Store, prices: PriceDesk, planner: LabelPlanner,
                 stations: dict[str, BaseStation]) -> None:
        self._store = store
        self._prices = prices
        self._planner = planner
        self._stations = stations

    def all(self) -> list[LabelOut]:
        """Every label the store has heard."""
        return [self._out(row) for row in label_rows(self._store.books.ledger_reader)]

    def one(self, label: str) -> LabelOut:
        """Raises a 404 problem for a label nobody heard."""
        return self._out(self._row(label))

    async def bind(self, label: str, code: str, actor: str, act_id: str) -> LabelOut:
        """Hang the label under the product a barcode or SKU means. Raises `Rejected` for an unknown product."""
        sku = self._prices.sku_of(code)
        if not sku:
            raise Rejected(f"no product under {code[:64]!r} in the catalogue")
        return await self._change(label, self._act(actor, act_id, ""),
                                  lambda c, chain, act: bindings.bind(c, chain, label, sku, act))

    async def add_paper(self, code: str, size: str, actor: str, act_id: str) -> LabelOut:
        """A new paper tag (`size` in millimetres, as in `70x37`) under a product; it waits to be printed.

        The act's id makes the tag, so that a repeat makes no second one. Raises `Rejected` for an unknown product or
        size, or where the settings have no paper station.
        """
        sku, station = self._prices.sku_of(code), self.paper()
        if not sku:
            raise Rejected(f"no product under {code[:64]!r} in the catalogue")
        if station is None:
            raise Rejected("this store has no station for paper tags; add one to its settings (driver: paper)")
        act = self._act(actor, act_id, "")
        try:
            label = new_label(size, act.act_id)
        except ValueError as problem:
            raise Rejected(str(problem)) from problem
        description = station.describe(label)
        assert description is not None
        values = (label, station.name, description.type_name, int(description.settle_s * 1000), act.wall_ms)

        def add(connection: Connection, chain: Chain, act: Act) -> None:
            connection.execute(LEDGER.insert_label, values)
            bindings.bind(connection, chain, label, sku, act)
        return await self._change(label, act, add, is_new=True)

    def paper(self) -> PaperStation | None:
        """The store's station for paper tags, if it has one."""
        return next((each for each in self._stations.values() if isinstance(each, PaperStation)), None)

    def scan_paper(self, text: str) -> PaperScan:
        """Somebody scanned the code of a paper tag that hangs on the shelf: it shows that very print.

        Raises `Rejected` for what is no tag's code, or a print that this store did not make or forgot.
        """
        code, station = ProofCode.read(text), self.paper()
        if code is None or station is None:
            raise Rejected("this is not the code of a paper tag; scan the small code beside its picture")
        found = self._store.books.ledger_reader.execute(LEDGER.picture, (code.label, code.version)).fetchone()
        if found is None:
            raise Rejected(f"this store did not print tag {code.label} so; print it again")
        _, content, sku, price_minor, currency, *_ = found
        wanted = self._planner.wanted_of(self._row(code.label))
        station.scanned(code)
        return PaperScan(code.label, sku, price_minor, currency, wanted is not None and wanted.content_hash == content)

    async def unbind(self, label: str, actor: str, act_id: str) -> LabelOut:
        """Take the label from its product."""
        return await self._change(label, self._act(actor, act_id, ""),
                                  lambda c, chain, act: bindings.unbind(c, chain, label, act))

    async def replace(self, label: str, by: str, actor: str, act_id: str) -> LabelOut:
        """Another label takes this one's place; returns that one. Raises a 404 problem for one that nobody heard."""
        other = self._row(by).label
        await self._change(label, self._act(actor, act_id, ""),
                           lambda c, chain, act: bindings.replace_by(c, chain, label, other, act))
        self._planner.adopt(other)
        self._planner.look_at(other, Urgency.DECREASE)
        self._store.tell(Topic.LABEL, other)
        return self._out(self._row(other))

    async def exclude(self, label: str, actor: str, act_id: str, reason: str) -> LabelOut:
        """Say that the label does not count, with a reason."""
        return await self._change(label, self._act(actor, act_id, reason),
                                  lambda c, chain, act: bindings.exclude(c, chain, label, act))

    async def include(self, label: str, actor: str, act_id: str) -> LabelOut:
        """End an exclusion."""
        return await self._change(label, self._act(actor, act_id, ""),
                                  lambda c, chain, act: bindings.include(c, chain, label, act))

    async def void_claim(self, label: str, body: LabelIn, actor: str) -> LabelOut:
        """Strike one claim of the label."""
        return await self._change(label, self._act(actor, body.act_id, body.reason), lambda c, chain, act:
                                  bindings.void_claim(c, chain, label, body.sku, body.price_minor, act, term=body.term))

    async def light(self, label: str, seconds: float) -> None:
        """Flash the label's LED. Raises `Transient` when its base station cannot now."""
        station = self._stations.get(self._row(label).station)
        if station is None:
            raise Transient(f"label {label} has no base station")
        try:
            await station.light(label, Colour.RED, seconds)
        except OfferRefused as refusal:
            raise Transient(str(refusal)) from refusal

    async def sleep(self, label: str, minutes: int) -> None:
        """Let a label that hangs nowhere check in only every so many minutes; 0 wakes it when it next does.

        Raises `Rejected` for a label under a product, which must hear of its prices; `Transient` when its base station
        cannot now.
        """
        row = self._row(label)
        if row.sku is not None and row.excluded_reason is None:
            raise Rejected(f"label {label} hangs under {row.sku}: it must hear of its prices")
        station = self._stations.get(row.station)
        if station is None:
            raise Transient(f"label {label} has no base station")
        station.adopt(label, row.type_name)
        try:
            await station.sleep(label, minutes)
        except OfferRefused as refusal:
            raise Transient(str(refusal)) from refusal

    async def picture(self, label: str) -> bytes:
        """PNG of what the label should show. Raises a 404 problem when there is nothing to show."""
        picture = await self._planner.picture_of(self._row(label))
        if picture is None:
            raise ProblemAnswer(404, "no-picture", "Nothing to show on this label yet")
        return preview_png(picture)

    def _row(self, label: str) -> LabelRow:
        row = label_row(self._store.books.ledger_reader, label)
        if row is None:
            raise ProblemAnswer(404, "unknown-label", "No base station has heard this label", label[:64])
        return row

    async def _change(self, label: str, act: Act, change: Change, *, is_new: bool = False) -> LabelOut:
        if not is_new:
            self._row(label)
        await self._store.record(lambda connection: change(connection, self._store.books.chain, act))
        self._planner.adopt(label)
        self._planner.look_at(label, Urgency.DECREASE)
        row = self._row(label)
        self._store.tell(Topic.LABEL, label)
        claimed = self._store.books.ledger_reader.execute(LEDGER.claims_to_show, (label,)).fetchall()
        self._store.tell(Topic.PRICES, *{sku for _, sku, *_ in claimed}, *({row.sku} if row.sku else ()))
        return self._out(row)

    def _act(self, actor: str, act_id: str, reason: str) -> Act:
        store, wall_ms = self._store, self._store.clock.wall_ms()
        return Act(act_id or store.mint(), actor, wall_ms, store.clock.powered_ms(), store.business_day(wall_ms),
                   store.policy.grace_s * 1000, masked(reason))

    def _out(self, row: LabelRow) -> LabelOut:
        state, why = self._planner.state_of(row)
        return LabelOut(row.label, row.station, row.type_name, row.sku, state.value, why, row.excluded_reason,
                        row.proven_ms, row.battery_mv)


def label_handlers(desk: LabelDesk) -> Mapping[str, Handler]:
    """The handlers of the label routes, by the names in `edge.pos.access.RULES`."""

    async def labels(_request: Request) -> Response:
        return json_response(desk.all())

    async def label_picture(request: Request) -> Response:
        return Response(await desk.picture(request.path_params["label"]), media_type="image/png")

    async def bind_label(request: Request) -> Response:
        body = await _body(request)
        return json_response(await desk.bind(_label(request), body.code, principal_of(request).id, body.act_id))

    async def unbind_label(request: Request) -> Response:
        body = await _body(request)
        return json_response(await desk.unbind(_label(request), principal_of(request).id, body.act_id))

    async def replace_label(request: Request) -> Response:
        body = await _body(request)
        by = body.by.strip().lower().replace(":", "")
        return json_response(await desk.replace(_label(request), by, principal_of(request).id, body.act_id))

    async def exclude_label(request: Request) -> Response:
        body = await _body(request)
        return json_response(await desk.exclude(_label(request), principal_of(request).id, body.act_id, body.reason))

    async def include_label(request: Request) -> Response:
        body = await _body(request)
        return json_response(await desk.include(_label(request), principal_of(request).id, body.act_id))

    async def light_label(request: Request) -> Response:
        await desk.light(_label(request), (await _body(request)).seconds)
        return Response(status_code=204)

    async def sleep_label(request: Request) -> Response:
        await desk.sleep(_label(request), (await _body(request)).minutes)
        return Response(status_code=204)

    async def void_claim(request: Request) -> Response:
        return json_response(await desk.void_claim(_label(request), await _body(request), principal_of(request).id))

    async def add_paper_tag(request: Request) -> Response:
        body = await _body(request)
        return json_response(await desk.add_paper(body.code, body.size, principal_of(request).id, body.act_id), 201)

    async def scan_paper_tag(request: Request) -> Response:
        return json_response(desk.scan_paper((await _body(request)).code))

    return {"add_paper_tag": add_paper_tag, "scan_paper_tag": scan_paper_tag, "labels": labels,
            "label_picture": label_picture, "bind_label": bind_label, "unbind_label": unbind_label,
            "replace_label": replace_label,
            "exclude_label": exclude_label, "include_label": include_label, "light_label": light_label,
            "sleep_label": sleep_label,
            "void_claim": void_claim}


def _label(request: Request) -> str:
    label = request.path_params["label"]
    assert isinstance(label, str)
    return label


async def _body(request: Request) -> LabelIn:
    return msgspec.json.decode(await body_of(request) or b"{}", type=LabelIn)
