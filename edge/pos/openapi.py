"""The API's description as an OpenAPI 3.1 document. Pure.

It is made from the table of routes and the types that handlers decode and encode, so that it cannot say something else
than the code does.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from edge.pos.access import Rule
from edge.pos.problems import MEDIA_TYPE, Problem

JSON = "application/json"
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_SCHEMAS = "#/components/schemas/{name}"

PROBLEMS = {
    400: "The request is not what this route takes",
    401: "Nobody known is calling",
    403: "Not with this role, or not for this till",
    404: "There is no such thing in this store",
    409: "Not as things stand; see `type` and `recorded`",
    413: "The body is too large",
    422: "Understood, and not possible",
    503: "Not now: keep it and send it again after `Retry-After` seconds",
}


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter."""

    name: str
    says: str
    required: bool = False
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """What one route does. `answers`: by status, a type, a media type for what is no JSON, or `None` for nothing.

    `problems`: statuses beyond those that every route may answer (401, 403, 503) and, with a body, 400, 413 and 422.
    """

    says: str
    answers: Mapping[int, Any]
    body: Any = None
    body_optional: bool = False
    queries: tuple[Query, ...] = ()
    problems: tuple[int, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict)


def openapi_document(rules: Iterable[Rule], operations: Mapping[str, Operation], version: str) -> dict[str, Any]:
    """The document. Raises `KeyError` for a rule that nothing describes."""
    rules = tuple(rules)
    types = [Problem]
    for rule in rules:
        operation = operations[rule.handler]
        types += [each for each in (operation.body, *operation.answers.values()) if not _is_bytes(each)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_SCHEMAS)
    components = {name: _readable(schema) for name, schema in components.items()}
    by_type = {str(each): _readable(schema) for each, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for rule in rules:
        path = _PARAMETER.sub(r"{\1}", rule.path)
        paths.setdefault(path, {})[rule.method.lower()] = _described(rule, operations[rule.handler], by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Trastienda, the store's API", "version": version,
                 "description": "Money in minor units, quantities in thousandths, times in milliseconds since 1970, "
                                "UTC."},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _readable(schema: Any) -> Any:
    """A tuple whose places are all alike as a list of that length: not every tool reads `prefixItems`."""
    if isinstance(schema, list):
        return [_readable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: _readable(each) for key, each in schema.items()}
    places = inner.get("prefixItems")
    if isinstance(places, list) and all(each == places[0] for each in places):
        inner["items"] = inner.pop("prefixItems")[0]
    return inner


def _described(rule: Rule, operation: Operation, schemas: Mapping[str, Any]) -> dict[str, Any]:
    roles = "everybody" if rule.roles is None else ", ".join(sorted(role.value for role in rule.roles))
    described: dict[str, Any] = {
        "operationId": rule.handler,
        "summary": operation.says,
        "description": f"For: {roles}.",
        "security": [] if rule.roles is None else [{"token": []}],
        "responses": {str(status): _answer(answer, schemas) for status, answer in operation.answers.items()},
    }
    for status in _problems(rule, operation):
        described["responses"][str(status)] = {
            "description": PROBLEMS[status], "content": {MEDIA_TYPE: {"schema": schemas[str(Problem)]}}}
    parameters = [_path_parameter(name, operation) for name in _PARAMETER.findall(rule.path)]
    parameters += [_query_parameter(query) for query in operation.queries]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {"required": not operation.body_optional,
                                    "content": {JSON: {"schema": schemas[str(operation.body)]}}}
    return described


def _problems(rule: Rule, operation: Operation) -> list[int]:
    found = {503, *operation.problems}
    if rule.roles is not None:
        found |= {401, 403}
    if operation.body is not None:
        found |= {400, 413, 422}
    return sorted(found - set(operation.answers))


def _answer(answer: Any, schemas: Mapping[str, Any]) -> dict[str, Any]:
    if answer is None:
        return {"description": "Done; nothing to say"}
    if isinstance(answer, str):
        return {"description": "As it is", "content": {answer: {"schema": {"type": "string"}}}}
    return {"description": _first_line(answer), "content": {JSON: {"schema": schemas[str(answer)]}}}


def _path_parameter(name: str, operation: Operation) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "minLength": 1}
    if name in operation.paths:
        schema["pattern"] = operation.paths[name]
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameter(query: Query) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if query.pattern is not None:
        schema["pattern"] = query.pattern
    return {"name": query.name, "in": "query", "required": query.required, "description": query.says, "schema": schema}


def _first_line(answer: Any) -> str:
    text = (getattr(answer, "__doc__", None) or "") if isinstance(answer, type) else ""
    return text.strip().partition("\n")[0] or "As described"


def _is_bytes(answer: Any) -> bool:
    return answer is None or isinstance(answer, str)
