"""`python -m tests.bench [name ...]`: runs the named benchmarks, or all, and prints one JSON object per figure.

A benchmark is a module in this folder with `run()`, returning one figure or a list of them; its name is the
module's name. Modules that begin with an underscore are helpers. The exit code is 1 when one raised, 2 for an
unknown name; the others still run.
"""

import importlib
import json
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

Figure = dict[str, object]
"""Keys: name, value, unit, limit, peer, ratio, conditions."""


def names() -> list[str]:
    """Every benchmark in this folder."""
    return sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])
                  if not module.name.startswith("_"))


def measure(name: str) -> list[Figure]:
    """The figures of one benchmark. Raises whatever the benchmark raises."""
    figures = importlib.import_module(f"tests.bench.{name}").run()
    return [figures] if isinstance(figures, dict) else list(figures)


def main(wanted: Sequence[str]) -> int:
    """Print figures as they come; returns the exit code."""
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        print(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    failed = False
    for name in wanted or names():
        try:
            for figure in measure(name):
                print(json.dumps(figure, ensure_ascii=False), flush=True)
        except Exception:
            failed = True
            print(f"benchmark {name} failed:", file=sys.stderr)
            traceback.print_exc()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
