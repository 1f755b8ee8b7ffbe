"""`lookup_rps`: barcode → price over HTTP, beside an empty Starlette route of the same path, token check and size.

Cold: every one of 20,814 codes once after a start of a store that lived before. Warm: the same again.
"""

import random
import statistics
import tempfile
from pathlib import Path

import httpx
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.pos.access import Principal, Role, Tokens
from tests.bench._load import drive, request
from tests.bench._ports import free_port, served
from tests.bench._store import ITEMS, TOKEN, fill, gtin_of, live_once, running

RATIO_LIMIT = 0.7
CONNECTIONS, DEPTH, ROUNDS = 16, 4, 3
_ANSWER_BYTES = 219
"""Size of a typical lookup's answer; checked against a real one."""


def run() -> list[dict[str, object]]:
    """Cold and warm; `ratio` is ours over the empty route's."""
    codes = [gtin_of(number) for number in range(ITEMS)]
    random.Random(5).shuffle(codes)
    requests = [request("GET", f"/v1/lookup/{code}", f"{TOKEN}-1") for code in codes]
    with tempfile.TemporaryDirectory() as directory:
        fill(Path(directory))
        port = free_port()
        live_once(Path(directory), port)
        with running(Path(directory), port), served(empty_app) as empty_port:
            size = _answer_bytes(port, codes[0])
            cold = uvloop.run(drive(port, requests, connections=CONNECTIONS, depth=DEPTH))
            warm, empty = [], []
            for _ in range(ROUNDS):
                empty.append(uvloop.run(drive(empty_port, requests, connections=CONNECTIONS, depth=DEPTH)))
                warm.append(uvloop.run(drive(port, requests, connections=CONNECTIONS, depth=DEPTH)))
    peer = statistics.median(empty)
    conditions = (f"{ITEMS} items, {CONNECTIONS} connections with {DEPTH} requests in flight, answers of {size} bytes; "
                  f"peer: empty Starlette route, same path and token check, {_ANSWER_BYTES} bytes")
    return [_figure("lookup_rps", statistics.median(warm), peer, f"warm, median of {ROUNDS}; {conditions}"),
            _figure("lookup_rps_cold", cold, peer, f"cold, every code once after the start; {conditions}")]


def empty_app() -> Starlette:
    """The peer."""
    tokens = Tokens({f"{TOKEN}-{till}": Principal(str(till), Role.TILL) for till in range(1, 33)})
    body = b"x" * _ANSWER_BYTES

    async def empty(request_: Request) -> Response:
        if tokens.principal(request_.headers.get("authorization", "")) is None:
            return Response(status_code=401)
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route("/v1/lookup/{code:path}", empty)])


def _answer_bytes(port: int, code: str) -> int:
    answer = httpx.get(f"http://127.0.0.1:{port}/v1/lookup/{code}", headers={"Authorization": f"Bearer {TOKEN}-1"})
    assert answer.status_code == httpx.codes.OK
    return len(answer.content)


def _figure(name: str, value: float, peer: float, conditions: str) -> dict[str, object]:
    return {"name": name, "value": round(value), "unit": "requests/s", "limit": round(RATIO_LIMIT * peer),
            "peer": round(peer), "ratio": round(value / peer, 3), "conditions": conditions}
