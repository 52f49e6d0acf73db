"""A server whose answers are a function of what it is asked."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    """A request."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    number: int
    """How many came before it."""


class Handler(BaseHTTPRequestHandler):
    """A connection, and ways to answer on it."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.guard:
            asked = Asked(
                self.path, {name.lower(): value for name, value in self.headers.items()}, body, len(self.server.asked)
            )
            self.server.asked.append(asked)
            self.server.here += 1
            self.server.most = max(self.server.most, self.server.here)
        try:
            self.server.respond(asked, self)
        finally:
            with self.server.guard:
                self.server.here -= 1

    def answer(self, body: Any, status: int = 200, content_type: str = "application/json", **headers: str) -> None:
        """A whole answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(data)

    def hang_up(self, politely: bool = False) -> None:
        """End the connection: as one does, or with a reset."""
        if not politely:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_: Any) -> None:
        pass


Respond = Callable[[Asked, Handler], None]


class Server(ThreadingHTTPServer):
    """Serves on a free port, in threads, while it is entered."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, respond: Respond) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.respond = respond
        self.asked: list[Asked] = []
        self.guard = threading.Lock()
        self.here = self.most = 0
        self.closing = threading.Event()

    @property
    def root(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        """The address of OpenAI's protocol."""
        return f"{self.root}/v1"

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no error of the server's."""

    def __enter__(self) -> Server:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
