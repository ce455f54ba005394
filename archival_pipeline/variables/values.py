"""A variable's stored value: lossless, as JSON for people and as the engine's REST API takes it.

Java objects are never deserialized: their class and bytes are handed on. Not here: which value counts (``snapshot``).
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from archival_pipeline.variables.failures import PlanRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

JAVA_FORMAT = "application/x-java-serialized-object"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes of a value.

    Attributes:
        size: how many.
        sha256: their digest in hex.
        data: the bytes; None where they were too many to be read along.
    """

    size: int
    sha256: str
    data: bytes | None = None

    @property
    def base64(self) -> str | None:
        """The bytes as text."""
        return None if self.data is None else base64.b64encode(self.data).decode("ascii")


@dataclass(frozen=True, slots=True)
class Value:
    """The value columns of one change.

    Attributes:
        type: VAR_TYPE_.
        text: TEXT_.
        text2: TEXT2_.
        long: LONG_.
        double: DOUBLE_.
        content: the byte array.
    """

    type: str | None
    text: str | None = None
    text2: str | None = None
    long: int | None = None
    double: float | None = None
    content: Content | None = None

    def as_json(self) -> dict[str, Any]:
        """The value for programs: type, value, and what else belongs to it."""
        plain = _PLAIN.get(self.type or "null")
        if plain is not None:
            name, read = plain
            return {"type": name, "value": read(self)}
        document: dict[str, Any] = {"type": self._rest_type(), "value": None, "valueInfo": self._info()}
        if self.content is not None:
            document |= {"value": self._content(), "size": self.content.size, "sha256": self.content.sha256}
            document["truncated"] = self.content.data is None
        return document

    def for_engine(self) -> dict[str, Any]:
        """The value as the engine's REST API takes it.

        Raises:
            PlanRefusedError: the value cannot be sent as it was: its bytes were not read, or its type is not known.
        """
        document = self.as_json()
        if document.pop("truncated", False):
            raise PlanRefusedError(
                "A value was read without its bytes, so it cannot be sent.",
                resolve="Make the plan with a higher limit of inline bytes.",
            )
        if self.type not in _PLAIN and self.type not in _WITH_CONTENT and not self._is_object():
            raise PlanRefusedError(
                f"The engine's REST API takes no value of the type {self.type!r}.",
                resolve="Leave the variable out of the plan, and set it by hand.",
            )
        return {name: document[name] for name in ("type", "value", "valueInfo") if document.get(name) is not None} | {
            "value": document["value"]
        }

    @property
    def java(self) -> bool:
        """Whether it is a Java object in Java's own format, which engines refuse over REST unless told otherwise."""
        return self.type == "serializable"

    @property
    def file_name(self) -> str | None:
        """The name to save its content under."""
        return self.text if self.type == "file" else None

    @property
    def media_type(self) -> str:
        """The content's media type."""
        if self.type == "file":
            return (self.text2 or "").partition("#")[0] or "application/octet-stream"
        return _MEDIA.get(self.type or "", "application/octet-stream")

    def _rest_type(self) -> str:
        return _WITH_CONTENT.get(self.type or "") or ("Object" if self._is_object() else str(self.type))

    def _is_object(self) -> bool:
        return self.type == "serializable" or str(self.type).startswith("spin://")

    def _info(self) -> dict[str, str]:
        if self.type == "file":
            mime, _, encoding = (self.text2 or "").partition("#")
            told = {"filename": self.text, "mimeType": mime, "encoding": encoding}
            return {name: value for name, value in told.items() if value}
        if self._is_object():
            form = JAVA_FORMAT if self.java else str(self.type).removeprefix("spin://")
            return {"objectTypeName": self.text2 or "", "serializationDataFormat": form}
        return {}

    def _content(self) -> str | None:
        assert self.content is not None  # noqa: S101 - the caller looked
        if self.content.data is None:
            return None
        textual = self.type in _MEDIA or (self._is_object() and not self.java)
        return self.content.data.decode("utf-8") if textual else self.content.base64


def _date(value: Value) -> str | None:
    """The engine's form of a date; milliseconds since 1970 where the calendar of this language ends."""
    if value.long is None:
        return None
    try:
        moment = _EPOCH + timedelta(milliseconds=value.long)
    except OverflowError:
        return str(value.long)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


def _double(value: Value) -> float | str | None:
    if value.double is None or math.isfinite(value.double):
        return value.double
    # JSON has no number for these; the engine reads Java's words for them.
    return "NaN" if math.isnan(value.double) else ("Infinity" if value.double > 0 else "-Infinity")


_PLAIN: dict[str, tuple[str, Callable[[Value], Any]]] = {
    "string": ("String", lambda value: value.text),
    "integer": ("Integer", lambda value: value.long),
    # TEXT_ of a short is a debug text of the engine.
    "short": ("Short", lambda value: value.long),
    "long": ("Long", lambda value: value.long),
    "boolean": ("Boolean", lambda value: None if value.long is None else value.long == 1),
    "date": ("Date", _date),
    "double": ("Double", _double),
    "null": ("Null", lambda _: None),
}
_WITH_CONTENT = {"bytes": "Bytes", "file": "File", "json": "Json", "xml": "Xml"}
_MEDIA = {"json": "application/json", "xml": "application/xml"}
