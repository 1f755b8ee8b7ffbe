"""`trastienda labels`: many bound from a file, and templates to look at."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from edge.db.books import derive_key
from edge.db.connection import connect, migrate
from edge.db.queries import LEDGER
from tests.daemon.real_box import MILK, MILK_GTIN, RealBox
from tests.daemon.test_commands import trastienda
from tests.service import Service

LABELS = [f"ffff92{number:06x}" for number in range(5)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealBox]:
    """A store that sells milk and has heard five labels."""
    directory = tmp_path_factory.mktemp("labels")
    service = Service(directory)
    box = RealBox(directory, service)
    box.stock_milk()
    ledger = connect(box.state / "ledger.db", derive_key(box.secrets["TRASTIENDA_DATABASE_KEY"], "ledger.db"),
                     synchronous="FULL")
    migrate(ledger, "ledger")
    for label in LABELS:
        ledger.execute(LEDGER.insert_label, (label, "", "gicisky:0033", 60_000, 0))
    ledger.close()
    box.start()
    yield box
    service.close()


def bound(store: RealBox) -> dict[str, str | None]:
    with_token = trastienda("labels", "bind", "--help")
    assert with_token.returncode == 0
    store_rows = store.ledger_rows("SELECT label, sku FROM label")
    return {str(label): None if sku is None else str(sku) for label, sku in store_rows}


def binds(store: RealBox, text: str, *more: str) -> object:
    path = store.directory / "labels.csv"
    path.write_text(text)
    return trastienda("labels", "bind", store.config, path, *more, **store.secrets)


def test_a_file_binds_many_labels_and_does_nothing_the_second_time(store: RealBox) -> None:
    text = f"label,code\n{LABELS[0]},{MILK_GTIN}\nFF:FF:92:00:00:01,{MILK}\n\n"
    done = binds(store, text, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"bound": 2, "refused": []}
    assert binds(store, text).stdout == "2 labels bound.\n"
    shelf = bound(store)
    assert shelf[LABELS[0]] == shelf[LABELS[1]] == MILK
    acts = store.ledger_rows("SELECT COUNT(*) FROM fact WHERE fact_key LIKE 'staff/%'")
    assert acts == [(2,)]


def test_what_hangs_where_is_exported_as_the_file_that_binds_it(store: RealBox) -> None:
    assert binds(store, f"label,code\n{LABELS[0]},{MILK}\n{LABELS[1]},{MILK_GTIN}\n") is not None
    printed = trastienda("labels", "export", store.config, **store.secrets)
    assert printed.returncode == 0
    assert {f"{label},{sku}" for label, sku in bound(store).items() if sku} == set(printed.stdout.splitlines()[1:])
    path = store.directory / "export.csv"
    done = trastienda("labels", "export", store.config, path, "--json", **store.secrets)
    assert json.loads(done.stdout)["labels"] == len(printed.stdout.splitlines()) - 1
    assert binds(store, path.read_text()).stdout.endswith("labels bound.\n")  # type: ignore[attr-defined]


def test_every_mistake_of_a_file_is_told_at_once_and_then_nothing_was_bound(store: RealBox) -> None:
    before = bound(store)
    done = binds(store, f"label;code\n{LABELS[2]};{MILK}\n{LABELS[2]};{MILK}\n{LABELS[3]};\n;{MILK}\n")
    assert done.returncode == 2
    for told in (f":3: label {LABELS[2]} stands in line 2 already", f":4: no code for label '{LABELS[3]}'",
                 f":5: no label for code '{MILK}'"):
        assert told in done.stderr
    done = binds(store, f"label,code\n{LABELS[2]},{MILK}\nabcdef,{MILK}\n")
    assert done.returncode == 2
    assert "labels.csv:3: no base station has heard a label abcdef" in done.stderr
    assert bound(store) == before


def test_a_product_nobody_knows_is_told_by_line_and_the_others_are_bound(store: RealBox) -> None:
    done = binds(store, f"label,code\n{LABELS[3]},4006381333948\n{LABELS[4]},{MILK}\n")
    assert done.returncode == 1
    assert "1 labels bound." in done.stdout
    assert "labels.csv:2: no product under '4006381333948' in the catalogue" in done.stdout
    shelf = bound(store)
    assert (shelf[LABELS[3]], shelf[LABELS[4]]) == (None, MILK)


@pytest.mark.parametrize(("content", "told"), [
    (b"", "first line must be"), (b"a,b\n1,2\n", "first line must be"), (b"label,code\n", "holds no label"),
    (b"label,code\n\xff\xfe,1\n", "is not UTF-8")])
def test_a_file_that_is_none_is_one_clear_error(store: RealBox, content: bytes, told: str) -> None:
    path = store.directory / "bad.csv"
    path.write_bytes(content)
    done = trastienda("labels", "bind", store.config, path, **store.secrets)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_store_that_does_not_run_is_said(tmp_path: Path) -> None:
    service = Service(tmp_path)
    try:
        box = RealBox(tmp_path, service)
        box.write()
        (tmp_path / "labels.csv").write_text(f"label,code\n{LABELS[0]},{MILK}\n")
        done = trastienda("labels", "bind", box.config, tmp_path / "labels.csv", **box.secrets)
    finally:
        service.close()
    assert done.returncode == 1
    assert "is this store's daemon running there?" in done.stderr


def test_previews_are_pictures_of_every_size_and_a_sheet_of_them(tmp_path: Path) -> None:
    done = trastienda("labels", "preview", "--template", "promotion", "--out", tmp_path / "p", "--json")
    assert done.returncode == 0, done.stderr
    files = [Path(name) for name in json.loads(done.stdout)["files"]]
    assert files[0].name == "promotion.png"
    sizes = {Image.open(io.BytesIO(path.read_bytes())).size for path in files[1:]}
    assert {(152, 152), (296, 128), (240, 416), (960, 640)} <= sizes
    assert Image.open(files[0]).width >= 1400


@pytest.mark.parametrize(("options", "told"), [
    (("--template", "promo"), "no template called promo; there are clearance, multi-buy"),
    (("--size", "large"), "'large' is no size: write the pixels as 296x128"),
    (("--size", "100x100"), "no label has 100x100; there are 152x152")])
def test_what_cannot_be_previewed_is_said_with_what_there_is(tmp_path: Path, options: tuple[str, ...],
                                                             told: str) -> None:
    done = trastienda("labels", "preview", *options, "--out", tmp_path / "p")
    assert done.returncode == 2
    assert told in done.stderr.replace("\n", " ")
