"""The YAML of a connector: the example is good, mistakes are named, secrets never stand in it."""

from pathlib import Path

import pytest

from cloud_sync.connectors.errors import Misconfigured
from cloud_sync.connectors.settings import Secret, Secrets, load
from cloud_sync.connectors.vendure.connector import make_connector
from cloud_sync.connectors.vendure.settings import Settings

EXAMPLE = Path(__file__).resolve().parents[2] / "config/connectors/vendure.yaml"
SECRETS = Secrets({"TRASTIENDA_CONNECTOR_TOKEN": "t", "TRASTIENDA_VENDURE_USERNAME": "u",
                   "TRASTIENDA_VENDURE_PASSWORD": "p"})


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = EXAMPLE.read_text()
    assert old in text
    path = tmp_path / "vendure.yaml"
    path.write_text(text.replace(old, new))
    return path


def test_the_example_is_good():
    connector, hub, rhythm = make_connector(EXAMPLE, SECRETS)
    assert (connector.settings.stores[0].store, hub.connector, rhythm.lease_s) == ("0042", "vendure", 60)


@pytest.mark.parametrize(("old", "new", "said"), [
    ("!credential vendure-password", "hunter2", "vendure.password"),
    ("!credential vendure-password", "!credential ../etc/passwd", "no name of a credential"),
    ("!credential vendure-password", "!!python/object/apply:os.system [id]", "vendure.yaml"),
    ("prefix: vendure-", "prefixx: vendure-", "prefixx"),
    ("lease_s: 60", "lease_s: 0", "lease_s"),
    ("[pickup-0042]", "[]", "shipping_methods"),
    ("every_s: 300", "every_s: soon", "every_s"),
    ("url: https://hub.example.com", "url: hub.example.com", "hub.url"),
    ("hub:", "hub: {", "vendure.yaml"),
])
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, said: str):
    with pytest.raises(Misconfigured, match=said):
        load(changed(tmp_path, old, new), Settings)


def test_a_file_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(Misconfigured, match="No such file"):
        load(tmp_path / "none.yaml", Settings)


def test_one_shipping_method_leads_to_one_store(tmp_path: Path):
    twice = changed(tmp_path, "stores:\n", 'stores:\n  - {store: "0043", shipping_methods: [pickup-0042], '
                    "stock_location: Otra}\n")
    with pytest.raises(Misconfigured, match="two stores"):
        make_connector(twice, SECRETS)


def test_p11_secrets_come_from_systemd_before_the_environment_and_are_missed_by_name(tmp_path: Path):
    (tmp_path / "vendure-password").write_text("from systemd\n")
    secrets = Secrets({"CREDENTIALS_DIRECTORY": str(tmp_path), "TRASTIENDA_VENDURE_PASSWORD": "from outside",
                       "TRASTIENDA_OTHER": "from outside"})
    assert secrets.value(Secret("vendure-password")) == "from systemd"
    assert secrets.value(Secret("other")) == "from outside"
    with pytest.raises(Misconfigured, match="TRASTIENDA_VENDURE_TOKEN"):
        secrets.value(Secret("vendure-token"))
