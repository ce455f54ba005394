"""An engine with sample data and its backup, as processes of their own find them."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from archival_pipeline.archival import service
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.cli import cli
from archival_pipeline.commands import output
from archival_pipeline.database.connections import connect
from archival_pipeline.local import dagster_home, snapshot
from archival_pipeline_tests.support import archive
from archival_pipeline_tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.local.snapshot import Snapshot
    from archival_pipeline.settings import DatabaseSettings, Settings
    from archival_pipeline_tests.conftest import DatabaseFactory

COMMAND = str(Path(sys.executable).with_name("archival-pipeline"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command gave back to a program."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        assert self.err == ""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.err)
        return found


@dataclass(frozen=True, slots=True)
class Archive:
    """A primary with sample data and a backup that fits it.

    Attributes:
        settings: where they are.
        environment: all variables of a process that works on them.
    """

    settings: Settings
    environment: dict[str, str]

    def run(self, *arguments: str) -> Answer:
        """Run the command line as a script does, in this process: a start of Python takes longer than most commands."""
        out, err = io.StringIO(), io.StringIO()
        with patch.dict(os.environ, self.environment, clear=True), redirect_stdout(out), redirect_stderr(err):
            code = output.run(cli, arguments)
        return Answer(code, out.getvalue(), err.getvalue())

    def look_at_primary(self) -> Snapshot:
        with connect(self.settings.primary, purpose="look") as session:
            return snapshot.of_primary(session, (table.name for table in JBPM.owned))

    def what_does_not_add_up(self, before: Snapshot) -> list[str]:
        """Compare both sides with the primary as it was, by other means than the product's."""
        with connect(self.settings.backup, purpose="look") as session:
            moved = snapshot.of_backup(session, before)
        return snapshot.lost_or_new(before, self.look_at_primary(), moved)

    def audits(self) -> list[tuple[str, str]]:
        """Id and newest status of every audit."""
        with connect(self.settings.backup, purpose="look") as session:
            rows = session.execute("SELECT audit_id, audit_status FROM process_audit_latest_v1 ORDER BY created_at")
            return [(str(audit_id), str(status)) for audit_id, status in rows]

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Lock one instance that a backup will delete, so that the backup waits for us there.

        The engine does the same while it works on an instance.
        """
        with connect(self.settings.primary, purpose="the engine at work") as session:
            finished = "SELECT id FROM processinstancelog WHERE status = 2 AND parentprocessinstanceid <= 0"
            for (number,) in session.execute(finished).fetchall():
                session.execute("SELECT 1 FROM processinstancelog WHERE id = %s FOR UPDATE", [number])
            yield

    def is_waiting(self) -> bool:
        """Whether a session of a backup waits for a lock in the primary."""
        with connect(self.settings.primary, purpose="look", autocommit=True) as session:
            row = session.execute(
                "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database() AND application_name LIKE 'archival-pipeline: move %'"
            ).fetchone()
            return row is not None and bool(row[0])

    def wait_until_held_up(self) -> None:
        wait_until(self.is_waiting, "the backup waits for the locked instance")


@pytest.fixture
def archive_pair(
    database_from_template: DatabaseFactory,
    backup_database: DatabaseSettings,
    clean_environment: pytest.MonkeyPatch,  # noqa: ARG001 - what the developer's shell has set is no part of a test
) -> Archive:
    """A primary with sample data and a migrated backup."""
    primary = database_from_template("sample", _fill)
    settings = archive.settings_of(primary, backup_database)
    service.migrate(settings)
    return Archive(settings, dict(os.environ) | archive.environment_of(primary, backup_database))


def _fill(where: DatabaseSettings) -> None:
    archive.fill(where)


@pytest.fixture
def dagster_archive(archive_pair: Archive, database_from_template: DatabaseFactory, tmp_path: Path) -> Archive:
    """The same with a Dagster instance, as ``dagster.yaml`` describes it."""
    storage = database_from_template("empty dagster storage", lambda _: None, "backup")
    variables = {"DAGSTER_PG_URL": archive.dagster_url(storage), "DAGSTER_HOME": str(dagster_home.make(tmp_path))}
    return Archive(archive_pair.settings, archive_pair.environment | variables)
