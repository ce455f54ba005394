"""Every statement of the catalogue is understood by a live schema of every shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from archival_pipeline.catalogue import key_statements, statements
from archival_pipeline.catalogue.binding import BoundCatalogue, ClobMode, bind
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.database.introspection import read_schema
from archival_pipeline.local.jbpm_schema import Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archival_pipeline_tests.integration.catalogue.conftest import Pair, Session

KEYS: dict[str, Any] = {k.name: [] if k.sql_type == "bigint" else ["none"] for k in JBPM.key_sets}
KEYS |= {"left_sessions": []}
for scanned in ("timer", "work_item", "correlation", "request"):
    KEYS |= {f"known_{scanned}": [], f"after_{scanned}": 0}


def explain(session: Session, statement: sql.Composable) -> None:
    session.execute(sql.SQL("EXPLAIN {}").format(statement), KEYS)


def row_statements(catalogue: BoundCatalogue, *, archive: bool) -> Iterator[sql.Composed]:
    filled = frozenset(key_set.name for key_set in catalogue.key_sets)
    for table in (*catalogue.tables, *catalogue.shared):
        for build in (statements.digest, statements.delete):
            statement = build(table, filled, archive=archive)
            assert statement is not None
            yield statement


@pytest.mark.parametrize("clob_mode", ClobMode)
@pytest.mark.parametrize("variant", Variant)
def test_statements_are_valid_on_both_sides(
    pair_of: Callable[[Variant], Pair], variant: Variant, clob_mode: ClobMode
) -> None:
    pair = pair_of(variant)
    catalogue = bind(JBPM, read_schema(pair.primary), clob_mode)
    for session, archive in ((pair.primary, False), (pair.backup, True)):
        explain(session, key_statements.resolve_keys(catalogue))
        explain(session, key_statements.resolve_keys(catalogue, scanned_before=True))
        scan = key_statements.scan_keys(catalogue)
        assert scan is not None
        explain(session, scan)
        for statement in row_statements(catalogue, archive=archive):
            explain(session, statement)


@pytest.mark.parametrize("clob_mode", ClobMode)
@pytest.mark.parametrize("variant", Variant)
def test_copies_pass_from_one_side_to_the_other(
    pair_of: Callable[[Variant], Pair], variant: Variant, clob_mode: ClobMode
) -> None:
    pair = pair_of(variant)
    catalogue = bind(JBPM, read_schema(pair.primary), clob_mode)
    filled = frozenset(key_set.name for key_set in catalogue.key_sets)
    for table in catalogue.tables:
        with (
            pair.primary.cursor() as origin,
            pair.backup.cursor() as destination,
            origin.copy(statements.copy_out(table, filled), KEYS) as rows,
            destination.copy(statements.copy_in(table)) as sink,
        ):
            for block in rows:
                sink.write(block)


@pytest.mark.parametrize("hashed", [True, False])
def test_delete_tells_the_objects_of_rows_with_one_and_with_two(engine: Session, *, hashed: bool) -> None:
    engine.execute("SELECT lo_from_bytea(n::oid, 'x') FROM generate_series(900001, 900003) AS n")
    engine.execute(
        "INSERT INTO requestinfo (id, executions, priority, retries, processinstanceid, requestdata, responsedata)"
        " VALUES (1, 0, 0, 0, 7, 900001, 900002), (2, 0, 0, 0, 7, 900003, NULL), (3, 0, 0, 0, 7, NULL, NULL)"
    )
    catalogue = bind(JBPM, read_schema(engine), ClobMode.POINTER)
    statement = statements.delete(catalogue.table("requestinfo"), frozenset({"request"}), archive=False, hashed=hashed)
    assert statement is not None
    row = engine.execute(statement, {"request": "{1,2,3}"}).fetchone()
    assert row is not None
    assert (row[0], row[3]) == (3, 0)
    assert (row[1] != 0, row[2] != 0) == (hashed, hashed)
    assert sorted(row[5]) == [900001, 900002, 900003]
