"""A master, two replicas and three Sentinels, each a real process, with passwords everywhere and TLS for clients.

The embedded redis-server is built without TLS. So before each server stands a door that takes both: a client's TLS is
ended there, and the servers talk to each other through the same port in plain. Not here: certificates
(``tls_proxy.py``).
"""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from archival_pipeline.local.interim_servers import HOST, EmbeddedRedis, free_port
from archival_pipeline_tests.support.tls_proxy import Authority

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence
    from pathlib import Path

MASTER = "mymaster"
DATA_PASSWORD = "data-secret"
WATCH_PASSWORD = "watch-secret"
_HANDSHAKE = b"\x16"
_CHUNK = 65536


class Sentinels:
    """The whole group; stops with its block."""

    def __init__(self, folder: Path) -> None:
        """Choose ports and write configurations; nothing is started yet."""
        self.authority = Authority.create()
        self._context = self.authority.context_for(HOST, folder)
        self._stack = ExitStack()
        self.doors = [free_port() for _ in range(3)]
        self.watch_doors = [free_port() for _ in range(3)]
        self.servers = [self._server(folder / f"data{n}", n) for n in range(3)]
        self.watchers = [self._watcher(folder / f"watch{n}", n) for n in range(3)]

    def __enter__(self) -> Self:
        for door, server in zip([*self.doors, *self.watch_doors], [*self.servers, *self.watchers], strict=True):
            self._stack.enter_context(_Door(door, server.port, self._context))
            self._stack.enter_context(server)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def server_behind(self, door: int) -> EmbeddedRedis:
        """The server that a client reaches through a port."""
        return self.servers[self.doors.index(door)]

    def _server(self, folder: Path, number: int) -> EmbeddedRedis:
        options = [
            f"requirepass {DATA_PASSWORD}",
            f"masterauth {DATA_PASSWORD}",
            f"replica-announce-ip {HOST}",
            f"replica-announce-port {self.doors[number]}",
            "repl-diskless-sync yes",
            "repl-diskless-sync-delay 0",
        ]
        if number:
            options.append(f"replicaof {HOST} {self.doors[0]}")
        return EmbeddedRedis(folder, options=options)

    def _watcher(self, folder: Path, number: int) -> EmbeddedRedis:
        options = [
            f"requirepass {WATCH_PASSWORD}",
            f"sentinel sentinel-pass {WATCH_PASSWORD}",
            f"sentinel announce-ip {HOST}",
            f"sentinel announce-port {self.watch_doors[number]}",
            f"sentinel monitor {MASTER} {HOST} {self.doors[0]} 2",
            f"sentinel auth-pass {MASTER} {DATA_PASSWORD}",
            f"sentinel down-after-milliseconds {MASTER} 3000",
            f"sentinel failover-timeout {MASTER} 10000",
            f"sentinel parallel-syncs {MASTER} 1",
        ]
        return _Watcher(folder, options=options)


class _Watcher(EmbeddedRedis):
    name = "sentinel"

    def command(self) -> Sequence[str]:
        super().command()
        path = self.folder / f"{self.name}.conf"
        unknown = ("appendonly", "appendfsync", "save")
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(unknown)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [super().command()[0], str(path), "--sentinel"]


class _Door(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, target: int, context: ssl.SSLContext) -> None:
        super().__init__((HOST, port), _Visit)
        self.target = target
        self.context = context
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent about a server that is away: that is what the test is about."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Visit(socketserver.BaseRequestHandler):
    server: _Door
    request: socket.socket

    def handle(self) -> None:
        client = self.request
        if client.recv(1, socket.MSG_PEEK) == _HANDSHAKE:
            client = self.server.context.wrap_socket(client, server_side=True)
        with client, socket.create_connection((HOST, self.server.target)) as upstream:
            answers = threading.Thread(target=_pipe, args=(upstream, client), daemon=True)
            answers.start()
            _pipe(client, upstream)
            answers.join()


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    """Copy until either side closes, then tell both."""
    try:
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    except OSError:
        return
    finally:
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
