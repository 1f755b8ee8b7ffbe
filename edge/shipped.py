"""Where the files that come with the program are: `config/` and `systemd/` (DESIGN.md section 3, Packaging).

In a checkout they stand beside `edge`, in a wheel inside it as `edge/_shipped`. An operator's file of the same name in
/etc/trastienda wins over one under `config/`.
"""

from pathlib import Path

OPERATORS_DIRECTORY = Path("/etc/trastienda")

_HERE = Path(__file__).resolve().parent
_IN_WHEEL = _HERE / "_shipped"


def shipped(name: str, operators: Path = OPERATORS_DIRECTORY) -> Path:
    """The file or directory `name`, such as `config/templates/shelf.yaml` or `systemd/trastienda.service`.

    The operator's `/etc/trastienda/templates/shelf.yaml` wins by name. Raises `FileNotFoundError` saying both places.
    """
    own = _own_place(name, operators)
    if own is not None and own.exists():
        return own
    path = _root() / name
    if not path.exists():
        raise FileNotFoundError(f"{name} is not at {' nor at '.join(str(place) for place in (own, path) if place)}")
    return path


def shipped_files(directory: str, pattern: str, operators: Path = OPERATORS_DIRECTORY) -> dict[str, Path]:
    """Every file of a shipped directory that matches, by name in order; the operator's add to them and win."""
    places = (_root() / directory, _own_place(directory, operators))
    found = {path.name: path for place in places if place is not None for path in place.glob(pattern)}
    return dict(sorted(found.items()))


def _root() -> Path:
    return _IN_WHEEL if _IN_WHEEL.is_dir() else _HERE.parent


def _own_place(name: str, operators: Path) -> Path | None:
    """Where the operator's version would stand; only `config/` can be overridden, units have drop-ins of their own."""
    room, _, rest = name.partition("/")
    return operators / rest if room == "config" else None
