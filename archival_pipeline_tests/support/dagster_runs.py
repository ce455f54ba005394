"""Launches, watches and ends runs the way operators do: Dagster's own programs, its UI's interface, its instance.

Not here: the commands themselves (``archival_pipeline.local.dagster_home``), what the runs work on (``archive.py``).
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from dagster import DagsterInstance

from archival_pipeline.local import dagster_home
from archival_pipeline_tests.support.processes import started, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from dagster import DagsterRunStatus, RunRecord

LOCATION = dagster_home.MODULE
_REPOSITORY = "__repository__"
_HOST = "127.0.0.1"

_LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message } ... on RunConfigValidationInvalid { errors { message } } }
}"""
_AGAIN = """
mutation($params: ReexecutionParams!) {
  launchRunReexecution(reexecutionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message } }
}"""
_TERMINATE = """
mutation($runId: String!) {
  terminateRun(runId: $runId) { __typename ... on TerminateRunFailure { message } ... on PythonError { message } }
}"""
_BACKFILL = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename
    ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } }
}"""

_PARTITIONS = """
query($repository: RepositorySelector!, $name: String) {
  partitionSetOrError(repositorySelector: $repository, partitionSetName: $name) { __typename
    ... on PartitionSet { partitionStatusesOrError {
      ... on PartitionStatuses { results { partitionName runStatus } } } }
    ... on PythonError { message } }
}"""

_RUNS = """
query { runsOrError(limit: 25) { __typename
  ... on Runs { results { runId status startTime endTime tags { key value } } }
  ... on PythonError { message } } }"""
_EVENTS = """
query($runId: ID!, $cursor: String) {
  logsForRun(runId: $runId, afterCursor: $cursor, limit: 1000) { __typename
    ... on EventConnection { cursor hasMore events { __typename ... on MessageEvent { message timestamp stepKey } } }
    ... on PythonError { message } } }"""


@dataclass(frozen=True, slots=True)
class Ui:
    """The interface that the buttons of the Dagster UI use.

    Attributes:
        port: where it listens.
    """

    port: int

    def launch(self, job: str, config: Mapping[str, Any]) -> str:
        """Launch a job; return the run's id."""
        params = {"selector": {**_of_location(), "jobName": job}, "runConfigData": json.dumps(config)}
        return str(self._did(_LAUNCH, "LaunchRunSuccess", params=params)["run"]["runId"])

    def launch_again(self, run_id: str, strategy: str) -> str:
        """Re-execute a run, ``FROM_FAILURE`` or ``ALL_STEPS``; return the new run's id."""
        params = {"parentRunId": run_id, "strategy": strategy}
        return str(self._did(_AGAIN, "LaunchRunSuccess", params=params)["run"]["runId"])

    def terminate(self, run_id: str) -> None:
        """Press «Terminate»."""
        self._did(_TERMINATE, "TerminateRunSuccess", runId=run_id)

    def backfill(self, job: str, partitions: list[str]) -> str:
        """Launch a backfill of a job; return its id."""
        selector = {"repositorySelector": _of_location(), "partitionSetName": f"{job}_partition_set"}
        params = {"selector": selector, "partitionNames": partitions}
        return str(self._did(_BACKFILL, "LaunchBackfillSuccess", params=params)["backfillId"])

    def partitions(self, job: str) -> dict[str, str | None]:
        """Partitions of a job with the status that the UI shows for each; None for one without a run."""
        found = self._did(_PARTITIONS, "PartitionSet", repository=_of_location(), name=f"{job}_partition_set")
        results = found["partitionStatusesOrError"]["results"]
        return {result["partitionName"]: result["runStatus"] for result in results}

    def runs(self) -> list[dict[str, Any]]:
        """What the page of runs shows first."""
        found: list[dict[str, Any]] = self._did(_RUNS, "Runs")["results"]
        return found

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """Everything that a run's page shows, read from its beginning in the pages that the browser asks for."""
        events: list[dict[str, Any]] = []
        cursor, more = None, True
        while more:
            page = self._did(_EVENTS, "EventConnection", runId=run_id, cursor=cursor)
            events += page["events"]
            cursor, more = page["cursor"], page["hasMore"]
        return events

    def answers(self) -> bool:
        """Whether it is up."""
        try:
            return self._request("GET", "/server_info", "")[0] == 200
        except (OSError, HTTPException):
            return False

    def _did(self, query: str, success: str, **variables: Any) -> dict[str, Any]:
        status, text = self._request("POST", "/graphql", json.dumps({"query": query, "variables": variables}))
        assert status == 200, text
        document = json.loads(text)
        assert "errors" not in document, document["errors"]
        [answer] = document["data"].values()
        assert answer["__typename"] == success, answer
        found: dict[str, Any] = answer
        return found

    def _request(self, method: str, path: str, body: str) -> tuple[int, str]:
        connection = HTTPConnection(_HOST, self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def _of_location() -> dict[str, str]:
    return {"repositoryLocationName": LOCATION, "repositoryName": _REPOSITORY}


@contextmanager
def ui(environment: Mapping[str, str], folder: Path) -> Iterator[Ui]:
    """Serve the UI; stopped afterwards."""
    with socket.socket() as free:
        free.bind((_HOST, 0))
        found = Ui(free.getsockname()[1])
    command = dagster_home.webserver(_HOST, found.port)
    with started(command, environment, folder / "webserver.log", dagster_home.REPOSITORY) as process:
        wait_until(lambda: process.poll() is not None or found.answers(), "the UI is up", 120)
        assert process.poll() is None, (folder / "webserver.log").read_text(encoding="utf-8")
        yield found


@contextmanager
def daemon(environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Run queue, backfills and monitoring; the runs in flight end with it."""
    with started(dagster_home.daemon(), environment, folder / "daemon.log", dagster_home.REPOSITORY):
        yield


@contextmanager
def instance(environment: Mapping[str, str]) -> Iterator[DagsterInstance]:
    """Dagster's own books."""
    with patch.dict(os.environ, environment, clear=True), DagsterInstance.get() as found:
        yield found


@contextmanager
def at_work(environment: Mapping[str, str], folder: Path) -> Iterator[tuple[DagsterInstance, Ui]]:
    """Webserver and daemon, as an operator has them; gives Dagster's books and the UI."""
    with instance(environment) as books, ui(environment, folder) as found, daemon(environment, folder):
        yield books, found


def record(books: DagsterInstance, run_id: str) -> RunRecord:
    """One run as Dagster has it now."""
    found = books.get_run_record_by_id(run_id)
    assert found is not None
    return found


def wait_for_the_end(books: DagsterInstance, run_id: str, seconds: float = 120) -> DagsterRunStatus:
    """Wait until a run has ended; return how."""
    wait_until(lambda: record(books, run_id).dagster_run.is_finished, f"run {run_id} has ended", seconds)
    return record(books, run_id).dagster_run.status
