"""What a user sees: statuses, titles, order, pages, and nothing of anybody else."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline.history.store.queries import FINISHED, RUNNING, TASKS
from archival_pipeline.history.store.writing import write
from archival_pipeline_tests.integration.history.api.conftest import Caller
from archival_pipeline_tests.support.history import START, process_event, task_event, variable_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from httpx import Response

    from archival_pipeline.history.events.model import HistoryEvent
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.integration.history.api.conftest import NewApp, Tokens

RUNTIME, HISTORY, DONE = "/api/runtime/process-instances", "/api/history/process-instances", "/api/history/tasks"


def _fill(database: DatabaseSettings, *events: HistoryEvent) -> None:
    with connect(database, purpose="test") as session:
        write(session, events)


def _get(client: Caller, token: str, path: str, **query: Any) -> Response:
    return client.get(path, params=query, headers={"X-Access-Token": token})


def _rows(client: Caller, token: str, path: str, **query: Any) -> list[dict[str, Any]]:
    response = _get(client, token, path, **query)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()
    return found


def _ids(found: list[dict[str, Any]]) -> list[str]:
    return [row.get("activityInstanceId") or row["processInstanceId"] for row in found]


@pytest.mark.parametrize("path", ["/api/process-instances", RUNTIME])
def test_a_running_process_in_full(
    client: Caller, tokens: Tokens, history_database: DatabaseSettings, path: str
) -> None:
    _fill(history_database, process_event(1, 1))
    assert _rows(client, tokens.make(), path) == [
        {
            "processInstanceId": "p1",
            "superProcessInstanceId": None,
            "processDefinitionId": "loan:1:d",
            "processDefinitionKey": "loan",
            "processDefinitionName": "Позика",
            "businessKey": "key-1",
            "startTime": "2026-03-01T08:31:00.000Z",
            "startUserId": "olena",
            "status": {"code": "ACTIVE", "title": "Прийнято в обробку"},
        }
    ]


def test_a_finished_process_and_a_task_in_full(
    client: Caller, tokens: Tokens, history_database: DatabaseSettings
) -> None:
    _fill(
        history_database,
        process_event(1, 1, state="COMPLETED", end_time=START + timedelta(hours=1)),
        variable_event(1, 1, "excerptId", "e-1"),
        task_event(1, 1, assignee="olena", end_time=START + timedelta(minutes=5), delete_reason="completed"),
    )
    (process,) = _rows(client, tokens.make(), HISTORY)
    assert (process["endTime"], process["excerptId"]) == ("2026-03-01T09:30:00.000Z", "e-1")
    assert _rows(client, tokens.make(), DONE) == [
        {
            "activityInstanceId": "sign:1",
            "taskDefinitionKey": "sign",
            "taskDefinitionName": "Підписати",
            "processInstanceId": "p1",
            "processDefinitionId": "loan:1:d",
            "processDefinitionKey": "loan",
            "processDefinitionName": "Позика",
            "rootProcessInstanceId": "p1",
            "startTime": "2026-03-01T08:31:01.000Z",
            "endTime": "2026-03-01T08:35:00.000Z",
            "assignee": "olena",
            "businessKey": "key-1",
        }
    ]


TITLES = {
    # state, open task of: (code, uk officer, uk citizen, en officer, en citizen)
    ("ACTIVE", None): ("ACTIVE", "У виконанні", "Прийнято в обробку", "In progress", "Under processing"),
    ("ACTIVE", "taras"): ("ACTIVE", "У виконанні", "Прийнято в обробку", "In progress", "Under processing"),
    ("ACTIVE", "olena"): ("PENDING", "Очікує виконання задачі", "Чернетка", "Pending task execution", "Draft"),
    ("SUSPENDED", None): (
        "SUSPENDED",
        "Призупинено адміністратором",
        "Послуга тимчасово недоступна",
        "Suspended by administrator",
        "Service temporarily unavailable",
    ),
    ("SUSPENDED", "olena"): (
        "SUSPENDED",
        "Призупинено адміністратором",
        "Послуга тимчасово недоступна",
        "Suspended by administrator",
        "Service temporarily unavailable",
    ),
}


@pytest.mark.parametrize(("situation", "told"), TITLES.items())
def test_statuses_of_running_processes(
    client: Caller,
    tokens: Tokens,
    history_database: DatabaseSettings,
    situation: tuple[str, str | None],
    told: tuple[str, ...],
) -> None:
    state, assignee = situation
    _fill(history_database, process_event(1, 1, state=state), task_event(1, 1, assignee=assignee))
    officer, citizen = tokens.make(roles=["officer"]), tokens.make(roles=["citizen"])
    asked = [(officer, "uk"), (citizen, "uk"), (officer, "en"), (citizen, "en")]
    statuses = [_rows(client, token, RUNTIME, lang=lang)[0]["status"] for token, lang in asked]
    assert [status["title"] for status in statuses] == list(told[1:])
    assert {status["code"] for status in statuses} == {told[0]}


FINISHED_TITLES = {
    # state, result: (uk, en); the same for officers and citizens
    ("COMPLETED", None): ("Надання послуги завершено", "Service provided has been completed"),
    ("COMPLETED", "Довідку видано"): ("Довідку видано", "Довідку видано"),
    ("COMPLETED", ""): ("", ""),
    ("EXTERNALLY_TERMINATED", None): ("Відмінено адміністратором", "Terminated by administrator"),
    ("EXTERNALLY_TERMINATED", "Так"): ("Відмінено адміністратором", "Terminated by administrator"),
    ("INTERNALLY_TERMINATED", None): ("Завершено системою", "Terminated by the system"),
    ("INTERNALLY_TERMINATED", "Відмовлено"): ("Відмовлено", "Відмовлено"),
}


@pytest.mark.parametrize(("situation", "told"), FINISHED_TITLES.items())
def test_statuses_of_finished_processes(
    client: Caller,
    tokens: Tokens,
    history_database: DatabaseSettings,
    situation: tuple[str, str | None],
    told: tuple[str, str],
) -> None:
    state, result = situation
    _fill(history_database, process_event(1, 1, state=state, end_time=START))
    _fill(history_database, variable_event(1, 1, "completionResult", result))
    for token in (tokens.make(), tokens.make(roles=["officer"])):
        statuses = [_rows(client, token, HISTORY, lang=lang)[0]["status"] for lang in ("uk", "en")]
        assert statuses == [{"code": state, "title": title} for title in told]


@pytest.mark.parametrize("lang", [None, "fr", "", "uk-UA", "UK"])
def test_other_languages_are_answered_in_the_services_own(
    client: Caller, tokens: Tokens, history_database: DatabaseSettings, lang: str | None
) -> None:
    _fill(history_database, process_event(1, 1))
    (row,) = _rows(client, tokens.make(), RUNTIME, **({} if lang is None else {"lang": lang}))
    assert row["status"]["title"] == "Прийнято в обробку"


def test_a_user_sees_his_own_rows_only(client: Caller, tokens: Tokens, history_database: DatabaseSettings) -> None:
    _fill(
        history_database,
        process_event(1, 1),
        process_event(2, 1, start_user_id="taras"),
        process_event(3, 1, super_process_instance_id="p1"),
        process_event(4, 1, state="COMPLETED", end_time=START),
        process_event(5, 1, state="COMPLETED", end_time=START, start_user_id="taras"),
        process_event(6, 1, state="COMPLETED", end_time=START, super_process_instance_id="p4"),
        task_event(1, 1, assignee="olena"),
        task_event(2, 1, assignee="olena", end_time=START),
        task_event(3, 1, assignee="olena", end_time=START, delete_reason="deleted"),
        task_event(4, 1, assignee="taras", end_time=START),
        variable_event(7, 1, "excerptId", "of nobody yet"),
    )
    token = tokens.make()
    assert [_ids(_rows(client, token, path)) for path in (RUNTIME, HISTORY, DONE)] == [["p1"], ["p4"], ["sign:2"]]
    for path in ("/api/process-instances/count", f"{RUNTIME}/count"):
        assert _get(client, token, path).json() == {"count": 1}


def _many(database: DatabaseSettings) -> None:
    events = []
    for number in range(9):
        kind = number % 3
        events += [
            process_event(
                number,
                1,
                business_key=f"k{number % 2}",
                start_time=START + timedelta(minutes=number // 2),
                state=("ACTIVE", "SUSPENDED", "ACTIVE")[kind],
            ),
            task_event(number, 1, assignee="olena" if kind == 2 else None),
            process_event(
                number + 10,
                1,
                state=("COMPLETED", "EXTERNALLY_TERMINATED", "INTERNALLY_TERMINATED")[kind],
                end_time=START + timedelta(hours=number % 4),
            ),
            task_event(number + 10, 1, assignee="olena", end_time=START + timedelta(hours=number % 4)),
        ]
    _fill(database, *events)


@pytest.fixture(scope="module")
def many(new_app: NewApp) -> Caller:
    """An interface to a history with several rows of every status; tests only read."""
    app, database = new_app()
    _many(database)
    return Caller(app)


SORTABLE = {RUNTIME: RUNNING.sortable, HISTORY: FINISHED.sortable, DONE: TASKS.sortable}


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("path", SORTABLE)
def test_every_field_sorts_and_pages_neither_overlap_nor_leave_gaps(
    many: Caller, tokens: Tokens, path: str, direction: str
) -> None:
    token = tokens.make()
    for field in sorted(SORTABLE[path]):
        sort = f"{direction}({field})"
        whole = _rows(many, token, path, sort=sort, limit=100)
        pages = [_rows(many, token, path, sort=sort, limit=4, offset=offset) for offset in range(0, 9, 4)]
        assert len(whole) == 9, sort
        assert [row for page in pages for row in page] == whole, sort
        values = [row[field] or "" for row in whole if field in row]
        assert values == sorted(values, reverse=direction == "desc"), sort


def test_statuses_sort_by_rank_then_by_start(many: Caller, tokens: Tokens) -> None:
    token = tokens.make()

    def codes(path: str, direction: str) -> list[str]:
        found = _rows(many, token, path, sort=f"{direction}(statusTitle)", limit=50)
        return list(dict.fromkeys(row["status"]["code"] for row in found))

    assert codes(RUNTIME, "asc") == ["PENDING", "SUSPENDED", "ACTIVE"]
    assert codes(RUNTIME, "desc") == ["ACTIVE", "SUSPENDED", "PENDING"]
    assert codes(HISTORY, "asc") == ["EXTERNALLY_TERMINATED", "COMPLETED", "INTERNALLY_TERMINATED"]
    pending = _rows(many, token, RUNTIME, sort="asc(statusTitle)", limit=3)
    starts = [row["startTime"] for row in pending]
    assert starts == sorted(starts, reverse=True)


def test_running_processes_come_newest_first_by_default(
    client: Caller, tokens: Tokens, history_database: DatabaseSettings
) -> None:
    _fill(history_database, *(process_event(number, 1) for number in range(12)))
    assert _ids(_rows(client, tokens.make(), RUNTIME)) == [f"p{number}" for number in range(11, 1, -1)]


BAD: dict[str, tuple[Mapping[str, str], str, str]] = {
    "limit 0": ({"limit": "0"}, "BAD_REQUEST", "limit"),
    "limit -1": ({"limit": "-1"}, "BAD_REQUEST", "limit"),
    "limit too large": ({"limit": "1001"}, "BAD_REQUEST", "limit"),
    "limit no number": ({"limit": "ten"}, "METHOD_ARGUMENT_TYPE_MISMATCH", "limit"),
    "limit empty": ({"limit": ""}, "METHOD_ARGUMENT_TYPE_MISMATCH", "limit"),
    "limit huge": ({"limit": "9" * 30}, "BAD_REQUEST", "limit"),
    "offset -1": ({"offset": "-1"}, "BAD_REQUEST", "offset"),
    "offset no number": ({"offset": "1.5"}, "METHOD_ARGUMENT_TYPE_MISMATCH", "offset"),
    "offset huge": ({"offset": str(2**31)}, "BAD_REQUEST", "offset"),
    "sort bare": ({"sort": "endTime"}, "BAD_REQUEST", "sort"),
    "sort upper": ({"sort": "DESC(endTime)"}, "BAD_REQUEST", "sort"),
    "sort empty field": ({"sort": "desc()"}, "BAD_REQUEST", "sort"),
    "sort unknown": ({"sort": "desc(versions)"}, "BAD_REQUEST", "sort"),
    "sort injection": ({"sort": "desc(endTime);drop table x"}, "BAD_REQUEST", "sort"),
    "sort NUL": ({"sort": "desc(\0)"}, "BAD_REQUEST", "sort"),
    "sort empty": ({"sort": ""}, "BAD_REQUEST", "sort"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_said(idle: Caller, tokens: Tokens, case: str) -> None:
    query, code, field = BAD[case]
    headers = {"X-Access-Token": tokens.make(), "X-B3-TraceId": "abc123"}
    for path in (RUNTIME, HISTORY, DONE):
        response = idle.get(path, params=dict(query), headers=headers)
        assert response.status_code == 400
        body = response.json()
        told = (body["traceId"], body["code"], body["details"]["errors"][0]["field"])
        assert told == ("abc123", code, field)


@pytest.mark.parametrize("field", ["businessKey", "statusTitle", "deleteReason"])
def test_tasks_do_not_sort_by_what_is_not_theirs(idle: Caller, tokens: Tokens, field: str) -> None:
    assert _get(idle, tokens.make(), DONE, sort=f"asc({field})").status_code == 400


def test_other_paths_and_methods(client: Caller, tokens: Tokens) -> None:
    assert (_get(client, tokens.make(), "/api/nothing").json()["code"]) == "NOT_FOUND"
    assert client.request("POST", RUNTIME).status_code == 405
    assert client.get("/v3/api-docs").json()["info"]["title"] == "Business processes history service"
    assert "archival_http_requests" in client.get("/metrics").text


def test_a_database_that_is_gone_is_no_secret_of_ours(
    client: Caller, tokens: Tokens, history_database: DatabaseSettings
) -> None:
    token = tokens.make()
    assert _get(client, token, RUNTIME).status_code == 200
    with connect(history_database, purpose="test", autocommit=True) as session:
        session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE '%history api' AND datname = current_database()"
        )
        assert _get(client, token, RUNTIME).status_code == 200, "a kept session that died is opened anew"
        session.execute("ALTER TABLE bpm_history_process RENAME TO gone")
        response = _get(client, token, RUNTIME)
    assert (response.status_code, response.json()["code"]) == (503, "RUNTIME_ERROR")
    assert "bpm_history_process" not in response.text
