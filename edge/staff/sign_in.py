"""Signing in with a PIN: argon2 verifiers from the credentials, growing delays, lock-out (DESIGN.md section 8).

Failures are counted per name and per device before the PIN is looked at, so that guessing in parallel gains nothing;
an unknown name takes as long and is answered the same as a wrong PIN (staff-and-operations.md C.3).
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from cloud_sync.contract.facts import ExceptionRaised
from edge.credentials import Credentials
from edge.db.ledger import raise_exception
from edge.errors import ConfigurationError, Rejected, Transient
from edge.limits import (
    SIGN_IN_DEVICE_FAILURES_MAX,
    SIGN_IN_FAILURES_MAX,
    SIGN_IN_FREE_FAILURES,
    SIGN_IN_LOCK_S,
    SIGN_IN_NAMES_MAX,
    SIGN_IN_WAITING_MAX,
)
from edge.pos.access import Role
from edge.settings import StaffMember
from edge.store import Store

PIN_DIGITS_MIN = 6
PIN_CHARACTERS_MAX = 64
NAME_CHARACTERS_MAX = 100

_log = structlog.get_logger(__name__)
_hasher = PasswordHasher()


@dataclass(frozen=True, slots=True)
class Member:
    """A person who may sign in. `pin_hash`: an argon2id hash in its usual text form."""

    id: str
    name: str
    role: Role
    pin_hash: str = field(repr=False)


class WrongPin(Rejected):
    """Nobody has this name and this PIN together."""


class WaitFirst(Rejected):
    """Too many wrong PINs: nothing was looked at. `wait_s`: how long until the next try."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"too many wrong PINs; wait {wait_s} s")
        self.wait_s = wait_s


def hash_pin(pin: str) -> str:
    """What goes into a person's credential. Takes tens of milliseconds. Raises `Rejected` for a PIN too short."""
    if not (pin.isascii() and pin.isdecimal() and PIN_DIGITS_MIN <= len(pin) <= PIN_CHARACTERS_MAX):
        raise Rejected(f"a PIN has at least {PIN_DIGITS_MIN} digits and nothing else")
    return _hasher.hash(pin)


def members_of(staff: Iterable[StaffMember], credentials: Credentials) -> tuple[Member, ...]:
    """The people of the settings. Raises `ConfigurationError` for a credential that is no argon2 hash."""
    return tuple(Member(each.id, each.name, Role(each.role), _verifier(credentials.text(each.pin), each.pin.name))
                 for each in staff)


def _verifier(pin_hash: str, credential: str) -> str:
    try:
        extract_parameters(pin_hash)
    except InvalidHashError:
        raise ConfigurationError(f"credential {credential} is no argon2 hash of a PIN") from None
    return pin_hash


@dataclass(slots=True)
class _Failures:
    count: int = 0
    until_ms: int = 0


class Attempts:
    """Failures by key (a name, a device) and the wait they cause. Beyond a named number the oldest key goes; strangers
    are counted apart, so that made-up names push no colleague out."""

    def __init__(self, free: int, failures_max: int, powered_ms: Callable[[], int]) -> None:
        self._free = free
        self._failures_max = failures_max
        self._powered_ms = powered_ms
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, key: str) -> int:
        """Whole seconds until this key may try again; 0: now."""
        known = self._failures.get(key)
        return max(0, math.ceil((known.until_ms - self._powered_ms()) / 1000)) if known else 0

    def count_failure(self, key: str) -> bool:
        """One more failure; returns whether it locked the key. Called before the PIN is looked at."""
        known = self._failures.setdefault(key, _Failures())
        self._failures.move_to_end(key)
        if len(self._failures) > SIGN_IN_NAMES_MAX:
            self._failures.popitem(last=False)
        known.count += 1
        locked = known.count >= self._failures_max
        known.until_ms = self._powered_ms() + 1000 * (SIGN_IN_LOCK_S if locked else self._delay_s(known.count))
        return locked

    def forget(self, key: str) -> None:
        """It was the right PIN after all."""
        self._failures.pop(key, None)

    def _delay_s(self, count: int) -> int:
        return 0 if count <= self._free else min(2 ** (count - self._free - 1), SIGN_IN_LOCK_S)


class SignIn:
    """Who is at the page. One PIN is looked at at a time, off the event loop."""

    def __init__(self, store: Store, members: Iterable[Member]) -> None:
        self._store = store
        self._members = {key: member for member in members for key in (_key(member.name), _key(member.id))}
        powered_ms = store.clock.powered_ms
        self._by_member = Attempts(SIGN_IN_FREE_FAILURES, SIGN_IN_FAILURES_MAX, powered_ms)
        self._by_stranger = Attempts(SIGN_IN_FREE_FAILURES, SIGN_IN_FAILURES_MAX, powered_ms)
        self._by_device = Attempts(SIGN_IN_DEVICE_FAILURES_MAX, SIGN_IN_DEVICE_FAILURES_MAX, powered_ms)
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def sign_in(self, name: str, pin: str, device: str) -> Member:
        """The person with this name (or id) and PIN. Raises `WrongPin`, `WaitFirst`, `Transient`."""
        if self._waiting >= SIGN_IN_WAITING_MAX:
            raise Transient("too many people sign in at this moment")
        member = self._members.get(_key(name))
        by_name, key = (self._by_member, member.id) if member else (self._by_stranger, _key(name))
        wait_s = max(by_name.wait_s(key), self._by_device.wait_s(device))
        if wait_s:
            raise WaitFirst(wait_s)
        locked = by_name.count_failure(key)
        self._by_device.count_failure(device)
        if await self._is_right(member.pin_hash if member else None, pin) and member is not None:
            by_name.forget(key)
            self._by_device.forget(device)
            _log.info("signed in", person=member.id, role=member.role.value, device=device)
            return member
        if locked and member is not None:
            await self._say_locked(member, device)
        raise WrongPin("nobody has this name and this PIN")

    async def _is_right(self, pin_hash: str | None, pin: str) -> bool:
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(_verified, pin_hash, pin[:PIN_CHARACTERS_MAX])
        finally:
            self._waiting -= 1

    async def _say_locked(self, member: Member, device: str) -> None:
        """A person should know that somebody tried a colleague's PIN: once per lock."""
        _log.warning("sign-in locked", person=member.id, device=device, seconds=SIGN_IN_LOCK_S)
        now_ms = self._store.clock.wall_ms()
        raised = ExceptionRaised(reason="sign-in-locked", about=member.id,
                                 detail=f"{SIGN_IN_FAILURES_MAX} wrong PINs, the last from {device}",
                                 business_day=self._store.business_day(now_ms))
        key, chain = f"sign-in-locked/{member.id}/{self._store.mint()}", self._store.books.chain
        await self._store.record(lambda connection: raise_exception(connection, chain, raised, now_ms, key))


def _verified(pin_hash: str | None, pin: str) -> bool:
    """`None`: nobody has this name; hashing the PIN takes as long as looking at one, so time tells no names."""
    if pin_hash is None:
        _hasher.hash(pin)
        return False
    try:
        return _hasher.verify(pin_hash, pin)
    except VerifyMismatchError:
        return False


def _key(name: str) -> str:
    return " ".join(name[:NAME_CHARACTERS_MAX].split()).casefold()
