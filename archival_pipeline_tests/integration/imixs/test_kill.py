"""``kill -9`` of a backup at every command that its FTP server gets, and at every call that the instance gets.

The process is the product's own command. After each kill: nothing lost, no file damaged; then another run settles all.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archival_pipeline.imixs import service
from archival_pipeline.imixs.record import Record
from archival_pipeline.imixs.storage.opening import open_store
from archival_pipeline_tests.support.imixs import spaces
from archival_pipeline_tests.support.imixs.audit import assert_nothing_lost, assert_settled
from archival_pipeline_tests.support.imixs.instance import running_instance
from archival_pipeline_tests.support.imixs.scene import CREATED, Scene, document_id, migrated
from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline_tests.conftest import DatabaseFactory
    from archival_pipeline_tests.support.imixs.instance import Instance

pytestmark = pytest.mark.faults

DOCUMENTS = 2
# One document takes so many commands and calls, with some to spare; the runs tell when no more come.
FTP_POINTS = range(1, 75)
CALL_POINTS = range(14)
SOME_FTP_POINTS = (3, 17, 21, 26, 29)
SOME_CALL_POINTS = (1, 3, 4)


@pytest.fixture(scope="module")
def killed_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with running_instance(tmp_path_factory.mktemp("imixs")) as found:
        yield found


@contextmanager
def scene_of(
    instance: Instance, factory: DatabaseFactory, folder: Path, faults: spaces.Faults
) -> Iterator[tuple[Scene, dict[str, str]]]:
    """Two documents, saved twice: the file of the first save is there, the entries of the second wait."""
    instance.calm()
    instance.empty()
    with spaces.ftp(folder, faults) as space:
        scene = Scene(instance, factory("imixs", migrated, "backup"), space)
        names = [document_id(number) for number in range(DOCUMENTS)]
        for name in names:
            instance.save(name, {"state": "old"}, {"a": b"x" * 3000}, CREATED)
        assert run(scene).wait() == 0
        yield scene, {name: instance.save(name, {"state": "new"}, {"b": b"y" * 3000}) for name in names}


def environment(scene: Scene) -> dict[str, str]:
    return scene.environment() | {"BACKUP_LANES": "1", "BACKUP_HISTORY": "2", "BACKUP_MANIFEST_MINUTES": "0"}


def run(scene: Scene) -> subprocess.Popen[bytes]:
    command = [str(Path(sys.executable).with_name("archival-pipeline")), "imixs", "backup"]
    return subprocess.Popen(command, env=environment(scene), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def settle(scene: Scene, saved: dict[str, str]) -> None:
    """What the next runs do. The old snapshot may have gone into the history, or not: that is no promise."""
    # A killed session holds its lock until the server has seen its end.
    wait_until(lambda: run(scene).wait() == 0, "a run works again")
    for document in saved:
        held = {file.place: file for file in scene.files(document)}
        assert held.keys() == {"current", "history"}
        assert b">old<" in scene.read(held["history"].path)
    assert service.verify(scene.settings(BACKUP_HISTORY=2)).is_good
    for document in saved:
        [older] = [file for file in scene.files(document) if file.place == "history"]
        store = open_store(scene.space)
        with Record.open(scene.database, store.name) as record:
            store.remove(older.path)
            record.forget(older.snapshot_id)
        store.close()
    assert_settled(scene, saved)


def killed_at_command(point: int, instance: Instance, factory: DatabaseFactory, folder: Path) -> None:
    faults = spaces.Faults()
    with scene_of(instance, factory, folder, faults) as (scene, saved):
        victims: list[subprocess.Popen[bytes]] = []
        faults.commands = 0

        def kill(number: int) -> None:
            if number == point:
                wait_until(lambda: bool(victims), "the process is known")
                victims[0].kill()

        faults.before = kill
        victims.append(run(scene))
        victims[0].wait()
        faults.before = None
        assert_nothing_lost(scene, saved)
        settle(scene, saved)


@pytest.mark.parametrize("point", SOME_FTP_POINTS)
def test_kill_at_some_commands_of_the_ftp_server(
    point: int, killed_instance: Instance, database_from_template: DatabaseFactory, tmp_path: Path
) -> None:
    killed_at_command(point, killed_instance, database_from_template, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("point", [point for point in FTP_POINTS if point not in SOME_FTP_POINTS])
def test_kill_at_any_command_of_the_ftp_server(
    point: int, killed_instance: Instance, database_from_template: DatabaseFactory, tmp_path: Path
) -> None:
    killed_at_command(point, killed_instance, database_from_template, tmp_path)


def killed_at_call(point: int, instance: Instance, factory: DatabaseFactory, folder: Path) -> None:
    with scene_of(instance, factory, folder, spaces.Faults()) as (scene, saved):
        before = len(instance.calls())
        instance.fault(".", "hold", skip=point)
        process = run(scene)
        wait_until(lambda: process.poll() is not None or len(instance.calls()) - before > point, "the call is held")
        process.kill()
        process.wait()
        instance.calm()
        assert_nothing_lost(scene, saved)
        settle(scene, saved)


@pytest.mark.parametrize("point", SOME_CALL_POINTS)
def test_kill_at_some_calls_of_the_instance(
    point: int, killed_instance: Instance, database_from_template: DatabaseFactory, tmp_path: Path
) -> None:
    killed_at_call(point, killed_instance, database_from_template, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("point", [point for point in CALL_POINTS if point not in SOME_CALL_POINTS])
def test_kill_at_any_call_of_the_instance(
    point: int, killed_instance: Instance, database_from_template: DatabaseFactory, tmp_path: Path
) -> None:
    killed_at_call(point, killed_instance, database_from_template, tmp_path)
