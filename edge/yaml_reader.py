"""YAML into msgspec structs with every mistake found in one run, each with its place (staff-and-operations.md D.6).

The struct is the schema: its types, bounds and descriptions say what is allowed. A struct may add `rules` of its own,
a list `Meta(extra={"unique": ("id",)})`. msgspec's own decoder stops at the first error and knows no lines, so the walk
is done here.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TypeVar, cast

import msgspec
from msgspec import inspect
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from edge.credentials import CREDENTIAL_NAME, Credential
from edge.errors import ConfigurationError, Problem

CREDENTIAL_TAG = "!credential"
NO_SECRETS = f"secrets never stand in the YAML; write `{CREDENTIAL_TAG} NAME`, the secret itself stays with systemd"

Place = tuple[str | int, ...]
"""The way to a key from where one stands: `("tills", 1, "id")`."""

StructType = TypeVar("StructType", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule broken by values that are well-formed one by one. `place` is relative to the struct that says so."""

    place: Place
    what: str
    allowed: str = ""


Rule = Callable[..., Iterator[Fault]]
"""A rule beyond types and bounds. It takes the keys it is about by their names, and runs once those are well-formed.

A struct lists its own in the class variable `rules`, so that a mistake in one key hides nothing said of another.
"""


def read_yaml(path: Path, kind: type[StructType], *, bytes_max: int,
              elsewhere: Callable[[str], str] = lambda _key: "") -> StructType:
    """The file as a `kind`. `elsewhere(key)` may say where an unknown key belongs. Raises `ConfigurationError`."""
    walk = _Walk(str(path), elsewhere)
    node = walk.compose(_bounded_text(path, bytes_max))
    value = walk.value(node, inspect.type_info(kind), ()) if node is not None else _BAD
    if walk.problems:
        raise ConfigurationError(sorted(walk.problems, key=lambda problem: (problem.line, problem.column)))
    return cast(StructType, value)


def path_text(place: Place) -> str:
    """`("tills", 1, "id")` → `tills[1].id`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).lstrip(".")


def nearest(word: str, words: Iterable[str]) -> str:
    """`did you mean ...?` for the closest of `words`, or nothing."""
    close = difflib.get_close_matches(word, list(words), n=1)
    return f"did you mean {close[0]}?" if close else ""


def _bounded_text(path: Path, bytes_max: int) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(bytes_max + 1)
        if len(content) > bytes_max:
            raise ConfigurationError([Problem(str(path), 0, 0, "", f"larger than {bytes_max} bytes")])
        return content.decode()
    except OSError as error:
        raise ConfigurationError([Problem(str(path), 0, 0, "", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError([Problem(str(path), 0, 0, "", f"is not UTF-8 text: byte {error.start}")]) from error


class _Bad:
    """Stands where a value could not be made; the problem is already noted."""


_BAD = _Bad()


class _Walk:
    """One reading of one file: walks node and type together and collects the problems."""

    def __init__(self, file: str, elsewhere: Callable[[str], str]) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._elsewhere = elsewhere
        self._yaml = YAML(typ="safe", pure=True)

    def compose(self, text: str) -> Node | None:
        """The tree of nodes with their places; None after noting why there is none."""
        try:
            node = cast(Node | None, self._yaml.compose(text))
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._note_at((mark.line + 1, mark.column + 1) if mark else _NOWHERE, (),
                          f"not YAML: {error.problem or error.context}")
            return None
        except YAMLError as error:
            self._note_at(_NOWHERE, (), f"not YAML: {str(error).splitlines()[0]}")
            return None
        except RecursionError:
            self._note_at(_NOWHERE, (), "nested too deeply")
            return None
        if node is None:
            self._note_at((1, 1), (), "the file is empty")
        return node

    def value(self, node: Node, wanted: inspect.Type, place: Place) -> object:
        """The node as what is wanted, or `_BAD`."""
        description = ""
        if isinstance(wanted, inspect.Metadata):
            for key in (wanted.extra or {}).get("unique", ()):
                self._unique(node, str(key), place)
            description = _description(wanted)
            wanted = wanted.type
        if isinstance(wanted, inspect.UnionType):
            return self._union(node, wanted, place, description)
        if isinstance(wanted, inspect.DataclassType) and wanted.cls is Credential:
            return self._credential(node, place)
        if node.tag == CREDENTIAL_TAG:
            return self._note(node, place, "takes no credential", _allowed(wanted, description))
        if isinstance(wanted, inspect.StructType):
            return self._struct(node, wanted, place)
        if isinstance(wanted, inspect.VarTupleType):
            return self._list(node, wanted.item_type, place)
        return self._scalar(node, wanted, place, description)

    def _union(self, node: Node, wanted: inspect.UnionType, place: Place, description: str) -> object:
        """`X | None`, or structs told apart by their tag."""
        others = [one for one in wanted.types if not isinstance(one, inspect.NoneType)]
        if len(others) < len(wanted.types) and isinstance(node, ScalarNode) and node.tag == _NULL:
            return None
        if len(others) == 1:
            bare = others[0]
            return self.value(node, inspect.Metadata(bare, {"description": description}) if description else bare,
                              place)
        by_tag = {str(one.tag): one for one in others if isinstance(one, inspect.StructType)}
        if not isinstance(node, MappingNode):
            return self._note(node, place, f"must be keys and values, not {_kind(node)}")
        tag_field = next(one.tag_field for one in by_tag.values())
        tag = next((item for key, item in node.value if key.value == tag_field), None)
        if tag is None:
            return self._note(node, (*place, str(tag_field)), "is missing", _one_of(by_tag))
        if tag.value not in by_tag:
            for meant in difflib.get_close_matches(str(tag.value), by_tag, n=1):
                self._struct(node, by_tag[meant], place)  # what else is wrong with it is said in the same run
            return self._note(tag, (*place, str(tag_field)), f"{tag.value!r} is not known", _one_of(by_tag),
                              nearest(str(tag.value), by_tag))
        return self._struct(node, by_tag[tag.value], place)

    def _struct(self, node: Node, wanted: inspect.StructType, place: Place) -> object:
        if not isinstance(node, MappingNode):
            return self._note(node, place, f"must be keys and values, not {_kind(node)}",
                              f"keys: {', '.join(field.encode_name for field in wanted.fields)}")
        given = self._keys(node, wanted, place)
        values: dict[str, object] = {}
        for field in wanted.fields:
            key_place = (*place, field.encode_name)
            if field.encode_name in given:
                values[field.name] = self.value(given[field.encode_name], field.type, key_place)
            elif field.required:
                values[field.name] = self._note(node, key_place, "is missing", _allowed(field.type))
            else:
                values[field.name] = field.default
        self._judge(node, wanted.cls, values, place)
        return _BAD if _BAD in values.values() else wanted.cls(**values)

    def _judge(self, node: Node, kind: type[msgspec.Struct], values: dict[str, object], place: Place) -> None:
        """Ask the struct's own rules, each as soon as all it is about is well-formed."""
        rules: tuple[Rule, ...] = getattr(kind, "rules", ())
        for rule in rules:
            about = {name: values[name] for name in signature(rule).parameters}
            if _BAD not in about.values():
                for fault in rule(**about):
                    self._note(_node_at(node, fault.place), (*place, *fault.place), fault.what, fault.allowed)

    def _unique(self, node: Node, key: str, place: Place) -> None:
        """Note every item of a list whose `key` another one before it has."""
        first: dict[str, int] = {}
        for index, item in enumerate(node.value if isinstance(node, SequenceNode) else ()):
            found = _node_at(item, (key,))
            if isinstance(found, ScalarNode) and first.setdefault(found.value, index) != index:
                other = path_text((*place, first[found.value], key))
                self._note(found, (*place, index, key), f"is the same as {other}")

    def _keys(self, node: MappingNode, wanted: inspect.StructType, place: Place) -> dict[str, Node]:
        """The known keys that are given, each with its value's node; notes the unknown and the repeated ones."""
        known = [field.encode_name for field in wanted.fields]
        given: dict[str, Node] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else _kind(key_node)
            if key in lines:
                self._note(key_node, (*place, key), f"stands twice, first in line {lines[key]}")
                continue
            lines[key] = key_node.start_mark.line + 1
            if key in known:
                given[key] = value_node
            elif key == wanted.tag_field:
                self._tag(value_node, wanted, (*place, key))
            elif belongs := self._elsewhere(key):
                self._note(key_node, (*place, key), belongs)
            else:
                self._note(key_node, (*place, key), "is not a known key", f"known: {', '.join(known)}",
                           nearest(key, known))
        if wanted.tag_field is not None and wanted.tag_field not in lines:
            self._note(node, (*place, wanted.tag_field), "is missing", _one_of([str(wanted.tag)]))
        return given

    def _tag(self, node: Node, wanted: inspect.StructType, place: Place) -> None:
        if node.value != wanted.tag:
            self._note(node, place, f"{_shown(node)} is not known", _one_of([str(wanted.tag)]))

    def _list(self, node: Node, item: inspect.Type, place: Place) -> object:
        if not isinstance(node, SequenceNode):
            return self._note(node, place, f"must be a list, not {_kind(node)}")
        values = tuple(self.value(one, item, (*place, index)) for index, one in enumerate(node.value))
        return _BAD if _BAD in values else values

    def _credential(self, node: Node, place: Place) -> object:
        if node.tag != CREDENTIAL_TAG or not isinstance(node, ScalarNode):
            return self._note(node, place, "is a secret", NO_SECRETS)
        if not re.match(CREDENTIAL_NAME, node.value):
            return self._note(node, place, "is no credential name", "letters, digits, dot, dash and underscore")
        return Credential(node.value)

    def _scalar(self, node: Node, wanted: inspect.Type, place: Place, description: str) -> object:
        allowed = _allowed(wanted, description)
        if not isinstance(node, ScalarNode):
            return self._note(node, place, f"must not be {_kind(node)}", allowed)
        if not str(node.tag).startswith(_CORE):
            return self._note(node, place, f"has the unknown tag {node.tag}", allowed)
        value = self._yaml.constructor.construct_object(node)
        if isinstance(wanted, inspect.StrType) and not isinstance(value, str):
            return self._note(node, place, f"must be text, {node.value} is {_kind(node)}",
                              f'write it in quotes: "{node.value}"' if node.value else allowed)
        if not _fits(value, wanted):
            return self._note(node, place, f"{_shown(node)} is not allowed", allowed, _near_value(value, wanted))
        return float(value) if isinstance(wanted, inspect.FloatType) else value

    def _note(self, node: Node, place: Place, what: str, allowed: str = "", near: str = "") -> object:
        self._note_at((node.start_mark.line + 1, node.start_mark.column + 1), place, what, allowed, near)
        return _BAD

    def _note_at(self, at: tuple[int, int], place: Place, what: str, allowed: str = "", near: str = "") -> None:
        self.problems.append(Problem(self._file, *at, path_text(place), what, allowed, near))


_NOWHERE = (0, 0)
_CORE = "tag:yaml.org,2002:"
_NULL = f"{_CORE}null"
_KINDS = {"int": "a number", "float": "a number", "bool": "true or false", "null": "nothing", "timestamp": "a date",
          "str": "text", "map": "keys and values", "seq": "a list"}


def _kind(node: Node) -> str:
    """What a node is, in words."""
    return _KINDS.get(str(node.tag).removeprefix(_CORE), str(node.tag))


def _description(wanted: inspect.Metadata) -> str:
    return str((wanted.extra_json_schema or {}).get("description", ""))


def _shown(node: Node) -> str:
    return repr(node.value) if isinstance(node, ScalarNode) else _kind(node)


def _one_of(words: Iterable[object]) -> str:
    return f"allowed: {', '.join(str(word) for word in words)}"


def _near_value(value: object, wanted: inspect.Type) -> str:
    if isinstance(wanted, inspect.LiteralType):
        return nearest(str(value), map(str, wanted.values))
    return ""


def _fits(value: object, wanted: inspect.Type) -> bool:
    """Whether a scalar is of the wanted type and within its bounds."""
    match wanted:
        case inspect.StrType():
            return isinstance(value, str) and (wanted.pattern is None or re.search(wanted.pattern, value) is not None) \
                and len(value) >= (wanted.min_length or 0) \
                and (wanted.max_length is None or len(value) <= wanted.max_length)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool) and _within(value, wanted)
        case inspect.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool) and _within(value, wanted)
        case inspect.LiteralType():
            return value in wanted.values
    raise TypeError(f"a configuration cannot hold {wanted}")


def _within(value: float, wanted: inspect.IntType | inspect.FloatType) -> bool:
    return (wanted.ge is None or value >= wanted.ge) and (wanted.le is None or value <= wanted.le)


def _allowed(wanted: inspect.Type, description: str = "") -> str:
    """What may stand here, in words: the type's own description where it has one."""
    if isinstance(wanted, inspect.Metadata):
        return _allowed(wanted.type, _description(wanted))
    if description:
        return f"allowed: {description}"
    match wanted:
        case inspect.DataclassType():
            return f"allowed: `{CREDENTIAL_TAG} NAME`"
        case inspect.StrType():
            return "allowed: text"
        case inspect.BoolType():
            return _one_of(("true", "false"))
        case inspect.IntType() | inspect.FloatType():
            return f"allowed: a {'whole ' * isinstance(wanted, inspect.IntType)}number{_range_text(wanted)}"
        case inspect.LiteralType():
            return _one_of(wanted.values)
        case inspect.StructType():
            return f"keys: {', '.join(field.encode_name for field in wanted.fields)}"
        case inspect.UnionType():
            return _allowed(next(one for one in wanted.types if not isinstance(one, inspect.NoneType)))
    return ""


def _range_text(wanted: inspect.IntType | inspect.FloatType) -> str:
    if wanted.ge is not None and wanted.le is not None:
        return f" from {wanted.ge} to {wanted.le}"
    return f" from {wanted.ge}" if wanted.ge is not None else f" up to {wanted.le}" if wanted.le is not None else ""


def _node_at(node: Node, place: Sequence[str | int]) -> Node:
    """The node a fault points at, or the closest one around it that is in the file."""
    for step in place:
        if isinstance(node, MappingNode):
            found = next((item for key, item in node.value if key.value == step), None)
        elif isinstance(node, SequenceNode) and isinstance(step, int):
            found = node.value[step]
        else:
            found = None
        if found is None:
            return node
        node = found
    return node
