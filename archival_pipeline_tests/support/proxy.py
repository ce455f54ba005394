"""A TCP proxy in front of a PostgreSQL server that breaks connections on purpose.

It reads the protocol just far enough to see COMMIT and the data of a COPY. What it does is switched while it runs.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 65536
_HEAD = struct.Struct("!ci")
_LENGTH = struct.Struct("!i")

Trouble = Literal["none", "lose answer to commit", "cut after bytes", "stall after bytes"]


@dataclass(slots=True)
class Switches:
    """What goes wrong.

    Attributes:
        trouble: what.
        number: at which COMMIT, or after how many bytes of COPY data; counted over all connections.
        happened: set when it has gone wrong.
        delay: seconds that each piece from the server is held back.
    """

    trouble: Trouble = "none"
    number: int = 1
    happened: threading.Event = field(default_factory=threading.Event)
    delay: float = 0.0
    count: int = 0


@contextmanager
def proxy(target: tuple[str, int], switches: Switches) -> Iterator[int]:
    """Listen on a free loopback port; yield it."""
    with _Proxy(("127.0.0.1", 0), _Connection) as server:
        server.target = target
        server.switches = switches
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            server.stopping.set()
            thread.join()


class _Proxy(socketserver.ThreadingTCPServer):
    target: tuple[str, int]
    switches: Switches
    daemon_threads = True
    server_address: tuple[str, int]

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.guard = threading.Lock()
        self.stopping = threading.Event()


class _Connection(socketserver.BaseRequestHandler):
    server: _Proxy
    request: socket.socket

    def handle(self) -> None:
        self._committing = False
        with socket.create_connection(self.server.target) as upstream:
            self._upstream = upstream
            answers = threading.Thread(target=self._answers, daemon=True)
            answers.start()
            with suppress(OSError):
                self._questions()
            self._cut()
            answers.join()

    def _questions(self) -> None:
        """Pass on what the client says, message by message."""
        first = True
        while head := _read(self.request, _LENGTH.size if first else _HEAD.size):
            kind, length = (b"", _LENGTH.unpack(head)[0]) if first else _HEAD.unpack(head)
            body = _read(self.request, length - _LENGTH.size)
            # The answer to a request for TLS or GSS is one byte, and then the client begins anew.
            first = first and _LENGTH.unpack(body[:4])[0] in (80877103, 80877104)
            if not self._pass(kind, body):
                return
            self._upstream.sendall(head + body)

    def _pass(self, kind: bytes, body: bytes) -> bool:
        """Look at one message; whether it may go on."""
        switches = self.server.switches
        with self.server.guard:
            if switches.happened.is_set():
                return True
            if kind == b"Q" and body == b"COMMIT\0" and switches.trouble == "lose answer to commit":
                switches.count += 1
                self._committing = switches.count == switches.number
            if kind == b"d" and switches.trouble in ("cut after bytes", "stall after bytes"):
                switches.count += len(body)
                if switches.count >= switches.number:
                    switches.happened.set()
                    if switches.trouble == "cut after bytes":
                        return False
            else:
                return True
        if switches.happened.is_set():
            # Nothing more comes, and nobody says so.
            self.server.stopping.wait()
            return False
        return True

    def _answers(self) -> None:
        """Pass on what the server says; an answer that is to be lost was heard here, so the server has committed."""
        with suppress(OSError):
            while data := self._upstream.recv(_CHUNK):
                if self._committing and b"COMMIT" in data:
                    self.server.switches.happened.set()
                    break
                self.server.stopping.wait(self.server.switches.delay)
                self.request.sendall(data)
        self._cut()

    def _cut(self) -> None:
        for end in (self.request, self._upstream):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _read(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := source.recv(size - len(data))):
        data += piece
    return data
