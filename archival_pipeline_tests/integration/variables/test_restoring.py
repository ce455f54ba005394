"""Plans and their application against a server with the engine's documented REST behaviour."""

from __future__ import annotations

import base64
import json
import ssl
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.database import migrations
from archival_pipeline.database.connections import connect
from archival_pipeline.variables import audit, restoring
from archival_pipeline.variables.cut import Boundary
from archival_pipeline.variables.failures import EngineError, PlanRefusedError
from archival_pipeline.variables.plan import parse
from archival_pipeline.variables.planning import Wishes
from archival_pipeline.variables.service import Moment
from archival_pipeline_tests.integration.variables.conftest import NOW
from archival_pipeline_tests.support import camunda, camunda_golden
from archival_pipeline_tests.support.engine_server import EngineServer, engine_server
from archival_pipeline_tests.support.tls_proxy import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_camunda import CamundaSettings
    from archival_pipeline.variables.applying import Applied
    from archival_pipeline.variables.plan import Plan
    from archival_pipeline_tests.support.databases import TestDatabases

_LINES = {
    line["activity_id"]: line
    for line in camunda_golden.expected()
    if line["scenario"] == "s2" and line["at"] == "start"
}
_INSTANCE = _LINES["B"]["process_instance_id"]
_SUB = _LINES["sub"]["activity_instance_id"]
_B, _C, _D = (_LINES[name]["activity_instance_id"] for name in "BCD")
_SUB_EXECUTION = camunda_golden.history(_INSTANCE).activities[_SUB].execution_id
_DEFINITION = camunda_golden.history(_INSTANCE).process.definition_id
_BEFORE_B = Moment(activity_instance_id=_B)


def _state() -> dict[str, Any]:
    """An instance that failed in C, inside the sub-process."""
    return {
        "definitions": {_DEFINITION: {"sub": None, "A": "sub", "B": "sub", "C": "sub", "D": None}},
        "instances": {
            _INSTANCE: {
                "definitionId": _DEFINITION,
                "suspended": False,
                "nodes": {
                    _INSTANCE: {"parent": None, "activityId": _DEFINITION, "executionIds": [_INSTANCE]},
                    _SUB: {"parent": _INSTANCE, "activityId": "sub", "executionIds": [_SUB_EXECUTION]},
                    _C: {"parent": _SUB, "activityId": "C", "executionIds": [_SUB_EXECUTION]},
                },
                "variables": {
                    _INSTANCE: {
                        "x": {"type": "Integer", "value": 666},
                        "late": {"type": "String", "value": "newer than the snapshot"},
                    },
                    _SUB_EXECUTION: {"inner": {"type": "String", "value": "corrupt"}},
                },
            }
        },
        "history": {
            _INSTANCE: {
                "processDefinitionId": _DEFINITION,
                "businessKey": "order-7",
                "endTime": "2026-11-20T13:28:16.828+0000",
                "state": "COMPLETED",
            }
        },
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineServer]:
    with engine_server(tmp_path_factory.mktemp("engine"), _state()) as found:
        yield found


@pytest.fixture
def engine(server: EngineServer) -> EngineServer:
    server.reset(_state())
    return server


@pytest.fixture(scope="module")
def running(golden: CamundaSettings, primary_databases: TestDatabases) -> Iterator[CamundaSettings]:
    """The history of an instance that still runs."""
    copy = primary_databases.fresh(golden.database)
    with connect(copy, purpose="test", autocommit=True) as session:
        session.execute(
            "UPDATE act_hi_procinst SET end_time_ = NULL, state_ = 'ACTIVE', removal_time_ = NULL WHERE id_ = %s",
            (_INSTANCE,),
        )
    yield camunda.camunda_settings(copy)
    primary_databases.drop(copy)


@pytest.fixture(scope="module")
def backup(backup_databases: TestDatabases) -> Iterator[DatabaseSettings]:
    found = backup_databases.fresh(backup_databases.template("migrated backup", _migrate))
    yield found
    backup_databases.drop(found)


def _migrate(settings: DatabaseSettings) -> None:
    migrations.upgrade(settings, "backup")


def _plan(database: CamundaSettings, engine: EngineServer, wanted: Moment = _BEFORE_B, **wishes: Any) -> Plan:
    made = restoring.plan(database, engine.settings(), wanted, Wishes(**wishes), plan_id=str(uuid.uuid4()), now=NOW)
    # What is applied has been a file in between.
    return parse(json.loads(json.dumps(made.as_json())))


def _apply(engine: EngineServer, backup: DatabaseSettings, made: Plan, **how: Any) -> Applied:
    how = {"accept_inexact": False, **how}
    return restoring.apply(engine.settings(), backup, made, audit_id=str(uuid.uuid4()), **how)


def _audit(backup: DatabaseSettings, made: Plan) -> list[dict[str, Any]]:
    return [row for row in audit.of_instance(backup, _INSTANCE) if row["plan_id"] == made.plan_id]


def _instance(engine: EngineServer) -> dict[str, Any]:
    found: dict[str, Any] = engine.state()["instances"][_INSTANCE]
    return found


def test_a_running_instance_gets_its_variables_back_on_their_levels(
    running: CamundaSettings, engine: EngineServer, backup: DatabaseSettings
) -> None:
    made = _plan(running, engine, cancel=(_C,), annotation="bad data")
    assert engine.sent() == []
    assert not made.inexact
    assert {remark.name for remark in made.left_out} == {"bIn", "x"}

    _apply(engine, backup, made)

    instance = _instance(engine)
    seen = _LINES["B"]["visible"]
    assert instance["variables"][_SUB_EXECUTION]["inner"]["value"] == seen["inner"]["text"]
    assert instance["variables"][_SUB_EXECUTION]["inp"]["value"] is not None
    process = instance["variables"][_INSTANCE]
    assert process["fromStartListener"]["value"] is not None
    assert process["x"]["value"] == _LINES["A"]["visible"]["x"]["long"]
    assert "late" in process
    alive = {node["activityId"]: row for row, node in instance["nodes"].items()}
    assert alive["sub"] == _SUB, "the scope that holds the variables is the same one"
    assert alive.keys() == {_DEFINITION, "sub", "B"}


def test_newer_variables_are_removed_on_wish(
    running: CamundaSettings, engine: EngineServer, backup: DatabaseSettings
) -> None:
    _apply(engine, backup, _plan(running, engine, cancel=(_C,), remove_newer=True))

    assert "late" not in _instance(engine)["variables"][_INSTANCE]


def test_every_call_has_audit_rows_without_values(
    running: CamundaSettings, engine: EngineServer, backup: DatabaseSettings
) -> None:
    made = _plan(running, engine, cancel=(_C,))

    done = _apply(engine, backup, made)

    rows = _audit(backup, made)
    assert {row["audit_id"] for row in rows} == {done.audit_id}
    assert [row["audit_status"] for row in rows] == ["initiated", *["in_progress"] * 2 * done.steps, "completed"]
    assert len(engine.sent()) == done.steps == len(made.steps)
    assert "corrupt" not in str(rows)
    assert {"inner", "inp"} <= {name for row in rows for name in row["names"]}


@pytest.mark.parametrize("what", ["token", "variable", "suspended", "gone"])
def test_a_plan_is_refused_when_the_instance_moved_on(
    running: CamundaSettings, engine: EngineServer, backup: DatabaseSettings, what: str
) -> None:
    made = _plan(running, engine, cancel=(_C,))
    instances = {_INSTANCE: _instance(engine)}
    if what == "token":
        instances[_INSTANCE]["nodes"][_D] = instances[_INSTANCE]["nodes"].pop(_C) | {"activityId": "D"}
    elif what == "variable":
        instances[_INSTANCE]["variables"][_INSTANCE]["x"]["value"] = 667
    elif what == "suspended":
        instances[_INSTANCE]["suspended"] = True
    else:
        instances.clear()
    engine.change(instances=instances)

    with pytest.raises(PlanRefusedError):
        _apply(engine, backup, made)

    assert engine.sent() == []
    assert _audit(backup, made) == []


def test_a_plan_is_applied_once(running: CamundaSettings, engine: EngineServer, backup: DatabaseSettings) -> None:
    made = _plan(running, engine, cancel=(_C,))
    before = engine.state()["instances"]
    _apply(engine, backup, made)
    sent = len(engine.sent())
    engine.change(instances=before)

    with pytest.raises(PlanRefusedError, match="applied before"):
        _apply(engine, backup, made)

    assert len(engine.sent()) == sent


def test_what_is_not_exact_must_be_accepted(
    running: CamundaSettings, engine: EngineServer, backup: DatabaseSettings
) -> None:
    """The scope of the target is gone and with it the level of its branch."""
    state = _instance(engine)
    state["nodes"].pop(_C)
    state["nodes"].pop(_SUB)
    state["nodes"][_D] = {"parent": _INSTANCE, "activityId": "D", "executionIds": [_INSTANCE]}
    engine.change(instances={_INSTANCE: state})
    s3 = next(line for line in camunda_golden.expected() if line["scenario"] == "s3a" and line["activity_id"] == "C1")
    made = _plan(running, engine)
    assert not made.inexact
    assert made.steps[-1].body["instructions"][0]["variables"].keys() == {"inner", "inp"}
    assert all(value["local"] for value in made.steps[-1].body["instructions"][0]["variables"].values())

    history = {s3["process_instance_id"]: _state()["history"][_INSTANCE]}
    about = camunda_golden.history(s3["process_instance_id"]).process
    history[about.id]["processDefinitionId"] = about.definition_id
    engine.change(history=history, definitions={about.definition_id: {"C1": None}})
    restart = _plan(running, engine, Moment(activity_instance_id=s3["activity_instance_id"]))
    assert [remark.name for remark in restart.inexact] == ["c1"]

    with pytest.raises(PlanRefusedError, match="c1"):
        _apply(engine, backup, restart)
    assert engine.sent() == []

    assert _apply(engine, backup, restart, accept_inexact=True).process_instance_id.startswith("new-")


def test_a_finished_instance_is_started_anew(
    golden: CamundaSettings, engine: EngineServer, backup: DatabaseSettings
) -> None:
    made = _plan(golden, engine)
    assert made.operation == "restart"

    done = _apply(engine, backup, made)

    new = engine.state()["instances"][done.process_instance_id]
    assert new["businessKey"] == "order-7"
    assert {"x", "fromStartListener"} <= new["variables"][done.process_instance_id].keys()
    scope = next(node for node in new["nodes"].values() if node["activityId"] == "sub")
    assert {"inner", "inp"} <= new["variables"][scope["executionIds"][0]].keys()


def test_technical_variables_are_never_sent(
    golden: CamundaSettings, engine: EngineServer, backup: DatabaseSettings
) -> None:
    line = next(line for line in camunda_golden.expected() if line["scenario"] == "s5" and line["activity_id"] == "B")
    about = camunda_golden.history(line["process_instance_id"]).process
    engine.change(
        history={about.id: _state()["history"][_INSTANCE] | {"processDefinitionId": about.definition_id}},
        definitions={about.definition_id: {"B": "M", "M": "M#multiInstanceBody", "M#multiInstanceBody": None}},
    )

    made = _plan(golden, engine, Moment(activity_instance_id=line["activity_instance_id"]))
    _apply(engine, backup, made, accept_inexact=True)

    assert "nrOf" not in json.dumps(engine.sent())
    assert "loopCounter" not in json.dumps(engine.sent())
    assert {"loopCounter", "nrOfInstances"} <= {remark.name for remark in made.left_out}


def test_a_suspended_instance_is_activated_only_on_wish(
    running: CamundaSettings, engine: EngineServer, backup: DatabaseSettings
) -> None:
    state = _instance(engine)
    state["suspended"] = True
    engine.change(instances={_INSTANCE: state})
    with pytest.raises(PlanRefusedError, match="suspended"):
        _plan(running, engine, cancel=(_C,))

    made = _plan(running, engine, cancel=(_C,), activate=True)
    _apply(engine, backup, made)

    paths = [request["path"].rsplit("/", 1)[1] for request in engine.sent()]
    assert paths == ["variables", "localVariables", "suspended", "modification"]
    assert not _instance(engine)["suspended"]


def test_a_token_to_cancel_must_be_alive(running: CamundaSettings, engine: EngineServer) -> None:
    with pytest.raises(PlanRefusedError, match="Not alive"):
        _plan(running, engine, cancel=("C:gone",))


@pytest.mark.parametrize(
    ("status", "code", "unsure"),
    [
        (403, "ENGINE_FORBIDDEN", False),
        (500, "ENGINE_REFUSED", False),
        (504, "ENGINE_REFUSED", True),
        (0, "ENGINE_NO_ANSWER", True),
    ],
)
def test_a_refusal_half_way_says_what_was_done(
    running: CamundaSettings, engine: EngineServer, backup: DatabaseSettings, status: int, code: str, *, unsure: bool
) -> None:
    made = _plan(running, engine, cancel=(_C,))
    engine.change(broken=[{"method": "POST", "path": ".*/modification", "status": status}])

    with pytest.raises(EngineError) as caught:
        _apply(engine, backup, made)

    assert caught.value.code == code
    assert caught.value.may_have_happened is unsure
    assert "2 of 3 step(s) were done before" in caught.value.summary
    last = _audit(backup, made)[-1]
    assert (last["audit_status"], last["error_code"]) == ("failed", code)


def test_a_value_that_the_engine_refuses_is_said(
    golden: CamundaSettings, engine: EngineServer, backup: DatabaseSettings
) -> None:
    line = next(line for line in camunda_golden.expected() if "ob" in line["visible"])
    about = camunda_golden.history(line["process_instance_id"]).process
    engine.change(
        history={about.id: _state()["history"][_INSTANCE] | {"processDefinitionId": about.definition_id}},
        definitions={about.definition_id: {line["activity_id"]: None}},
    )
    made = _plan(golden, engine, Moment(line["activity_instance_id"], Boundary(line["at"])))
    assert any("Java object" in note for note in made.notes)

    with pytest.raises(EngineError, match="ENGINE-17007"):
        _apply(engine, backup, made)

    engine.change(java=True)
    again = _plan(golden, engine, Moment(line["activity_instance_id"], Boundary(line["at"])))
    new = _apply(engine, backup, again).process_instance_id
    values = engine.state()["instances"][new]["variables"][new]
    assert base64.b64decode(values["fi"]["value"]) == b"hello"
    assert values["fi"]["valueInfo"] == {"filename": "f.txt", "mimeType": "text/plain", "encoding": "UTF-8"}
    assert (values["d"]["value"], values["lg"]["value"], values["tn"]["value"]) == (3.5, 9, None)


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("Basic " + base64.b64encode(b"demo:s3cr3t-word").decode(), {"USERNAME": "demo", "PASSWORD": "s3cr3t-word"}),
        ("Bearer t0ken", {"TOKEN": "t0ken"}),
    ],
    ids=["basic", "bearer"],
)
def test_credentials_are_sent_and_never_shown(
    running: CamundaSettings, engine: EngineServer, wanted: str, given: dict[str, str]
) -> None:
    engine.change(authorization=wanted)
    wishes: dict[str, Any] = {"wanted": _BEFORE_B, "wishes": Wishes(cancel=(_C,)), "plan_id": "p", "now": NOW}
    with pytest.raises(EngineError) as caught:
        restoring.plan(running, engine.settings(), **wishes)
    assert caught.value.code == "ENGINE_UNAUTHORIZED"

    settings = engine.settings(**{f"CAMUNDA_REST_{name}": value for name, value in given.items()})
    made = restoring.plan(running, settings, **wishes)

    for secret in ("s3cr3t-word", "t0ken", wanted):
        assert secret not in repr(settings)
        assert secret not in json.dumps(made.as_json())


def test_tls_is_verified(running: CamundaSettings, tmp_path: Path) -> None:
    authority = Authority.create()
    authority.context_for("127.0.0.1", tmp_path)
    bundle = next(tmp_path.glob("server-*.pem"))
    (tmp_path / "ca.pem").write_text(authority.pem(), encoding="utf-8")
    (tmp_path / "other.pem").write_text(Authority.create("other").pem(), encoding="utf-8")
    trust = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    wishes: dict[str, Any] = {"wanted": _BEFORE_B, "wishes": Wishes(), "plan_id": "p", "now": NOW}
    with engine_server(tmp_path, _state(), bundle=bundle, trust=trust) as server:
        good = server.settings(CAMUNDA_REST_CA_CERT_PATH=str(tmp_path / "ca.pem"))
        assert restoring.plan(running, good, **wishes).steps

        wrong = server.settings(CAMUNDA_REST_CA_CERT_PATH=str(tmp_path / "other.pem"))
        with pytest.raises(EngineError) as caught:
            restoring.plan(running, wrong, **wishes)
        assert caught.value.code == "ENGINE_UNREACHABLE"
