"""The product's command line with a ``kill -9`` at one of its points, in a fork of a process that has it loaded.

::

    python -m archival_pipeline_tests.support.imixs.worker --serve
    arguments of a call: LOG NUMBER imixs backup …

A point lies after everything that others can see: each statement to the record's database, each command to an FTP
or SFTP server and its answer, each piece of a file, each call of S3, each change of a folder, each piece of a request
to the instance and its answer. What comes between two points nobody but the process itself can see. At the point of
that number it kills itself; 0 is nowhere. Not here: what is expected of it (``integration/imixs/test_kill.py``).
"""

from __future__ import annotations

import ftplib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import httpx
import paramiko
from botocore.client import BaseClient
from fsspec.implementations.local import LocalFileSystem

from archival_pipeline.cli import cli
from archival_pipeline.commands import output
from archival_pipeline_tests.faults import points as statements
from archival_pipeline_tests.support.forks import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg


class Points:
    """Counts the points, and ends the process at one of them."""

    def __init__(self, last: int, log: int) -> None:
        """Keep what is needed at the point.

        Args:
            last: number of the point to die at.
            log: file descriptor that gets a line for each point.
        """
        self._last, self._log = last, log
        self._guard = threading.Lock()
        self._count = 0

    def reached(self, connection: psycopg.Connection[Any] | None, when: str, what: str) -> None:
        """Count a point of the database's driver; before a statement is where the point before it was."""
        del connection
        if when == "after":
            self.at(what)

    def at(self, what: str) -> None:
        """Count a point."""
        with self._guard:
            self._count += 1
            os.write(self._log, f"{self._count} {what}\n".encode())
            if self._count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)


class _Counted(httpx.SyncByteStream):
    """The body of a request, with a point after each piece."""

    def __init__(self, body: httpx.SyncByteStream, points: Points) -> None:
        self._body, self._points = body, points

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._body:
            yield piece
            if piece:
                self._points.at("a piece of a request")

    def close(self) -> None:
        self._body.close()


def install(points: Points) -> None:
    """Wrap the libraries that talk to others; there is no way back but the end of the process."""
    statements.install(points)
    _after(ftplib.FTP, "putcmd", points, lambda _, line: f"FTP {line.partition(' ')[0]}")
    _after(ftplib.FTP, "getresp", points, lambda _: "FTP answer")
    _upload(points)
    _after(paramiko.SFTPClient, "_async_request", points, lambda *_: "SFTP request")
    _after(paramiko.SFTPClient, "_request", points, lambda *_: "SFTP answer")
    _after(BaseClient, "_make_api_call", points, lambda _, operation, __: f"S3 {operation}")
    _after(os, "replace", points, lambda *_: "rename")
    _after(os, "fsync", points, lambda *_: "fsync")
    _after(LocalFileSystem, "rm_file", points, lambda *_: "remove")
    _after(LocalFileSystem, "makedirs", points, lambda *_, **__: "make a folder")
    _after(LocalFileSystem, "open", points, lambda _, __, mode, **___: f"open {mode}")
    _requests(points)


def _after(owner: Any, name: str, points: Points, describe: Callable[..., str]) -> None:
    inner = getattr(owner, name)

    def outer(*arguments: Any, **named: Any) -> Any:
        result = inner(*arguments, **named)
        points.at(describe(*arguments, **named))
        return result

    setattr(owner, name, outer)


def _upload(points: Points) -> None:
    """A point after each piece of a file; what is read back changes nothing until its answer has come."""
    inner = ftplib.FTP_TLS.storbinary

    def outer(self: ftplib.FTP_TLS, cmd: str, file: Any, blocksize: int) -> str:
        return inner(self, cmd, file, blocksize, lambda _: points.at("FTP a piece of a file"))

    ftplib.FTP_TLS.storbinary = outer  # type: ignore[assignment,method-assign]


def _requests(points: Points) -> None:
    inner = httpx.HTTPTransport.handle_request

    def outer(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        request.stream = _Counted(request.stream, points)
        response = inner(self, request)
        points.at(f"{request.method} {request.url.path}")
        return response

    httpx.HTTPTransport.handle_request = outer  # type: ignore[method-assign]


def main(arguments: Sequence[str]) -> int:
    """Run one command line; the standard outputs are somebody else's."""
    log, number, *command = arguments
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    install(Points(int(number), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)))
    return output.run(cli, command)


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve(main)
    sys.exit(main(sys.argv[1:]))
