"""Templates: how a label's picture is laid out, per geometry, read from YAML (DESIGN.md section 6).

One file is one named template with a layout for each geometry it serves; its name is the file's name without `.yaml`. A
template's version is a hash of its meaning: comments, spacing and defaults written out do not change it.
"""

import hashlib
import string
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

import msgspec

from drivers.port import LabelDescription
from edge.labels.elements import AnyElement, Ean, Field, Text
from edge.labels.template_file import Document, TemplateError, read_document

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
    """No template of this name has a layout for the label's geometry."""


class Templates:
    """All templates a store knows, by name and geometry."""

    def __init__(self, templates: Iterable[Template]) -> None:
        self._templates = {(each.name, each.layout.width, each.layout.height): each for each in templates}

    def select(self, name: str, description: LabelDescription) -> Template:
        """The template of this name for the label's geometry. Raises `NoTemplate`, which says what there is."""
        template = self._templates.get((name, description.width, description.height))
        if template is None:
            sizes = [f"{width}×{height}" for known, width, height in sorted(self._templates) if known == name]
            there_is = f"it has {', '.join(sizes)}" if sizes else f"known are {', '.join(self.names) or 'none'}"
            raise NoTemplate(f"template {name!r} has no layout for {description.width}×{description.height} "
                             f"(label type {description.type_name}): {there_is}")
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
    return [Template(path.stem, layout, _version(path.stem, layout)) for layout in file.layouts]


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
            _check_fields(document, (*where, "text"), element.text)


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
