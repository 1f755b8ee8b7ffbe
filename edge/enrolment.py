"""How this box is known to the hub, and how it comes to be: `trastienda enroll CONFIG --code …`.

Where `hub.token` names a credential in the settings, that one counts and `enroll` refuses to make another. Where it
does not, the file `hub-credential.json` in the state directory counts, which `enroll` writes for its owner alone. The
token is minted here; only its SHA-256 travels to be enrolled, so a lost answer is asked for again with the same code.
"""

import hashlib
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from cloud_sync.contract.rebase import Enrol, Enrolled
from edge.credentials import Credentials
from edge.errors import ConfigurationError, Rejected
from edge.settings import Settings

CREDENTIAL_FILE = "hub-credential.json"
_PENDING_FILE = "hub-credential.pending.json"
_TOKEN_BYTES = 32
_TRADE_TIMEOUT_S = 20.0

_Kind = TypeVar("_Kind")

Trade = Callable[[str, str], Enrolled]
"""Code and token hash → what the hub gave for them. Raises what the line raises."""


class HubCredential(msgspec.Struct, frozen=True):
    """The box's token at the hub. `epoch`: what a new ledger begins with; `enrolment` 0: registered by hand."""

    token: str
    enrolment: int = 0
    epoch: int = 1
    store: str = ""

    def __repr__(self) -> str:
        """Without the token."""
        return f"HubCredential(enrolment={self.enrolment}, epoch={self.epoch})"


class _Problem(msgspec.Struct, frozen=True):
    detail: str = ""


class _Pending(msgspec.Struct, frozen=True):
    """A token that was minted for a code; it counts once the hub has said so."""

    code_hash: str
    token: str


def hub_credential(settings: Settings, credentials: Credentials) -> HubCredential:
    """What to show the hub. Raises `ConfigurationError` for a box that is not enrolled."""
    if settings.hub.token is not None:
        return HubCredential(credentials.text(settings.hub.token))
    path = Path(settings.state_directory) / CREDENTIAL_FILE
    found = _read(path, HubCredential)
    if found is None:
        raise ConfigurationError(f"{path}: this box is not enrolled: make a code at the hub (trastienda hub-enrolment "
                                 f"{settings.store.id}), then run: trastienda enroll CONFIG --code CODE")
    if found.store != settings.store.id:
        raise ConfigurationError(f"{path}: enrolled as store {found.store}, the settings name {settings.store.id}")
    return found


def enrol(settings: Settings, code: str, trade: Trade) -> HubCredential:
    """Trade a code for a credential and keep it. Raises `ConfigurationError`, and what `trade` raises."""
    if settings.hub.token is not None:
        raise ConfigurationError("hub.token names a credential in the settings, and that one would count: remove the "
                                 "key, then enroll")
    directory = Path(settings.state_directory)
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"{directory}: cannot be used as state directory: {error.strerror}") from error
    token = _token_for(directory, code)
    enrolled = trade(code, hashlib.sha256(token.encode()).hexdigest())
    credential = HubCredential(token, enrolled.enrolment, enrolled.epoch, settings.store.id)
    write_private(directory / CREDENTIAL_FILE, msgspec.json.encode(credential))
    (directory / _PENDING_FILE).unlink(missing_ok=True)
    return credential


def hub_trade(settings: Settings) -> Trade:
    """The trade at the hub that the settings name. Raises `Rejected` for a code it does not take, `ConnectionError`."""
    import httpx

    def trade(code: str, token_hash: str) -> Enrolled:
        authority = settings.hub.certificate_authority
        trust = ssl.create_default_context(cafile=authority) if authority else True
        url = f"{settings.hub.url.rstrip('/')}/v1/enrol"
        body = msgspec.json.encode(Enrol(settings.store.id, code, token_hash))
        try:
            reply = httpx.post(url, content=body, timeout=_TRADE_TIMEOUT_S, verify=trust)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ConnectionError(f"{url}: {error}: is the hub running, and is this its address?") from error
        try:
            if reply.status_code == httpx.codes.OK:
                return msgspec.json.decode(reply.content, type=Enrolled)
            said = msgspec.json.decode(reply.content, type=_Problem).detail
        except msgspec.MsgspecError as error:
            raise ConnectionError(f"{url}: {reply.status_code}, and no hub's answer") from error
        if reply.status_code in (httpx.codes.FORBIDDEN, httpx.codes.UNPROCESSABLE_ENTITY):
            raise Rejected(f"{url}: {said}")
        raise ConnectionError(f"{url}: {reply.status_code} {said}")

    return trade


def write_private(path: Path, content: bytes) -> None:
    """For its owner's eyes only, and whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _token_for(directory: Path, code: str) -> str:
    """The token that was minted for this code before, or a new one: the hub takes a code with one token only."""
    path, code_hash = directory / _PENDING_FILE, hashlib.sha256(code.encode()).hexdigest()
    pending = _read(path, _Pending)
    if pending is None or pending.code_hash != code_hash:
        pending = _Pending(code_hash, os.urandom(_TOKEN_BYTES).hex())
        write_private(path, msgspec.json.encode(pending))
    return pending.token


def _read(path: Path, kind: type[_Kind]) -> _Kind | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"{path}: cannot be read ({type(error).__name__}): enroll this box again") from error
