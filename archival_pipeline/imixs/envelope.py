"""Cuts a document out of an answer, and marks one for its way back, without touching any other byte.

Not here: finding the places (``documents.py``).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from archival_pipeline.imixs.failures import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import BinaryIO

    from archival_pipeline.imixs.documents import Document, Span

HEADER = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
RESTORED = "$backuprestore"
PIECE = 1 << 20
_LONGEST_TAG = 4096
_OPENING = b"<document"


def cut_out(answer: BinaryIO, document: Document, target: BinaryIO) -> tuple[int, str]:
    """Write the file of a document: the header, and its element as it came.

    Args:
        answer: the whole answer.
        document: what the reader found in it.
        target: takes the file.

    Returns:
        Size and SHA-256 of the file.
    """
    digest = hashlib.sha256()
    size = 0
    for piece in _file(answer, document):
        target.write(piece)
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


def _file(answer: BinaryIO, document: Document) -> Iterator[bytes]:
    yield HEADER
    start = document.span.start
    if document.declarations:
        # Prefixes that are declared around the document would be lost with what is around it.
        yield _OPENING
        yield "".join(f" {name}={quoteattr(value)}" for name, value in document.declarations.items()).encode()
        start += len(_OPENING)
    yield from _pieces(answer, start, _end(answer, document.span))


def marked(file: BinaryIO, document: Document, now: datetime) -> Iterator[bytes]:
    """The file with the mark that tells the instance that it is restored; an older mark is left out.

    Args:
        file: the decoded file.
        document: what the reader found in it; ``$backuprestore`` must have been asked for.
        now: the moment of the mark.
    """
    yield from _pieces(file, 0, document.first_item)
    yield _mark(now)
    last = file.seek(0, 2)
    old = document.spans.get(RESTORED)
    if old is None:
        yield from _pieces(file, document.first_item, last)
        return
    yield from _pieces(file, document.first_item, old.start)
    yield from _pieces(file, _end(file, old), last)


def _mark(now: datetime) -> bytes:
    return (
        f'<item name="{RESTORED}"><value xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xmlns:xs="http://www.w3.org/2001/XMLSchema" xsi:type="xs:dateTime">'
        f"{now.isoformat(timespec='milliseconds')}</value></item>"
    ).encode()


def _end(file: BinaryIO, span: Span) -> int:
    """The first byte after an element, whose end tag begins where the span ends."""
    file.seek(span.end)
    tag = file.read(_LONGEST_TAG)
    length = tag.find(b">") + 1
    if length == 0:
        raise DamagedError("An element does not end.", resolve="Take the file from another backup.")
    return span.end + length


def _pieces(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    left = end - start
    while left > 0:
        piece = file.read(min(PIECE, left))
        if not piece:
            raise DamagedError("The document is shorter than it was a moment ago.", resolve="Run the job again.")
        yield piece
        left -= len(piece)
