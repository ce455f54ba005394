"""Options arrive in their JSON names; each one out of bounds is named."""

from __future__ import annotations

from typing import Any

import pytest

from archival_pipeline.archival.direction import BACKUP, DELETE_BACKUP, DELETE_PRIMARY, RESTORE, direction_of
from archival_pipeline.archival.options import MAX_BATCH_SIZE, Options, parse_options
from archival_pipeline.errors import RequestError


def test_the_defaults_are_the_safe_choice() -> None:
    options = parse_options({})

    assert options.batch_size == MAX_BATCH_SIZE == 100
    assert [options.include_running, options.allow_all, options.force, options.dry_run] == [False] * 4
    assert options.database == "primary"


def test_every_option_is_described() -> None:
    assert [name for name, info in Options.model_fields.items() if not info.description] == []


@pytest.mark.parametrize(
    "given",
    [
        {"batchSize": 0},
        {"batchSize": 101},
        {"batchSize": "5"},
        {"batchSize": True},
        {"batchesPerWave": 0},
        {"lanes": 0},
        {"maxBatches": 0},
        {"pauseBetweenBatchesMs": -1},
        {"includeRunning": "yes"},
        {"dryRun": 1},
        {"database": "both"},
        {"noSuchOption": 1},
        {"batch_size": 5},
    ],
    ids=str,
)
def test_what_cannot_be_used_is_named(given: dict[str, Any]) -> None:
    [name] = given

    with pytest.raises(RequestError, match=name) as refused:
        parse_options(given)

    assert refused.value.code == "INVALID_REQUEST"


def test_what_is_written_to_the_ledger_is_read_again() -> None:
    options = parse_options({"batchSize": 7, "includeRunning": True, "maxBatches": 3, "database": "backup"})

    assert parse_options(options.model_dump(mode="json", by_alias=True)) == options


@pytest.mark.parametrize("direction", [BACKUP, RESTORE, DELETE_PRIMARY, DELETE_BACKUP])
def test_a_stored_operation_goes_the_same_way(direction: Any) -> None:
    assert direction_of(direction.operation, direction.origin) == direction


def test_only_a_copy_into_the_backup_commits_with_the_ledger() -> None:
    assert BACKUP.ledger_with_copy
    assert not RESTORE.ledger_with_copy
    assert [each.copies for each in (BACKUP, RESTORE, DELETE_PRIMARY, DELETE_BACKUP)] == [True, True, False, False]
