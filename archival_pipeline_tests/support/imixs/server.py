"""The instance over HTTP: ``python -m archival_pipeline_tests.support.imixs.server PORT_FILE``.

Beside the engine's own paths there is ``/_control``, by which a test saves documents and orders faults.
"""

from __future__ import annotations

import base64
import copy
import json
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from archival_pipeline_tests.support.imixs import wire
from archival_pipeline_tests.support.imixs.engine import Engine, Entry, FailedError, answered, decoded_twice, moment

ROOT = "/api/"
USERS = {"backup": ("s3cret&+%", True), "reader": ("reader", False)}
LOGIN_PAGE = b"""<!DOCTYPE html><html><body><form method="post" action="/j_security_check">
<input name="j_username"/><input name="j_password" type="password"/></form></body></html>"""
TOKEN_SECONDS = 300


class Instance:
    """Engine, logins and ordered faults of one server."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.method = "BASIC"
        self.sessions: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.faults: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.span = (0.0, 0.0)
        self.opened = threading.Event()
        self.kept: tuple[dict[str, wire.Items], list[Entry]] = ({}, [])

    def fault(self, call: str) -> dict[str, Any] | None:
        with self.engine.lock:
            self.calls.append(call)
            self.span = (self.span[0] or time.monotonic(), time.monotonic())
            for fault in self.faults:
                if re.search(fault["call"], call) and fault["times"] > 0:
                    if fault.get("skip", 0) > 0:
                        fault["skip"] -= 1
                        continue
                    fault["times"] -= 1
                    return fault
        return None


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    instance: Instance

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        del format, args

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - names of the base class

    def _serve(self) -> None:
        body = self._body()
        parts = urlsplit(self.path)
        if parts.path.startswith("/_control/"):
            self._control(parts.path.rpartition("/")[2], body)
            return
        fault = self.instance.fault(f"{self.command} {unquote(parts.path)}")
        action = fault["action"] if fault else ""
        if action == "hold":
            self.instance.opened.wait(60)
        if action == "drop":
            self._break()
            return
        if action == "expire":
            self.instance.sessions.clear()
            self.instance.tokens.clear()
        if action.isdigit():
            self._answer(int(action), b"")
            return
        self._route(parts.path, parse_qs(parts.query, keep_blank_values=True), body, action)

    def _route(self, path: str, query: dict[str, list[str]], body: bytes, action: str) -> None:
        if path == "/j_security_check":
            self._form_login(body)
            return
        if path == "/token":
            self._token(body)
            return
        user = self._user()
        if user is None:
            if self.instance.method == "FORM":
                self._answer(200, LOGIN_PAGE, "text/html;charset=UTF-8")
            else:
                self._answer(401, b"")
            return
        try:
            status, content = self._call(path.removeprefix(ROOT), query, body, user)
        except (FailedError, wire.RefusedXmlError) as error:
            status, content = error.status, b""
        self._answer_badly(status, content, action)

    def _answer_badly(self, status: int, content: bytes, action: str) -> None:
        if action == "lose":
            self._break()
        elif action == "cut":
            self._answer(status, content, cut=len(content) // 2)
        elif action == "flip":
            self._answer(status, content.replace(b"QUFB", b"QUFC", 1))
        elif action.startswith("slow"):
            time.sleep(int(action.removeprefix("slow ")) / 1000)
            self._answer(status, content)
        else:
            self._answer(status, content)

    def _call(self, path: str, query: dict[str, list[str]], body: bytes, user: str) -> tuple[int, bytes]:
        with self.instance.engine.lock:
            room, _, rest = path.partition("/")
            manager = USERS[user][1]
            if room == "model":
                return 200, b"<data/>"
            if room == "eventlog":
                return self._event_log(rest, query, body)
            if room == "documents":
                return self._documents(rest, query, user, manager=manager)
            if room == "snapshot" and self.command == "POST":
                return self._restore(body, manager=manager)
        raise FailedError(404)

    def _event_log(self, rest: str, query: dict[str, list[str]], body: bytes) -> tuple[int, bytes]:
        engine = self.instance.engine
        verb, _, argument = unquote(rest).partition("/")
        if self.command == "GET":
            if not rest:
                size, index = int(query.get("pageSize", ["100"])[0]), int(query.get("pageIndex", ["0"])[0])
                return 200, _entries(engine.listed(None, 0)[size * index : size * (index + 1)])
            limit = int(query.get("maxCount", ["99"])[0])
            if limit < 0:
                raise FailedError(500)
            return 200, _entries(engine.listed(unquote(rest).split("~"), limit))
        if self.command == "POST" and verb in {"lock", "unlock"}:
            (engine.lock_entry if verb == "lock" else engine.unlock_entry)(argument)
            return 200, b""
        if self.command == "POST" and verb == "release":
            engine.release(argument.partition("/")[2].split("~"))
        elif self.command == "PUT":
            engine.put(verb, argument, wire.parse(body))
        elif self.command == "DELETE":
            engine.entries = [entry for entry in engine.entries if entry.id != verb]
        return 204, b""

    def _documents(self, rest: str, query: dict[str, list[str]], user: str, *, manager: bool) -> tuple[int, bytes]:
        engine = self.instance.engine
        names = query["items"][0].split(",") if "items" in query else None
        if rest.startswith("jpql/"):
            try:
                found = engine.query(decoded_twice(rest.removeprefix("jpql/")))
            except ValueError:
                found = []
            size, index = int(query.get("pageSize", ["100"])[0]), int(query.get("pageIndex", ["0"])[0])
            page = found[size * index : size * (index + 1)]
            return 200, wire.data([answered(items, names) for items in page])
        if self.command == "DELETE":
            engine.delete(unquote(rest))
            return 200, b""
        return 200, wire.data([engine.get(unquote(rest), user, manager=manager, names=names)])

    def _restore(self, body: bytes, *, manager: bool) -> tuple[int, bytes]:
        items = wire.parse(body)
        if not manager:
            raise FailedError(401)
        return 200, wire.data([self.instance.engine.restore(items)])

    def _user(self) -> str | None:
        instance, method = self.instance, self.instance.method
        if method == "FORM":
            return instance.sessions.get(self._cookie("JSESSIONID"))
        if method == "OIDC":
            return instance.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if method == "JWT":
            return "backup" if self.headers.get("jwt") == USERS["backup"][0] else None
        if method == "COOKIE":
            return "backup" if self._cookie("backup") == USERS["backup"][0] else None
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        name, _, password = base64.b64decode(given).decode().partition(":")
        return name if name in USERS and USERS[name][0] == password else None

    def _cookie(self, name: str) -> str:
        pairs = (part.strip().partition("=") for part in self.headers.get("Cookie", "").split(";"))
        return next((value for key, _, value in pairs if key == name), "")

    def _form_login(self, body: bytes) -> None:
        fields = parse_qs(body.decode())
        name, password = fields["j_username"][0], fields["j_password"][0]
        if name in USERS and USERS[name][0] == password:
            number = f"session-{len(self.instance.calls)}"
            self.instance.sessions[number] = name
            self._answer(302, b"", headers={"Location": f"{ROOT}model", "Set-Cookie": f"JSESSIONID={number}; Path=/"})
        else:
            self._answer(200, LOGIN_PAGE, "text/html")

    def _token(self, body: bytes) -> None:
        fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        known = fields["grant_type"] == "refresh_token" and fields["refresh_token"] == "refresh-1"
        password = fields.get("username") == "backup" and fields.get("password") == USERS["backup"][0]
        if not (known or password):
            self._answer(401, b"{}", "application/json")
            return
        token = f"token-{len(self.instance.calls)}"
        self.instance.tokens[token] = "backup"
        answer = {"access_token": token, "refresh_token": "refresh-1", "expires_in": TOKEN_SECONDS}
        self._answer(200, json.dumps(answer).encode(), "application/json")

    def _control(self, verb: str, body: bytes) -> None:
        asked = json.loads(body or b"{}")
        with self.instance.engine.lock:
            answer = getattr(self, f"_control_{verb}")(**asked)
        self._answer(200, json.dumps(answer).encode(), "application/json")

    def _control_save(
        self, document_id: str, items: dict[str, str], files: dict[str, str], created: int | None, readers: list[str]
    ) -> str:
        stored: wire.Items = {name: [wire.text(value)] for name, value in items.items()}
        if readers:
            stored["$readaccess"] = [wire.text(name) for name in readers]
        contents = {name: base64.b64decode(value) for name, value in files.items()}
        return self.instance.engine.save(stored, document_id, contents, created)

    def _control_blob(self, document_id: str, size: int) -> str:
        """A document with a large attachment that no test has to send."""
        return self.instance.engine.save({}, document_id, {"large.bin": b"0123456789abcdef" * (size // 16)}, None)

    def _control_configure(self, **values: Any) -> None:
        for name, value in values.items():
            target = self.instance if name == "method" else self.instance.engine
            setattr(target, name, value)

    def _control_fault(self, call: str, action: str, times: int, skip: int) -> None:
        self.instance.opened.clear()
        self.instance.faults.append({"call": call, "action": action, "times": times, "skip": skip})

    def _control_calm(self) -> None:
        self.instance.faults.clear()
        self.instance.opened.set()

    def _control_calls(self) -> list[str]:
        return list(self.instance.calls)

    def _control_seconds(self) -> float:
        """Between the first and the latest call since this was asked last."""
        first, last = self.instance.span
        self.instance.span = (0.0, 0.0)
        return last - first

    def _control_entries(self) -> list[list[str]]:
        return [[entry.id, entry.topic, entry.ref] for entry in self.instance.engine.listed(None, 0)]

    def _control_turn_round(self) -> None:
        """Events come in the wrong order."""
        entries = self.instance.engine.entries
        for place, entry in enumerate(reversed(entries)):
            entry.number = place
            entry.created = moment(self.instance.engine.now)[1]

    def _control_put(self, topic: str, ref: str) -> None:
        self.instance.engine.put(topic, ref, {})

    def _control_delete(self, document_id: str) -> None:
        self.instance.engine.delete(document_id)

    def _control_archive_sync(self, mirrors: list[str]) -> None:
        self.instance.engine.archive_sync(mirrors)

    def _control_document(self, document_id: str) -> Any:
        return self.instance.engine.documents.get(document_id)

    def _control_ids(self) -> list[str]:
        return sorted(self.instance.engine.documents)

    def _control_keep(self) -> None:
        """Remember documents and entries as they are now."""
        self.instance.kept = copy.deepcopy((self.instance.engine.documents, self.instance.engine.entries))

    def _control_give_back(self) -> None:
        """Have them as they were."""
        self.instance.engine.documents, self.instance.engine.entries = copy.deepcopy(self.instance.kept)

    def _control_empty(self) -> None:
        self.instance.engine.documents.clear()
        self.instance.engine.entries.clear()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().strip(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(
        self,
        status: int,
        content: bytes,
        kind: str = "application/xml",
        *,
        headers: dict[str, str] | None = None,
        cut: int | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content if cut is None else content[:cut])
        if cut is not None:
            self._break()

    def _break(self) -> None:
        """Close the connection under the client's feet."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)


def _entries(entries: list[Entry]) -> bytes:
    documents: list[wire.Items] = []
    for entry in entries:
        items: wire.Items = {"id": [wire.text(entry.id)], "ref": [wire.text(entry.ref)]}
        items |= {"topic": [wire.text(entry.topic)], "created": [("xs:dateTime", entry.created)]}
        if entry.data:
            items["data"] = [entry.data]
        documents.append(items)
    return wire.data(documents)


def main() -> None:
    """Serve until killed; the port is written where the caller looks for it."""
    handler = type("Bound", (Handler,), {"instance": Instance()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        target = Path(sys.argv[1])
        temporary = target.with_suffix(".new")
        temporary.write_text(str(server.server_address[1]), encoding="utf-8")
        temporary.rename(target)
        server.serve_forever()


if __name__ == "__main__":
    main()
