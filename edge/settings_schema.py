"""`python -m edge.settings_schema FILE`: writes the JSON Schema of a store's settings (`make schema`)."""

import sys
from pathlib import Path

from edge.settings import json_schema

if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(json_schema())
