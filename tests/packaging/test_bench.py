"""`make bench`: one JSON object per figure, and a failing benchmark is not a missing line."""

import importlib
import json

import pytest

bench = importlib.import_module("tests.bench.__main__")


def fake(name: str) -> list[dict[str, object]]:
    if name == "broken":
        raise RuntimeError("no figure")
    return [{"name": f"{name} {number}", "value": number} for number in (1, 2)]


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "names", lambda: ["broken", "ledger", "lookup"])
    monkeypatch.setattr(bench, "measure", fake)


def test_each_figure_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["ledger", "lookup"]) == 0

    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [figure["name"] for figure in figures] == ["ledger 1", "ledger 2", "lookup 1", "lookup 2"]


def test_one_that_raises_is_named_and_the_others_still_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main([]) == 1

    said = capsys.readouterr()
    assert "benchmark broken failed" in said.err
    assert len(said.out.splitlines()) == 4


def test_an_unknown_name_runs_nothing_and_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["ledger", "abacus"]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert "abacus" in said.err
    assert "lookup" in said.err
