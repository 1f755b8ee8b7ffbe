"""Pictures that were drawn and encoded before anybody wanted them, by what they show. Pure bookkeeping, bounded."""

from collections import OrderedDict

from drivers.port import Blob, LabelDescription
from edge.limits import PREPARED_BYTES_MAX, PREPARED_KEEP_S

_Key = tuple[str, str]


class PreparedPictures:
    """Encoded pictures by content hash and label type: one for all labels of a product that are of one type."""

    def __init__(self) -> None:
        self._blobs: OrderedDict[_Key, tuple[float, Blob]] = OrderedDict()
        self.size_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether nothing more is kept; what is missing is drawn when it is wanted."""
        return self.size_bytes >= PREPARED_BYTES_MAX

    def get(self, content_hash: str, description: LabelDescription) -> Blob | None:
        """The picture of this content for a label of this type, if it was prepared."""
        found = self._blobs.get((content_hash, description.type_name))
        return found[1] if found else None

    def put(self, content_hash: str, description: LabelDescription, blob: Blob, now_s: float) -> None:
        """Keep it. Not to be called while `is_full`."""
        key = (content_hash, description.type_name)
        if key not in self._blobs:
            self._blobs[key] = (now_s, blob)
            self.size_bytes += len(blob.payload)

    def forget_old(self, now_s: float) -> None:
        """Let go what was prepared so long ago that its moment has passed."""
        while self._blobs:
            key, (made_s, blob) = next(iter(self._blobs.items()))
            if now_s - made_s < PREPARED_KEEP_S:
                return
            del self._blobs[key]
            self.size_bytes -= len(blob.payload)
