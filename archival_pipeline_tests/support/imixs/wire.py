"""The engine's XML: items to text and back, in the form that the real one writes.

A value is None, a pair of type and text, a dict of items (``xmlItemArray``) or a list of values (``xmlItem``).
"""

from __future__ import annotations

import io
import re
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

XSI = "http://www.w3.org/2001/XMLSchema-instance"
_DECLARED = f' xmlns:xsi="{XSI}" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
_HEADER = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
# The engine drops what XML 1.0 has no place for, and whatever is outside the basic plane.
_STRIPPED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")

Items = dict[str, list[Any]]


def text(value: str) -> tuple[str, str]:
    return ("xs:string", value)


def data(documents: list[Items]) -> bytes:
    if not documents:
        return f"{_HEADER}<data/>".encode()
    return f"{_HEADER}<data>{''.join(document(items) for items in documents)}</data>".encode()


def document(items: Items) -> str:
    return f"<document>{_items(items)}</document>"


def file_of(items: Items) -> bytes:
    """What stands on disk."""
    return f"{_HEADER}{document(items)}".encode()


def _items(items: Items) -> str:
    return "".join(
        f"<item name={quoteattr(name)}>{''.join(_value(value) for value in items[name])}</item>"
        for name in sorted(items)
    )


def _value(value: Any) -> str:
    if value is None:
        return f'<value{_DECLARED} xsi:nil="true"/>'
    if isinstance(value, dict):
        return f'<value{_DECLARED} xsi:type="xmlItemArray">{_items(value)}</value>'
    if isinstance(value, list):
        return f'<value{_DECLARED} xsi:type="xmlItem">{"".join(_value(part) for part in value)}</value>'
    kind, content = value
    return f'<value{_DECLARED} xsi:type="{kind}">{escape(_STRIPPED.sub("", content))}</value>'


class RefusedXmlError(Exception):
    """Carries the status that the engine answers with."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(str(status))


def parse(body: bytes) -> Items:
    """A request body; only a ``<document>`` root is taken, and every prefix of a type must be declared."""
    scopes: list[str] = []
    elements: list[ElementTree.Element] = []
    try:
        for kind, found in ElementTree.iterparse(io.BytesIO(body), ["start", "start-ns", "end-ns"]):  # noqa: S314 - what tests send
            if kind == "start-ns":
                scopes.append(found[0])
            elif kind == "end-ns":
                scopes.pop()
            else:
                elements.append(found)
                declared_type = found.get(f"{{{XSI}}}type") or ""
                if declared_type.startswith("xs:") and "xs" not in scopes:
                    raise RefusedXmlError(400)
    except ElementTree.ParseError:
        raise RefusedXmlError(400) from None
    if elements[0].tag != "document":
        raise RefusedXmlError(500)
    return _read_items(elements[0])


def _read_items(element: ElementTree.Element) -> Items:
    return {item.get("name", ""): [_read(value) for value in item.findall("value")] for item in element.findall("item")}


def _read(value: ElementTree.Element) -> Any:
    if value.get(f"{{{XSI}}}nil") == "true":
        return None
    kind = value.get(f"{{{XSI}}}type") or "xs:string"
    if kind == "xmlItemArray":
        return _read_items(value)
    if kind == "xmlItem":
        return [_read(part) for part in value.findall("value")]
    return (kind, value.text or "")
