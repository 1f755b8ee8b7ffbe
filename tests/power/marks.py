"""What a recorded program says in the log, for the judge."""

import msgspec


class Acknowledged(msgspec.Struct, frozen=True, tag=True):
    """A till got its answer; `answer_sha256` is of the body."""

    fact_key: str
    answer_sha256: str


class Committed(msgspec.Struct, frozen=True, tag=True):
    """The ledger's writer answered: its transaction saw this head, this clock stamp, this cursor of the orders feed."""

    sequence: int
    hash: str
    powered_ms: int
    orders_offset: int


class Offered(msgspec.Struct, frozen=True, tag=True):
    """A base station was given a picture of a price."""

    label: str
    version: str
    sku: str
    price_minor: int


class SentByHub(msgspec.Struct, frozen=True, tag=True):
    """A batch is on its way to the store; with it the feed stands at `offset`. By key, the documents."""

    feed: str
    offset: int
    documents: dict[str, msgspec.Raw]


class Closing(msgspec.Struct, frozen=True, tag=True):
    """The store begins to close its books."""


Mark = Acknowledged | Committed | Offered | SentByHub | Closing
decode_mark = msgspec.json.Decoder(Mark).decode
