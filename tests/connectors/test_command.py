"""`trastienda connect`: mistakes are exit code 2 and say what to do, systems that are away 1; no secret is shown."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

from edge.cli import main

EXAMPLE = Path(__file__).resolve().parents[2] / "config/connectors/vendure.yaml"
SECRETS = {"TRASTIENDA_CONNECTOR_TOKEN": "token-of-the-hub", "TRASTIENDA_VENDURE_USERNAME": "somebody",
           "TRASTIENDA_VENDURE_PASSWORD": "password-of-the-shop"}


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """The command sends the whole process's logs to where it runs."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def connects(config: Path, *options: str, **environment: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["connect", "vendure", "--config", str(config), "--once", "--json", *options],
                              env=environment)
    return done.exit_code, json.loads(done.stderr.splitlines()[-1])["error"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The example, with a hub that nobody runs."""
    path = tmp_path / "vendure.yaml"
    path.write_text(EXAMPLE.read_text().replace("https://hub.example.com", "http://127.0.0.1:9"))
    return path


def test_a_configuration_that_is_not_there_is_wrong_use(tmp_path: Path):
    code, said = connects(tmp_path / "none.yaml")
    assert (code, "none.yaml" in said) == (2, True)


def test_a_missing_credential_is_named(config: Path):
    code, said = connects(config, **{**SECRETS, "TRASTIENDA_VENDURE_PASSWORD": ""})
    assert (code, "TRASTIENDA_VENDURE_PASSWORD" in said) == (2, True)


def test_a_lease_shorter_than_three_calls_is_refused(config: Path):
    config.write_text(config.read_text().replace("lease_s: 60", "lease_s: 30"))
    code, said = connects(config, **SECRETS)
    assert (code, "lease_s" in said) == (2, True)


def test_p11_a_hub_that_is_away_is_a_failure_told_without_secrets(config: Path):
    code, said = connects(config, **SECRETS)
    assert (code, "http://127.0.0.1:9" in said) == (1, True)
    assert not any(secret in said for secret in SECRETS.values())
