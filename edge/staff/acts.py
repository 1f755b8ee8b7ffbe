"""What forms have in common: an act that counts once, and where to go afterwards."""

import hashlib
import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge.errors import Corrupt, Rejected, Transient
from edge.pos.problems import ProblemAnswer
from edge.staff.door import Form, session_of, words_for
from edge.staff.said import in_words
from edge.staff.sessions import Message, Tone
from edge.staff.view import guarded

_MINTED = re.compile(r"[0-9a-f]{24}", re.ASCII)


def act_id_of(form: Form, *meaning: str) -> str:
    """The form's minted id together with what it says: sent twice it is one act, changed and sent again another one.

    Raises a 400 problem for a form without an id.
    """
    minted = form.get("act_id", "")
    if not _MINTED.fullmatch(minted):
        raise ProblemAnswer(400, "malformed", "This form has no id; reload the page", recorded=False)
    return f"{minted}-{hashlib.sha256(chr(0).join(meaning).encode()).hexdigest()[:12]}"


async def acted(request: Request, back: str, doing: Callable[[], Awaitable[Message]], *,
                refused_back: str | None = None) -> Response:
    """Do it, keep what came of it for the person's next page, and go there; elsewhere when it was refused."""
    try:
        message = await doing()
    except (Rejected, Transient, Corrupt) as refusal:
        message = Message(in_words(str(refusal), words_for(request)), Tone.REFUSED)
    session_of(request).messages.append(message)
    refused = message.tone is Tone.REFUSED and refused_back is not None
    return guarded(RedirectResponse(refused_back if refused and refused_back else back, 303))
