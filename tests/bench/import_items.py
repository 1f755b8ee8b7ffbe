"""How long a supermarket's catalogue takes through importer and storage, beside the bare inserts of the same rows.

The peer writes exactly the rows the hub writes (document and feed record, of every item and every price) with
`executemany` into the same encrypted SQLite, one transaction, synchronous FULL; it reads no file, checks nothing and
compares nothing.
"""

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlcipher3 import dbapi2 as sqlcipher

from cloud_sync.hub import schema
from cloud_sync.hub.catalogue_file import ImportOptions
from cloud_sync.hub.importer import import_into
from cloud_sync.hub.secrets import HubKey
from cloud_sync.hub.storage import HubStorage, open_storage

ITEMS = 20_814
ROUNDS = 3
KEY = HubKey("0123456789abcdef" * 4)
TABLES = (schema.ZONE_FEEDS.document, schema.ZONE_FEEDS.record)

Row = tuple[object, ...]


def run() -> dict[str, object]:
    """`import_items_s`: the best of `ROUNDS`, beside the best of the peer."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "catalogue.csv")
        file.write_text("\n".join(_lines()) + "\n")
        taken_s, rows = min((_import(Path(directory, f"hub{number}.db"), file) for number in range(ROUNDS)),
                            key=lambda done: done[0])
        peer_s = min(_bare(Path(directory, f"bare{number}.db"), rows) for number in range(ROUNDS))
    return {"name": "import_items_s", "value": round(taken_s, 3), "unit": "s", "limit": None,
            "peer": round(peer_s, 3), "ratio": round(taken_s / peer_s, 2),
            "conditions": f"{ITEMS} generated items with prices, CSV to feeds, SQLCipher, FULL; peer: executemany of "
                          f"the same {sum(map(len, rows.values()))} rows; best of {ROUNDS}"}


def _lines() -> Iterator[str]:
    """Rows of a grocery catalogue's shape."""
    rng = random.Random(20260105)
    yield "sku,gtin,name,category,department,brand,manufacturer_id,package_size,price"
    for number in range(ITEMS):
        sku = 1_000_000 + 7 * number
        words = " ".join("".join(rng.choices("ABCDEFGHIKLMNOPRSTUVW", k=rng.randint(4, 9))) for _ in range(3))
        yield (f'{sku},{_gtin(sku)},"{words}",{words.split()[0]} {number % 97},GROCERY,'
               f"{rng.choice(('National', 'Private'))},{rng.randint(1, 6500)},{rng.randint(1, 64)} OZ,"
               f"{rng.randint(3, 12_999) / 100:.2f}")


def _gtin(sku: int) -> str:
    body = f"04000{sku:07}"
    return body + str(-sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(body)) % 10)


def _import(database: Path, file: Path) -> tuple[float, dict[str, list[Row]]]:
    storage = open_storage(f"sqlite:///{database}", KEY, lambda: 0, random.Random(1).randbytes)
    try:
        began_s = time.perf_counter()
        result = import_into(storage, file, ImportOptions())
        taken_s = time.perf_counter() - began_s
        assert (result.items_changed, result.prices_changed, result.warnings) == (ITEMS, ITEMS, ())
        return taken_s, _rows(storage)
    finally:
        storage.close()


def _rows(storage: HubStorage) -> dict[str, list[Row]]:
    """What the import left in each table."""
    with storage.database.transaction() as connection:
        return {table.name: [tuple(row) for row in connection.execute(sa.select(table))] for table in TABLES}


def _bare(database: Path, rows: dict[str, list[Row]]) -> float:
    storage = open_storage(f"sqlite:///{database}", KEY, lambda: 0, random.Random(1).randbytes)
    storage.close()
    connection = sqlcipher.connect(str(database), isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{KEY.derive('database').hex()}'\"")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    began_s = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    for table, values in rows.items():
        marks = ", ".join("?" * len(values[0]))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)
    connection.execute("COMMIT")
    taken_s = time.perf_counter() - began_s
    connection.close()
    return taken_s
