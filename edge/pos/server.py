"""HTTP listeners: bound before anything else runs, so that a port in use is one clear message and not half a store."""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Generator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from edge.errors import ConfigurationError
from edge.limits import CONNECTIONS_MAX, KEEP_ALIVE_S, LISTEN_BACKLOG, SHUTDOWN_S
from edge.pos.joined_writes import JoiningProtocol


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `ConfigurationError` when the address cannot be had; port 0 lets the system choose."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(address[0]), port), family=family, backlog=LISTEN_BACKLOG)
    except OSError as error:
        hint = ": is another program listening there?" if error.errno == errno.EADDRINUSE else ""
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise ConfigurationError(f"{host} port {port}: {reason}{hint}") from error


def tls_context(certificate: Path, key: Path, credential: str) -> ssl.SSLContext:
    """TLS 1.2 or newer with a PEM chain and its private key. `credential` names the key for people.

    Raises `ConfigurationError`; a key with a password is one of its reasons, nobody is asked for it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        certificate.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"certificate {certificate} cannot be read: {error.strerror}") from error
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or "not PEM, or locked with a password"
        raise ConfigurationError(f"certificate {certificate} and its key, credential {credential}, cannot be used: "
                                 f"{reason}") from error
    return context


class HttpServer:
    """Serves one application on one bound socket until cancelled."""

    def __init__(self, app: ASGIApp, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._app = app
        self._listener = listener
        self._tls = tls

    async def run(self) -> None:
        """Serve; on cancellation let requests in flight end, for a named time."""
        config = uvicorn.Config(self._app, http=JoiningProtocol, lifespan="off", log_config=None, access_log=False,
                                server_header=False, limit_concurrency=CONNECTIONS_MAX, date_header=False,
                                proxy_headers=False,  # whoever is here is who the connection says
                                timeout_keep_alive=KEEP_ALIVE_S, timeout_graceful_shutdown=SHUTDOWN_S)
        config.load()
        config.ssl = self._tls
        server = _Server(config)
        serving = asyncio.create_task(server.serve_on(self._listener.dup()), name="http")
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            server.should_exit = True
            await serving
            raise
        finally:
            serving.cancel()


class _Server(uvicorn.Server):
    """Leaves signals to the daemon."""

    async def serve_on(self, listener: socket.socket) -> None:
        """Raises `RuntimeError` where uvicorn would end the process: as a task's error that would end the loop."""
        try:
            await self.serve([listener])
        except SystemExit as error:
            raise RuntimeError("the HTTP server gave up") from error

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
