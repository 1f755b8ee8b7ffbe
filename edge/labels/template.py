"""Templates: how a label's picture is laid out, per geometry, read from YAML (DESIGN.md section 6).

One file is one named template with layouts for some geometries; a label of another one gets the nearest layout, scaled.
Its name is the file's name without `.yaml`. A template's version is a hash of its meaning: comments, spacing and
defaults written out do not change it.
"""

import hashlib
import io
import string
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import get_args

import msgspec
import PIL.Image

from drivers.port import LabelDescription
from edge.labels.elements import AnyElement, Box, Ean, Field, Image, Text
from edge.labels.fonts import face
from edge.labels.scaling import nearest, scaled
from edge.labels.template_file import Document, TemplateError, read_document

IMAGE_BYTES_MAX = 200_000
"""A logo for a label is smaller; pictures go to the processes that draw with every label."""

EAN13_MODULES = 113
"""An EAN-13 with its quiet zones: 11 + 95 + 7 modules."""


class Layout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The elements of a picture of exactly this many pixels, lowest first."""

    width: int
    height: int
    elements: tuple[AnyElement, ...]


class Template(msgspec.Struct, frozen=True):
    """One named template at one geometry. `version` changes with its meaning."""

    name: str
    layout: Layout
    version: str


class NoTemplate(LookupError):
    """There is no template of this name."""


class Templates:
    """All templates a store knows, by name and geometry."""

    def __init__(self, templates: Iterable[Template]) -> None:
        self._templates = {(each.name, each.layout.width, each.layout.height): each for each in templates}
        self._layouts: dict[str, list[Layout]] = defaultdict(list)
        for each in self._templates.values():
            self._layouts[each.name].append(each.layout)
        self._scaled: dict[tuple[str, int, int], Template] = {}

    def select(self, name: str, description: LabelDescription) -> Template:
        """The template of this name for the label's geometry. Raises `NoTemplate`, which says what there is."""
        key = name, description.width, description.height
        template = self._templates.get(key) or self._scaled.get(key)
        if template is None:
            layouts = self._layouts.get(name)
            if not layouts:
                raise NoTemplate(f"there is no template {name!r}; known are {', '.join(self.names) or 'none'}")
            layout = scaled(nearest(layouts, description.width, description.height), *key[1:])
            template = self._scaled[key] = Template(name, layout, _version(name, layout))
        return template

    @property
    def names(self) -> list[str]:
        """The templates' names in order."""
        return sorted({name for name, _, _ in self._templates})

    def __len__(self) -> int:
        return len(self._templates)


def load_templates(directories: Sequence[Path]) -> Templates:
    """All `*.yaml` of the directories; a file in a later directory replaces one of its name in an earlier one.

    A directory that does not exist holds none. Raises `TemplateError` with file, line and what is allowed.
    """
    files = {path.name: path for directory in directories for path in sorted(directory.glob("*.yaml"))}
    return Templates(template for path in files.values() for template in load_template(path))


def load_template(path: Path) -> list[Template]:
    """The templates of one file, one per layout. Raises `TemplateError`."""
    document = read_document(path, _TemplateFile)
    file = document.value
    if not file.layouts:
        raise document.error(("layouts",), "a template needs at least one layout")
    for number, layout in enumerate(file.layouts):
        _check_layout(document, number, layout)
    layouts = [_with_images(document, number, layout) for number, layout in enumerate(file.layouts)]
    return [Template(path.stem, layout, _version(path.stem, layout)) for layout in layouts]


class _TemplateFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    layouts: tuple[Layout, ...]


def _version(name: str, layout: Layout) -> str:
    return hashlib.sha256(name.encode() + b"\0" + msgspec.json.encode(layout)).hexdigest()[:16]


def _check_layout(document: Document[_TemplateFile], number: int, layout: Layout) -> None:
    earlier = document.value.layouts[:number]
    if any((other.width, other.height) == (layout.width, layout.height) for other in earlier):
        raise document.error(("layouts", number), f"there already is a layout for {layout.width}×{layout.height}")
    for index, element in enumerate(layout.elements):
        where = ("layouts", number, "elements", index)
        x, y, width, height = element.box
        if x + width > layout.width or y + height > layout.height or 0 in (width, height):
            raise document.error((*where, "box"), f"the box [x, y, width, height] must lie within the picture of "
                                                  f"{layout.width}×{layout.height} and not be empty")
        if isinstance(element, Ean) and width < EAN13_MODULES:
            raise document.error((*where, "box"), f"an EAN-13 needs a width of at least {EAN13_MODULES} pixels")
        smallest, size = getattr(element, "size_min", None), getattr(element, "size", 0)
        if smallest is not None and smallest > size:
            raise document.error((*where, "size_min"), f"size_min must be at most the size of {size}")
        if isinstance(element, Text):
            for text in [element.text] if isinstance(element.text, str) else element.text.values():
                _check_fields(document, (*where, "text"), text)
            pitch = face(element.weight, element.size_min or element.size).line_pitch
            if pitch > height:
                raise document.error((*where, "box"), f"letters of {element.size_min or element.size} pixels need a "
                                                      f"height of {pitch}")
    _check_overlaps(document, number, layout)


def _check_overlaps(document: Document[_TemplateFile], number: int, layout: Layout) -> None:
    """Areas and frames may lie under others; of the rest only what is never drawn together may share pixels."""
    inked = [(index, element) for index, element in enumerate(layout.elements) if not isinstance(element, Box)]
    for (first, one), (second, other) in combinations(inked, 2):
        never_both = (one.when is not None and one.when == other.unless) or (
            one.unless is not None and one.unless == other.when)
        if not never_both and _overlap(one.box, other.box):
            raise document.error(("layouts", number, "elements", second, "box"),
                                 f"the box overlaps that of element {first + 1}, and both may be drawn")


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return (one[0] < other[0] + other[2] and other[0] < one[0] + one[2]
            and one[1] < other[1] + other[3] and other[1] < one[1] + one[3])


def _with_images(document: Document[_TemplateFile], number: int, layout: Layout) -> Layout:
    """The layout with the content of its PNG files. Raises `TemplateError` for one that is none."""
    elements: list[AnyElement] = []
    for index, element in enumerate(layout.elements):
        if not isinstance(element, Image):
            elements.append(element)
            continue
        where = ("layouts", number, "elements", index, "file")
        path = document.path.parent / element.file
        try:
            png = path.read_bytes()
            with PIL.Image.open(io.BytesIO(png), formats=["PNG"]) as image:
                image.load()
        except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
            raise document.error(where, f"{path} is no PNG image that can be read: {error}") from error
        if len(png) > IMAGE_BYTES_MAX:
            raise document.error(where, f"{path} is larger than {IMAGE_BYTES_MAX} bytes")
        elements.append(msgspec.structs.replace(element, png=png))
    return msgspec.structs.replace(layout, elements=tuple(elements))


def _check_fields(document: Document[_TemplateFile], where: tuple[str | int, ...], text: str) -> None:
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise document.error(where, f"{error}; write {{{{ and }}}} for braces that stand for themselves") from error
    for _, field, specification, conversion in parsed:
        if field is not None and (field not in get_args(Field) or specification or conversion):
            allowed = ", ".join(f"{{{name}}}" for name in get_args(Field))
            raise document.error(where, f"{{{field}}} is not a field of a text; allowed: {allowed}")


__all__ = ["Layout", "NoTemplate", "Template", "TemplateError", "Templates", "load_template", "load_templates"]
