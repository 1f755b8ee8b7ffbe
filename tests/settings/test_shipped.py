"""Templates and dialects that come with the program, and the operator's own that win over them."""

from pathlib import Path

import pytest

from edge.shipped import shipped, shipped_files


def test_a_checkout_finds_what_it_ships(tmp_path: Path) -> None:
    assert shipped("config/stores/example.yaml", tmp_path).is_file()
    assert shipped("systemd", tmp_path).is_dir()


def test_the_operators_file_wins_by_name(tmp_path: Path) -> None:
    own = tmp_path / "stores" / "example.yaml"
    own.parent.mkdir()
    own.write_text("store: {}\n")

    assert shipped("config/stores/example.yaml", tmp_path) == own


def test_the_operators_files_add_to_the_shipped_ones(tmp_path: Path) -> None:
    shipped_alone = shipped_files("config/stores", "*.yaml", tmp_path)
    own = tmp_path / "stores" / "0042.yaml"
    own.parent.mkdir()
    own.write_text("store: {}\n")

    both = shipped_files("config/stores", "*.yaml", tmp_path)

    assert both == {**shipped_alone, "0042.yaml": own}
    assert list(both) == sorted(both)


def test_a_unit_is_never_replaced_by_a_file_in_the_operators_directory(tmp_path: Path) -> None:
    (tmp_path / "trastienda.service").write_text("[Service]\n")
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd" / "trastienda.service").write_text("[Service]\n")

    assert not shipped("systemd/trastienda.service", tmp_path).is_relative_to(tmp_path)


def test_what_is_nowhere_is_said_with_both_places(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none") as caught:
        shipped("config/templates/none.yaml", tmp_path)

    assert str(tmp_path) in str(caught.value)
