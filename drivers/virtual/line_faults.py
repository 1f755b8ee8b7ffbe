"""Spoils bytes on their way, as bad cables do."""

import random
from dataclasses import dataclass


@dataclass(slots=True)
class LineFaults:
    """Shares of bytes that are flipped or dropped, and of chunks that get garbage put in front. May be changed
    while in use: all zero is a good cable."""

    randomness: random.Random
    flip: float = 0.0
    drop: float = 0.0
    garbage: float = 0.0
    garbage_bytes_max: int = 64

    def spoil(self, data: bytes) -> bytes:
        """What arrives of `data`."""
        if not (self.flip or self.drop or self.garbage):
            return data
        chance = self.randomness.random
        front = b""
        if chance() < self.garbage:
            front = self.randomness.randbytes(self.randomness.randint(1, self.garbage_bytes_max))
        arrived = (self._flipped(value) for value in data if chance() >= self.drop)
        return front + bytes(arrived)

    def _flipped(self, value: int) -> int:
        return value ^ (1 << self.randomness.randrange(8)) if self.randomness.random() < self.flip else value
