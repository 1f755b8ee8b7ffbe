"""Backups of the ledger, encrypted to the fleet's recovery key, and putting one back (`trastienda backup`, `restore`).

A box only knows the public key, so a stolen backup or box opens none. File: magic, length and HPKE envelope (RFC 9180:
X25519, HKDF-SHA256, AES-256-GCM) of the `Label`, then chunks of AES-256-GCM under the label's file key; nonce = number
of the chunk, associated data = whether it is the last, so that a file cut short does not open. The label holds the
ledger's own key: the box that is restored re-keys the ledger to its own. Memory stays within two chunks.
"""

import base64
import binascii
import os
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from edge.db.backup import LedgerState, Progress, check_ledger, copy_ledger, mark_restored, state_of
from edge.db.books import derive_key
from edge.db.connection import DatabaseError, WrongKey, connect
from edge.errors import ConfigurationError, Corrupt, Rejected, Transient
from edge.limits import BACKUP_CHUNK_BYTES, BACKUP_LABEL_BYTES_MAX, BACKUPS_KEPT

MAGIC = b"trastienda backup 1\n"
SUFFIX = ".backup"
_TAG_BYTES = 16
_PRIVATE, _PUBLIC = "trastienda-recovery-private-", "trastienda-recovery-public-"
_INFO = b"trastienda backup"
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_LENGTH = struct.Struct(">I")


class Label(msgspec.Struct, frozen=True):
    """What is sealed to the recovery key."""

    store: str
    epoch: int
    sequence: int
    made_ms: int
    file_key: bytes
    ledger_key: bytes

    def __repr__(self) -> str:
        """Without the keys."""
        return f"Label(store={self.store!r}, epoch={self.epoch}, sequence={self.sequence})"


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """Which ledger is meant: the state directory, the store, and the database key credential."""

    directory: Path
    store: str
    secret: str

    @property
    def path(self) -> Path:
        return self.directory / "ledger.db"

    @property
    def key(self) -> bytes:
        return derive_key(self.secret, "ledger.db")


class Made(msgspec.Struct, frozen=True):
    """A backup that was made and checked: everything up to `sequence` of `epoch` is in it."""

    file: str
    store: str
    epoch: int
    sequence: int
    bytes: int
    removed: tuple[str, ...]


class Restored(msgspec.Struct, frozen=True):
    """The ledger that stands there now; `set_aside`: where the one before it went."""

    store: str
    epoch: int
    sequence: int
    made_ms: int
    set_aside: str | None


def new_recovery_keys(random_bytes: bytes | None = None) -> tuple[str, str]:
    """A private key for the safe, and the public one for every store's settings."""
    private = X25519PrivateKey.from_private_bytes(random_bytes or os.urandom(32))
    return (_PRIVATE + _text(private.private_bytes_raw()), _PUBLIC + _text(private.public_key().public_bytes_raw()))


def make_backup(ledger: LedgerFile, recovery_public: str, directory: Path, now_ms: int, stamp: str,
                keep: int = BACKUPS_KEPT, progress: Progress = lambda _done, _total: None) -> Made:
    """Copy, check, encrypt, rename; then keep the newest `keep`. The store may be running. `stamp`: sorts by time.

    Raises `ConfigurationError`, `Corrupt` for a damaged ledger, `Transient` for a full disk.
    """
    public = _public(recovery_public)
    if not ledger.path.exists():
        raise ConfigurationError(f"{ledger.path}: there is no ledger yet")
    copy = ledger.directory / "ledger.copying.db"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy_ledger(ledger.path, copy, ledger.key, progress)
        state = check_ledger(copy, ledger.key)
        target = directory / f"{ledger.store}-{stamp}-{state.epoch}-{state.head.sequence}{SUFFIX}"
        label = Label(state.store, *state.place, now_ms, os.urandom(32), ledger.key)
        _encrypt(copy, target, label, public)
    except OSError as error:
        raise Transient(f"{directory}: the backup could not be written: {error.strerror}") from error
    finally:
        _remove(copy)
    removed = _keep_newest(directory, ledger.store, keep)
    return Made(str(target), state.store, *state.place, target.stat().st_size, removed)


def restore_backup(ledger: LedgerFile, file: Path, recovery_private: str, *, force: bool = False) -> Restored:
    """Open, check, and put in the ledger's place; the daemon, once started, finds out by itself what it lacks.

    Raises `Rejected` for a backup of another store or key, or a newer ledger in its place (unless `force`), `Transient`
    while the daemon runs, `Corrupt` for a backup that is damaged.
    """
    private = _private(recovery_private)
    opened = ledger.directory / "ledger.restoring.db"
    try:
        ledger.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        label = _decrypt(file, opened, private)
        if label.store != ledger.store:
            raise Rejected(f"{file}: a backup of store {label.store}, the settings name store {ledger.store}")
        _rekey(opened, label.ledger_key, ledger.key)
        state = check_ledger(opened, ledger.key)
        if state.store != label.store or state.place != (label.epoch, label.sequence):
            raise Corrupt(f"{file}: holds {state.place} of store {state.store}, its label says otherwise")
        standing = _standing(ledger, force=force)
        if standing is not None and standing.place > state.place and not force:
            raise Rejected(f"{ledger.path}: the ledger there goes to {_said(standing.place)}, the backup to "
                           f"{_said(state.place)}: nothing was changed; --force puts the older one in its place")
        mark_restored(opened, ledger.key)
        set_aside = _put_in_place(opened, ledger.path)
    except OSError as error:
        raise Transient(f"{ledger.directory}: {error.strerror}") from error
    finally:
        _remove(opened)
    return Restored(state.store, *state.place, label.made_ms, set_aside)


def _encrypt(source: Path, target: Path, label: Label, public: X25519PublicKey) -> None:
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    envelope = _SUITE.encrypt(msgspec.msgpack.encode(label), public, info=_INFO)
    cipher = AESGCM(label.file_key)
    try:
        with source.open("rb") as plain, os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600),
                                                   "wb") as sealed:
            sealed.write(MAGIC + _LENGTH.pack(len(envelope)) + envelope)
            for number, (chunk, last) in enumerate(_chunks(plain, BACKUP_CHUNK_BYTES)):
                sealed.write(cipher.encrypt(_nonce(number), chunk, _place(last)))
            sealed.flush()
            os.fsync(sealed.fileno())
        part.replace(target)
        _sync(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _decrypt(source: Path, target: Path, private: X25519PrivateKey) -> Label:
    target.unlink(missing_ok=True)
    try:
        sealed = source.open("rb")
    except OSError as error:
        raise Rejected(f"{source}: cannot be read: {error.strerror}") from error
    with sealed:
        if sealed.read(len(MAGIC)) != MAGIC:
            raise Rejected(f"{source}: this is no backup")
        head = sealed.read(_LENGTH.size)
        length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
        try:
            envelope = sealed.read(length) if length <= BACKUP_LABEL_BYTES_MAX else b""
            label = msgspec.msgpack.decode(_SUITE.decrypt(envelope, private, info=_INFO), type=Label)
        except (InvalidTag, ValueError) as error:
            raise Rejected(f"{source}: the recovery key does not open this backup, or it is damaged") from error
        cipher = AESGCM(label.file_key)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as plain:
            for number, (chunk, last) in enumerate(_chunks(sealed, BACKUP_CHUNK_BYTES + _TAG_BYTES)):
                try:
                    plain.write(cipher.decrypt(_nonce(number), chunk, _place(last)))
                except InvalidTag as error:
                    raise Corrupt(f"{source}: damaged or cut short in chunk {number}; nothing was changed") from error
            plain.flush()
            os.fsync(plain.fileno())
    return label


def _chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, bool]]:
    """Pieces of a file, each with whether it is the last one; at least one, though it be empty."""
    chunk = file.read(size)
    while True:
        following = file.read(size)
        yield chunk, not following
        if not following:
            return
        chunk = following


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _place(last: bool) -> bytes:
    return b"last" if last else b"more"


def _rekey(path: Path, old: bytes, new: bytes) -> None:
    if old == new:
        return
    try:
        with closing(connect(path, old, synchronous="FULL")) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute(f"PRAGMA rekey = \"x'{new.hex()}'\"")
    except DatabaseError as error:
        raise Corrupt(f"{path}: cannot be re-keyed: {error}") from error


def _standing(ledger: LedgerFile, *, force: bool) -> LedgerState | None:
    """The ledger in place, if it can be read and nobody uses it."""
    if not ledger.path.exists():
        return None
    try:
        with closing(connect(ledger.path, ledger.key, synchronous="FULL")) as connection:
            connection.execute("PRAGMA busy_timeout = 0")
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            try:
                connection.execute("BEGIN EXCLUSIVE")
            except DatabaseError as error:
                raise Transient(f"{ledger.path}: in use: stop the daemon first") from error
            try:
                return state_of(connection)
            finally:
                connection.execute("ROLLBACK")
    except WrongKey as error:
        if force:
            return None
        raise Rejected(f"{error}; nothing was changed; --force sets that ledger aside") from error
    except (Corrupt, DatabaseError):
        return None  # damaged: that is what a backup is for, and it is only set aside


def _put_in_place(opened: Path, path: Path) -> str | None:
    """Rename; what was there before, log included, is kept under another name."""
    aside = path.with_name("ledger.before-restore.db")
    existed = path.exists()
    for suffix in ("", "-wal", "-shm"):
        standing, kept = path.with_name(path.name + suffix), aside.with_name(aside.name + suffix)
        kept.unlink(missing_ok=True)
        if standing.exists():
            standing.replace(kept)
    opened.replace(path)
    _sync(path.parent)
    return str(aside) if existed else None


def _keep_newest(directory: Path, store: str, keep: int) -> tuple[str, ...]:
    """The names sort by time, because a stamp stands before everything that differs."""
    ours = sorted(directory.glob(f"{store}-[0-9]*{SUFFIX}"))
    removed = ours[:-keep] if keep else []
    for old in removed:
        old.unlink()
    return tuple(str(old) for old in removed)


def _public(text: str) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(_bytes(text, _PUBLIC, "recovery public key"))


def _private(text: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(_bytes(text, _PRIVATE, "recovery private key"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str, prefix: str, what: str) -> bytes:
    text = text.strip()
    try:
        raw = base64.urlsafe_b64decode(text.removeprefix(prefix) + "=") if text.startswith(prefix) else b""
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 32:
        raise ConfigurationError(f"this is no {what}: it begins with {prefix}; `trastienda recovery-key` makes a pair")
    return raw


def _said(place: tuple[int, int]) -> str:
    return f"entry {place[1]} of epoch {place[0]}"


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
