"""After a backup every row stands in exactly one database, in every shape of the engine's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from archival_pipeline.local.jbpm_schema import Variant
from archival_pipeline.local.sample_data import LIVE_ONLY
from archival_pipeline_tests.support import checker
from archival_pipeline_tests.support.moves import Engine, run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from archival_pipeline_tests.support.moves import Pair

BOTH: tuple[Literal["kie_server", "embedded"], ...] = ("kie_server", "embedded")
CLOBS: tuple[Literal["pointer", "text"], ...] = ("pointer", "text")
FORESTS = [
    Engine(variant, clobs, trees=15, flavours=BOTH, traps=True, every_ended=1) for variant in Variant for clobs in CLOBS
]
# Few rows: each statement of the guard scans its whole table.
GUARDED = [Engine(variant, guard=True, every_ended=3) for variant in Variant]
RUNNING = [
    Engine(Variant.STANDARD_OID, guard=True, every_ended=1, every_running=1),
    Engine(Variant.STANDARD_BYTEA, "text", every_ended=1, every_running=1),
    Engine(Variant.SPRINGBOOT_OID, "text", every_ended=1, every_running=1),
    Engine(Variant.SPRINGBOOT_BYTEA, every_ended=1, every_running=1),
]


def _guarded(pair: Pair) -> set[int]:
    return {row[0] for row in pair.execute("primary", "SELECT loid::bigint FROM jbpm_active_clob")}


@pytest.mark.parametrize("engine", FORESTS + GUARDED, ids=lambda engine: engine.name)
def test_i1_conservation_in_every_shape(pair_of: Callable[[Engine], Pair], engine: Engine) -> None:
    pair = pair_of(engine)
    rows, before, backup_before = pair.checker.primary(), pair.checker.dump(), pair.checker.dump(backup=True)
    every = {table for table in checker.OWNED if table not in LIVE_ONLY}
    assert every <= checker.filled(rows)

    ran = run(pair.settings)

    # Every owned row in exactly one of the two, contents included.
    left, moved = pair.checker.primary(), pair.checker.backup()
    assert checker.differences(rows, checker.together(left, moved)) == []
    assert every <= checker.filled(moved)
    # What was expected to go has gone, what was to stay has stayed.
    gone = pair.pids("backup")
    assert pair.written.safe_roots <= gone
    for summary in pair.written.forests:
        for root in summary.unsafe_roots:
            assert root not in gone
            assert root in ran.reports
    # Large objects: none of a moved row is left, no other one is touched.
    after = pair.checker.dump()
    kept = pair.checker.numbers()
    dropped = before.objects.keys() - after.objects.keys()
    assert after.objects == {number: data for number, data in before.objects.items() if number not in dropped}
    assert dropped.isdisjoint(kept)
    _check_objects_of_moved_rows(pair, dropped, before.objects.keys())
    # Bystanders are as they were; so is everything in the backup that no move should touch.
    bystanders = after.rows.keys() - checker.OWNED.keys() - {"jbpm_active_clob"}
    assert {table: after.rows[table] for table in bystanders} == {table: before.rows[table] for table in bystanders}
    assert after.sequences == before.sequences
    assert backup_before.objects == pair.checker.dump(backup=True).objects == {}
    if engine.guard:
        assert _guarded(pair) == _clob_numbers(pair)


def _check_objects_of_moved_rows(pair: Pair, dropped: set[int], existed: Collection[int]) -> None:
    """The numbers that the backup remembers are exactly those that are gone, but for the ones that never existed."""
    remembered: set[int] = set()
    for columns in (checker.BLOBS, checker.CLOBS):
        for table, names in columns.items():
            for name in names:
                query = f"SELECT {name}_lo FROM {table} WHERE {name}_lo IS NOT NULL"  # noqa: S608 - names of this package
                remembered.update(row[0] for row in pair.execute("backup", query))
    assert remembered.intersection(existed) == dropped


def _clob_numbers(pair: Pair) -> set[int]:
    found: set[int] = set()
    left_alone = {"deploymentstore": ("deploymentunit",), "querydefinitionstore": ("qexpression",)}
    for table, names in (checker.CLOBS | left_alone).items():
        for name in names:
            query = f"SELECT {name}::bigint FROM {table} WHERE {name} IS NOT NULL"  # noqa: S608 - names of this package
            found.update(row[0] for row in pair.execute("primary", query))
    return found


@pytest.mark.parametrize("engine", RUNNING, ids=lambda engine: engine.name)
def test_i1_conservation_of_running_trees_in_all_41_tables(pair_of: Callable[[Engine], Pair], engine: Engine) -> None:
    pair = pair_of(engine)
    rows = pair.checker.primary()
    assert checker.filled(rows) == set(checker.OWNED)

    run(pair.settings, includeRunning=True)

    assert checker.filled(pair.checker.primary()) == set()
    assert checker.differences(rows, pair.checker.backup()) == []
    assert pair.checker.numbers() == set()
