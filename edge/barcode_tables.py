"""Which of `config/barcodes` a store's scales print by."""

from typing import Annotated, Literal

import msgspec

from edge.domain.variable_measure import InnerCheck, Pattern, Value
from edge.errors import ConfigurationError
from edge.shipped import shipped
from edge.yaml_reader import read_yaml

TABLE_BYTES_MAX = 64 * 1024


class PatternIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a table; see `config/barcodes/README.md`."""

    pattern: Annotated[str, msgspec.Meta(pattern="^[0-9IVCK]{13}$", description="13 places of digits, I, V, C and K")]
    value: Literal["price", "weight", "count"]
    decimals: Annotated[int, msgspec.Meta(ge=0, le=6)]
    inner_check: Literal["checked", "ignored", "none"] = "none"


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of `config/barcodes`."""

    patterns: tuple[PatternIn, ...]


def patterns_of(name: str) -> tuple[Pattern, ...]:
    """The patterns of a table; none for an empty name. Raises `ConfigurationError` for a table that is not there or is
    wrong."""
    if not name:
        return ()
    try:
        path = shipped(f"config/barcodes/{name}.yaml")
    except FileNotFoundError as error:
        raise ConfigurationError(f"store.barcodes: {error}") from error
    table = read_yaml(path, Table, bytes_max=TABLE_BYTES_MAX)
    try:
        return tuple(Pattern(each.pattern, Value(each.value), each.decimals, InnerCheck(each.inner_check))
                     for each in table.patterns)
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error
