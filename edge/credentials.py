"""Secrets by name: a configuration holds `Credential("till-1")`, this finds what it stands for.

Source: staff-and-operations.md C.3. systemd delivers them as files in `$CREDENTIALS_DIRECTORY`; the environment is
for tests and a first try. Values are never logged and never part of an error's text.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigurationError, Problem
from edge.limits import CREDENTIAL_BYTES_MAX

CREDENTIAL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"

DIRECTORY_PREFIXES = ("", "sealed_", "plain_")
"""systemd names the files of a whole directory ID_FILE; these are the IDs of our units (systemd/trastienda.service)."""


@dataclass(frozen=True, slots=True)
class Credential:
    """The name of a secret, as `!credential NAME` gives it; not the secret."""

    name: str


class Credentials:
    """What the machine was given. `environment` is the process's own, or a test's."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def raw(self, credential: Credential) -> bytes:
        """The bytes exactly as delivered. Raises `ConfigurationError` naming every place that was looked in."""
        found = self._file(credential)
        value = _read(found) if found else self._environment.get(variable_name(credential), "").encode()
        if not value:
            raise ConfigurationError([self._missing(credential, "")])
        if len(value) > CREDENTIAL_BYTES_MAX:
            raise ConfigurationError(f"credential {credential.name} is larger than {CREDENTIAL_BYTES_MAX} bytes")
        return value

    def text(self, credential: Credential) -> str:
        """The secret without white space around it: editors end files with a line feed. Raises `ConfigurationError`."""
        try:
            text = self.raw(credential).decode().strip()
        except UnicodeDecodeError:
            raise ConfigurationError(f"credential {credential.name} is not UTF-8 text") from None
        if not text:
            raise ConfigurationError([self._missing(credential, "")])
        return text

    @contextmanager
    def file(self, credential: Credential) -> Iterator[Path]:
        """A path that holds the secret while the context lasts, for libraries that only read files; never on a disk."""
        found = self._file(credential)
        if found:
            yield found
            return
        descriptor = os.memfd_create(credential.name)
        try:
            with open(descriptor, "wb", closefd=False) as memory:
                memory.write(self.raw(credential))
            yield Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)

    def require(self, wanted: Iterable[tuple[str, Credential]]) -> None:
        """Raises `ConfigurationError` with one problem for each `(path, credential)` that is not there."""
        missing = [self._missing(credential, path) for path, credential in wanted
                   if not self._file(credential) and not self._environment.get(variable_name(credential))]
        if missing:
            raise ConfigurationError(missing)

    def _file(self, credential: Credential) -> Path | None:
        directory = self._environment.get("CREDENTIALS_DIRECTORY")
        if not directory:
            return None
        places = (Path(directory) / f"{prefix}{credential.name}" for prefix in DIRECTORY_PREFIXES)
        return next((place for place in places if place.is_file()), None)

    def _missing(self, credential: Credential, path: str) -> Problem:
        return Problem(
            file="credentials", line=0, column=0, path=path, what=f"credential {credential.name} is missing or empty",
            allowed=f"give it as the file $CREDENTIALS_DIRECTORY/{credential.name} (systemd LoadCredential=) "
                    f"or in the environment as {variable_name(credential)}")


def variable_name(credential: Credential) -> str:
    """The environment variable that may hold it: `till-1` → `TRASTIENDA_TILL_1`."""
    return "TRASTIENDA_" + credential.name.upper().replace("-", "_").replace(".", "_")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(CREDENTIAL_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigurationError(f"credential {path.name} cannot be read: {error.strerror}") from error
