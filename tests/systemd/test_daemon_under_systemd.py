"""The real programs as systemd sees them: ready, watched, reloaded, stopped, and exit code 2 for bad settings."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.credentials import variable_name
from edge.limits import WATCH_INTERVAL_S
from edge.settings import credentials_of, load
from tests.service import WATCHDOG_US, Service, free_port


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A store whose hub and base station are absent; neither keeps it from starting."""
    path = tmp_path / "store.yaml"
    path.write_text(f"""\
store: {{id: "7", name: Corner, time_zone: Europe/Madrid, currency: EUR, language: en}}
state_directory: {tmp_path / "state"}
hub: {{url: "http://127.0.0.1:9", token: !credential hub-token}}
listeners:
  tills: {{host: 127.0.0.1, port: {free_port()}}}
  staff: {{host: 127.0.0.1, port: {free_port()}}}
database_key: !credential database-key
store_key: !credential store-key
base_stations:
  - {{name: aisle, driver: openepaperlink, port: /dev/serial/by-id/absent}}
""")
    (tmp_path / "state").mkdir()
    return path


def secrets(config: Path) -> dict[str, str]:
    return {variable_name(credential): "5e" * 32 for _, credential in credentials_of(load(config))}


def test_the_store_is_ready_watched_reloaded_and_stopped(service: Service, config: Path) -> None:
    service.start("run", config, **secrets(config))

    service.hears("READY=1")
    service.hears("WATCHDOG=1")

    service.signal(signal.SIGHUP)
    service.hears("RELOADING=1")
    service.hears("READY=1")
    service.hears("WATCHDOG=1")

    service.signal(signal.SIGTERM)
    service.hears("STOPPING=1")
    assert service.ends() == 0


def test_the_store_speaks_three_times_in_what_the_unit_allows(service: Service, config: Path) -> None:
    service.start("run", config, **secrets(config))
    service.hears("READY=1")
    began_s = time.monotonic()
    beats = 6
    for _ in range(beats):
        service.hears("WATCHDOG=1")

    assert time.monotonic() - began_s < WATCH_INTERVAL_S, f"{beats} beats of {WATCHDOG_US / 3e6} s"
    assert service.stop() == 0


def test_the_hub_says_when_it_is_ready_and_leaves_with_0(service: Service, tmp_path: Path) -> None:
    service.start("hub", "--database", f"sqlite:///{tmp_path / 'hub.db'}", "--port", "0")

    assert "STATUS=hub at http://127.0.0.1:" in service.hears("READY=1")
    assert service.stop() == 0


def test_a_bad_configuration_is_exit_code_2_with_every_mistake(service: Service, config: Path) -> None:
    config.write_text(config.read_text().replace("Europe/Madrid", "Europe/Madird") + "grace_s: 5\n")

    service.start("run", config)

    assert service.ends() == 2
    assert "did you mean Europe/Madrid?" in service.log
    assert "belongs to the policy feed" in service.log


def test_missing_credentials_are_exit_code_2_and_all_named(service: Service, config: Path) -> None:
    service.start("run", config)

    assert service.ends() == 2
    assert all(name in service.log for name in ("hub-token", "database-key", "store-key"))
