"""The YAML of a connector, and the secrets that it names. Every mistake says where it is; no secret stands in the file.

`!credential NAME` names a secret: the file `$CREDENTIALS_DIRECTORY/NAME` (systemd), or in the environment
`TRASTIENDA_NAME` in capitals with `_` for `-`; as in a store's YAML.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode

from cloud_sync.connectors.errors import Misconfigured

FILE_MAX_BYTES = 256 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]

Wanted = TypeVar("Wanted", bound=msgspec.Struct)


class Secret(msgspec.Struct, frozen=True):
    """The name of a credential, never its value."""

    credential: str


class HubSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the hub is, and as whom this connector speaks: its own token, from `PUT /v1/connectors/{connector}`."""

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^/?#]+/?$")]
    token: Secret
    connector: Name
    certificate_authority: str | None = None


class Rhythm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`every_s`: between two rounds. `lease_s`: how long a process that died is still thought to live; at least three
    times the `timeout_s` of the other system's calls. Systems that are away are tried again within `retry_first_s` and
    `retry_max_s`, with full jitter."""

    every_s: Seconds = 10.0
    lease_s: Annotated[int, msgspec.Meta(ge=3, le=600)] = 60
    timeout_s: Seconds = 20.0
    retry_first_s: Seconds = 1.0
    retry_max_s: Seconds = 300.0


@dataclass(frozen=True, slots=True)
class Secrets:
    """Credentials by name."""

    environment: Mapping[str, str]

    def value(self, secret: Secret) -> str:
        """Raises `Misconfigured` when it is nowhere."""
        name = secret.credential
        directory = self.environment.get("CREDENTIALS_DIRECTORY")
        if directory and (path := Path(directory, name)).is_file():
            return path.read_text("utf-8").strip()
        variable = "TRASTIENDA_" + name.upper().replace("-", "_")
        if found := self.environment.get(variable):
            return found
        raise Misconfigured(f"credential {name!r} is not there: put it into systemd's credentials under this name, or "
                            f"into the environment as {variable}")


def load(path: Path, type_: type[Wanted]) -> Wanted:
    """Raises `Misconfigured` naming the file and the place."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}") from error
    if len(text) > FILE_MAX_BYTES:
        raise Misconfigured(f"{path}: is longer than {FILE_MAX_BYTES} bytes")
    try:
        found = _reader().load(text)
    except (YAMLError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: {error}") from error
    try:
        return msgspec.convert(found, type_)
    except msgspec.ValidationError as error:
        raise Misconfigured(f"{path}: {error}") from error


def _reader() -> YAML:
    """YAML 1.2 without any tag but ours: plain values only."""
    reader = YAML(typ="safe", pure=True)
    reader.allow_duplicate_keys = False
    reader.Constructor = _OneTag
    return reader


class _OneTag(SafeConstructor):
    """Tags are registered by class: a class of our own keeps ours from everybody else's files."""


def _credential(_constructor: object, node: ScalarNode) -> dict[str, str]:
    name = str(node.value)
    if not _NAME.fullmatch(name):
        raise Misconfigured(f"line {node.start_mark.line + 1}: {name!r} is no name of a credential: small letters, "
                            "digits and dashes")
    return {"credential": name}


_OneTag.add_constructor("!credential", _credential)
