"""One backup schema serves one primary, and says so when it is shown another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from archival_pipeline.catalogue.pairing import read_pairing, record_or_check, replace_pairing
from archival_pipeline.database.connections import connect
from archival_pipeline.database.introspection import ServerFacts, read_server
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.integration.catalogue.conftest import Session

OTHER_PRIMARIES: list[dict[str, Any]] = [
    {"system_identifier": "1"},
    {"database_oid": 1},
    {"schema": "another"},
]


@pytest.fixture
def backup(backup_database: DatabaseSettings) -> Iterator[Session]:
    with connect(backup_database, purpose="test") as session:
        session.execute(load_sql("backup/archival_pairing"))
        session.commit()
        yield session


@pytest.fixture
def primary(primary_database: DatabaseSettings) -> ServerFacts:
    with connect(primary_database, purpose="test") as session:
        return read_server(session)


def test_the_first_primary_is_recorded_and_stays(backup: Session, primary: ServerFacts) -> None:
    assert record_or_check(backup, primary) is None
    backup.rollback()
    pairing = read_pairing(backup)
    assert pairing is not None
    assert pairing.is_of(primary)
    assert record_or_check(backup, replace(primary, database="renamed", role="somebody")) is None
    assert read_pairing(backup) == pairing


@pytest.mark.parametrize("difference", OTHER_PRIMARIES, ids=lambda d: next(iter(d)))
def test_another_primary_is_a_finding(backup: Session, primary: ServerFacts, difference: dict[str, Any]) -> None:
    assert record_or_check(backup, primary) is None
    finding = record_or_check(backup, replace(primary, **difference))
    assert finding is not None
    assert primary.system_identifier in finding
    assert "archival-pipeline pair --force" in finding
    recorded = read_pairing(backup)
    assert recorded is not None
    assert recorded.is_of(primary)


def test_an_operator_may_replace_the_pairing(backup: Session, primary: ServerFacts) -> None:
    rebuilt = replace(primary, system_identifier="1")
    assert record_or_check(backup, primary) is None
    replace_pairing(backup, rebuilt)
    assert record_or_check(backup, rebuilt) is None
    assert record_or_check(backup, primary) is not None


def test_there_is_room_for_one_primary_only(backup: Session, primary: ServerFacts) -> None:
    record_or_check(backup, primary)
    with pytest.raises(psycopg.errors.CheckViolation):
        backup.execute("INSERT INTO archival_pairing VALUES (false, '1', 1, 'bpm', 'public')")
