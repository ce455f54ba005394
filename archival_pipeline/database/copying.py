"""Streams rows from one PostgreSQL to another: COPY out of one session straight into COPY of the other.

Rows pass through as bytes, in pieces of bounded size, and are never Python objects. Not here: which rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg
    from psycopg.sql import Composed

# One row arrives per message; pieces of this size are worth a send.
_PIECE_BYTES = 256 * 1024


def stream(
    origin: psycopg.Connection[Any],
    copy_out: Composed,
    parameters: Mapping[str, Any],
    destination: psycopg.Connection[Any],
    copy_in: Composed,
) -> int:
    """Run both COPY statements against each other.

    Args:
        origin: session that reads.
        copy_out: ``COPY (…) TO STDOUT (FORMAT binary)``; its parameters are bound by the driver.
        parameters: values of ``copy_out``.
        destination: session that writes.
        copy_in: ``COPY … FROM STDIN (FORMAT binary)`` of the same columns.

    Returns:
        Bytes passed on.
    """
    passed = 0
    with (
        origin.cursor() as reader,
        destination.cursor() as writer,
        writer.copy(copy_in) as sink,
        reader.copy(copy_out, parameters) as source,
    ):
        pieces: list[bytes] = []
        waiting = 0
        for piece in source:
            pieces.append(bytes(piece))
            waiting += len(piece)
            if waiting >= _PIECE_BYTES:
                sink.write(b"".join(pieces))
                passed, waiting = passed + waiting, 0
                pieces.clear()
        sink.write(b"".join(pieces))
    return passed + waiting
