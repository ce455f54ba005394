"""The workflow instance over REST, as the backup and the restore need it.

Every call names all it needs; nothing of one call stays for the next, so that the lanes share one client. Reading
calls are repeated after a broken connection; ``lock`` is not, because a second lock of the same entry is one that
nobody takes away again. ``release`` of the event log is never called: it deletes what it should free. Not here: logins
(``sessions.py``), what a document's bytes mean (``documents.py``).
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

import httpx
from defusedxml import ElementTree
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from archival_pipeline.errors import ConfigurationError
from archival_pipeline.imixs.documents import ALWAYS, Document, Reader
from archival_pipeline.imixs.failures import DamagedError, LoginError, RefusedError, UnreachableError
from archival_pipeline.imixs.sessions import is_login_page, session_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Any, BinaryIO

    from archival_pipeline.settings_imixs import WorkflowSettings

_NOT_FOUND, _CONFLICT, _SERVER_ERROR = 404, 409, 500
_REFUSED_LOGIN = frozenset({401, 403})
_TRIES = 3
# Enough for any list of entries or ids; a document goes to a file instead.
_LARGEST_LIST = 64 << 20


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the event log.

    Attributes:
        id: of the entry.
        ref: id of the snapshot.
        topic: as listed, with its lock marks.
        created: when it was queued, as the instance writes it.
    """

    id: str
    ref: str
    topic: str
    created: str


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for the instance, and how often to ask a reading call again."""

    connect_seconds: float
    read_seconds: float
    tries: int = _TRIES


class WorkflowClient:
    """Calls of one instance; safe to use from several threads."""

    def __init__(
        self,
        settings: WorkflowSettings,
        *,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        patience = patience or Patience(settings.connect_seconds, settings.read_seconds)
        self._http = httpx.Client(
            base_url=settings.endpoint,
            auth=session_for(settings, clock),
            headers={"Accept": "application/xml"},
            timeout=httpx.Timeout(patience.read_seconds, connect=patience.connect_seconds),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
            verify=_tls(settings.ca_cert_path),
            trust_env=False,
        )
        self._retrying = Retrying(
            stop=stop_after_attempt(patience.tries),
            wait=wait_exponential(multiplier=0.2, max=2),
            retry=retry_if_exception_type(UnreachableError),
            sleep=sleep,
            reraise=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def events(self, topic: str, limit: int) -> list[Event]:
        """The oldest entries of exactly this topic.

        Args:
            topic: ``snapshot.backup``; with ``.lock`` behind it for the locked ones.
            limit: at most so many, at least one: 0 and negative numbers have other meanings to the engine.
        """
        path = f"eventlog/{quote(topic, safe='')}"
        return [_event(found) for found in self._documents(path, {"maxCount": str(max(limit, 1))})]

    def lock(self, event_id: str) -> bool:
        """Lock an entry that was just listed unlocked; False if it is not ours to have.

        Raises:
            UnreachableError: no answer; the entry may be locked or not.
        """
        response = self._send("POST", f"eventlog/lock/{quote(event_id, safe='')}")
        if response.status_code == _CONFLICT or response.status_code >= _SERVER_ERROR:
            return False
        _accept(response, "locking an entry of the event log")
        return True

    def unlock(self, event_id: str) -> bool:
        """Unlock an entry that we have locked; False if the instance says that it is not locked."""
        response = self._send("POST", f"eventlog/unlock/{quote(event_id, safe='')}")
        if response.status_code == _CONFLICT or response.status_code >= _SERVER_ERROR:
            return False
        _accept(response, "unlocking an entry of the event log")
        return True

    def delete_event(self, event_id: str) -> None:
        """Delete an entry; one that is gone already counts as deleted."""
        path = f"eventlog/{quote(event_id, safe='')}"
        self._retrying(lambda: _accept(self._send("DELETE", path), "deleting an entry of the event log"))

    def fetch(self, document_id: str, sink: BinaryIO, wanted: frozenset[str] = ALWAYS) -> Document | None:
        """Write the answer about a document into a file while it is read.

        Args:
            document_id: id of a document or snapshot.
            sink: emptied first, as another try begins anew.
            wanted: the items whose values are kept.

        Returns:
            What the document holds; None if there is none, or none that this user may read.

        Raises:
            UnreachableError: no whole answer after several tries.
            DamagedError: an answer came, and is no document.
        """
        return self._retrying(lambda: self._fetch(document_id, sink, wanted))

    def items(self, document_id: str, names: frozenset[str]) -> dict[str, str | None] | None:
        """First values of some items of a document; None if there is none, or none that this user may read."""
        found = self._documents(_path(document_id), {"items": ",".join(sorted(names))}, or_none=True)
        return _first_values(found[0]) if found else None

    def query(self, jpql: str, page_size: int, names: frozenset[str]) -> list[dict[str, str | None]]:
        """First page of a query. A query that fails comes back empty, too: the caller has to tell.

        Args:
            jpql: without ``%``, whose encoding depends on the engine's release.
            page_size: at most so many documents.
            names: items to return.
        """
        parameters = {"pageSize": str(page_size), "pageIndex": "0", "items": ",".join(sorted(names))}
        return [_first_values(found) for found in self._documents(f"documents/jpql/{quote(jpql, safe='')}", parameters)]

    def restore(self, body: Iterator[bytes]) -> None:
        """Give a snapshot back to the instance; the bytes are sent as they are."""
        try:
            response = self._http.post("snapshot/", content=body, headers={"Content-Type": "application/xml"})
        except httpx.TransportError as error:
            raise _unreachable("restoring a snapshot", error) from error
        _accept(response, "restoring a snapshot")

    def delete_document(self, document_id: str) -> None:
        """Delete a document; one that is not there counts as deleted."""
        response = self._send("DELETE", _path(document_id))
        if response.status_code != _NOT_FOUND:
            _accept(response, "deleting a snapshot from the database")

    def log_in(self) -> None:
        """Renew the login before something is sent that cannot be sent twice."""
        self._documents("eventlog", {"pageSize": "1", "pageIndex": "0"})

    def _fetch(self, document_id: str, sink: BinaryIO, wanted: frozenset[str]) -> Document | None:
        sink.seek(0)
        sink.truncate()
        reader = Reader(in_data=True, wanted=wanted)
        doing = "reading a document"
        try:
            with self._http.stream("GET", _path(document_id)) as response:
                if response.status_code == _NOT_FOUND:
                    return None
                _accept(response, doing)
                for piece in response.iter_bytes():
                    sink.write(piece)
                    reader.feed(piece)
        except httpx.TransportError as error:
            raise _unreachable(doing, error) from error
        return reader.close()

    def _documents(self, path: str, parameters: dict[str, str], *, or_none: bool = False) -> list[Any]:
        def ask() -> list[Any]:
            response = self._send("GET", path, parameters)
            if or_none and response.status_code == _NOT_FOUND:
                return []
            _accept(response, f"reading {path.partition('/')[0]}")
            return _parsed(response.content)

        return self._retrying(ask)

    def _send(self, method: str, path: str, parameters: dict[str, str] | None = None) -> httpx.Response:
        try:
            return self._http.request(method, path, params=parameters)
        except httpx.TransportError as error:
            raise _unreachable(f"{method} {path.partition('/')[0]}", error) from error


def _tls(ca_cert_path: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_cert_path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"WORKFLOW_SERVICE_CA_CERT_PATH cannot be used: {type(error).__name__}.",
            resolve="Name a readable file with the CA certificate in PEM.",
        ) from None


def _path(document_id: str) -> str:
    return f"documents/{quote(document_id, safe='')}"


def _accept(response: httpx.Response, doing: str) -> None:
    """Go on only with an answer that is one.

    Raises:
        LoginError: the instance asked for a login, in whatever form.
        UnreachableError: the server failed; another try may pass.
        RefusedError: the call was refused.
    """
    status = response.status_code
    if status in _REFUSED_LOGIN or is_login_page(response) or response.is_redirect:
        raise LoginError(
            f"The instance asked for a login while {doing} (status {status}).",
            resolve="Check user, password and roles: the backup user needs manager access.",
        )
    if status >= _SERVER_ERROR:
        raise UnreachableError(
            f"The instance answered {status} while {doing}.", resolve="Read its log; the next run tries again."
        )
    if not response.is_success:
        raise RefusedError(
            f"The instance answered {status} while {doing}.", resolve="Read the instance's log.", status=status
        )


def _unreachable(doing: str, error: httpx.TransportError) -> UnreachableError:
    return UnreachableError(
        f"No whole answer from the instance while {doing}: {type(error).__name__}.",
        resolve="Check that it is up and reachable under WORKFLOW_SERVICE_ENDPOINT; the next run tries again.",
    )


def _parsed(content: bytes) -> list[Any]:
    """The documents of a small answer."""
    if len(content) > _LARGEST_LIST:
        raise DamagedError("A list of the instance is too large.", resolve="Ask for fewer entries at a time.")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise DamagedError(f"A list of the instance is not XML: {error}.", resolve="Read the instance's log.") from None
    if root.tag != "data":
        raise DamagedError(f"A list of the instance begins with <{root.tag}>.", resolve="Check the endpoint.")
    return list(root.findall("document"))


def _first_values(document: Any) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for item in document.findall("item"):
        value = item.find("value")
        values[item.get("name", "")] = None if value is None else value.text
    return values


def _event(document: Any) -> Event:
    values = _first_values(document)
    return Event(
        values.get("id") or "", values.get("ref") or "", values.get("topic") or "", values.get("created") or ""
    )
