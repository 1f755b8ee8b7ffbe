"""The API's description says what the code does (DESIGN.md section 8)."""

import json
import re
from typing import Any

import pytest

from edge.api_description import OPERATIONS
from edge.pos.access import RULES
from edge.pos.openapi import Operation, openapi_document


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_document(RULES, OPERATIONS, "1.2.3")


def test_every_route_is_described_and_nothing_else(document: dict[str, Any]) -> None:
    assert {rule.handler for rule in RULES} == set(OPERATIONS)
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(rule.method, re.sub(r":\w+}", "}", rule.path)) for rule in RULES}


def test_a_route_without_a_description_is_an_error() -> None:
    with pytest.raises(KeyError):
        openapi_document(RULES, {}, "1.2.3")


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert names == set(document["components"]["schemas"])


def test_p11_only_health_answers_without_a_token(document: dict[str, Any]) -> None:
    anonymous = {path for path, methods in document["paths"].items() for each in methods.values()
                 if not each["security"]}
    assert anonymous == {"/healthz", "/readyz"}
    for methods in document["paths"].values():
        for each in methods.values():
            assert ("401" in each["responses"]) == bool(each["security"])


def test_parameters_stand_where_the_path_has_them(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for each in methods.values():
            named = {one["name"] for one in each.get("parameters", []) if one["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))


def test_what_is_sent_and_answered_is_told_by_its_type(document: dict[str, Any]) -> None:
    sale = document["paths"]["/v1/transactions/{till}/{business_day}/{sequence}"]["put"]
    assert sale["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/TransactionIn")
    assert sale["responses"]["409"]["content"]["application/problem+json"]
    line = document["components"]["schemas"]["LineIn"]
    assert set(line["required"]) == {"line", "quantity_milli", "amount_minor"}
    assert isinstance(OPERATIONS["lookup"], Operation)


def test_a_pair_is_told_as_a_list_of_two(document: dict[str, Any]) -> None:
    ranges = document["components"]["schemas"]["HighWater"]["properties"]["ranges"]["items"]
    assert ranges == {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "integer"}}
