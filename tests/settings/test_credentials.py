"""Secrets by name: where they are looked for, and what is said when one is missing (P11)."""

from pathlib import Path

import pytest

from edge.credentials import Credential, Credentials, variable_name
from edge.errors import ConfigurationError

TOKEN = Credential("till-1")


def delivered(directory: Path, name: str, content: bytes) -> Credentials:
    (directory / name).write_bytes(content)
    return Credentials({"CREDENTIALS_DIRECTORY": str(directory), "TRASTIENDA_TILL_1": "from the environment"})


@pytest.mark.parametrize("name", ["till-1", "sealed_till-1", "plain_till-1"])
def test_systemd_delivers_a_file_alone_or_with_its_directory(tmp_path: Path, name: str) -> None:
    assert delivered(tmp_path, name, b"swordfish\n").text(TOKEN) == "swordfish"


def test_the_environment_serves_where_systemd_does_not(tmp_path: Path) -> None:
    given = Credentials({"CREDENTIALS_DIRECTORY": str(tmp_path), "TRASTIENDA_TILL_1": "swordfish"})

    assert given.text(TOKEN) == "swordfish"


def test_raw_bytes_are_not_touched(tmp_path: Path) -> None:
    assert delivered(tmp_path, "till-1", b"\x00 key \n").raw(TOKEN) == b"\x00 key \n"


def test_a_missing_one_names_both_places() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Credentials({}).text(TOKEN)

    assert "$CREDENTIALS_DIRECTORY/till-1" in str(caught.value)
    assert "TRASTIENDA_TILL_1" in str(caught.value)


def test_all_missing_ones_are_named_at_once_with_their_keys() -> None:
    given = Credentials({"TRASTIENDA_B": "there"})
    wanted = [("hub.token", Credential("a")), ("store_key", Credential("b")), ("tills[0].token", Credential("c"))]

    with pytest.raises(ConfigurationError) as caught:
        given.require(wanted)

    assert [problem.path for problem in caught.value.problems] == ["hub.token", "tills[0].token"]


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe" * 4, b"x" * (64 * 1024 + 1)])
def test_an_empty_garbled_or_huge_one_is_refused_without_repeating_it(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Credentials({"CREDENTIALS_DIRECTORY": str(delivered_directory(tmp_path, content))}).text(TOKEN)

    assert "till-1" in str(caught.value)
    assert "xxx" not in str(caught.value)


def delivered_directory(directory: Path, content: bytes) -> Path:
    (directory / "till-1").write_bytes(content)
    return directory


@pytest.mark.parametrize("by_file", [True, False])
def test_a_library_that_reads_files_gets_one_that_is_not_on_a_disk(tmp_path: Path, by_file: bool) -> None:
    given = delivered(tmp_path, "till-1", b"key") if by_file else Credentials({"TRASTIENDA_TILL_1": "key"})

    with given.file(TOKEN) as path:
        assert path.read_bytes() == b"key"
        assert by_file or path.is_relative_to("/proc/self/fd")


def test_two_names_that_differ_only_in_dash_and_case_share_a_variable() -> None:
    assert variable_name(Credential("Till-1.token")) == "TRASTIENDA_TILL_1_TOKEN"
