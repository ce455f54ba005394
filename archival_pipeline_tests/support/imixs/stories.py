"""Jobs of the Imixs backup that are killed again and again: what each finds, leaves and must have done in the end.

Not here: at which points they are killed (``integration/imixs/test_kill.py``), what a point is (``worker.py``).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from archival_pipeline.commands.output import ExitCode
from archival_pipeline.database.connections import connect
from archival_pipeline_tests.support.imixs import contents as places
from archival_pipeline_tests.support.imixs.audit import assert_nothing_lost, assert_settled, document_in
from archival_pipeline_tests.support.imixs.scene import CREATED, MONTH, Scene, document_id
from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_imixs import SpaceSettings
    from archival_pipeline_tests.support.databases import TestDatabases
    from archival_pipeline_tests.support.forks import ForkServer
    from archival_pipeline_tests.support.imixs.contents import Contents
    from archival_pipeline_tests.support.imixs.instance import Instance

LARGE = 900_000  # two pieces on its way, in base64
ATTACHMENT = b"0123456789abcdef" * (LARGE // 16)


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
        environment = {**self.scene.environment(), "BACKUP_LANES": "1", "BACKUP_MANIFEST_MINUTES": "0"}
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
        codes: list[int] = []

        def has_the_space() -> bool:
            codes.append(self.run())
            # A killed session holds its lock until the server has seen its end.
            return codes[-1] != ExitCode.BUSY

        wait_until(has_the_space, "the space is free")
        assert codes[-1] == ExitCode.OK
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
    "backup to FTP": Job(Story, places.an_ftp),
    "backup to FTP with a history": Job(Story, places.an_ftp, 2, {"BACKUP_HISTORY": "2"}),
    "backup to an FTP server that replaces nothing": Job(Story, places.an_ftp_that_replaces_nothing),
    "backup to SFTP": Job(Story, places.an_sftp),
    "backup to S3": Job(Story, places.an_s3, 1, {"BACKUP_HISTORY": "2"}),
    "backup to a folder, snapshots removed": Job(Story, places.a_folder, 1, REMOVED),
    "full backup to a folder": Job(Repair, places.a_folder, 2),
    "restore from FTP": Job(WayBack, places.an_ftp, 2),
}
