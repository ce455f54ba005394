"""Keys of instances: the scan of a whole wave must lead to the same rows as a look at each batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from psycopg.types.json import Jsonb

from archival_pipeline.archival import keys
from archival_pipeline.catalogue import key_statements
from archival_pipeline.catalogue.binding import BoundCatalogue, ClobMode, bind
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.database.connections import connect
from archival_pipeline.database.introspection import read_schema
from archival_pipeline_tests.support.moves import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from archival_pipeline_tests.support.moves import Pair

SCANNED = {
    "timermappinginfo": "timer",
    "workiteminfo": "work_item",
    "correlationkeyinfo": "correlation",
    "requestinfo": "request",
}


class Primary:
    """A primary full of oddities, and a session of it."""

    def __init__(self, pair: Pair, session: psycopg.Connection[Any]) -> None:
        self.session = session
        self.catalogue: BoundCatalogue = bind(JBPM, read_schema(session), ClobMode.POINTER)
        self.trees = [list(tree.members) for summary in pair.written.forests for tree in summary.trees]
        self.members = [member for tree in self.trees for member in tree]

    def request(self, number: int, pid: int | None, business_key: str | None = None) -> None:
        self.session.execute(
            "INSERT INTO requestinfo (id, executions, priority, retries, processinstanceid, businesskey)"
            " VALUES (%s, 0, 0, 0, %s, %s)",
            (number, pid, business_key),
        )

    def greatest(self, table: str, column: str) -> int:
        row = self.session.execute(f"SELECT max({column}) FROM {table}").fetchone()  # noqa: S608 - names of this test
        assert row is not None
        return int(row[0])


@pytest.fixture
def primary(pair_of: Callable[[Engine], Pair]) -> Iterator[Primary]:
    pair = pair_of(Engine(trees=40, flavours=("kie_server", "embedded"), traps=True))
    with connect(pair.settings.primary, purpose="keys") as session:
        yield Primary(pair, session)


def test_no_instances_have_no_keys_before_any_scan(primary: Primary) -> None:
    assert keys.resolve(primary.session, primary.catalogue, []).filled == frozenset()


def test_a_scan_of_all_finds_what_a_look_at_each_finds(primary: Primary) -> None:
    scanned = keys.scan(primary.session, primary.catalogue, primary.members)

    filled: set[str] = set()
    for tree in primary.trees:
        alone = keys.resolve(primary.session, primary.catalogue, tree)
        assert keys.resolve(primary.session, primary.catalogue, tree, scanned=scanned) == alone
        filled |= alone.filled
    assert set(SCANNED.values()) <= filled


def test_rows_that_came_after_the_scan_are_found(primary: Primary) -> None:
    first, second = primary.trees[0], primary.trees[1]
    scanned = keys.scan(primary.session, primary.catalogue, first + second)
    newest = primary.greatest("requestinfo", "id")
    primary.request(newest + 1, first[0])
    primary.request(newest + 2, None, f"{second[0]}:17")

    for tree in (first, second):
        alone = keys.resolve(primary.session, primary.catalogue, tree)
        assert keys.resolve(primary.session, primary.catalogue, tree, scanned=scanned) == alone
        assert (
            str(newest) in alone.parameters["request"]
            or str(newest + 1 + (tree is second)) in alone.parameters["request"]
        )


def test_a_row_that_was_still_uncommitted_during_the_scan_is_found(primary: Primary) -> None:
    tree = primary.trees[0]
    drawn = primary.greatest("requestinfo", "id") + 1
    primary.request(drawn + 500, None)
    scanned = keys.scan(primary.session, primary.catalogue, tree)
    primary.request(drawn, tree[0])

    found = keys.resolve(primary.session, primary.catalogue, tree, scanned=scanned)

    assert str(drawn) in found.parameters["request"]


def test_a_scan_says_nothing_about_instances_that_it_was_not_asked_for(primary: Primary) -> None:
    holder = next(
        tree for tree in primary.trees if "request" in keys.resolve(primary.session, primary.catalogue, tree).filled
    )
    scanned = keys.scan(primary.session, primary.catalogue, [pid for pid in primary.members if pid not in holder])

    found = keys.resolve(primary.session, primary.catalogue, holder, scanned=scanned)

    assert "request" in found.filled


def test_after_a_scan_no_batch_scans_again(primary: Primary) -> None:
    for table in SCANNED:
        _fill(primary.session, table, 20_000)
    scanned = keys.scan(primary.session, primary.catalogue, primary.trees[0])
    parameters = {"process": keys.array_literal(primary.trees[0]), "left_sessions": "{}"}
    parameters |= scanned.parameters(primary.trees[0])
    primary.session.execute("SET plan_cache_mode = force_generic_plan")

    statement = key_statements.resolve_keys(primary.catalogue, scanned_before=True)
    with primary.session.cursor() as cursor:
        cursor.execute(b"EXPLAIN (FORMAT JSON) " + statement.as_bytes(primary.session), parameters, prepare=True)
        [(plan,)] = cursor.fetchall()

    assert _scanned(plan) & SCANNED.keys() == set()


def _fill(session: psycopg.Connection[Any], table: str, rows: int) -> None:
    """Add copies of one row under new numbers, of instances that nobody asks for."""
    key = {"workiteminfo": "workitemid", "correlationkeyinfo": "keyid"}.get(table, "id")
    [(template,)] = session.execute(f"SELECT to_jsonb(t) FROM {table} AS t LIMIT 1").fetchall()  # noqa: S608
    for column in ("processinstanceid", "businesskey", "name", "uuid", "requestdata", "responsedata", "info"):
        template.pop(column, None)
    session.execute(
        f"INSERT INTO {table} SELECT r.* FROM generate_series(1, %s) AS n,"  # noqa: S608 - names of this test
        f" jsonb_populate_record(NULL::{table}, %s || jsonb_build_object("
        f"'{key}', 5000000 + n, 'processinstanceid', 7000000 + n, 'name', 'n' || n, 'uuid', 'u' || n,"
        " 'kiesessionid', 5000000 + n)) AS r",
        (rows, Jsonb(template)),
    )
    session.execute(f"ANALYZE {table}")


def _scanned(node: Any) -> set[str]:
    """Names of the tables that a plan reads whole."""
    if isinstance(node, list):
        return set().union(*map(_scanned, node))
    if not isinstance(node, dict):
        return set()
    mine = {node["Relation Name"]} if node.get("Node Type") == "Seq Scan" else set()
    return mine.union(*(_scanned(child) for child in node.values()))
