"""Which of the selected instances stand for whole trees: against a plain search, and without growing with the depth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from archival_pipeline.archival.trees import topmost
from archival_pipeline.database.connections import connect
from archival_pipeline.database.sqlfiles import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psycopg

    from archival_pipeline.settings import DatabaseSettings


@pytest.fixture
def session(primary_database: DatabaseSettings) -> Iterator[psycopg.Connection[Any]]:
    with connect(primary_database, purpose="test", autocommit=True) as connection:
        connection.execute("CREATE TABLE processinstancelog (processinstanceid bigint, parentprocessinstanceid bigint)")
        connection.execute("CREATE INDEX ON processinstancelog (processinstanceid)")
        connection.execute("CREATE INDEX ON processinstancelog (parentprocessinstanceid)")
        yield connection


def fill(session: psycopg.Connection[Any], parents: Mapping[int, int | None]) -> None:
    session.execute("DELETE FROM processinstancelog")
    session.execute(
        "INSERT INTO processinstancelog SELECT unnest(%s::bigint[]), unnest(%s::bigint[])",
        [list(parents), list(parents.values())],
    )


def ancestors(parents: dict[int, int | None], instance: int) -> set[int]:
    found: set[int] = set()
    above = parents.get(instance)
    while above is not None and above > 0 and above not in found:
        found.add(above)
        above = parents.get(above)
    return found


def expected(parents: dict[int, int | None], selected: set[int]) -> list[int]:
    return sorted(
        one
        for one in selected
        if one > 0
        and not any(
            other != one and other in ancestors(parents, one) and (one not in ancestors(parents, other) or other < one)
            for other in selected
        )
    )


_FORESTS = st.dictionaries(
    st.integers(1, 12), st.one_of(st.none(), st.sampled_from([-1, 0]), st.integers(1, 14)), max_size=12
)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parents=_FORESTS, selected=st.sets(st.integers(-1, 14)))
@example(parents={1: 1}, selected={1})
@example(parents={1: 2, 2: 1, 3: 1, 4: 3}, selected={1, 2, 4})
@example(parents={1: 2, 2: 1, 3: 1, 4: 3}, selected={3, 4})
@example(parents={1: -1, 2: 1, 3: 2}, selected={1, 3})
def test_like_a_plain_search(
    session: psycopg.Connection[Any], parents: dict[int, int | None], selected: set[int]
) -> None:
    fill(session, parents)
    assert topmost(session, sorted(selected)) == expected(parents, selected)


def test_deep_chains_are_met_once(session: psycopg.Connection[Any]) -> None:
    chain = {n: n - 1 if n > 1 else -1 for n in range(1, 3_001)}
    fill(session, chain)
    session.execute("ANALYZE processinstancelog")
    assert topmost(session, list(chain)) == [1]
    plan = session.execute(
        "EXPLAIN (ANALYZE, FORMAT json) " + load_sql("common/topmost"),
        {"selected": list(chain)},
    ).fetchone()
    assert plan is not None
    assert most_rows(plan[0][0]["Plan"]) < 10 * len(chain), json.dumps(plan[0])


def most_rows(node: dict[str, Any]) -> float:
    """The most rows that any step of the plan gave, all its turns together."""
    own = float(node["Actual Rows"]) * float(node["Actual Loops"])
    return max([own, *map(most_rows, node.get("Plans", []))])
