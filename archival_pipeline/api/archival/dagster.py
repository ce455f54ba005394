"""Dagster as its GraphQL interface shows it: launch a job, look at runs.

Over ``gql``, the client that Dagster's own client is made of. That one would bring all of Dagster into this process,
and read the whole schema before every call. Each call has a connection of its own, so threads do not share one.
Not here: when a run may be launched (``launcher.py``).
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx
from cachetools import TTLCache
from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportError
from gql.transport.httpx import HTTPXTransport

from archival_pipeline.api.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UNFINISHED = ("NOT_STARTED", "QUEUED", "STARTING", "STARTED", "CANCELING")
_ENOUGH = 100
_RECENT_SECONDS = 1.0

_RUN = "runId rootRunId jobName status creationTime endTime tags { key value }"
_LOCATIONS = """
query { repositoriesOrError { __typename
  ... on RepositoryConnection { nodes { name location { name } jobs { name } } }
  ... on PythonError { message } } }"""
_LAUNCH = """
mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on RunConfigValidationInvalid { errors { message } }
  ... on PythonError { message } } }"""
_RUNS = f"""
query($filter: RunsFilter!, $limit: Int!) {{ runsOrError(filter: $filter, limit: $limit) {{ __typename
  ... on Runs {{ results {{ {_RUN} }} }}
  ... on PythonError {{ message }} }} }}"""
_COUNTS = """
query { %s }"""
_COUNT = "%s: runsOrError(filter: {statuses: [%s]}) { ... on Runs { count } }"


@dataclass(frozen=True, slots=True)
class Run:
    """A run of Dagster.

    Attributes:
        run_id: its own id.
        root_id: of the first run, where this one executes it again; the audit id.
        job: its job.
        status: in Dagster's words.
        created: when it was put into the queue.
        ended: when it ended, in seconds since 1970.
        tags: key to value.
    """

    run_id: str
    root_id: str
    job: str
    status: str
    created: datetime
    ended: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, however."""
        return self.status not in UNFINISHED


class Dagster:
    """The Dagster webserver at one address."""

    def __init__(self, url: str, seconds: float) -> None:
        """Remember where it is; nothing is asked yet.

        Args:
            url: of the webserver, without ``/graphql``.
            seconds: longest wait for an answer.
        """
        self._url = f"{url}/graphql"
        self._seconds = seconds
        self._recent: TTLCache[str, Run | None] = TTLCache(_ENOUGH, _RECENT_SECONDS)
        self._asking = threading.Lock()

    def reach(self) -> None:
        """Ask something cheap.

        Raises:
            ApiError: it cannot be reached.
        """
        self._ask("query { version }", {})

    def launch(self, job: str, config: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Put a run of a job into the queue and return its id.

        Raises:
            ApiError: it was not launched; or nobody knows, when the connection broke at the wrong moment.
        """
        location, repository = self._home_of(job)
        params = {
            "selector": {
                "repositoryLocationName": location,
                "repositoryName": repository,
                "jobName": job,
            },
            "runConfigData": json.dumps(config),
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        found = self._ask(_LAUNCH, {"params": params})["launchRun"]
        if found["__typename"] != "LaunchRunSuccess":
            raise _refused(f"launch {job}", found)
        return str(found["run"]["runId"])

    def unfinished(self) -> list[Run]:
        """The runs that wait or are at work, newest first."""
        return self._runs({"statuses": list(UNFINISHED)}, _ENOUGH)

    def run(self, run_id: str) -> Run | None:
        """One run, if there is such a one."""
        return next(iter(self._runs({"runIds": [run_id]}, 1)), None)

    def recent_run(self, run_id: str) -> Run | None:
        """One run as it was at most a second ago: many may poll a run that waits in the queue."""
        with self._asking:
            if run_id not in self._recent:
                self._recent[run_id] = self.run(run_id)
            return self._recent[run_id]

    def tagged(self, key: str, value: str) -> Run | None:
        """The newest run with a tag, if there is one."""
        return next(iter(self._runs({"tags": [{"key": key, "value": value}]}, 1)), None)

    def last_success(self, job: str) -> Run | None:
        """The newest run of a job that succeeded, if there is one."""
        return next(iter(self._runs({"pipelineName": job, "statuses": ["SUCCESS"]}, 1)), None)

    def counts(self, statuses: Sequence[str]) -> dict[str, int]:
        """How many runs there are in each state."""
        parts = " ".join(_COUNT % (status, status) for status in statuses)
        found = self._ask(_COUNTS % parts, {})
        return {status: int(found[status].get("count", 0)) for status in statuses}

    def _runs(self, chosen: Mapping[str, Any], limit: int) -> list[Run]:
        found = self._ask(_RUNS, {"filter": dict(chosen), "limit": limit})["runsOrError"]
        if found["__typename"] != "Runs":
            raise _refused("list runs", found)
        return [_run(row) for row in found["results"]]

    def _home_of(self, job: str) -> tuple[str, str]:
        """The code location that has the job; its name is the deployment's choice."""
        found = self._ask(_LOCATIONS, {})["repositoriesOrError"]
        for node in found.get("nodes", []):
            if any(each["name"] == job for each in node["jobs"]):
                return node["location"]["name"], node["name"]
        raise _unavailable("DAGSTER_LOCATION_MISSING", f"Dagster has not loaded the code location with the job {job}.")

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        # No proxy of the environment: the webserver is a neighbour.
        transport = HTTPXTransport(self._url, timeout=self._seconds, trust_env=False)
        try:
            return Client(transport=transport).execute(GraphQLRequest(query, variable_values=dict(variables)))
        except (TransportError, httpx.HTTPError) as error:
            raise _unavailable("DAGSTER_UNAVAILABLE", "Dagster cannot be reached.") from error


def _run(row: Mapping[str, Any]) -> Run:
    return Run(
        run_id=row["runId"],
        root_id=row["rootRunId"] or row["runId"],
        job=row["jobName"],
        status=row["status"],
        created=datetime.fromtimestamp(row["creationTime"], UTC),
        ended=row["endTime"],
        tags={tag["key"]: tag["value"] for tag in row["tags"]},
    )


def _unavailable(code: str, summary: str) -> ApiError:
    return ApiError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        code,
        summary,
        resolve="Check the Dagster webserver at DAGSTER_WEBSERVER_URL and its code location; then try again.",
        headers={"Retry-After": "5"},
    )


def _refused(doing: str, found: Mapping[str, Any]) -> ApiError:
    messages = [found["message"]] if "message" in found else [each["message"] for each in found.get("errors", [])]
    # The first line says what; the others are a traceback, or the configuration with what the user asked for.
    said = "; ".join(message.split("\n", 1)[0] for message in messages)
    return _unavailable("DAGSTER_REFUSED", f"Dagster refused to {doing} ({found['__typename']}): {said[:300]}")
