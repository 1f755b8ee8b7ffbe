"""Style sheet, scripts and icons: read once, served under names that carry their content, so a cache never lies.

After an upgrade every address is new; what a browser kept of the old ones does no harm (staff-and-operations.md A.1).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response

from edge.pos.problems import ProblemAnswer

DIRECTORY = Path(__file__).parent / "assets"
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. `path` is its address on the box."""

    path: str
    body: bytes
    media_type: str


class Assets:
    """Every file of a directory, by name (`page.css`) and by address."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._by_name = {path.name: _asset(path) for path in sorted(directory.iterdir()) if path.suffix in MEDIA_TYPES}
        self._by_address = {asset.path.rsplit("/", 1)[1]: asset for asset in self._by_name.values()}

    def path(self, name: str) -> str:
        """Where this file is to be fetched."""
        return self._by_name[name].path

    def response(self, address: str) -> Response:
        """The file under the last part of its address. Raises a 404 problem."""
        asset = self._by_address.get(address)
        if asset is None:
            raise ProblemAnswer(404, "not-found", "No such file; reload the page")
        return Response(asset.body, media_type=asset.media_type, headers={"Cache-Control": FOR_EVER})


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:12]
    return Asset(f"/staff/assets/{path.stem}.{digest}{path.suffix}", body, MEDIA_TYPES[path.suffix])
