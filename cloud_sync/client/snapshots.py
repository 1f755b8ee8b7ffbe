"""Loading a snapshot: which chunk is next. Pure; `feeds.FeedLoop` does the talking, the store checks and keeps."""

from collections.abc import Iterator

from cloud_sync.contract.feeds import Cursor
from cloud_sync.contract.snapshots import Chunk, Manifest


def missing(manifest: Manifest, held: frozenset[str]) -> Iterator[Chunk]:
    """The chunks still to be fetched, in the order of their keys: what is here already is never fetched again."""
    return (chunk for chunk in manifest.chunks if chunk.sha256 not in held)


def cursor_of(manifest: Manifest) -> Cursor:
    """Where the feed goes on behind the snapshot."""
    return Cursor(manifest.generation, manifest.base_offset)
