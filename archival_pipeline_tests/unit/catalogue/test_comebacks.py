"""What a restore asks for is held against the published facts: every unique key, every sequence."""

from __future__ import annotations

from archival_pipeline.catalogue import facts
from archival_pipeline.catalogue.binding import BoundCatalogue, BoundTable, ClobMode
from archival_pipeline.catalogue.comebacks import UNIQUE_KEYS, IssuedId, issued_ids
from archival_pipeline.catalogue.jbpm import JBPM

# Shared rows have no other unique key, but the same user may have become a group.
SHARED = {("organizationalentity", ("id",))}


def _bound(*names: str) -> BoundCatalogue:
    tables = tuple(BoundTable(name, (), (), (), ()) for name in names)
    return BoundCatalogue("jBPM", (), tables, (), ClobMode.TEXT, ())


def test_every_unique_key_of_owned_rows_is_asked_for() -> None:
    owned = set(facts.owned_tables())
    known = {
        (index.table, index.columns)
        for index in facts.indexes()
        if index.unique and not index.primary_key and index.table in owned
    }

    assert {(unique.table, unique.columns) for unique in UNIQUE_KEYS} == known | SHARED


def test_a_holder_is_told_apart_by_its_primary_key() -> None:
    keys = {index.table: index.columns for index in facts.indexes() if index.primary_key}

    for unique in UNIQUE_KEYS:
        if (unique.table, unique.columns) not in SHARED:
            assert set(unique.apart) == set(keys[unique.table]), unique.table


def test_every_sequence_of_an_owned_table_bounds_its_column() -> None:
    owned = {table.name for table in JBPM.owned}
    expected = {IssuedId(s.table, s.column, s.name) for s in facts.sequences() if s.table in owned}

    found = set(issued_ids(_bound(*owned)))

    # An ended instance has no row in the table of states: its id stands in the log alone.
    assert found - expected == {
        IssuedId("processinstancelog", "processinstanceid", "process_instance_info_id_seq"),
    }
    assert expected <= found


def test_tables_that_the_primary_lacks_are_not_asked_for() -> None:
    assert {issued.table for issued in issued_ids(_bound("task", "content"))} == {"task", "content"}
