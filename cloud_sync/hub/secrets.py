"""The hub's secrets: one key from which everything else is derived, sealed people, and tokens kept as hashes."""

import hashlib
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cloud_sync.hub.errors import ConfigurationError

HUB_KEY_MIN_CHARS = 32
_KEY_BYTES = 32
_NONCE_BYTES = 12
_TOKEN_BYTES = 32
_PICKUP_CODE_CHARS = 6
_ENROLMENT_CODE_CHARS = 20
_PICKUP_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # 32 signs, none of them read or heard as another

RandomBytes = Callable[[int], bytes]
"""`os.urandom`, or a seeded generator's `randbytes` in the simulator."""


class HubKey:
    """The credential `TRASTIENDA_HUB_KEY`. Losing it loses the database; it is never stored in it."""

    def __init__(self, text: str) -> None:
        """Raises `ConfigurationError` for a key too short to be random."""
        if len(text.strip()) < HUB_KEY_MIN_CHARS:
            raise ConfigurationError(f"the hub key has fewer than {HUB_KEY_MIN_CHARS} characters: "
                                     "make one with `openssl rand -hex 32`")
        self._text = text.strip().encode()

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose; knowing them tells nothing about those of another."""
        return HKDF(SHA256(), _KEY_BYTES, salt=None, info=f"trastienda hub {purpose}".encode()).derive(self._text)


class Sealer:
    """AES-256-GCM. What is sealed opens only in the place it was sealed for."""

    def __init__(self, key: bytes, random_bytes: RandomBytes) -> None:
        self._cipher = AESGCM(key)
        self._random_bytes = random_bytes

    def seal(self, plain: bytes, place: str) -> bytes:
        """Nonce, ciphertext and tag."""
        nonce = self._random_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes | None:
        """What was sealed; `None` when it was sealed with another key, for another place, or altered."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode())
        except InvalidTag:
            return None


def mint_token(random_bytes: RandomBytes) -> str:
    """A bearer token of 256 random bits."""
    return random_bytes(_TOKEN_BYTES).hex()


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def mint_enrolment_code(random_bytes: RandomBytes) -> str:
    """A code of 100 random bits in five groups, to be typed once: `K7P3-XQ2M-…`."""
    signs = [_PICKUP_ALPHABET[byte % len(_PICKUP_ALPHABET)] for byte in random_bytes(_ENROLMENT_CODE_CHARS)]
    return "-".join("".join(signs[start:start + 4]) for start in range(0, _ENROLMENT_CODE_CHARS, 4))


def mint_pickup_code(random_bytes: RandomBytes) -> str:
    """A code that a customer can read out."""
    return "".join(_PICKUP_ALPHABET[byte % len(_PICKUP_ALPHABET)] for byte in random_bytes(_PICKUP_CODE_CHARS))
