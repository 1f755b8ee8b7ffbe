"""The hub's credentials: from systemd, the environment or, for one person trying it, minted beside the database."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloud_sync.hub.database import parse_url
from cloud_sync.hub.errors import ConfigurationError
from cloud_sync.hub.secrets import HubKey, RandomBytes, mint_token

HUB_KEY = "TRASTIENDA_HUB_KEY"
OPERATOR_TOKEN = "TRASTIENDA_HUB_OPERATOR_TOKEN"  # noqa: S105  a name, not a secret
BROKER_PASSWORD = "TRASTIENDA_HUB_BROKER_PASSWORD"  # noqa: S105  a name, not a secret
_OPERATOR_TOKEN_MIN_CHARS = 16


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the hub needs to know in secret. `minted_into`: the file they were just made in, said once."""

    hub_key: HubKey = field(repr=False)
    operator_token: str = field(repr=False)
    minted_into: Path | None


def find_credential(name: str, environment: Mapping[str, str]) -> str | None:
    """A file of that name in `$CREDENTIALS_DIRECTORY`, else the environment variable."""
    directory = environment.get("CREDENTIALS_DIRECTORY")
    if directory and (path := Path(directory, name)).is_file():
        return path.read_text("utf-8").strip()
    return environment.get(name) or None


def load_credentials(database_url: str, environment: Mapping[str, str], random_bytes: RandomBytes) -> Credentials:
    """Raises `ConfigurationError` when they are missing and there is no file to mint them beside."""
    given = {name: find_credential(name, environment) for name in (HUB_KEY, OPERATOR_TOKEN)}
    minted_into = None
    if not all(given.values()):
        path = _file_beside(database_url, [name for name, value in given.items() if not value])
        known = _read(path) if path.exists() else {}
        missing = [name for name, value in given.items() if not value and name not in known]
        if missing:
            known |= {name: mint_token(random_bytes) for name in missing}
            _write(path, known)
            minted_into = path
        given = {name: value or known[name] for name, value in given.items()}
    token = given[OPERATOR_TOKEN] or ""
    if len(token) < _OPERATOR_TOKEN_MIN_CHARS:
        raise ConfigurationError(f"{OPERATOR_TOKEN} has fewer than {_OPERATOR_TOKEN_MIN_CHARS} characters: "
                                 "make one with `openssl rand -hex 32`")
    return Credentials(HubKey(given[HUB_KEY] or ""), token, minted_into)


def _file_beside(database_url: str, missing: list[str]) -> Path:
    target = parse_url(database_url)
    if target.get_backend_name() != "sqlite" or not target.database:
        raise ConfigurationError(f"{' and '.join(missing)} not given: put them into systemd credentials or the "
                                 "environment; make each with `openssl rand -hex 32`")
    return Path(target.database + ".credentials")


def _read(path: Path) -> dict[str, str]:
    """NAME=VALUE lines, as a shell or systemd's EnvironmentFile would take them."""
    pairs = (line.partition("=") for line in path.read_text("utf-8").splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _write(path: Path, values: Mapping[str, str]) -> None:
    """For its owner's eyes only, and whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
