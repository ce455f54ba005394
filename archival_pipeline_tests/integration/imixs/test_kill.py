"""``kill -9`` of backup, full backup and restore: at every point that others can see, and while the instance waits.

The process is the product's own command. After each kill: nothing lost, no file damaged; then another run settles all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import boto3
import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.support.forks import ForkServer
from archival_pipeline_tests.support.imixs import spaces
from archival_pipeline_tests.support.imixs.audit import assert_nothing_lost, assert_settled, document_in
from archival_pipeline_tests.support.imixs.instance import running_instance
from archival_pipeline_tests.support.imixs.scene import CREATED, MONTH, Scene, document_id, folder_space, migrated
from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_imixs import SpaceSettings
    from archival_pipeline_tests.support.databases import TestDatabases
    from archival_pipeline_tests.support.imixs.instance import Instance

DOCUMENTS = 2
LARGE = 900_000  # two pieces on its way, in base64
ATTACHMENT = b"0123456789abcdef" * (LARGE // 16)
KILLED = -signal.SIGKILL
# The short form, which every run of the suite does: one point in so many.
ONE_IN = 61
# The next run is tried twice from each state that a crash left, and from one in so many of those known.
ONE_IN_KNOWN = 20


class Contents(Protocol):
    """The files of a space, behind the back of the product."""

    def read(self) -> dict[str, bytes]:
        """All of them, by path."""
        ...

    def write(self, files: Mapping[str, bytes]) -> None:
        """Have these files, and no other."""
        ...


@dataclass(frozen=True)
class Folder:
    """Files below a folder of this machine."""

    root: Path

    def read(self) -> dict[str, bytes]:
        found = self.root.rglob("*")
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found if path.is_file()}

    def write(self, files: Mapping[str, bytes]) -> None:
        shutil.rmtree(self.root)
        self.root.mkdir()
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@dataclass(frozen=True)
class Bucket:
    """Objects of a bucket."""

    client: S3Client
    name: str

    def read(self) -> dict[str, bytes]:
        keys = [found["Key"] for found in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]
        return {key: self.client.get_object(Bucket=self.name, Key=key)["Body"].read() for key in keys}

    def write(self, files: Mapping[str, bytes]) -> None:
        for key in self.read().keys() - files.keys():
            self.client.delete_object(Bucket=self.name, Key=key)
        for key, content in files.items():
            self.client.put_object(Bucket=self.name, Key=key, Body=content)


@contextmanager
def a_folder(folder: Path) -> Iterator[tuple[SpaceSettings, Contents]]:
    yield folder_space(folder / "space"), Folder(folder / "space")


@contextmanager
def an_s3(_: Path) -> Iterator[tuple[SpaceSettings, Contents]]:
    with spaces.s3() as space:
        client = boto3.client(
            "s3",
            endpoint_url=space.s3_endpoint,
            region_name="us-east-1",
            aws_access_key_id=spaces.USER,
            aws_secret_access_key=spaces.PASSWORD,
        )
        with closing(client):
            yield space, Bucket(client, "backups")


@contextmanager
def an_ftp(folder: Path) -> Iterator[tuple[SpaceSettings, Contents]]:
    with spaces.ftp(folder) as space:
        yield space, Folder(folder / "ftp" / "backup")


@contextmanager
def an_ftp_that_replaces_nothing(folder: Path) -> Iterator[tuple[SpaceSettings, Contents]]:
    with spaces.ftp(folder, spaces.Faults(never_replaces=True)) as space:
        yield space, Folder(folder / "ftp" / "backup")


@contextmanager
def an_sftp(folder: Path) -> Iterator[tuple[SpaceSettings, Contents]]:
    with spaces.sftp(folder) as space:
        yield space, Folder(folder / "sftp" / "backup")


@dataclass(frozen=True)
class Stand:
    """What the tests of this file share: an instance, a program that forks, databases."""

    instance: Instance
    program: ForkServer
    databases: TestDatabases
    folder: Path

    def points(self) -> list[str]:
        """Where the last command has been."""
        return (self.folder / "points").read_text(encoding="utf-8").splitlines()

    def calls(self) -> int:
        """How many calls of the instance the last command made."""
        return sum(" /api/" in point for point in self.points())


class Story:
    """What a job finds, and what it must have done in the end; told again and again."""

    command = "backup"

    def __init__(self, stand: Stand, job: Job, database: DatabaseSettings, folder: Path) -> None:
        self.stand, self.job, self._database = stand, job, database
        self._running = ExitStack()
        space, self.contents = self._running.enter_context(job.place(folder))
        stand.instance.calm()
        stand.instance.empty()
        self.scene = Scene(stand.instance, database, space)
        names = [document_id(number) for number in range(job.documents)]
        for name in names:
            self.scene.instance.save(name, {"state": "old"}, {"a": b"x" * 3000}, CREATED)
        assert self.run("backup") == 0
        self.saved = self.prepare(names)
        stand.instance.keep()
        self._files = self.contents.read()
        self.settled: Counter[str] = Counter()

    @contextmanager
    def told_anew(self) -> Iterator[None]:
        """Everything is as the job finds it."""
        self.stand.instance.calm()
        self.stand.instance.give_back()
        self.contents.write(self._files)
        database = self.stand.databases.fresh(self._database.database)
        self.scene = replace(self.scene, database=database)
        yield
        self.stand.databases.drop(database)

    def close(self) -> None:
        """Stop the server of the space."""
        self._running.close()
        self.stand.databases.drop(self._database)

    def start(self, command: str = "", number: int = 0) -> int:
        """Begin a command that dies at this point; return its process."""
        environment = (
            self.scene.environment() | {"BACKUP_LANES": "1", "BACKUP_MANIFEST_MINUTES": "0"} | dict(self.job.keeping)
        )
        arguments = [str(self.stand.folder / "points"), str(number), "imixs", command or self.command]
        return self.stand.program.start(arguments, {**environment, **self.job.keeping})

    def run(self, command: str = "", number: int = 0) -> int:
        """The same to its end; return its exit code."""
        self.start(command, number)
        return self.stand.program.end()

    def state(self) -> str:
        """All that others can see, in short."""
        with connect(self.scene.database, purpose="test", autocommit=True) as session:
            record = [
                session.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608 - names below
                for table, columns in (
                    ("imixs_snapshot", "snapshot_id, place, state, path, size, sha256, in_manifest"),
                    ("imixs_event_lock", "topic, event_id"),
                )
            ]
        files = {name: hashlib.sha256(content).hexdigest() for name, content in self.contents.read().items()}
        instance = [self.scene.instance.entries(), self.scene.instance.ids()]
        return hashlib.sha256(repr((record, sorted(files.items()), instance)).encode()).hexdigest()

    def prepare(self, names: list[str]) -> dict[str, str]:
        """Make what the job finds; return the snapshots by document that must not be lost."""
        files = ({"b": ATTACHMENT}, {"b": b"y"})
        return {
            name: self.scene.instance.save(name, {"state": "new"}, files[number]) for number, name in enumerate(names)
        }

    def after_the_kill(self) -> None:
        """Nothing is lost."""
        assert_nothing_lost(self.scene, self.saved)

    def settle(self) -> None:
        """Another run does all that the dead one has left."""
        # A killed session holds its lock until the server has seen its end.
        wait_until(lambda: self.run() == 0, "a run works again")
        self.after_the_next_run()

    def after_the_next_run(self) -> None:
        """All is as an undisturbed run leaves it."""
        history = int(self.job.keeping.get("BACKUP_HISTORY", "1"))
        for document, snapshot in self.saved.items():
            held = {file.place: file for file in self.scene.files(document)}
            assert held.keys() == ({"current", "history"} if history > 1 else {"current"})
            assert held["current"].snapshot_id == snapshot
            assert history == 1 or b">old<" in self.scene.read(held["history"].path)
        assert_settled(self.scene, self.saved, BACKUP_HISTORY=history)


class Repair(Story):
    """A full backup finds one file cut short, one gone, and no entries."""

    command = "full-backup"

    def prepare(self, names: list[str]) -> dict[str, str]:
        saved = super().prepare(names)
        assert self.run("backup") == 0
        whole = {name: self.scene.files(name)[-1].path for name in names}
        files = self.contents.read()
        cut, gone = whole.values()
        self.cut = files[cut] = files[cut][:-100]
        del files[gone]
        self.contents.write(files)
        return saved

    def after_the_kill(self) -> None:
        """A file is whole, or as it was before."""
        for name in self.scene.names(MONTH):
            content = self.scene.read(f"{MONTH}/{name}")
            if content != self.cut:
                document = document_in(content)
                assert document.first("$uniqueid") == self.saved[name.removesuffix(".xml")]


class WayBack(Story):
    """A restore finds one document gone, and one newer in the instance than in the space."""

    command = "restore"

    def prepare(self, names: list[str]) -> dict[str, str]:
        saved = super().prepare(names)
        assert self.run("backup") == 0
        self.scene.instance.empty()
        self.newer = self.scene.instance.save(names[1], {"state": "newest"})
        self.files = self._backups()
        return {names[0]: saved[names[0]]}

    def after_the_kill(self) -> None:
        """The instance has the document or not, and nothing else; the space is untouched."""
        [(name, snapshot)] = self.saved.items()
        newer = {document_id(1), self.newer}
        assert set(self.scene.instance.ids()) - newer in (set(), {name, snapshot})
        self._newer_is_left_alone()
        assert self._backups() == self.files

    def after_the_next_run(self) -> None:
        [(name, snapshot)] = self.saved.items()
        assert {name, snapshot} <= set(self.scene.instance.ids())
        found = self.scene.instance.document(name)
        assert found is not None
        assert found["$snapshotid"] == [["xs:string", snapshot]]
        self._newer_is_left_alone()
        assert self._backups() == self.files

    def _newer_is_left_alone(self) -> None:
        newer = self.scene.instance.document(document_id(1))
        assert newer is not None
        assert newer["$snapshotid"] == [["xs:string", self.newer]]

    def _backups(self) -> dict[str, bytes]:
        return {name: content for name, content in self.contents.read().items() if name.startswith(MONTH)}


@dataclass(frozen=True)
class Job:
    """What is killed, on which space, with how many documents, and how files are kept there."""

    story: type[Story]
    place: Callable[[Path], AbstractContextManager[tuple[SpaceSettings, Contents]]]
    documents: int = 1
    keeping: Mapping[str, str] = field(default_factory=dict)


REMOVED = {"BACKUP_REMOVE_SNAPSHOTS": "true", "BACKUP_FROM_ARCHIVE": "true"}
JOBS = {
    "backup to FTP": Job(Story, an_ftp),
    "backup to FTP with a history": Job(Story, an_ftp, 2, {"BACKUP_HISTORY": "2"}),
    "backup to an FTP server that replaces nothing": Job(Story, an_ftp_that_replaces_nothing),
    "backup to SFTP": Job(Story, an_sftp),
    "backup to S3": Job(Story, an_s3, 1, {"BACKUP_HISTORY": "2"}),
    "backup to a folder, snapshots removed": Job(Story, a_folder, 1, REMOVED),
    "full backup to a folder": Job(Repair, a_folder, 2),
    "restore from FTP": Job(WayBack, an_ftp, 2),
}


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
