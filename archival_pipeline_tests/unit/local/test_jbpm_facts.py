"""The facts about the engine's schema, as read from their tables."""

from __future__ import annotations

import pytest

from archival_pipeline.catalogue import facts


@pytest.mark.parametrize("variant", facts.ALL_VARIANTS)
def test_every_variant_has_46_tables_314_columns_and_45_foreign_keys(variant: str) -> None:
    columns = [column for found in facts.columns(variant).values() for column in found]
    assert len(facts.columns(variant)) == 46
    assert len(columns) == 314
    assert sum(column.references is not None for column in columns) == 45


def test_34_sequences_of_which_13_advance_by_50_on_springboot() -> None:
    assert len(facts.sequences()) == 34
    assert {sequence.increment_standard for sequence in facts.sequences()} == {1}
    assert sum(sequence.increment_springboot == 50 for sequence in facts.sequences()) == 13


def test_ten_tables_have_no_primary_key() -> None:
    keyless = [name for name, found in facts.columns().items() if not any(column.primary_key for column in found)]
    assert len(keyless) == 10
    assert {"eventtypes", "notification_bas", "reassignment_potentialowners"} < set(keyless)


def test_41_owned_tables_come_in_an_order_that_satisfies_every_foreign_key() -> None:
    owned = facts.owned_tables()
    assert len(owned) == 41
    for position, table in enumerate(owned):
        targets = {column.references[0] for column in facts.columns()[table] if column.references}
        assert targets <= {*owned[:position], "organizationalentity"}


@pytest.mark.parametrize(
    ("variant", "pg_type"), [("standard_oid", "oid"), ("springboot_oid", "oid"), ("springboot_bytea", "bytea")]
)
def test_binary_columns_follow_the_variant(variant: str, pg_type: str) -> None:
    blobs = [(lob.table, lob.column) for lob in facts.large_object_columns() if lob.kind == "blob"]
    types = {(c.table, c.name): c.pg_type for found in facts.columns(variant).values() for c in found}
    assert len(blobs) == 7
    assert {types[blob] for blob in blobs} == {pg_type}


def test_physical_order_differs_between_variants() -> None:
    standard = [column.name for column in facts.columns("standard_oid")["taskevent"]]
    bytea = [column.name for column in facts.columns("standard_bytea")["taskevent"]]
    assert standard != bytea
    assert sorted(standard) == sorted(bytea)
    assert [column.ordinal for column in facts.columns("standard_bytea")["taskevent"]] == list(range(1, 13))


def test_the_other_variants_lack_indexes_of_standard_oid() -> None:
    numbers = {variant: len(facts.indexes(variant)) for variant in facts.ALL_VARIANTS}
    most = numbers["standard_oid"]
    assert [most - numbers[variant] for variant in facts.ALL_VARIANTS] == [0, 3, 4, 4]


def test_references_without_foreign_key_and_differences_are_read_whole() -> None:
    assert len(facts.logical_references()) == 39
    assert len(facts.differences()) == 63
    assert facts.relations()["organizationalentity"].role == "shared"
    assert facts.relations()["caseidinfo"].insert_rank is None
