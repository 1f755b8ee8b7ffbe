"""A daemon that cannot start says why and leaves nothing open: no port, no thread, no file."""

import random
import threading
from pathlib import Path

import pytest

from edge.clock import SystemClock
from edge.credentials import Credentials
from edge.daemon import Daemon, Parts
from edge.db.writer import ThreadWriter
from edge.errors import ConfigurationError
from edge.labels import shipped_templates
from edge.labels.artist import InlineArtist
from edge.pos.server import bind
from edge.sd_notify import Notifier
from tests.daemon.virtual_box import SECRETS, TILL, YAML, settings_in
from tests.service import free_port

BAD_TEMPLATE = "layouts:\n  - {width: 296, height: 128, colour: red}\n"
STAFF = "staff: [{id: ana, name: Ana, pin: !credential staff-ana}]\n"


def new_daemon(directory: Path, port: int, yaml: str, **secrets: str) -> Daemon:
    settings = settings_in(directory, yaml.replace("8443", str(port)))
    parts = Parts(SystemClock(), random.Random(1), ThreadWriter, InlineArtist(), lambda port: pytest.fail)
    return Daemon(settings, Credentials({**SECRETS, **secrets}), parts, Notifier(None))


@pytest.mark.parametrize(("yaml", "template", "says"), [
    (YAML + TILL + STAFF, "", "credential staff-ana is no argon2 hash of a PIN"),
    (YAML + TILL, BAD_TEMPLATE, r"templates/shelf\.yaml:\d+: "),
    (YAML + TILL, "", ""),
])
async def test_what_is_opened_before_the_mistake_shows_is_closed_again(
        tmp_path: Path, yaml: str, template: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped_templates, "OPERATORS_DIRECTORY", tmp_path / "etc")
    (tmp_path / "etc" / "templates").mkdir(parents=True)
    if template:
        (tmp_path / "etc" / "templates" / "shelf.yaml").write_text(template)
    port = free_port()
    daemon = new_daemon(tmp_path, port, yaml, TRASTIENDA_STAFF_ANA="123456")

    if says:
        with pytest.raises(ConfigurationError, match=says) as caught:
            daemon.open()
        assert "123456" not in str(caught.value)
    else:  # the same without a mistake: what is looked for below is really opened
        daemon.open()
        assert threads() == 2
        daemon.close()

    assert threads() == 0
    assert not list((tmp_path / "state").glob("*-wal"))
    bind("127.0.0.1", port).close()


def threads() -> int:
    return sum(thread.name.startswith("writer-") for thread in threading.enumerate())
