"""``kill -9`` of backup, full backup and restore: at every point that others can see, and while the instance waits.

The process is the product's own command. After each kill: nothing lost, no file damaged; then another run settles all.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from archival_pipeline_tests.support.forks import ForkServer
from archival_pipeline_tests.support.imixs.instance import running_instance
from archival_pipeline_tests.support.imixs.scene import migrated
from archival_pipeline_tests.support.imixs.stories import JOBS, Stand, Story
from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline_tests.support.databases import TestDatabases

KILLED = -signal.SIGKILL
# The short form, which every run of the suite does: one point in so many.
ONE_IN = 61
# The next run is tried twice from each state that a crash left, and from one in so many of those known.
ONE_IN_KNOWN = 20


@pytest.fixture(scope="module")
def stand(backup_databases: TestDatabases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("imixs-kill")
    with ExitStack() as running:
        instance = running.enter_context(running_instance(folder))
        program = running.enter_context(ForkServer("archival_pipeline_tests.support.imixs.worker", 120))
        yield Stand(instance, program, backup_databases, folder)


@contextmanager
def story_of(name: str, stand: Stand) -> Iterator[Story]:
    job = JOBS[name]
    database = stand.databases.fresh(stand.databases.template("imixs", migrated))
    folder = stand.folder / database.database
    folder.mkdir()
    with closing(job.story(stand, job, database, folder)) as story:
        yield story


def points_of(story: Story) -> int:
    """How many points a run has that nobody kills."""
    with story.told_anew():
        assert story.run() == 0
        points = len(story.stand.points())
        story.after_the_next_run()
    return points


def killed_at(story: Story, number: int) -> bool:
    """Kill at one point, look, run again, look; False where the run ended before."""
    with story.told_anew():
        code = story.run(number=number)
        if code != KILLED:
            assert code == 0
            return False
        where = f"killed at {story.stand.points()[-1]}"
        try:
            story.after_the_kill()
            state = story.state()
            story.settled[state] += 1
            if story.settled[state] <= 2 or number % ONE_IN_KNOWN == 0:
                story.settle()
        except AssertionError as error:
            error.add_note(where)
            raise
    return True


@pytest.mark.parametrize("name", ["backup to FTP with a history", "restore from FTP"])
def test_killed_at_some_points_the_next_run_settles_all(name: str, stand: Stand) -> None:
    with story_of(name, stand) as story:
        assert all(killed_at(story, number) for number in range(ONE_IN, points_of(story), ONE_IN))


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", JOBS)
def test_killed_at_every_point_the_next_run_settles_all(name: str, stand: Stand) -> None:
    with story_of(name, stand) as story:
        points = points_of(story)
        tried = 0
        while killed_at(story, tried + 1):
            tried += 1
        print(f"\n{name}: killed at {tried} of its {points} points, in {len(story.settled)} states")
        assert tried == points


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["backup to FTP with a history", "full backup to a folder", "restore from FTP"])
def test_killed_while_the_instance_is_at_any_call(name: str, stand: Stand) -> None:
    """The instance does the call only when its caller is dead."""
    with story_of(name, stand) as story:
        points_of(story)
        calls = stand.calls()
        for skip in range(calls):
            with story.told_anew():
                held_at(story, skip)
        print(f"\n{name}: killed while each of its {calls} calls was under way")


def held_at(story: Story, skip: int) -> None:
    instance = story.stand.instance
    before = len(instance.calls())
    instance.fault(".", "hold", skip=skip)
    process = story.start()
    wait_until(lambda: len(instance.calls()) - before > skip, "the call is held")
    os.kill(process, signal.SIGKILL)
    assert story.stand.program.end() == KILLED
    instance.calm()
    story.after_the_kill()
    story.settle()
