"""Every type of label that some driver knows, so that a template can be looked at on all of them."""

from drivers.gicisky.picture_codec import label_types as gicisky_types
from drivers.openepaperlink.picture_codec import tag_types
from drivers.port import LabelDescription
from drivers.zhsunyco.picture_codec import label_types as zhsunyco_types


def known_labels() -> list[LabelDescription]:
    """One label of each type, its type's name for an address; the smallest picture first."""
    oepl = (each.describe(each.type_name(), frozenset(), compressed=False) for each in tag_types().values())
    gicisky = (each.describe(each.type_name(each.format), each.format) for each in gicisky_types().values())
    zhsunyco = (each.describe(each.type_name) for each in zhsunyco_types().values())
    return sorted([*oepl, *gicisky, *zhsunyco], key=lambda each: (each.width * each.height, each.width, each.label))


def known_geometries() -> list[LabelDescription]:
    """The same, one of each size and colours."""
    first: dict[tuple[int, int, frozenset[int]], LabelDescription] = {}
    for each in known_labels():
        first.setdefault((each.width, each.height, frozenset(each.colours)), each)
    return list(first.values())
