"""Listening on a base station's line: which label said `XFC>`, by the witness's own reading of the bytes.

Source: esl.md 1.2 and 1.3. After the four letters come nine bytes: a checksum (sum of the eight that follow, modulo
256) and the label's address in wire order, last byte first. Anything else on the line is passed over.
"""

_TOKEN = b"XFC>"
_BODY_BYTES = 9
_KEPT_BYTES_MAX = len(_TOKEN) + _BODY_BYTES - 1


class WireEar:
    """One line's bytes from radio to host, in any pieces."""

    def __init__(self) -> None:
        self._heard = b""

    def hear(self, data: bytes) -> list[str]:
        """The labels that said "done" in what was heard, as printed addresses."""
        heard = self._heard + data
        labels: list[str] = []
        start = 0
        while (at := heard.find(_TOKEN, start)) >= 0:
            body = heard[at + len(_TOKEN):at + len(_TOKEN) + _BODY_BYTES]
            if len(body) < _BODY_BYTES:
                self._heard = heard[at:]
                return labels
            if sum(body[1:]) & 0xFF == body[0]:
                labels.append(body[:0:-1].hex())
                start = at + len(_TOKEN) + _BODY_BYTES
            else:
                start = at + 1
        self._heard = heard[start:][-_KEPT_BYTES_MAX:]
        return labels
