"""A store's configuration: what a person who edits it at night is told, and what the daemon gets from it."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edge.credentials import Credential
from edge.errors import ConfigurationError, Problem
from edge.settings import Settings, changes, credentials_of, json_schema, load
from edge.shipped import shipped

EXAMPLE = shipped("config/stores/example.yaml")

SMALLEST = """\
store: {id: "7", name: Corner, time_zone: Europe/Madrid, currency: EUR, language: en}
hub: {url: "https://hub.example.com", token: !credential hub-token}
listeners:
  tills: {host: 127.0.0.1, port: 8443}
  staff: {host: "::1", port: 8444}
database_key: !credential database-key
store_key: !credential store-key
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        path = tmp_path / "store.yaml"
        path.write_text(text)
        return path

    return to_file


def problems(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert caught.value.problems, "a problem with a place, not only a sentence"
    return caught.value.problems


def only_problem(path: Path) -> Problem:
    found = problems(path)
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


def test_the_example_is_read_whole() -> None:
    settings = load(EXAMPLE)

    assert settings.store.id == "0042"
    assert settings.hub.doorbell is not None
    assert settings.hub.doorbell.port == 8883
    assert settings.base_stations[0].channel == 11
    assert settings.tills[2].role == "lookup-only"
    assert settings.staff[0].pin == Credential("staff-ana")


def test_the_example_shows_every_key_there_is() -> None:
    text = EXAMPLE.read_text()
    schema = msgspec.json.decode(json_schema())
    optional_in_the_example = {"insecure_lan"}

    keys = {key for kind in schema["$defs"].values() for key in kind.get("properties", {})}

    assert [key for key in sorted(keys) if f"{key}:" not in text and key not in optional_in_the_example] == []


def test_what_is_not_said_has_a_default(write: Write) -> None:
    settings = load(write(SMALLEST))

    assert settings.state_directory == "/var/lib/trastienda"
    assert settings.tills == ()
    assert settings.hub.doorbell is None


@pytest.mark.parametrize(("doorbell", "place"), [
    ("host: broker.example.com, tls: false", "hub.doorbell.tls"),
    ("host: 127.0.0.1, tls: false, certificate_authority: /etc/ca.pem", "hub.doorbell.certificate_authority"),
    ("host: broker.example.com, certificate_authority: ca.pem", "hub.doorbell.certificate_authority"),
    ("host: broker.example.com, certificate_authority: /etc/ca.pem", None), ("host: 127.0.0.1, tls: false", None)])
def test_p11_a_brokers_password_never_travels_in_clear(write: Write, doorbell: str, place: str | None) -> None:
    hub = SMALLEST.replace("hub: {", f"hub: {{doorbell: {{{doorbell}, username: '0042', password: !credential bell}}, ")
    assert "doorbell" in hub
    path = write(hub)
    if place is None:
        assert load(path).hub.doorbell is not None
    else:
        assert [problem.path for problem in problems(path)] == [place]


@pytest.mark.parametrize(("makers", "place"), [
    ("[]", "base_stations[0].makers"), ("[gicisky, zhsunyc]", "base_stations[0].makers[1]"),
    ("gicisky", "base_stations[0].makers"), ("[zhsunyco]", None)])
def test_a_bluetooth_station_serves_makers_that_are_known(write: Write, makers: str, place: str | None) -> None:
    path = write(f"{SMALLEST}base_stations: [{{name: a, driver: bluetooth, adapter: hci0, makers: {makers}}}]\n")
    if place is None:
        assert load(path).base_stations[0].makers == ("zhsunyco",)
    else:
        assert [problem.path for problem in problems(path)] == [place]


def test_every_mistake_is_named_in_one_run_with_its_place(write: Write) -> None:
    path = write("""\
store: {id: 0042, name: "", time_zone: Europe/Madird, currency: eur, language: fr, nmae: x}
hub: {url: http://hub.example.com, tokn: x, token: swordfish}
listeners:
  tills: {host: 0.0.0.0, port: 99999}
database_key: !credential one
store_key: !credential one
base_stations:
  - {name: a, driver: openepaperlnk, port: /dev/ttyUSB0, channel: 12}
  - {name: a, port: COM1}
staff:
  - {id: ana, name: Ana, pin: !credential p}
  - {id: ana, name: Ana, pin: !credential p}
""")

    found = {(problem.line, problem.column, problem.path) for problem in problems(path)}

    assert found == {
        (1, 13, "store.id"), (1, 25, "store.name"), (1, 40, "store.time_zone"), (1, 65, "store.currency"),
        (1, 80, "store.language"), (1, 84, "store.nmae"),
        (2, 12, "hub.url"), (2, 36, "hub.tokn"), (2, 52, "hub.token"),
        (4, 3, "listeners.staff"), (4, 17, "listeners.tills.host"), (4, 32, "listeners.tills.port"),
        (6, 12, "store_key"),
        (8, 23, "base_stations[0].driver"), (8, 67, "base_stations[0].channel"),
        (9, 5, "base_stations[1].driver"), (9, 12, "base_stations[1].name"),
        (12, 10, "staff[1].id"), (12, 31, "staff[1].pin"),
    }


def test_a_problem_reads_as_place_path_what_allowed_and_nearest(write: Write) -> None:
    path = write(SMALLEST.replace("language: en", "languge: en, language: en"))

    assert str(only_problem(path)) == (
        f"{path}:1:73: store.languge: is not a known key; known: id, name, time_zone, currency, language, "
        "unit_system, link_domain, barcodes; did you mean language?")


@pytest.mark.parametrize("key", ["hours", "grace_s", "clear_out_s", "guard", "guard_share_percent", "templates",
                                 "price_integrity", "till_ack_wait_s", "hold_max_s", "hold_max"])
def test_a_key_of_the_policy_feed_is_sent_to_the_hub(write: Write, key: str) -> None:
    problem = only_problem(write(f"{SMALLEST}{key}: 1\n"))

    assert problem.what == "belongs to the policy feed: set it at the hub"
    assert (problem.line, problem.path) == (8, key)


def test_p11_a_secret_in_the_file_is_refused_and_never_repeated(write: Write) -> None:
    path = write(SMALLEST.replace("!credential hub-token", "swordfish")
                 + "tills: [{id: a, token: swordfish}, {id: b, token: swordfish}]\n")

    found = problems(path)

    assert [problem.path for problem in found if "secrets never stand in the YAML" in problem.allowed] == \
        ["hub.token", "tills[0].token", "tills[1].token"]
    assert not any("swordfish" in str(problem) for problem in found)


def test_p11_a_password_inside_the_address_is_refused_and_never_repeated(write: Write) -> None:
    problem = only_problem(write(SMALLEST.replace("https://hub", "https://ana:swordfish@hub")))

    assert problem.path == "hub.url"
    assert "swordfish" not in str(problem)


def test_a_credential_where_plain_text_belongs_is_refused(write: Write) -> None:
    assert only_problem(write(SMALLEST.replace("name: Corner", "name: !credential corner"))).what == \
        "takes no credential"


@pytest.mark.parametrize("tills", [
    "{host: 0.0.0.0, port: 8443}",
    "{host: 192.168.1.20, port: 8443}",
    "{host: store.example.com, port: 8443, insecure_lan: false}",
])
def test_p11_a_listener_on_the_lan_without_tls_is_refused(write: Write, tills: str) -> None:
    problem = only_problem(write(SMALLEST.replace("{host: 127.0.0.1, port: 8443}", tills)))

    assert problem.path == "listeners.tills.host"
    assert "insecure_lan: true" in problem.allowed


@pytest.mark.parametrize("tills", [
    "{host: 0.0.0.0, port: 8443, insecure_lan: true}",
    "{host: 0.0.0.0, port: 8443, certificate: /etc/x.pem, key: !credential k}",
    "{host: localhost, port: 8443}",
])
def test_a_listener_with_tls_or_a_plain_word_or_on_loopback_is_taken(write: Write, tills: str) -> None:
    assert load(write(SMALLEST.replace("{host: 127.0.0.1, port: 8443}", tills))).listeners.tills.port == 8443


def test_certificate_and_key_go_together(write: Write) -> None:
    alone = SMALLEST.replace("port: 8443}", "port: 8443, certificate: /etc/x.pem}")

    assert only_problem(write(alone)).path == "listeners.tills.certificate"


def test_staff_and_tills_share_an_address_only_with_one_certificate(write: Write) -> None:
    shared = SMALLEST.replace('{host: "::1", port: 8444}', "{host: 127.0.0.1, port: 8443}")
    apart = shared.replace("tills: {host: 127.0.0.1,", "tills: {host: 127.0.0.1, insecure_lan: true,")

    assert load(write(shared)).listeners.staff == load(write(shared)).listeners.tills
    assert only_problem(write(apart)).path == "listeners.staff"


@pytest.mark.parametrize(("text", "line", "what"), [
    ("", 1, "the file is empty"),
    ("store: [", 1, "not YAML"),
    ("a: 1\n\tb: 2\n", 2, "not YAML"),
    ("[" * 50_000, 0, "nested too deeply"),
    ("a: \x01", 0, "not YAML"),
    ("- 1\n", 1, "must be keys and values"),
    ("a: 1\n---\nb: 2\n", 2, "not YAML"),
])
def test_what_is_not_a_configuration_at_all_is_told_in_one_line(write: Write, text: str, line: int, what: str) -> None:
    problem = only_problem(write(text))

    assert problem.what.startswith(what)
    assert problem.line == line
    assert "\n" not in str(problem)


def test_a_key_that_stands_twice_is_refused(write: Write) -> None:
    problem = only_problem(write(f"{SMALLEST}store_key: !credential other\n"))

    assert problem.what == "stands twice, first in line 7"


def test_a_file_that_is_missing_or_too_large_is_refused(tmp_path: Path, write: Write) -> None:
    assert only_problem(tmp_path / "absent.yaml").what.startswith("cannot be read")
    assert "larger than" in only_problem(write("#" * 1024 * 1024 + "\n")).what


def test_the_same_configuration_again_changes_nothing(write: Write) -> None:
    once = load(EXAMPLE)
    again = load(write("# another comment\n" + EXAMPLE.read_text()))

    assert once == again
    assert changes(once, again) == []


def test_changes_name_what_differs_and_know_a_till_by_its_id_not_its_place() -> None:
    old = load(EXAMPLE)
    tills = (old.tills[1], msgspec.structs.replace(old.tills[0], role="lookup-only"))
    new = msgspec.structs.replace(
        old, tills=tills, hub=msgspec.structs.replace(old.hub, url="https://other.example.com", doorbell=None))

    assert changes(old, new) == ["hub.url", "hub.doorbell", "tills[1].role", "tills[self-scan]"]


def test_every_credential_is_named_with_its_path() -> None:
    named = dict(credentials_of(load(EXAMPLE)))

    assert named["hub.doorbell.password"] == Credential("doorbell-password")
    assert named["staff[1].pin"] == Credential("staff-luis")
    assert len(named) == EXAMPLE.read_text().count(": !credential ")


def test_the_published_schema_is_up_to_date() -> None:
    published = shipped("config/schema/store.schema.json")

    assert published.read_bytes() == json_schema(), "run `make schema`"


def test_the_schema_refuses_unknown_keys_and_takes_a_credential_for_text() -> None:
    schema = msgspec.json.decode(json_schema())

    assert schema["$defs"]["Settings"]["additionalProperties"] is False
    assert schema["$defs"]["Credential"]["type"] == "string"
    assert set(schema["$defs"]["Settings"]["required"]) == \
        {"store", "hub", "listeners", "database_key", "store_key"}


def test_settings_do_not_change_after_loading() -> None:
    settings = load(EXAMPLE)
    with pytest.raises(AttributeError):
        settings.tills = ()  # type: ignore[misc]  # the attempt is the test
    assert isinstance(settings, Settings)
