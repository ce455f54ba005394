"""Servers that cannot be the two sides of a move, each for one reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from archival_pipeline.catalogue.preflight_rights import Operation
from archival_pipeline.catalogue.preflight_servers import findings, missing_schemas
from archival_pipeline.database.introspection import ServerFacts

PRIMARY = ServerFacts(
    system_identifier="7000000000000000001",
    database_oid=16_384,
    database="bpm",
    schema="public",
    version=160_004,
    encoding="UTF8",
    in_recovery=False,
    read_only=False,
    synchronous_commit="on",
    max_locks=6_400,
    role="archiver",
)
BACKUP = replace(PRIMARY, system_identifier="7000000000000000002", database="bpm_backup")

# what differs in the primary, in the backup, the operation, words of the only finding
REFUSED: list[tuple[dict[str, Any], dict[str, Any], Operation, str]] = [
    ({}, {"system_identifier": PRIMARY.system_identifier}, Operation.BACKUP, "INVALID_DB_CONFIG"),
    ({"version": 120_011}, {}, Operation.BACKUP, "the primary runs PostgreSQL 12, older than 13"),
    ({}, {"version": 90_624}, Operation.RESTORE, "the backup runs PostgreSQL 9"),
    ({"in_recovery": True}, {}, Operation.BACKUP, "the primary is a standby"),
    ({}, {"in_recovery": True}, Operation.RESTORE, "the backup is a standby"),
    ({"read_only": True}, {}, Operation.DELETE_PRIMARY, "transactions of the primary are read-only"),
    ({}, {"read_only": True}, Operation.DELETE_BACKUP, "transactions of the backup are read-only"),
    ({}, {"synchronous_commit": "off"}, Operation.BACKUP, "synchronous_commit is off at the destination, the backup"),
    ({}, {"synchronous_commit": "local"}, Operation.BACKUP, "ALTER ROLE archiver SET synchronous_commit = on"),
    ({"synchronous_commit": "off"}, {}, Operation.RESTORE, "at the destination, the primary"),
    ({"encoding": "SQL_ASCII"}, {}, Operation.BACKUP, "the primary database has the encoding SQL_ASCII"),
    ({}, {"encoding": "SQL_ASCII"}, Operation.BACKUP, "the backup database has the encoding SQL_ASCII"),
    ({}, {"encoding": "LATIN1"}, Operation.BACKUP, "LATIN1 cannot hold every character of the primary's UTF8"),
    ({"encoding": "WIN1251"}, {"encoding": "LATIN1"}, Operation.BACKUP, "create the backup database with ENCODING"),
]
ACCEPTED: list[tuple[dict[str, Any], dict[str, Any], Operation]] = [
    ({}, {}, Operation.BACKUP),
    ({"encoding": "LATIN1"}, {}, Operation.BACKUP),
    ({"encoding": "LATIN1"}, {"encoding": "LATIN1"}, Operation.RESTORE),
    ({"synchronous_commit": "off"}, {}, Operation.BACKUP),
    ({}, {"synchronous_commit": "remote_apply"}, Operation.BACKUP),
    ({}, {"in_recovery": True, "read_only": True}, Operation.DRY_RUN),
    ({"read_only": True}, {}, Operation.DELETE_BACKUP),
    ({}, {"system_identifier": PRIMARY.system_identifier, "database_oid": 20_000}, Operation.BACKUP),
    ({"version": 130_000}, {"version": 180_000}, Operation.BACKUP),
]


@pytest.mark.parametrize(("primary", "backup", "operation", "words"), REFUSED)
def test_refuses(primary: dict[str, Any], backup: dict[str, Any], operation: Operation, words: str) -> None:
    found = list(findings(replace(PRIMARY, **primary), replace(BACKUP, **backup), operation))
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(("primary", "backup", "operation"), ACCEPTED)
def test_accepts(primary: dict[str, Any], backup: dict[str, Any], operation: Operation) -> None:
    assert list(findings(replace(PRIMARY, **primary), replace(BACKUP, **backup), operation)) == []


def test_names_the_setting_of_a_missing_schema() -> None:
    found = list(missing_schemas(replace(PRIMARY, schema=None), replace(BACKUP, schema="pg_temp_3")))
    assert [("BPM_DB_SCHEMA_NAME" in text, "BPM_BACKUP_DB_SCHEMA_NAME" in text) for text in found] == [
        (True, False),
        (False, True),
    ]
