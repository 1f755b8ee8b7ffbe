"""Free loopback ports, and peers: served by uvicorn as it comes, on the same event loop and parser as the daemon."""

import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
import uvloop
from starlette.types import ASGIApp


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def served(make_app: Callable[[], ASGIApp]) -> Iterator[int]:
    """The application in a process of its own; yields its port."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(make_app, port), daemon=True)
    process.start()
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.join(10)


def _serve(make_app: Callable[[], ASGIApp], port: int) -> None:
    async def main() -> None:
        await uvicorn.Server(uvicorn.Config(make_app(), host="127.0.0.1", port=port, http="httptools", lifespan="off",
                                            log_config=None, access_log=False, server_header=False,
                                            date_header=False)).serve()
    uvloop.run(main())


def _wait_for(port: int) -> None:
    end_s = time.monotonic() + 30
    while time.monotonic() < end_s:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"nothing listens on port {port} after 30 s")


