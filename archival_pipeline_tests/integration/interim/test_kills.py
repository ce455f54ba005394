"""Killed before any step whatever: each wait for a database, each pipeline to Redis, each call of S3.

A child of this process does the work and kills itself at its n-th step; the next cleanup finishes. This is done for
n = 0, 1, 2 and so on until a child comes to its end, so no boundary between two steps is left out.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pyrage
import pytest
from botocore.client import BaseClient

from archival_pipeline.interim.redis_store import RedisStore
from archival_pipeline.settings_interim import KeepSettings
from archival_pipeline_tests.support.interim import FORMS, START_FORM, START_PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from archival_pipeline_tests.support.interim import Stage

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
_ENDED = ("1", "2", "3")
_STEPS: tuple[tuple[Any, str], ...] = (
    (psycopg.Connection, "wait"),
    (RedisStore, "_sent"),
    (BaseClient, "_make_api_call"),
)


def dies_at(step: int, stage: Stage) -> bool:
    """Clean in a child that kills itself before a step; whether it came so far."""
    child = multiprocessing.get_context("fork").Process(target=_clean_until, args=(step, stage))
    child.start()
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode != 0


def _clean_until(step: int, stage: Stage) -> None:
    steps = itertools.count()
    one_at_a_time = threading.Lock()

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*arguments: Any, **named: Any) -> Any:
            with one_at_a_time:
                if next(steps) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return instead

    for owner, name in _STEPS:
        setattr(owner, name, dying(getattr(owner, name)))
    stage.clean(page=2)
    # Nothing of the parent's is put away here: sessions that it shares would be closed for it, too.
    os._exit(0)


def scene(stage: Stage) -> tuple[dict[str, Any], set[str]]:
    """Some processes that are over and one that runs; what is there of both, and what of the running one."""
    data = stage.data
    data.clear()
    stage.engine.session.execute("TRUNCATE processinstancelog, processinstanceinfo, variableinstancelog CASCADE")
    with stage.books() as books:
        books.session.execute("TRUNCATE interim_state, interim_work, interim_candidate, interim_total")
        books.session.execute("TRUNCATE interim_archive CASCADE")
    stage.engine.start("9")
    kept = {f"{FORMS}:{data.task_form('9')}", f"{FORMS}:process-instance-id:9", FORMS, data.file("9")}
    for process in _ENDED:
        stage.engine.start(process)
        data.task_form(process)
        data.signature(process, process)
        stage.engine.variable(process, START_FORM, data.start_form())
        stage.engine.variable(process, START_PAYLOAD, data.payload())
        data.file(process)
        stage.engine.end(process)
    return stage.data.contents(), kept


def settled(stage: Stage) -> None:
    """Clean until nothing waits: the first time takes what the dead one held."""
    for _ in range(3):
        stage.retry_now()
        stage.clean()
    with stage.books() as books:
        assert books.backlog() == []


@pytest.mark.parametrize(
    ("first", "stride"),
    [pytest.param(0, 1, marks=pytest.mark.slow, id="every step"), pytest.param(3, 11, id="some steps")],
)
@pytest.mark.parametrize("keeping", [False, True], ids=["removed at once", "kept before"])
def test_killed_before_a_step(jbpm_stage: Stage, tmp_path: Path, first: int, stride: int, *, keeping: bool) -> None:
    stage = jbpm_stage
    if keeping:
        identity = pyrage.x25519.Identity.generate()
        path = tmp_path / "identity"
        path.write_text(str(identity), encoding="utf-8")
        recipients = str(identity.to_public())
        stage = stage.keeping(
            KeepSettings.model_construct(before_delete=True, recipients=recipients, identity_path=path, days=None)
        )
    for step in itertools.count(first, stride):
        before, kept = scene(stage)
        died = dies_at(step, stage)
        settled(stage)
        assert stage.data.names() | stage.data.files() == kept, f"killed at step {step}"
        assert stage.data.contents() == {key: before[key] for key in kept - {FORMS}} | {FORMS: {"process/9/task/sign"}}
        if keeping:
            assert stage.restore(*_ENDED).failed == {}
            assert stage.data.contents() == before, f"killed at step {step}"
        if not died:
            print(f"{step} steps")
            return
