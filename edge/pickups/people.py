"""People's data at rest: sealed with AES-256-GCM under the store's key, and the HMAC of pickup codes (P11)."""

import hashlib
import hmac
import os

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cloud_sync.contract.documents import Person
from edge.db.books import derive_key
from edge.domain.card_data import masked_values

_NONCE_BYTES = 12
_person_decoder = msgspec.json.Decoder(Person)


class PeopleVault:
    """Seals and unseals people; `store_key` is the credential, any text."""

    def __init__(self, store_key: str) -> None:
        self._cipher = AESGCM(derive_key(store_key, "people"))
        self._code_key = derive_key(store_key, "pickup codes")

    def seal(self, person: Person) -> bytes:
        """Nonce and ciphertext, without card data that somebody gave for a name. The nonce comes from the operating
        system: a repeated one would break the seal."""
        nonce = os.urandom(_NONCE_BYTES)
        clean = msgspec.convert(masked_values(msgspec.to_builtins(person)), Person)
        return nonce + self._cipher.encrypt(nonce, msgspec.json.encode(clean), None)

    def unseal(self, sealed: bytes) -> Person:
        """Raises `cryptography.exceptions.InvalidTag` when the data was not sealed under this key."""
        plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        return _person_decoder.decode(plain)

    def code_hmac(self, code: str) -> str:
        """Lower-case hex HMAC-SHA256 of a pickup code, spaces and case put aside as a person would."""
        normal = "".join(code.split()).upper().encode()
        return hmac.new(self._code_key, normal, hashlib.sha256).hexdigest()
