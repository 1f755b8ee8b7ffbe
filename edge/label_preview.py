"""`trastienda labels preview`: templates as PNG files, on every type of label that a driver knows."""

import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from drivers.known_labels import known_geometries
from drivers.port import LabelDescription
from edge.errors import Rejected
from edge.labels.contact_sheet import contact_sheet_png
from edge.labels.render import CannotDraw, preview_png, render
from edge.labels.samples import sample
from edge.labels.shipped_templates import store_templates

_SIZE = re.compile(r"(\d{2,4})[x×](\d{2,4})")


def draw_previews(names: Sequence[str], sizes: Sequence[str], language: str, directory: Path) -> list[Path]:
    """Draw and write; returns the files, sheets first. Raises `Rejected` for an unknown template or size, `OSError`."""
    templates = store_templates()
    unknown = [name for name in names if name not in templates.names]
    if unknown:
        raise Rejected(f"no template called {', '.join(unknown)}; there are {', '.join(templates.names)}")
    chosen = _of_sizes(known_geometries(), sizes)
    directory.mkdir(parents=True, exist_ok=True)
    sheets: list[Path] = []
    pictures: list[Path] = []
    console = Console(stderr=True)
    for name in track(names or templates.names, "Drawing", console=console, disable=not console.is_terminal):
        content = sample(name, language)
        sheets.append(_written(directory / f"{name}.png", contact_sheet_png(templates, name, content, chosen)))
        for label in chosen:
            colours = "".join(colour.name[0].lower() for colour in sorted(label.colours))
            path = directory / f"{name}-{label.width}x{label.height}-{colours}.png"
            try:
                pictures.append(_written(path, preview_png(render(templates.select(name, label), content, label))))
            except CannotDraw as problem:
                raise Rejected(f"template {name} on {label.width}×{label.height}: {problem}") from problem
    return sheets + pictures


def _of_sizes(labels: list[LabelDescription], sizes: Sequence[str]) -> list[LabelDescription]:
    if not sizes:
        return labels
    wanted = set[tuple[int, int]]()
    for size in sizes:
        parts = _SIZE.fullmatch(size)
        if parts is None:
            raise Rejected(f"{size!r} is no size: write the pixels as 296x128")
        wanted.add((int(parts[1]), int(parts[2])))
    found = [label for label in labels if (label.width, label.height) in wanted]
    missing = wanted - {(label.width, label.height) for label in found}
    if missing:
        there = ", ".join(sorted({f"{label.width}x{label.height}" for label in labels}))
        raise Rejected(f"no label has {', '.join(f'{w}x{h}' for w, h in sorted(missing))}; there are {there}")
    return found


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
