"""Fingerprints of a feed's rows: equal roots mean equal rows on both sides (DESIGN.md section 10, engineering.md 2.1).

Rows fall into `BUCKETS` by their key. A bucket's value is how many rows it has and the sum modulo 2**64 of their
hashes: a sum, so that two equal mistakes do not cancel, and so that both sides keep it up with every change. The root
is a sum over the buckets in the same way. Not security: that is TLS and SHA-256; this finds mistakes. Pure.
"""

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

BUCKETS = 1024
_MODULO = 2**64
_HALF = 2**63

NO_ROOT = "0" * 16
"""The root of a feed without rows."""


def bucket_of(key: str) -> int:
    """Which bucket a key falls into. A CRC spreads keys evenly and costs a tenth of a cryptographic hash."""
    return zlib.crc32(key.encode()) % BUCKETS


def row_hash(key: str, version: int, doc: bytes | msgspec.Raw) -> int:
    """64 bits of BLAKE2b over a row, as a signed integer, as databases hold it. `doc`: the bytes that travel."""
    digest = hashlib.blake2b(f"{key}\0{version}\0".encode(), digest_size=8)
    digest.update(doc)
    return int.from_bytes(digest.digest(), "big", signed=True)


def signed(value: int) -> int:
    """The value modulo 2**64 as a signed integer."""
    return (value + _HALF) % _MODULO - _HALF


class Bucket(msgspec.Struct, frozen=True, array_like=True):
    """`count` rows, and the sum of their hashes as a signed integer."""

    count: int = 0
    total: int = 0

    def plus(self, other: "Bucket") -> "Bucket":
        return Bucket(self.count + other.count, signed(self.total + other.total))


EMPTY = Bucket()


@dataclass(slots=True)
class Moves:
    """What a set of changes does to the buckets."""

    counts: dict[int, int] = field(default_factory=dict)
    totals: dict[int, int] = field(default_factory=dict)

    def add(self, key: str, hashed: int) -> None:
        """A row with this hash came."""
        self._move(bucket_of(key), 1, hashed)

    def remove(self, key: str, hashed: int) -> None:
        """The row with this hash went."""
        self._move(bucket_of(key), -1, -hashed)

    def add_all(self, buckets: Mapping[int, Bucket]) -> None:
        """All the rows of other buckets came."""
        for bucket, value in buckets.items():
            self._move(bucket, value.count, value.total)

    def changed(self, before: Mapping[int, Bucket]) -> dict[int, Bucket]:
        """The moved buckets as they are now; `before` may leave out empty ones."""
        return {bucket: before.get(bucket, EMPTY).plus(Bucket(self.counts[bucket], self.totals[bucket]))
                for bucket in self.counts}

    def _move(self, bucket: int, count: int, total: int) -> None:
        self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.totals[bucket] = self.totals.get(bucket, 0) + total


def root_after(root: str, before: Mapping[int, Bucket], after: Mapping[int, Bucket]) -> str:
    """The root once the buckets in `after` have replaced those in `before`."""
    moved = sum(_mixed(bucket, value) - _mixed(bucket, before.get(bucket, EMPTY)) for bucket, value in after.items())
    return f"{(int(root, 16) + moved) % _MODULO:016x}"


def root_of(buckets: Mapping[int, Bucket]) -> str:
    """The root of a whole vector; empty buckets may be left out."""
    return root_after(NO_ROOT, {}, buckets)


def buckets_of(rows: Iterable[tuple[str, int]]) -> dict[int, Bucket]:
    """The vector of `(key, hash)` rows, counted from nothing."""
    moves = Moves()
    for key, hashed in rows:
        moves.add(key, hashed)
    return moves.changed({})


def hash_rows(rows: Iterable[tuple[str, int, bytes | msgspec.Raw]]) -> tuple[list[tuple[int, int]], dict[int, Bucket]]:
    """`(key, version, doc)` rows → bucket and hash of each, and their vector: all at once, for whole snapshots."""
    counts, totals = [0] * BUCKETS, [0] * BUCKETS
    hashed: list[tuple[int, int]] = []
    for key, version, doc in rows:
        bucket, value = zlib.crc32(key.encode()) % BUCKETS, row_hash(key, version, doc)
        counts[bucket] += 1
        totals[bucket] += value
        hashed.append((bucket, value))
    return hashed, {bucket: Bucket(count, signed(totals[bucket])) for bucket, count in enumerate(counts) if count}


def differing(ours: Mapping[int, Bucket], theirs: Mapping[int, Bucket]) -> list[int]:
    """The buckets in which two vectors differ."""
    return [bucket for bucket in range(BUCKETS) if ours.get(bucket, EMPTY) != theirs.get(bucket, EMPTY)]


def _mixed(bucket: int, value: Bucket) -> int:
    if value == EMPTY:
        return 0
    text = b"%d %d %d" % (bucket, value.count, value.total)
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
