"""Snapshots, hub → store: a feed's rows as immutable chunks named by their content (DESIGN.md section 10).

A chunk is a range of keys as NDJSON, compressed with gzip, named by the SHA-256 of the compressed bytes. The manifest
lists them in the order of their keys; all together are the feed exactly at `base_offset`. Pure.
"""

import hashlib
import itertools
import re
import zlib

import msgspec

from cloud_sync.contract.fingerprints import BUCKETS, Bucket, bucket_of, buckets_of, root_of, row_hash

CHUNK_BYTES_MIN = 2**20
CHUNK_BYTES_MAX = 4 * 2**20
"""Of NDJSON, before compression; a single longer row makes a longer chunk."""

CHUNK_UNPACKED_BYTES_MAX = 64 * 2**20
"""A chunk that unpacks to more is refused: no hub makes such."""

CHUNKS_MAX = 10_000
ROWS_MAX = 20_000_000
"""A manifest of more is refused."""

_GZIP_LEVEL = 6
_GZIP_WINDOW = 31  # zlib's number for "gzip header, largest window"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Row(msgspec.Struct, frozen=True):
    """One document under its key."""

    key: str
    version: int
    doc: msgspec.Raw


class Chunk(msgspec.Struct, frozen=True, rename={"first": "from", "last": "to"}):
    """Keys from `first` to `last`, both among the rows. `bytes`: compressed; `fingerprint`: root of these rows."""

    first: str
    last: str
    rows: int
    bytes: int
    sha256: str
    fingerprint: str


class Manifest(msgspec.Struct, frozen=True):
    """What a snapshot consists of. `root`: fingerprint of all of it."""

    generation: str
    base_offset: int
    root: str
    rows: int
    chunks: tuple[Chunk, ...]


class BadSnapshot(ValueError):
    """Manifest or chunk break the contract; `str()` says how. Nothing of it may be used."""


_encoder = msgspec.json.Encoder()
_row_decoder = msgspec.json.Decoder(Row)
_manifest_decoder = msgspec.json.Decoder(Manifest)


def encode_rows(rows: list[Row]) -> bytes:
    """Rows → NDJSON."""
    return _encoder.encode_lines(rows)


def make_chunk(rows: list[Row]) -> tuple[Chunk, bytes]:
    """A chunk of these rows (at least one, in the order of their keys) and its bytes: the same rows, the same bytes."""
    packer = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WINDOW)
    body = packer.compress(encode_rows(rows)) + packer.flush()
    return Chunk(rows[0].key, rows[-1].key, len(rows), len(body), hashlib.sha256(body).hexdigest(),
                 fingerprint(rows)), body


def ends_chunk(key: str, bytes_so_far: int) -> bool:
    """Whether the row under `key` is its chunk's last. By its content, so that a change renames one chunk and not
    all that follow."""
    return bytes_so_far >= CHUNK_BYTES_MAX or (bytes_so_far >= CHUNK_BYTES_MIN and bucket_of(key) % 512 == 0)


def fingerprint(rows: list[Row]) -> str:
    """The root of these rows alone."""
    return root_of(buckets_of((row.key, row_hash(row.key, row.version, row.doc)) for row in rows))


def decode_manifest(body: bytes) -> Manifest:
    """Raises `BadSnapshot`."""
    try:
        manifest = _manifest_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadSnapshot(f"manifest: {error}") from error
    _check(manifest)
    return manifest


def decode_chunk(chunk: Chunk, body: bytes) -> list[Row]:
    """The rows of a chunk that is exactly what the manifest named. Raises `BadSnapshot`.

    Its fingerprint is not computed here: who takes the rows in hashes them anyway.
    """
    if len(body) != chunk.bytes:
        raise BadSnapshot(f"chunk {chunk.sha256[:12]}: {len(body)} bytes, not {chunk.bytes}: it was cut short")
    if hashlib.sha256(body).hexdigest() != chunk.sha256:
        raise BadSnapshot(f"chunk {chunk.sha256[:12]}: these are other bytes than its name says")
    rows = _rows(_unpacked(chunk, body))
    if len(rows) != chunk.rows or rows[0].key != chunk.first or rows[-1].key != chunk.last:
        raise BadSnapshot(f"chunk {chunk.sha256[:12]}: not the {chunk.rows} rows that the manifest names")
    if any(one.key >= other.key for one, other in itertools.pairwise(rows)):
        raise BadSnapshot(f"chunk {chunk.sha256[:12]}: keys are out of order")
    return rows


def _check(manifest: Manifest) -> None:
    if len(manifest.chunks) > CHUNKS_MAX or not 0 <= manifest.rows <= ROWS_MAX or manifest.base_offset < 0:
        raise BadSnapshot("manifest: larger than any feed")
    if sum(chunk.rows for chunk in manifest.chunks) != manifest.rows:
        raise BadSnapshot("manifest: its chunks do not have the rows it counts")
    last = ""
    for chunk in manifest.chunks:
        if not (last < chunk.first <= chunk.last) or chunk.rows < 1 or not _SHA256.fullmatch(chunk.sha256):
            raise BadSnapshot(f"manifest: chunk from {chunk.first[:40]!r} does not follow")
        last = chunk.last


def _unpacked(chunk: Chunk, body: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        text = unpacker.decompress(body, CHUNK_UNPACKED_BYTES_MAX)
    except zlib.error as error:
        raise BadSnapshot(f"chunk {chunk.sha256[:12]}: not gzip ({error})") from error
    if not unpacker.eof or unpacker.unconsumed_tail:
        raise BadSnapshot(f"chunk {chunk.sha256[:12]}: it does not end within {CHUNK_UNPACKED_BYTES_MAX} bytes")
    return text


def _rows(text: bytes) -> list[Row]:
    try:
        rows = _row_decoder.decode_lines(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadSnapshot(f"chunk: {error}") from error
    if not rows:
        raise BadSnapshot("chunk: it is empty")
    return rows


class Vector(msgspec.Struct, frozen=True):
    """`GET …/buckets`: every bucket of a feed as it was at `offset`."""

    generation: str
    offset: int
    buckets: tuple[Bucket, ...]

    def as_mapping(self) -> dict[int, Bucket]:
        """Raises `BadSnapshot` for another number of buckets than both sides agree on."""
        if len(self.buckets) != BUCKETS:
            raise BadSnapshot(f"{len(self.buckets)} buckets, not {BUCKETS}")
        return dict(enumerate(self.buckets))


class BucketRows(msgspec.Struct, frozen=True):
    """`GET …/buckets/{n}`: every row of one bucket as it was at `offset`."""

    generation: str
    offset: int
    rows: tuple[Row, ...]
