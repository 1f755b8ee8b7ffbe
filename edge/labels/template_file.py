"""A YAML file into typed structs, with errors that name file, line and what is allowed there."""

import re
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

FILE_BYTES_MAX = 262_144
"""A template is written by hand; a larger file is refused unread."""

Where = tuple[str | int, ...]
Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
T = TypeVar("T")

_PATH = re.compile(r" - at `(?P<path>\$[^`]*)`$")
_STEP = re.compile(r"\.(?P<field>\w+)|\[(?P<index>\d+)\]")


class TemplateError(ValueError):
    """A template file is wrong: `file:line: what is wrong; what is allowed`."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")
        self.path = path
        self.line = line


@dataclass(frozen=True)
class Document(Generic[T]):
    """A file read into `value`, which still knows the line of everything in it."""

    path: Path
    value: T
    root: Node

    def error(self, where: Where, message: str) -> TemplateError:
        """An error about the thing at this place, for the caller to raise."""
        return TemplateError(self.path, _line(self.root, where), message)


def read_document(path: Path, as_type: type[T]) -> Document[T]:
    """The file as this struct type. Raises `TemplateError`."""
    root = _compose(path)
    data = _plain(path, root)
    try:
        return Document(path, msgspec.convert(data, as_type), root)
    except msgspec.ValidationError as error:
        where, message = _where_and_what(str(error), as_type, data)
        raise TemplateError(path, _line(root, where), message) from error


def _compose(path: Path) -> Node:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(path, 1, f"cannot be read: {error}") from error
    if len(text) > FILE_BYTES_MAX:
        raise TemplateError(path, 1, f"is longer than {FILE_BYTES_MAX} characters")
    try:
        root: Node | None = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise TemplateError(path, line, f"is not YAML: {error.problem}") from error
    if root is None:
        raise TemplateError(path, 1, "is empty")
    return root


def _plain(path: Path, node: Node) -> Plain:
    """The node's plain value. A key written twice is an error: one of the two would be lost silently. So is an anchor:
    a few of them in one another make a file without end."""
    if node.anchor:
        raise TemplateError(path, node.start_mark.line + 1, "anchors and aliases are not allowed; write the value out")
    if isinstance(node, MappingNode):
        mapping: dict[str, Plain] = {}
        for key, value in node.value:
            if key.value in mapping:
                raise TemplateError(path, key.start_mark.line + 1, f"`{key.value}` is there twice")
            mapping[str(key.value)] = _plain(path, value)
        return mapping
    if isinstance(node, SequenceNode):
        return [_plain(path, item) for item in node.value]
    return _scalar(path, node)


def _scalar(path: Path, node: Node) -> Plain:
    kind = node.ctag.suffix.rsplit(":", 1)[-1] if node.ctag.suffix else "str"
    try:
        if kind == "int":
            return int(node.value.replace("_", ""), 0)
        if kind == "float":
            return float(node.value)
    except ValueError as error:
        raise TemplateError(path, node.start_mark.line + 1, f"{node.value!r} is not a number") from error
    if kind == "bool":
        return str(node.value).lower() == "true"
    return None if kind == "null" else str(node.value)


def _line(root: Node, where: Where) -> int:
    """The line of the deepest part of `where` that exists, from 1."""
    node, line = root, root.start_mark.line
    for step in where:
        if isinstance(node, MappingNode):
            found = [(key, value) for key, value in node.value if key.value == step]
            if not found:
                break
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line
        else:
            break
    return int(line) + 1


def _where_and_what(message: str, as_type: type, data: Plain) -> tuple[Where, str]:
    """msgspec's message taken apart: the place, and the words with what would be allowed there."""
    match = _PATH.search(message)
    where: Where = ()
    if match:
        steps = _STEP.finditer(match["path"])
        where = tuple(step["field"] if step["field"] else int(step["index"]) for step in steps)
        message = message[: match.start()]
    unknown = re.search(r"unknown field `(\w+)`", message)
    allowed = _allowed(as_type, data, where, whole=unknown is not None)
    if unknown:
        where = (*where, unknown[1])
    return where, f"{message}; allowed: {', '.join(allowed)}" if allowed else message


def _allowed(as_type: object, data: Plain, where: Where, whole: bool) -> Sequence[str]:
    """What may stand at `where`: the values of a choice, or with `whole` the fields of the struct itself."""
    for step in where:
        as_type = _variant(as_type, data)
        if isinstance(as_type, tuple):  # no variant chosen: the place is the choice of the variant
            return [str(_tag(option)) for option in as_type]
        if isinstance(step, int):
            as_type = get_args(as_type)[0]
            data = data[step] if isinstance(data, list) else None
        else:
            as_type = get_type_hints(as_type, include_extras=False).get(step)
            data = data.get(step) if isinstance(data, dict) else None
    as_type = _variant(as_type, data)
    if isinstance(as_type, tuple):
        return [f"kind: {_tag(option)}" for option in as_type]
    if whole and isinstance(as_type, type) and issubclass(as_type, msgspec.Struct):
        kind = ["kind"] if as_type.__struct_config__.tag else []
        return [*kind, *(field.encode_name for field in msgspec.structs.fields(as_type))]
    return [str(value) for value in _choices(as_type)]


def _variant(as_type: object, data: Plain) -> object:
    """Of a union of structs, the one that the data says it is, else all of them; any other type as it is."""
    if get_origin(as_type) not in (Union, types.UnionType):
        return as_type
    structs = tuple(option for option in get_args(as_type) if isinstance(option, type)
                    and issubclass(option, msgspec.Struct))
    if not structs:
        return as_type
    kind = data.get("kind") if isinstance(data, dict) else None
    return next((option for option in structs if _tag(option) == kind), structs)


def _tag(struct: type[msgspec.Struct]) -> str | int | None:
    return struct.__struct_config__.tag


def _choices(as_type: object) -> Sequence[object]:
    if get_origin(as_type) is Annotated:
        as_type = get_args(as_type)[0]
    if get_origin(as_type) in (Union, types.UnionType):
        return [value for option in get_args(as_type) for value in _choices(option)]
    return get_args(as_type) if get_origin(as_type) is Literal else ()
