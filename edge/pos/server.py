"""HTTP listeners: bound before anything else runs, so that a port in use is one clear message and not half a store."""

import contextlib
import socket
import ssl
from collections.abc import Generator

import uvicorn
from starlette.types import ASGIApp

from edge.errors import ConfigurationError
from edge.limits import CONNECTIONS_MAX, KEEP_ALIVE_S, LISTEN_BACKLOG, SHUTDOWN_S


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `ConfigurationError` when the address cannot be had; port 0 lets the system choose."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(address[0]), port), family=family, backlog=LISTEN_BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"{host} port {port}: {error.strerror}: is another program listening there?") from error


class HttpServer:
    """Serves one application on one bound socket until cancelled."""

    def __init__(self, app: ASGIApp, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._app = app
        self._listener = listener
        self._tls = tls

    async def run(self) -> None:
        """Serve; on cancellation let requests in flight end, for a named time."""
        config = uvicorn.Config(self._app, http="httptools", lifespan="off", log_config=None, access_log=False,
                                server_header=False, limit_concurrency=CONNECTIONS_MAX, date_header=False,
                                timeout_keep_alive=KEEP_ALIVE_S, timeout_graceful_shutdown=SHUTDOWN_S)
        config.load()
        config.ssl = self._tls
        await _Server(config).serve([self._listener.dup()])


class _Server(uvicorn.Server):
    """Leaves signals to the daemon."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
