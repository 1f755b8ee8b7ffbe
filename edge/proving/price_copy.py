"""A till's own copy of the price book, as a till's maker would keep it: loaded by changes, counted, acknowledged."""

import asyncio

import msgspec

FRESH_S = 25.0
"""A till that keeps a copy loads what changed well within the time that labels wait for it (`till_ack_wait_s`, 30)."""


class _Line(msgspec.Struct):
    sku: str = ""
    version: str = ""
    whole: bool = False
    count: int = 0
    gone: bool = False
    codes: tuple[str, ...] = ()
    charge_minor: int | None = None


_decoder = msgspec.json.Decoder(_Line)


class PriceCopy:
    """`version`: what was loaded last and whole; `loaded_s`: when the load began that was acknowledged last."""

    def __init__(self) -> None:
        self.version = ""
        self.loaded_s: float | None = None
        self._loaded_at_s = 0.0
        self._charges: dict[str, int] = {}
        self._codes: dict[str, str] = {}

    def take(self, body: bytes) -> bool:
        """What came; returns whether it was whole: else the till asks again."""
        head, *lines = [_decoder.decode(line) for line in body.splitlines()] or [_Line()]
        if not lines or lines[-1].count != len(lines) - 1 or not lines[-1].version:
            return False
        if head.whole:
            self._charges.clear()
            self._codes.clear()
        for line in lines[:-1]:
            self._put(line)
        self.version = lines[-1].version
        return True

    def _put(self, line: _Line) -> None:
        if line.gone or line.charge_minor is None:
            self._charges.pop(line.sku, None)
            return
        self._charges[line.sku] = line.charge_minor
        self._codes |= {code.lstrip("0"): line.sku for code in line.codes}

    def price(self, code: str) -> int | None:
        """What to charge for a barcode or SKU; `None` for what the copy does not hold."""
        return self._charges.get(self._codes.get(code.lstrip("0"), code))

    def acknowledged(self, began_s: float, began_at_s: float) -> None:
        """The store took the till's word that it has what it began to load then: powered seconds, and the loop's."""
        self.loaded_s, self._loaded_at_s = began_s, began_at_s

    def is_fresh(self) -> bool:
        """Whether the till loaded and acknowledged lately, so that shelves have waited for it."""
        return self.loaded_s is not None and asyncio.get_running_loop().time() - self._loaded_at_s <= FRESH_S
