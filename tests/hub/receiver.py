"""A receiver of webhooks on a real port, in a thread of its own: it notes what comes and answers as it is told."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

Answer = tuple[int, Mapping[str, str]]
OK: Answer = (204, {})


@dataclass(frozen=True, slots=True)
class Received:
    """One request, with the event in it."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, object]:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        return str(self.event["type"]).removeprefix("trastienda.")

    def is_signed_with(self, secret: str) -> bool:
        """Checked by hand, as the specification writes it."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        return self.headers["webhook-signature"] == f"v1,{signature}"


@dataclass
class Receiver:
    """`with Receiver() as receiver: receiver.url`. `answers`: called with every request, may take its time."""

    answers: Callable[[Received], Answer] = lambda _: OK
    certificate: ssl.SSLContext | None = None
    received: list[Received] = field(default_factory=list)
    at_once_max: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        outer, lock, open_now = self, threading.Lock(), dict[str, int]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                request = Received(self.path, {name.lower(): text for name, text in self.headers.items()}, body)
                subject = str(request.event.get("subject", ""))
                with lock:
                    open_now[subject] = open_now.get(subject, 0) + 1
                    outer.at_once_max[subject] = max(outer.at_once_max.get(subject, 0), open_now[subject])
                    outer.received.append(request)
                try:
                    status, headers = outer.answers(request)
                finally:
                    with lock:
                        open_now[subject] -= 1
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name, text)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.certificate:
            self._server.socket = self.certificate.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    def types(self, subject: str) -> list[str]:
        return [one.type for one in self.received if one.event["subject"] == subject]

    def waits_for(self, count: int, timeout_s: float = 20) -> list[Received]:
        """Blocks until so many requests came."""
        deadline_s = time.monotonic() + timeout_s
        while len(self.received) < count:
            assert time.monotonic() < deadline_s, f"{len(self.received)} of {count} came"
            time.sleep(0.01)
        return self.received
