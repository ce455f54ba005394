"""The SQL functions of selection pick what a plain reading of the filters picks, and find every descendant."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from archival_pipeline.archival import selection
from archival_pipeline.archival.filters import Filters, ProcessStatus, TaskStatus, VariableFilter, resolve
from archival_pipeline.database import migrations
from archival_pipeline.database.connections import connect
from archival_pipeline.local import jbpm_schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.support.databases import TestDatabases

    Session = psycopg.Connection[tuple[Any, ...]]

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
WALL = NOW.replace(tzinfo=None)
# Texts that break out of careless quoting, formatting, matching or array syntax.
NASTY = [
    "x", "X", "x ", "", "'", "''", "' OR '1'='1", "'; DROP TABLE task; --", "\\'; DROP TABLE task; --", "$$", "$1",
    "$body$", "%", "_", "%s", "%(name)s", "%I", "\\", "\\\\", '"', "{a,b}", '{"a": 1}', "}", "/*", "-- x", "null",
    "p.processname", "\u2019 OR 1=1", "\u02bc", "a\tb\r\nc", "\U0001f600",
]  # fmt: skip


_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Instance:
    """A row of processinstancelog."""

    processinstanceid: int
    processname: str | None = "order"
    status: int | None = 2
    externalid: str | None = "shop:1"
    start_date: datetime | None = WALL - timedelta(days=100)
    end_date: datetime | None = WALL - timedelta(days=99)
    parentprocessinstanceid: int | None = -1


@dataclass(frozen=True)
class Task:
    """A row of task or of audittaskimpl."""

    processinstanceid: int
    name: str | None = "approve"
    status: str | None = "Completed"
    owner: str | None = "john"
    audit: bool = False


@dataclass(frozen=True)
class Variable:
    """A row of variableinstancelog; its id follows from its place in the list."""

    processinstanceid: int
    variableid: str | None
    value: str | None


def insert(session: Session, *rows: Instance | Task | Variable) -> None:
    """Write rows the way the engine would."""
    for row in rows:
        table, values = _as_row(row, next(_NUMBERS))
        if values.get("actualowner_id") is not None:
            session.execute(
                "INSERT INTO organizationalentity (dtype, id) VALUES ('User', %s) ON CONFLICT DO NOTHING",
                [values["actualowner_id"]],
            )
        session.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, values)),
                sql.SQL(", ").join(map(sql.Placeholder, values)),
            ),
            values,
        )


def _as_row(row: Instance | Task | Variable, number: int) -> tuple[str, dict[str, Any]]:
    if isinstance(row, Instance):
        return "processinstancelog", asdict(row) | {"id": number}
    if isinstance(row, Variable):
        return "variableinstancelog", asdict(row) | {"id": number}
    common = {"id": number, "processinstanceid": row.processinstanceid, "name": row.name, "status": row.status}
    required = dict.fromkeys(("parentid", "processsessionid", "workitemid", "priority"), 0)
    if row.audit:
        return "audittaskimpl", common | required | {"actualowner": row.owner}
    contents = dict.fromkeys(("documentcontentid", "outputcontentid", "faultcontentid"), -1)
    return "task", common | required | contents | {"actualowner_id": row.owner, "skipable": False}


@pytest.fixture(scope="module")
def engine(primary_databases: TestDatabases) -> Iterator[DatabaseSettings]:
    """A migrated engine database without rows; tests roll back what they write."""
    database = primary_databases.fresh()
    with connect(database, purpose="test") as session:
        jbpm_schema.create(session, jbpm_schema.Variant.STANDARD_OID)
    migrations.upgrade(database, "primary")
    yield database
    primary_databases.drop(database)


@pytest.fixture(scope="module")
def engine_session(engine: DatabaseSettings) -> Iterator[Session]:
    """One session for all tests of this file, because hypothesis draws many examples on it."""
    with connect(engine, purpose="test") as session:
        yield session
        session.rollback()


@pytest.fixture
def session(engine_session: Session) -> Iterator[Session]:
    """A session whose writes are undone after the test."""
    yield engine_session
    engine_session.rollback()


def picked(session: Session, **given: Any) -> list[int]:
    """What the filters pick; count and find must agree."""
    frozen = resolve(Filters(**given), now=NOW, time_zone="UTC")
    found = selection.find(session, frozen)
    assert selection.count(session, frozen) == len(found)
    return found


def expected(filters: Filters, rows: Sequence[Instance | Task | Variable]) -> list[int]:
    """The same in plain Python, straight from the meaning of each filter."""
    tasks = [row for row in rows if isinstance(row, Task)]
    current = {(row.processinstanceid, row.variableid): row.value for row in rows if isinstance(row, Variable)}

    def matches(row: Instance) -> bool:
        judged_by = row.end_date or row.start_date
        limit = None if filters.before_no_of_days is None else WALL - timedelta(days=filters.before_no_of_days)
        start, end = filters.ended_from, filters.ended_to
        return (
            row.processinstanceid > 0
            and filters.process_name in (None, row.processname)
            and (filters.process_status is None or filters.process_status.code == row.status)
            and filters.deployment_id in (None, row.externalid)
            and (limit is None or (judged_by is not None and judged_by < limit))
            and (start is None or (row.end_date is not None and row.end_date >= start.replace(tzinfo=None)))
            and (end is None or (row.end_date is not None and row.end_date < end.replace(tzinfo=None)))
            and (filters.piids is None or row.processinstanceid in filters.piids)
            and all(
                current.get((row.processinstanceid, wanted.name)) == wanted.value
                for wanted in filters.process_variables or ()
            )
            and (_asks_for_task(filters) is False or any(_task_matches(filters, row, task) for task in tasks))
        )

    return sorted({row.processinstanceid for row in rows if isinstance(row, Instance) and matches(row)})


def _asks_for_task(filters: Filters) -> bool:
    return any(value is not None for value in (filters.task_name, filters.task_status, filters.task_assignee))


def _task_matches(filters: Filters, row: Instance, task: Task) -> bool:
    return (
        task.processinstanceid == row.processinstanceid
        and filters.task_name in (None, task.name)
        and filters.task_status in (None, task.status)
        and filters.task_assignee in (None, task.owner)
    )


# Few ids, so that rows meet; none of the ids up to 0 is ever an instance.
pids = st.sampled_from([1, 2, 1, 2, 3, 0, -1])
texts = st.sampled_from(NASTY)
filled = texts.filter(bool)
moments = st.builds(
    lambda days, micros: WALL - timedelta(days=days, microseconds=micros), st.integers(0, 3), st.integers(-1, 1)
)
filter_fields = {
    "process_name": filled,
    "process_status": st.sampled_from(ProcessStatus),
    "deployment_id": filled,
    "before_no_of_days": st.integers(0, 4),
    "ended_from": moments.map(lambda moment: (moment - timedelta(days=3)).replace(tzinfo=UTC)),
    "ended_to": moments.map(lambda moment: (moment + timedelta(days=1)).replace(tzinfo=UTC)),
    "task_name": filled,
    "task_status": st.sampled_from(TaskStatus),
    "task_assignee": filled,
    "process_variables": st.lists(st.builds(VariableFilter, name=filled, value=texts), min_size=1, max_size=2),
    "piids": st.lists(st.integers(1, 3), min_size=1),
}


def _near(wanted: Any, other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What a filter asks for in half of the rows, anything else in the other half."""
    return st.none() | other if wanted is None else st.just(wanted) | st.just(wanted) | other


def _rows_near(filters: Filters) -> st.SearchStrategy[list[Instance | Task | Variable]]:
    status = filters.process_status and filters.process_status.code
    instances = st.builds(
        Instance,
        processinstanceid=pids,
        processname=_near(filters.process_name, texts),
        status=_near(status, st.integers(0, 4)),
        externalid=_near(filters.deployment_id, texts),
        start_date=st.none() | moments,
        end_date=st.none() | moments,
    )
    tasks = st.builds(
        Task,
        processinstanceid=pids,
        name=_near(filters.task_name, texts),
        status=_near(filters.task_status, st.sampled_from(TaskStatus)),
        owner=_near(filters.task_assignee, texts),
        audit=st.booleans(),
    )
    names = [wanted.name for wanted in filters.process_variables or ()]
    values = [wanted.value for wanted in filters.process_variables or ()]
    variables = st.builds(
        Variable,
        processinstanceid=pids,
        variableid=st.sampled_from([*names, *names, *names, None, "x"]),
        value=st.sampled_from([*values, *values, *values, None, "x"]),
    )
    many = (st.lists(instances, min_size=1, max_size=4), st.lists(tasks, max_size=4), st.lists(variables, max_size=5))
    return st.tuples(*many).map(lambda kinds: list(itertools.chain.from_iterable(kinds)))


@pytest.mark.parametrize("field", sorted(filter_fields))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_filters_pick_what_plain_python_picks(engine_session: Session, field: str, data: st.DataObject) -> None:
    """Some rows are what the filters ask for and others miss it by little."""
    others = data.draw(st.sets(st.sampled_from(sorted(filter_fields)), max_size=1))
    filters = Filters(**{name: data.draw(filter_fields[name]) for name in sorted({field, *others})})
    rows = data.draw(_rows_near(filters))
    try:
        insert(engine_session, *rows)
        frozen = resolve(filters, now=NOW, time_zone="UTC")

        assert selection.find(engine_session, frozen) == expected(filters, rows)
        assert selection.count(engine_session, frozen) == len(expected(filters, rows))
    finally:
        engine_session.rollback()


@pytest.mark.parametrize("text", [text for text in NASTY if text])
@pytest.mark.parametrize("field", ["process_name", "deployment_id", "task_name", "task_assignee"])
def test_a_text_matches_itself_and_nothing_else(session: Session, field: str, text: str) -> None:
    for pid, value in enumerate(NASTY, 1):
        rows: dict[str, tuple[Instance | Task, ...]] = {
            "process_name": (Instance(pid, processname=value),),
            "deployment_id": (Instance(pid, externalid=value),),
            "task_name": (Instance(pid), Task(pid, name=value, audit=True)),
            "task_assignee": (Instance(pid), Task(pid, owner=value)),
        }
        insert(session, *rows[field])

    assert picked(session, **{field: text}) == [NASTY.index(text) + 1]


def test_no_filter_picks_every_instance_but_no_id_up_to_zero(session: Session) -> None:
    insert(session, Instance(5), Instance(0), Instance(-1), Instance(2**63 - 1))

    assert picked(session) == [5, 2**63 - 1]


def test_an_instance_logged_twice_is_picked_once(session: Session) -> None:
    insert(session, Instance(1), Instance(1, status=1), Instance(2))

    assert picked(session) == [1, 2]
    assert picked(session, process_status=ProcessStatus.ACTIVE) == [1]


def test_days_count_from_the_end_or_from_the_start_of_an_instance_without_end(session: Session) -> None:
    day = timedelta(days=1)
    insert(
        session,
        Instance(1, end_date=WALL - 10 * day - timedelta(microseconds=1)),
        Instance(2, end_date=WALL - 10 * day),
        Instance(3, start_date=WALL - 90 * day, end_date=WALL - 9 * day),
        Instance(4, start_date=WALL - 11 * day, end_date=None),
        Instance(5, start_date=WALL - 9 * day, end_date=None),
        Instance(6, start_date=None, end_date=None),
    )

    assert picked(session, before_no_of_days=10) == [1, 4]


def test_the_window_has_its_first_moment_and_not_its_last(session: Session) -> None:
    insert(session, *(Instance(pid, end_date=WALL + timedelta(hours=pid)) for pid in range(1, 6)))
    insert(session, Instance(9), Instance(10, end_date=None))

    window = {"ended_from": NOW + timedelta(hours=2), "ended_to": NOW + timedelta(hours=4)}
    assert picked(session, **window) == [2, 3]


@pytest.mark.parametrize("audit", [False, True], ids=["task", "audittaskimpl"])
def test_task_filters_look_at_one_task(session: Session, *, audit: bool) -> None:
    insert(
        session,
        Instance(1),
        Instance(2),
        Task(1, name="approve", owner="mary", audit=audit),
        Task(1, name="ship", owner="john", audit=audit),
        Task(1, name="approve", owner="anna", audit=not audit),
        Task(2, name="approve", owner="john", audit=audit),
        Task(-1, name="approve", owner="john", audit=audit),
    )

    assert picked(session, task_name="approve", task_assignee="john") == [2]
    assert picked(session, task_name="ship", task_assignee="john", task_status=TaskStatus.COMPLETED) == [1]
    assert picked(session, task_status=TaskStatus.READY) == []


def test_the_row_with_the_greatest_id_is_the_value_of_a_variable(session: Session) -> None:
    insert(
        session,
        *(Instance(pid) for pid in (1, 2, 3, 4)),
        Variable(1, "colour", "red"),
        Variable(1, "colour", "blue"),
        Variable(2, "colour", "blue"),
        Variable(2, "colour", "red"),
        Variable(2, "size", "blue"),
        Variable(3, "colour", "red"),
        Variable(3, "colour", ""),
        Variable(4, "colour", "red"),
        Variable(4, "colour", None),
    )

    red, blue = VariableFilter(name="colour", value="red"), VariableFilter(name="colour", value="blue")
    assert picked(session, process_variables=[red]) == [2]
    assert picked(session, process_variables=[blue]) == [1]
    assert picked(session, process_variables=[red, VariableFilter(name="size", value="blue")]) == [2]
    assert picked(session, process_variables=[red, blue]) == []
    assert picked(session, process_variables=[VariableFilter(name="colour", value="")]) == [3]


def test_pages_are_complete_without_overlap_and_in_order(session: Session) -> None:
    session.execute(
        "INSERT INTO processinstancelog (id, processinstanceid)"
        " SELECT n, n * 7919 % 1009 FROM generate_series(1, 1008) n"
    )
    whole = selection.find(session, {})

    assert whole == list(range(1, 1009))
    for size in (1000, 100, 7):
        pages = (selection.find(session, {}, size, number) for number in itertools.count(1))
        assert list(itertools.chain.from_iterable(itertools.takewhile(bool, pages))) == whole


def test_a_hundred_thousand_ids_are_a_selection_too(session: Session) -> None:
    session.execute(
        "INSERT INTO processinstancelog (id, processinstanceid) SELECT n, n * 2 FROM generate_series(1, 100000) n"
    )

    assert picked(session, piids=range(1, 100_001)) == list(range(2, 100_001, 2))


@pytest.mark.parametrize("name", ["processname", "beforeNoOfDays", "x'; DROP TABLE task; --"])
def test_a_filter_the_database_does_not_know_is_refused_and_not_ignored(session: Session, name: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="unknown filter"):
        selection.count(session, {name: "x"})


def test_selecting_reads_only_and_is_not_misled_by_a_temporary_table(session: Session) -> None:
    insert(session, Instance(1), Instance(2, parentprocessinstanceid=1))
    session.execute("CREATE TEMP TABLE processinstancelog (processinstanceid bigint)")
    session.execute("SET TRANSACTION READ ONLY")

    assert picked(session) == [1, 2]
    assert selection.children(session, [1]) == [2]


def test_the_clock_of_the_server_has_an_offset(session: Session) -> None:
    assert abs(selection.server_now(session) - datetime.now(UTC)) < timedelta(minutes=1)


def forest(session: Session, parents: dict[int, int | None]) -> None:
    """Write instances, each with its parent."""
    insert(session, *(Instance(pid, parentprocessinstanceid=parent) for pid, parent in parents.items()))


def test_children_are_all_descendants_and_not_the_given_ones(session: Session) -> None:
    forest(session, {1: -1, 2: 1, 3: 2, 4: 2, 5: 1, 6: 0, 7: None, 8: 6, 9: 99})

    assert selection.children(session, [1]) == [2, 3, 4, 5]
    assert selection.children(session, [2, 2]) == [3, 4]
    assert selection.children(session, [1, 2]) == [3, 4, 5]
    assert selection.children(session, [1, 6, 7]) == [2, 3, 4, 5, 8]
    assert selection.children(session, [99]) == [9]
    assert selection.children(session, [12345]) == []
    assert selection.children(session, []) == []


def test_ids_that_mean_none_lead_nowhere(session: Session) -> None:
    forest(session, {1: -1, 2: 0, 3: None, -1: 1, 0: 1, -5: -5, 4: -5})

    assert selection.children(session, [-1, 0, -5]) == []
    assert selection.children(session, [1]) == []
    assert session.execute("SELECT * FROM process_children_fn_v1('{NULL,-1,0,1}')").fetchall() == []
    assert session.execute("SELECT * FROM process_children_fn_v1(NULL)").fetchall() == []


def test_circles_of_parents_end(session: Session) -> None:
    forest(session, {1: 3, 2: 1, 3: 2, 4: 3, 5: 5, 6: 5})

    assert selection.children(session, [1]) == [2, 3, 4]
    assert selection.children(session, [4]) == []
    assert selection.children(session, [5]) == [6]


def test_each_root_gets_its_own_tree_even_where_trees_overlap(session: Session) -> None:
    forest(session, {1: -1, 2: 1, 3: 2})
    forest(session, {3: 1})

    rows = session.execute("SELECT root_id, process_instance_id FROM process_children_fn_v1('{2,1,1}')").fetchall()

    assert rows == [(1, 2), (1, 3), (2, 3)]


def test_deep_and_wide_trees_are_drained(session: Session) -> None:
    session.execute(
        "INSERT INTO processinstancelog (id, processinstanceid, parentprocessinstanceid)"
        " SELECT n, n, n - 1 FROM generate_series(1, 1000) n"
        " UNION ALL SELECT n, n, 1000 FROM generate_series(1001, 20000) n"
    )

    assert selection.children(session, [1]) == list(range(2, 20_001))


@settings(max_examples=60, deadline=None)
@given(
    parents=st.dictionaries(st.integers(-1, 12), st.none() | st.integers(-1, 12), max_size=14),
    given_ids=st.sets(st.integers(-1, 12), max_size=4),
)
def test_children_of_any_graph_are_what_a_walk_finds(
    engine_session: Session, parents: dict[int, int | None], given_ids: set[int]
) -> None:
    try:
        forest(engine_session, parents)

        assert selection.children(engine_session, given_ids) == _walk(parents, given_ids)
    finally:
        engine_session.rollback()


def _walk(parents: dict[int, int | None], given_ids: Collection[int]) -> list[int]:
    reached = {pid for pid in given_ids if pid > 0}
    while more := {pid for pid, parent in parents.items() if pid > 0 and parent in reached} - reached:
        reached |= more
    return sorted(reached - set(given_ids))


LOAD = """
    INSERT INTO processinstancelog
        (id, processinstanceid, processname, status, externalid, start_date, end_date, parentprocessinstanceid)
    SELECT n, n, 'process ' || n % 500, 2, 'shop:' || n % 500, d, d, CASE WHEN n % 4 = 0 THEN n - 1 ELSE -1 END
    FROM generate_series(1, 30000) AS n, LATERAL (SELECT timestamp '2026-01-01' - n * interval '1 hour' AS d) AS dates;
    INSERT INTO audittaskimpl (id, processinstanceid, name, status, actualowner, parentid, priority, processsessionid)
    SELECT n, n, 'task ' || n % 500, 'Completed', 'user ' || n % 50, 0, 0, 0 FROM generate_series(1, 30000) AS n;
    INSERT INTO variableinstancelog (id, processinstanceid, variableid, value)
    SELECT n, n / 2, 'variable ' || n % 3, n::text FROM generate_series(1, 60000) AS n;
    ANALYZE processinstancelog, audittaskimpl, variableinstancelog, task;
"""
INDEXED: list[dict[str, Any]] = [
    {"piids": [5, 6, 29_000]},
    {"process_name": "process 7"},
    {"process_name": "process 7", "process_status": "COMPLETED", "before_no_of_days": 90},
    {"deployment_id": "shop:7"},
    {"before_no_of_days": 1300},
    {"ended_from": datetime(2025, 1, 1, tzinfo=UTC), "ended_to": datetime(2025, 1, 8, tzinfo=UTC)},
    {"task_name": "task 7", "task_assignee": "user 7"},
    {"piids": [5, 6], "task_status": "Completed"},
    {"piids": [5, 6], "process_variables": [{"name": "variable 1", "value": "10"}]},
]


@pytest.fixture(scope="module")
def loaded_session(engine: DatabaseSettings, engine_session: Session) -> Iterator[Session]:
    """Enough rows for the planner to prefer an index where it can use one; a transaction that is rolled back."""
    engine_session.rollback()
    with connect(engine, purpose="test") as session:
        session.execute(LOAD)
        yield session
        session.rollback()


@pytest.mark.parametrize("given_filters", INDEXED, ids="+".join)
def test_selecting_uses_an_index(loaded_session: Session, given_filters: dict[str, Any]) -> None:
    frozen = resolve(Filters(**given_filters), now=NOW, time_zone="UTC")
    assert selection.count(loaded_session, frozen) > 0

    plan = explain(loaded_session, frozen)

    assert "Seq Scan on processinstancelog" not in plan, plan
    assert "Seq Scan on audittaskimpl" not in plan, plan
    assert "Seq Scan on variableinstancelog" not in plan, plan


def explain(session: Session, frozen: Any) -> str:
    """The plan of the statement that the functions build, with the filters bound as the functions bind them."""
    where = session.execute("SELECT process_where_fn_v1(%s)", [psycopg.types.json.Jsonb(dict(frozen))]).fetchall()[0][0]
    query = f"EXPLAIN SELECT DISTINCT p.processinstanceid FROM processinstancelog AS p WHERE {where}"  # noqa: S608
    with psycopg.RawCursor(session) as cursor:
        rows = cursor.execute(query.encode(), [psycopg.types.json.Jsonb(dict(frozen))]).fetchall()
    return "\n".join(row[0] for row in rows)
