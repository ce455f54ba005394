"""A server with the engine's documented REST behaviour, for tests: trees, variables, modification, start, errors.

``python -m archival_pipeline_tests.support.engine_program PORT STATE`` serves what the JSON file STATE says: instances
with their trees, definitions with their scopes, who may log in, how to misbehave. Not here: the engine's execution of a
process; a started activity waits for ever.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_TYPES: dict[str, Any] = {
    "String": str, "Integer": int, "Short": int, "Long": int, "Boolean": bool, "Double": (int, float, str), "Date": str,
    "Null": type(None), "Bytes": str, "File": str, "Object": str, "Json": str, "Xml": str,
}  # fmt: skip
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}")


class RestError(Exception):
    """An answer that is an error, in the engine's form."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        self.status, self.kind, self.message = status, kind, message
        super().__init__(message)


def _invalid(message: str) -> RestError:
    return RestError(400, "InvalidRequestException", message)


def _engine_error(message: str) -> RestError:
    return RestError(500, "RestException", message)


class Model:
    """The engine's memory."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        self.log: list[dict[str, Any]] = []
        self._ids = itertools.count(1)

    def answer(self, method: str, path: str, query: str, body: Any) -> Any:
        for verb, pattern, handler in _ROUTES:
            found = re.fullmatch(pattern, path)
            if verb == method and found:
                return handler(self, *found.groups(), **({"body": body} if method != "GET" else {"query": query}))
        raise RestError(404, "RestException", f"Could not find resource for full path: {path}")

    def instance(self, instance_id: str, **_: str) -> Any:
        found = self.state["instances"].get(instance_id)
        if found is None:
            raise _invalid_404(f"Process instance with id {instance_id} does not exist")
        return {
            "id": instance_id, "definitionId": found["definitionId"], "businessKey": found.get("businessKey"),
            "suspended": found["suspended"], "ended": False, "links": [],
        }  # fmt: skip

    def tree(self, instance_id: str, **_: str) -> Any:
        self.instance(instance_id)
        return self._node(self.state["instances"][instance_id], instance_id)

    def _node(self, instance: dict[str, Any], node_id: str) -> dict[str, Any]:
        node = instance["nodes"][node_id]
        children = [row for row, other in instance["nodes"].items() if other["parent"] == node_id]
        return {
            "id": node_id, "parentActivityInstanceId": node["parent"], "activityId": node["activityId"],
            "activityType": node.get("type"), "executionIds": node["executionIds"],
            "childActivityInstances": [
                self._node(instance, row) for row in children if not instance["nodes"][row].get("transition")
            ],
            "childTransitionInstances": [
                {"id": row, "activityId": instance["nodes"][row]["activityId"],
                 "executionId": instance["nodes"][row]["executionIds"][0]}
                for row in children if instance["nodes"][row].get("transition")
            ],
        }  # fmt: skip

    def variables(self, query: str) -> Any:
        found = re.search(r"processInstanceIdIn=([^&]+)", query)
        instance = self.state["instances"].get(found[1] if found else "")
        return [
            {"id": f"var-{execution}-{name}", "name": name, "executionId": execution, **value}
            for execution, values in (instance["variables"] if instance else {}).items()
            for name, value in values.items()
        ]

    def set_process_variables(self, instance_id: str, body: Any) -> None:
        if instance_id not in self.state["instances"]:
            raise _engine_error(f"Cannot modify variables for process instance {instance_id}: it doesn't exist")
        self._set(self.state["instances"][instance_id], instance_id, body)

    def set_locals(self, execution: str, body: Any) -> None:
        for instance in self.state["instances"].values():
            if any(execution in node["executionIds"] for node in instance["nodes"].values()):
                self._set(instance, execution, body)
                return
        raise _engine_error(f"Cannot modify variables for execution {execution}: execution {execution} doesn't exist")

    def _set(self, instance: dict[str, Any], execution: str, body: Any) -> None:
        values = {name: self._checked(name, value) for name, value in body.get("modifications", {}).items()}
        kept = instance["variables"].setdefault(execution, {})
        kept.update(values)
        for name in body.get("deletions", []):
            kept.pop(name, None)

    def _checked(self, name: str, value: dict[str, Any]) -> dict[str, Any]:
        kind = value.get("type", "Null")
        content: Any = value.get("value")
        if kind not in _TYPES:
            raise _invalid(f"Cannot use variable {name}: Unsupported value type '{kind}'")
        wanted = _TYPES[kind]
        if content is not None and (
            not isinstance(content, wanted) or (isinstance(content, bool) and kind != "Boolean")
        ):
            raise _invalid(f"Cannot use variable {name}: Cannot convert value to java type {kind}")
        if kind == "Date" and content is not None and not _DATE.fullmatch(content):
            raise _invalid(f"Cannot use variable {name}: not a date of the configured format")
        form = value.get("valueInfo", {}).get("serializationDataFormat")
        if kind == "Object" and form == "application/x-java-serialized-object" and not self.state.get("java"):
            raise _engine_error(
                f"ENGINE-17007 Cannot set variable with name {name}. Java serialization format is prohibited"
            )
        if kind in {"Bytes", "File"} and content is not None:
            base64.b64decode(content, validate=True)
        return {"type": kind, "value": content, "valueInfo": value.get("valueInfo", {})}

    def suspend(self, instance_id: str, body: Any) -> None:
        self.instance(instance_id)
        self.state["instances"][instance_id]["suspended"] = body["suspended"]

    def modify(self, instance_id: str, body: Any) -> None:
        if instance_id not in self.state["instances"]:
            raise _invalid(f"Cannot modify process instance {instance_id}: it does not exist")
        instance = json.loads(json.dumps(self.state["instances"][instance_id]))
        for instruction in body.get("instructions", []):
            if instruction["type"] == "cancel":
                self._cancel(instance, instruction)
            else:
                self._start(instance, instance_id, instruction)
        self.state["instances"][instance_id] = instance

    def _cancel(self, instance: dict[str, Any], instruction: dict[str, Any]) -> None:
        node_id = instruction.get("activityInstanceId") or instruction.get("transitionInstanceId")
        node = instance["nodes"].pop(node_id, None)
        if node is None:
            raise _invalid(f"Cannot perform instruction: Cancel: activity instance '{node_id}' does not exist")
        for child in [row for row, other in instance["nodes"].items() if other["parent"] == node_id]:
            self._cancel(instance, {"activityInstanceId": child})
        parent = instance["nodes"].get(node["parent"])
        # An empty scope ends, and takes its variables along.
        if parent and parent["parent"] and not any(n["parent"] == node["parent"] for n in instance["nodes"].values()):
            for execution in parent["executionIds"]:
                instance["variables"].pop(execution, None)
            self._cancel(instance, {"activityInstanceId": node["parent"]})

    def _start(self, instance: dict[str, Any], root: str, instruction: dict[str, Any]) -> None:
        activity = instruction["activityId"]
        scopes: dict[str, str | None] = self.state["definitions"][instance["definitionId"]]
        if activity not in scopes:
            raise _invalid(f"Cannot perform instruction: element '{activity}' does not exist in process")
        if instance["suspended"]:
            raise _engine_error("ENGINE-03043 Cannot start activity in a suspended process instance")
        parent, created = self._scope(instance, root, scopes[activity], instruction.get("ancestorActivityInstanceId"))
        number = next(self._ids)
        crowded = any(node["parent"] == parent for node in instance["nodes"].values())
        own = f"exec-{number}" if crowded else instance["nodes"][parent]["executionIds"][0]
        instance["nodes"][f"{activity}:{number}"] = {"parent": parent, "activityId": activity, "executionIds": [own]}
        for name, value in instruction.get("variables", {}).items():
            checked = self._checked(name, value)
            holder = (instance["nodes"][parent]["executionIds"][0] if created else own) if value.get("local") else root
            instance["variables"].setdefault(holder, {})[name] = checked

    def _scope(self, instance: dict[str, Any], root: str, scope: str | None, ancestor: str | None) -> tuple[str, bool]:
        if scope is None:
            return root, False
        alive = [row for row, node in instance["nodes"].items() if node["activityId"] == scope]
        if ancestor in alive:
            return str(ancestor), False
        if len(alive) > 1 and ancestor is None:
            raise _engine_error(f"Ancestor activity execution is ambiguous for activity {scope}")
        if alive and ancestor is None:
            return alive[0], False
        definition = self.state["definitions"][instance["definitionId"]]
        parent, _ = self._scope(instance, root, definition[scope], None if ancestor == root else ancestor)
        number = next(self._ids)
        made = f"{scope}:{number}"
        instance["nodes"][made] = {"parent": parent, "activityId": scope, "executionIds": [f"exec-{number}"]}
        return made, True

    def history(self, instance_id: str, **_: str) -> Any:
        found = self.state["history"].get(instance_id)
        if found is None:
            raise _invalid_404(f"Historic process instance with id {instance_id} does not exist")
        return {"id": instance_id, **found}

    def start(self, definition_id: str, body: Any) -> Any:
        if definition_id not in self.state["definitions"]:
            raise _invalid_404(f"Cannot instantiate process definition {definition_id}: it does not exist")
        made = f"new-{next(self._ids)}"
        root = {"parent": None, "activityId": definition_id, "executionIds": [made]}
        instance: dict[str, Any] = {
            "definitionId": definition_id, "suspended": False, "businessKey": body.get("businessKey"),
            "nodes": {made: root}, "variables": {},
        }  # fmt: skip
        self._set(instance, made, {"modifications": body.get("variables", {})})
        for instruction in body.get("startInstructions", []):
            self._start(instance, made, instruction)
        self.state["instances"][made] = instance
        return {"id": made, "definitionId": definition_id, "businessKey": body.get("businessKey"), "ended": False}


def _invalid_404(message: str) -> RestError:
    return RestError(404, "InvalidRequestException", message)


_ROUTES = (
    ("GET", "/process-instance/([^/]+)", Model.instance),
    ("GET", "/process-instance/([^/]+)/activity-instances", Model.tree),
    ("GET", "/variable-instance", Model.variables),
    ("GET", "/history/process-instance/([^/]+)", Model.history),
    ("POST", "/process-instance/([^/]+)/variables", Model.set_process_variables),
    ("POST", "/execution/([^/]+)/localVariables", Model.set_locals),
    ("POST", "/process-instance/([^/]+)/modification", Model.modify),
    ("PUT", "/process-instance/([^/]+)/suspended", Model.suspend),
    ("POST", "/process-definition/([^/]+)/start", Model.start),
)


class Handler(BaseHTTPRequestHandler):
    """HTTP around the model."""

    protocol_version = "HTTP/1.1"
    model: Model

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name of the base class
        """Keep quiet: bodies and headers are in the model's own log."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body: Any = json.loads(self.rfile.read(length)) if length else None
        path, _, query = self.path.partition("?")
        if path == "/state":
            if self.command == "PUT":
                self.model.state.update(body)
            elif self.command == "POST":
                Handler.model = Model(body)
            self._reply(200, {"state": self.model.state, "log": self.model.log})
            return
        path = path.removeprefix("/engine-rest").replace("%3A", ":")
        if self.command != "GET":
            self.model.log.append({"method": self.command, "path": path, "body": body})
        try:
            self._let_in()
            self._misbehave(path)
            answer = self.model.answer(self.command, path, query, body)
        except RestError as error:
            self._reply(error.status, {"type": error.kind, "message": error.message, "code": None})
            return
        except ConnectionAbortedError:
            self.close_connection = True
            return
        self._reply(204 if answer is None else 200, answer)

    def _let_in(self) -> None:
        wanted = self.model.state.get("authorization")
        if wanted is not None and self.headers.get("Authorization") != wanted:
            raise RestError(401, "AuthenticationException", "Unauthorized")

    def _misbehave(self, path: str) -> None:
        for broken in self.model.state.get("broken", []):
            if self.command == broken["method"] and re.fullmatch(broken["path"], path):
                if broken["status"] == 0:
                    raise ConnectionAbortedError
                raise RestError(broken["status"], "AuthorizationException", broken.get("message", "not allowed"))

    def _reply(self, status: int, answer: Any) -> None:
        data = b"" if status == 204 else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    """Serve until killed; with a third argument over TLS, certificate and key in that file."""
    Handler.model = Model(json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    if len(sys.argv) > 3:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[3])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
