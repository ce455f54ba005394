"""Streams rows from one PostgreSQL to another: COPY out of one session straight into COPY of the other.

Rows pass through as bytes, in pieces of bounded size, and are never Python objects. Not here: which rows.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from psycopg.errors import error_from_result
from psycopg.generators import fetch_many

from archival_pipeline.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psycopg
    from psycopg import Copy
    from psycopg.sql import Composed

# The last message of binary data: a row of minus one columns.
_END = b"\xff\xff"
# The only message where there is no row at all: signature, no flags, no extension, end.
_NOTHING = b"PGCOPY\n\xff\r\n\x00" + bytes(4 + 4) + _END

# One row arrives per message; pieces of this size are worth a send.
_PIECE_BYTES = 256 * 1024


def stream(
    origin: psycopg.Connection[Any],
    copy_out: Composed,
    parameters: Mapping[str, Any],
    destination: psycopg.Connection[Any],
    copy_in: Composed,
) -> tuple[int, int]:
    """Run both COPY statements against each other.

    Args:
        origin: session that reads.
        copy_out: ``COPY (…) TO STDOUT (FORMAT binary)``; its parameters are bound by the driver.
        parameters: values of ``copy_out``.
        destination: session that writes.
        copy_in: ``COPY … FROM STDIN (FORMAT binary)`` of the same columns.

    Returns:
        Rows and bytes passed on.

    Raises:
        VerificationError: the destination took another number of rows than the origin gave.
    """
    passed = 0
    with origin.cursor() as reader, destination.cursor() as writer:
        with reader.copy(copy_out, parameters) as source:
            pieces = _pieces(source)
            first = next(pieces)
            if first == _NOTHING:
                # Most tables of most batches have no row: spare the destination the round trip.
                return 0, 0
            with writer.copy(copy_in) as sink:
                for piece in chain((first,), pieces):
                    sink.write(piece)
                    passed += len(piece)
        if reader.rowcount != writer.rowcount:
            raise VerificationError(f"{reader.rowcount} rows were read and {writer.rowcount} were written.")
        return writer.rowcount, passed


def _pieces(source: Copy) -> Iterator[bytearray]:
    """Rows put together to pieces that are worth a send."""
    server = source.connection.pgconn
    piece = bytearray()
    for first in source:
        row = first
        piece += row
        # The loop above waits for a row, and costs more than the row. What has arrived by now needs no waiting; but
        # the end of the data is left to the loop, which knows what comes after it.
        while row not in (_END, _NOTHING):
            size, row = server.get_copy_data(1)
            if size == 0:
                break
            if size < 0:
                raise _failure(source)
            piece += row
            if len(piece) >= _PIECE_BYTES:
                yield piece
                piece = bytearray()
    yield piece


def _failure(source: Copy) -> psycopg.Error:
    """What the server said instead of sending the rest."""
    results = source.connection.wait(fetch_many(source.connection.pgconn))
    return error_from_result(results[0])
