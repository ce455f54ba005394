"""Reads the XML of a document while it streams by: identity, places of elements in bytes, digests of attachments.

The bytes themselves are never rewritten: a generic XML writer drops the declaration of the prefix ``xs``, which occurs
inside attribute values only, and the engine then refuses the document. What has to be cut or put in is done at the
byte positions that the parser reports. Not here: cutting and copying (``envelope.py``).
"""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from archival_pipeline.imixs.failures import DamagedError

_SNAPSHOT_ID = re.compile(r"(?P<document>[0-9A-Za-z][0-9A-Za-z._-]*)-(?P<millis>\d{10,15})")
_LONGEST_VALUE = 65_536
_MAX_DEPTH = 200
# Depths inside a document: item > value > item named as the file > its values > item md5checksum > value.
_VALUE, _FILE, _FILE_VALUE, _ATTRIBUTE_VALUE = 2, 3, 4, 6
# Of the values of a file: content type, content, attributes.
_CONTENT = 2

ALWAYS = frozenset({"$uniqueid", "$created", "$modified", "$snapshotid", "type"})


def split_snapshot_id(snapshot_id: str) -> tuple[str, int]:
    """Document id and time in milliseconds of a snapshot id.

    Raises:
        DamagedError: it is none.
    """
    found = _SNAPSHOT_ID.fullmatch(snapshot_id)
    if found is None:
        raise DamagedError(
            f"{snapshot_id!r} is not the id of a snapshot.",
            resolve="A snapshot id is a document id, a dash and the time in milliseconds.",
        )
    return found["document"], int(found["millis"])


@dataclass(slots=True)
class Span:
    """Where an element stands: its first byte, and the first byte of its end tag."""

    start: int
    end: int = -1


@dataclass(slots=True)
class Attachment:
    """One attached file: what the document says about it, and what its content really is."""

    name: str
    size: int = 0
    md5: str = ""
    said_md5: str = ""

    @property
    def is_damaged(self) -> bool:
        """Whether the content is not the one whose digest the document carries."""
        return bool(self.said_md5) and self.said_md5.upper() != self.md5.upper()


@dataclass(slots=True)
class Document:
    """What is known of a document after its last byte.

    Attributes:
        items: values of the items that were asked for, as text.
        attachments: every attached file.
        span: of the ``<document>`` element.
        first_item: where the first item begins.
        spans: of the items that were asked for.
        declarations: namespace declarations of an enclosing ``<data>`` element.
    """

    items: dict[str, list[str]] = field(default_factory=dict)
    attachments: list[Attachment] = field(default_factory=list)
    span: Span = field(default_factory=lambda: Span(-1))
    first_item: int = -1
    spans: dict[str, Span] = field(default_factory=dict)
    declarations: dict[str, str] = field(default_factory=dict)

    def first(self, name: str) -> str | None:
        """First value of an item, None if there is none."""
        values = self.items.get(name)
        return values[0] if values else None

    @property
    def damaged_attachments(self) -> list[str]:
        """Names of attached files whose content does not have the digest that the document says."""
        return [file.name for file in self.attachments if file.is_damaged]


class Reader:
    """Takes the bytes of one answer or file, piece by piece."""

    def __init__(self, *, in_data: bool, wanted: frozenset[str] = ALWAYS) -> None:
        """Prepare for one document.

        Args:
            in_data: whether the root is ``<data>`` around one document, as in answers, or ``<document>``, as in files.
            wanted: the items whose values are kept.
        """
        self._in_data = in_data
        self._wanted = wanted
        self._document = Document()
        self._documents = 0
        self._stack: list[tuple[str, str]] = []
        self._outside = 1 if in_data else 0
        self._text: list[str] | None = None
        self._kept = 0
        self._text_depth = 0
        self._values = 0
        self._content: _Content | None = None
        self._parser = _parser(self)

    def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            DamagedError: this is not such a document.
        """
        self._parse(piece, last=False)

    def close(self) -> Document:
        """Take the end, and say what came.

        Raises:
            DamagedError: the document is not whole.
        """
        self._parse(b"", last=True)
        if self._documents != 1:
            raise _damaged(f"it holds {self._documents} documents, not one")
        return self._document

    def _parse(self, piece: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(piece, last)
        except expat.ExpatError as error:
            raise _damaged(f"not well-formed XML: {error}") from None
        except binascii.Error as error:
            raise _damaged(f"an attachment is not base64: {error}") from None

    def declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        """Refuse what is not UTF-8: the file says that it is."""
        if encoding is not None and encoding.upper() not in {"UTF-8", "UTF8", "US-ASCII"}:
            raise _damaged(f"its encoding is {encoding}")

    def doctype(self, *_: Any) -> None:
        """Refuse a document type: entities are how XML attacks."""
        raise _damaged("it has a document type declaration")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        depth = len(self._stack) - self._outside
        if depth > _MAX_DEPTH:
            raise _damaged("it is nested too deeply")
        self._stack.append((tag, attributes.get("name", "")))
        place = self._parser.CurrentByteIndex
        if depth < 0:
            self._begin_data(tag, attributes)
        elif depth == 0:
            self._begin_document(tag, place)
        elif depth == 1:
            self._begin_item(attributes.get("name", ""), place)
        elif tag == "value":
            self._begin_value(depth)
        elif depth == _FILE and self._top_item() == "$file":
            self._document.attachments.append(Attachment(attributes.get("name", "")))
            self._values = 0

    def end(self, _tag: str) -> None:
        """An element ends."""
        depth = len(self._stack) - 1 - self._outside
        place = self._parser.CurrentByteIndex
        if depth == 0:
            self._document.span.end = place
        elif depth == 1 and self._top_item() in self._document.spans:
            self._document.spans[self._top_item()].end = place
        elif self._content is not None and depth == _FILE_VALUE:
            self._content.finish(self._document.attachments[-1])
            self._content = None
        elif self._text is not None and depth == self._text_depth:
            self._keep("".join(self._text), depth)
            self._text = None
        self._stack.pop()

    def text(self, text: str) -> None:
        """Characters between tags."""
        if self._content is not None:
            self._content.feed(text)
        elif self._text is not None and self._kept < _LONGEST_VALUE:
            self._text.append(text)
            self._kept += len(text)

    def _begin_data(self, tag: str, attributes: dict[str, str]) -> None:
        if tag != "data":
            raise _damaged(f"its root is <{tag[:40]}>, not <data>")
        self._document.declarations = {
            name: value for name, value in attributes.items() if name == "xmlns" or name.startswith("xmlns:")
        }

    def _begin_document(self, tag: str, place: int) -> None:
        if tag != "document":
            raise _damaged(f"it holds <{tag[:40]}>, not <document>")
        self._documents += 1
        if self._documents > 1:
            raise _damaged("it holds more than one document")
        self._document.span = Span(place)

    def _begin_item(self, name: str, place: int) -> None:
        if self._document.first_item < 0:
            self._document.first_item = place
        if name in self._wanted:
            self._document.spans[name] = Span(place)
            self._document.items[name] = []

    def _begin_value(self, depth: int) -> None:
        name = self._top_item()
        if depth == _VALUE and name in self._wanted:
            self._text, self._kept, self._text_depth = [], 0, depth
        if name != "$file" or not self._document.attachments:
            return
        if depth == _FILE_VALUE:
            self._values += 1
            if self._values == _CONTENT:
                self._content = _Content()
        elif depth == _ATTRIBUTE_VALUE and self._stack[-2][1] == "md5checksum":
            self._text, self._kept, self._text_depth = [], 0, depth

    def _keep(self, text: str, depth: int) -> None:
        if depth == _VALUE:
            self._document.items[self._top_item()].append(text)
        else:
            self._document.attachments[-1].said_md5 = text.strip()

    def _top_item(self) -> str:
        return self._stack[self._outside + 1][1]


class _Content:
    """The content of an attached file: base64 in pieces of any length."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0
        self._rest = b""

    def feed(self, text: str) -> None:
        piece = self._rest + b"".join(text.encode("ascii", "replace").split())
        whole = len(piece) - len(piece) % 4
        self._rest = piece[whole:]
        self._take(piece[:whole])

    def finish(self, attachment: Attachment) -> None:
        if self._rest:
            raise _damaged("an attachment ends in the middle of its base64")
        attachment.size = self._size
        attachment.md5 = self._md5.hexdigest()

    def _take(self, piece: bytes) -> None:
        content = binascii.a2b_base64(piece, strict_mode=bool(piece))
        self._md5.update(content)
        self._size += len(content)


def _parser(reader: Reader) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = 1 << 16
    parser.XmlDeclHandler = reader.declared
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    return parser


def _damaged(why: str) -> DamagedError:
    return DamagedError(
        f"The document cannot be used: {why}.", resolve="Compare it with the instance, or take it from another backup."
    )
