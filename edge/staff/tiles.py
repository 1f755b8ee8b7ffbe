"""Labels as pages show them: what each proved, what it should show, and the pictures of both."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from cloud_sync.contract.promotions import terms_of
from drivers.port import BaseStation, Feature
from edge.db.label_rows import LabelRow, label_row
from edge.db.queries import LEDGER
from edge.labels.occasion import term_words
from edge.prices.claim_book import claims_to_show
from edge.prices.promotion_book import term_key
from edge.staff.label_index import LabelIndex, Standing
from edge.staff.pictures import Drawing, LabelPictures, Proven
from edge.staff.products import product_name
from edge.store import Store


@dataclass(frozen=True, slots=True)
class Image:
    """A label picture to fetch; its address names its pixels. `exact`: it is what was proven, not redrawn."""

    path: str
    width: int
    height: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Tile:
    """A label on the wall. `shown`: the picture it proved; `coming`: another one that it should show.

    `name` is the product under which it hangs, `shown_name` the one that it shows; prices in minor units.
    """

    label: str
    sku: str
    name: str
    standing: Standing
    why: str
    since_ms: int | None
    proven: Proven | None
    shown_name: str
    wanted_price_minor: int | None
    currency: str
    shown: Image | None
    coming: Image | None

    @property
    def shows_other_price(self) -> bool:
        """Whether a customer reads another price for its product than the list says."""
        return (self.proven is not None and self.wanted_price_minor is not None and self.proven.sku == self.sku
                and self.proven.price_minor != self.wanted_price_minor)


@dataclass(frozen=True, slots=True)
class ClaimView:
    """A price that a shopper may have read on a label, or with a `term` what one gets on a condition, in the words of
    `said`. `closing`: it ends by itself."""

    sku: str
    name: str
    price_minor: int
    closing: bool
    term: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class LabelView:
    """One label, for its own page. `station_state`: empty without a base station."""

    tile: Tile
    row: LabelRow
    station_state: str
    has_light: bool
    claims: tuple[ClaimView, ...]
    wanted_term: str = ""

    @property
    def old_claims(self) -> tuple[ClaimView, ...]:
        """What the label should no longer show."""
        return tuple(claim for claim in self.claims
                     if (claim.sku, claim.price_minor) != (self.tile.sku, self.tile.wanted_price_minor)
                     and not (claim.term and claim.term == self.wanted_term))


class Tiles:
    """Looks at labels afresh."""

    def __init__(self, store: Store, index: LabelIndex, pictures: LabelPictures,
                 stations: Mapping[str, BaseStation]) -> None:
        self._store = store
        self._index = index
        self._pictures = pictures
        self._stations = stations

    def of(self, labels: Iterable[str]) -> list[Tile]:
        """These labels as they stand now; unknown ones are left out."""
        reader = self._store.books.ledger_reader
        return [self.tile(row) for label in labels if (row := label_row(reader, label)) is not None]

    def of_product(self, sku: str) -> list[Tile]:
        """The labels under which a product hangs."""
        return self.of(self._index.labels_of(sku))

    def tile(self, row: LabelRow) -> Tile:
        """A label as it stands now."""
        stand, proven = self._index.stand(row), self._pictures.proven(row)
        shown, coming = self._pictures.shown(row), self._pictures.coming(row)
        pending = coming if coming and not (shown and shown.key == coming.key) else None
        return Tile(row.label, stand.sku, stand.name, stand.standing, stand.why, stand.since_ms, proven,
                    product_name(self._store, proven.sku) if proven else "",
                    coming.wanted.content.price_minor if coming else None, self._store.identity.currency,
                    _image(row.label, shown), _image(row.label, pending))

    def label(self, row: LabelRow) -> LabelView:
        """A label with everything known of it."""
        station = self._stations.get(row.station)
        claims = [ClaimView(claim.sku, product_name(self._store, claim.sku), claim.price_minor,
                            claim.closes_powered_ms is not None, claim.term, self._said(claim.term))
                  for claim in claims_to_show(self._store.books.ledger_reader, row.label)]
        coming = self._pictures.coming(row)
        term = coming.wanted.term if coming else None
        return LabelView(self.tile(row), row, station.state.value if station else "", self.has_light(row),
                         tuple(sorted(claims, key=lambda claim: (claim.sku, claim.term, claim.price_minor))),
                         term_key(term) if term else "")

    def _said(self, term: str) -> str:
        """The terms as a label says them."""
        found = self._store.books.ledger_reader.execute(LEDGER.shown_term, (term,)).fetchone() if term else None
        if found is None:
            return term
        _, _, _, kind, terms = found
        identity = self._store.identity
        return term_words(terms_of(kind, terms), identity.currency, identity.language) or term

    def has_light(self, row: LabelRow) -> bool:
        """Whether the label can be asked to flash."""
        station = self._stations.get(row.station)
        description = station.describe(row.label) if station else None
        return description is not None and Feature.LED in description.features


def label_path(label: str) -> str:
    """The label's own page."""
    return f"/staff/labels/{quote(label, safe='')}"


def _image(label: str, drawing: Drawing | None) -> Image | None:
    if drawing is None:
        return None
    path = f"/staff/pictures/{quote(label, safe='')}/{drawing.key}.png"
    return Image(path, drawing.description.width, drawing.description.height, drawing.exact)
