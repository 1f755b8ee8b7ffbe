"""Signing what is sent, by the scheme of Standard Webhooks (https://www.standardwebhooks.com, symmetric, v1). Pure."""

import base64
import binascii
import hashlib
import hmac

from cloud_sync.hub.errors import Rejected
from cloud_sync.hub.secrets import RandomBytes

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with
SECRET_MIN_BYTES = 24
SECRET_MAX_BYTES = 64
_MINTED_BYTES = 32


def mint_secret(random_bytes: RandomBytes) -> str:
    """`whsec_` and base64, as the specification writes it."""
    return SECRET_PREFIX + base64.b64encode(random_bytes(_MINTED_BYTES)).decode()


def secret_key(secret: str) -> bytes:
    """The bytes to sign with. Raises `Rejected`, without repeating any of it."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Rejected("secret: not `whsec_` followed by base64") from error
    if not secret.startswith(SECRET_PREFIX) or not SECRET_MIN_BYTES <= len(key) <= SECRET_MAX_BYTES:
        raise Rejected(f"secret: `whsec_` and the base64 of {SECRET_MIN_BYTES} to {SECRET_MAX_BYTES} bytes are needed")
    return key


def signed_headers(key: bytes, event_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """`webhook-id` is the same however often an event is sent, so that a receiver notices a repeat."""
    signature = hmac.digest(key, f"{event_id}.{timestamp_s}.".encode() + body, hashlib.sha256)
    return {"webhook-id": event_id, "webhook-timestamp": str(timestamp_s),
            "webhook-signature": f"v1,{base64.b64encode(signature).decode()}"}
