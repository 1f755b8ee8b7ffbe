"""What the pages of stock have in common: codes and quantities as people type them, and who acts."""

import re
from decimal import Decimal

from starlette.requests import Request

from edge.domain.barcode import CODE_LENGTH_MAX
from edge.errors import Rejected
from edge.pos.access import Role
from edge.staff.door import Form, session_of
from edge.staff.words import Words

STOCK_PATH = "/staff/stock"
PIECE_MILLI = 1000
NOTE_CHARACTERS_MAX = 200
_QUANTITY = re.compile(r"(\d{1,6})(?:[.,](\d{1,3}))?", re.ASCII)
_MINTED = re.compile(r"[0-9a-f]{24}-[0-9a-f]{12}", re.ASCII)


def actor_of(request: Request) -> str:
    """Who is signed in."""
    return session_of(request).principal.id


def is_supervisor(request: Request) -> bool:
    """Whether a supervisor is signed in."""
    return session_of(request).principal.role is Role.SUPERVISOR


def code_of(form: Form) -> str:
    """What was scanned or typed."""
    return form.get("code", "").strip()[:CODE_LENGTH_MAX]


def note_of(form: Form, name: str = "note") -> str:
    """What a person wrote."""
    return form.get(name, "").strip()[:NOTE_CHARACTERS_MAX]


def is_minted(text: str) -> bool:
    """Whether this can be the id of an act of these pages (`edge.staff.acts`)."""
    return _MINTED.fullmatch(text) is not None


def quantity_milli(text: str, words: Words, least_milli: int = 1) -> int:
    """`"12"`, `"0,350"` or `"0.35"` in thousandths. Raises `Rejected`."""
    match = _QUANTITY.fullmatch(text.strip())
    milli = int(Decimal(f"{match[1]}.{match[2] or '0'}") * PIECE_MILLI) if match else -1
    if milli < least_milli:
        raise Rejected(words.say("Say how many: a number such as 12 or 0.35."))
    return milli
