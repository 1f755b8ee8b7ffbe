"""What a Vendure connector is told; `config/connectors/vendure.yaml` is the commented example."""

from typing import Annotated, Literal

import msgspec

from cloud_sync.connectors.settings import HubSettings, Name, Rhythm, Seconds, Secret

GraphQLName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One store: which shipping methods mean that it is collected there, and whose stock location is its shelf."""

    store: Name
    shipping_methods: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    stock_location: Annotated[str, msgspec.Meta(min_length=1)]


class VendureSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where Vendure's admin API is and who we are there: an administrator of its own, who may read and update the
    catalogue (stock levels) and orders. `channel`: the channel's token, for others than the default one."""

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^?#]+$")]
    username: Secret
    password: Secret
    channel: Secret | None = None
    certificate_authority: str | None = None


class GoodsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`zone`: whose catalogue. `gtin_field`: a custom field of variants that holds the barcode; without it a SKU that
    is a valid GTIN counts as one. `removed_max_percent`: when more is gone at once, nothing is withdrawn and a person
    is asked: a list that broke off must not empty the shelves."""

    zone: Name = "default"
    gtin_field: GraphQLName | None = None
    prices_include_tax: bool = True
    every_s: Seconds = 300.0
    removed_max_percent: Annotated[int, msgspec.Meta(ge=0, le=100)] = 5


class OrderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`prefix`: how our order ids begin; Vendure's code follows. `may_substitute`: whether customers are asked before
    they pay and take another product; with `answer: accept` that counts as their word, with `wait` the policy's does.
    `settle_refunds`: whether refunds that Vendure leaves pending are marked as paid; only where nothing has to be paid
    out by hand. `ready_note`: what the customer reads; {store} and {code} are filled in. `look_back_s`: how far behind
    the newest known order we look again, for orders that were written late; `look_again_s`: how often at all open
    ones. `done_keep_days`: for how long what was carried is remembered."""

    prefix: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,20}$")] = "vendure-"
    may_substitute: bool = False
    answer: Literal["accept", "decline", "wait"] = "wait"
    settle_refunds: bool = False
    refund_no_show: bool = True
    ready_note: str = "Ready to be collected at {store}. Pickup code: {code}"
    look_back_s: Seconds = 300.0
    look_again_s: Seconds = 600.0
    done_keep_days: Annotated[int, msgspec.Meta(ge=2, le=3650)] = 100


class StockSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`every_s`: how often everything is compared; what moved goes out at once."""

    every_s: Seconds = 900.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    hub: HubSettings
    vendure: VendureSettings
    stores: Annotated[tuple[StoreSettings, ...], msgspec.Meta(min_length=1)]
    goods: GoodsSettings = GoodsSettings()
    orders: OrderSettings = OrderSettings()
    stock: StockSettings = StockSettings()
    rhythm: Rhythm = Rhythm()
