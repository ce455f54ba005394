"""Backup and restore give back what was there, and a restore that would hurt somebody says so before it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import psycopg
import pytest
from psycopg import sql

from archival_pipeline import errors
from archival_pipeline.archival.direction import RESTORE
from archival_pipeline.database.connections import connect
from archival_pipeline.local.jbpm_schema import Variant
from archival_pipeline.local.sample_data import LIVE_ONLY
from archival_pipeline_tests.support import checker
from archival_pipeline_tests.support.moves import Engine, as_role, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from archival_pipeline_tests.support.moves import Pair

CLOBS: tuple[Literal["pointer", "text"], ...] = ("pointer", "text")
ENGINES = [
    *(Engine(variant, clobs, every_ended=1, every_running=1) for variant in Variant for clobs in CLOBS),
    Engine(Variant.STANDARD_OID, guard=True, every_ended=1, every_running=1),
    *(
        pytest.param(Engine(variant, guard=True, every_ended=1, every_running=1), marks=pytest.mark.slow)
        for variant in (Variant.STANDARD_BYTEA, Variant.SPRINGBOOT_OID, Variant.SPRINGBOOT_BYTEA)
    ),
]
FULL = Engine(every_ended=2)
FOREST = Engine(trees=15, flavours=("kie_server", "embedded"), traps=True)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_i9_round_trip_gives_back_every_row_of_all_41_tables(pair_of: Callable[[Engine], Pair], engine: Engine) -> None:
    pair = pair_of(engine)
    rows, before = pair.checker.primary(), pair.checker.dump()
    assert checker.filled(rows) == set(checker.OWNED)

    for _ in range(2):
        run(pair.settings, includeRunning=True)
        assert checker.filled(pair.checker.primary()) == set()
        ran = run(pair.settings, RESTORE)
        assert not ran.reports

        assert checker.differences(rows, pair.checker.primary()) == []
        assert checker.filled(pair.checker.backup()) == set()

    after = pair.checker.dump()
    assert after.sequences == before.sequences
    assert sorted(after.objects.values()) == sorted(before.objects.values())
    bystanders = before.rows.keys() - checker.OWNED.keys() - {"jbpm_active_clob"}
    assert {name: after.rows[name] for name in bystanders} == {name: before.rows[name] for name in bystanders}
    if engine.guard:
        live = set(pair.execute("primary", "SELECT loid::bigint::text FROM jbpm_active_clob"))
        texts = set(pair.execute("primary", "SELECT text FROM task_comment WHERE text IS NOT NULL"))
        texts |= set(pair.execute("primary", "SELECT text FROM i18ntext WHERE text IS NOT NULL"))
        assert texts <= live
        assert len(after.rows["jbpm_active_clob"]) == len(before.rows["jbpm_active_clob"])


def test_i9_round_trip_of_a_forest_with_every_oddity(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    rows, before = pair.checker.primary(), pair.checker.dump()

    run(pair.settings, batchSize=7)
    run(pair.settings, RESTORE, batchSize=5)

    assert checker.differences(rows, pair.checker.primary()) == []
    assert checker.filled(pair.checker.backup()) == set()
    after = pair.checker.dump()
    assert after.sequences == before.sequences
    assert sorted(after.objects.values()) == sorted(before.objects.values())


def test_a_subset_comes_back_and_the_rest_stays(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    run(pair.settings)
    archived = pair.checker.backup()
    root = next(tree for tree in pair.written.forests[0].trees if tree.obstacle is None and len(tree.members) > 2)
    wanted = pair.checker.backup(root.members)
    stays = {table: found - wanted[table] for table, found in archived.items()}
    primary = pair.checker.primary()

    run(pair.settings, RESTORE, {"piids": [str(root.root)]})

    assert checker.differences(wanted, pair.checker.primary(root.members)) == []
    assert checker.differences(stays, pair.checker.backup()) == []
    assert checker.differences(checker.together(primary, wanted), pair.checker.primary()) == []


def test_a_subset_is_picked_by_filters(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FOREST)
    run(pair.settings)
    name = "SELECT processname FROM processinstancelog WHERE coalesce(parentprocessinstanceid, -1) <= 0 LIMIT 1"
    [(process,)] = pair.execute("backup", name)
    picked = {
        pid
        for (pid,) in pair.execute(
            "backup", "SELECT processinstanceid FROM processinstancelog WHERE processname = %s", process
        )
    }
    before = pair.pids("backup")

    run(pair.settings, RESTORE, {"processName": process})

    assert picked <= pair.pids("primary")
    assert not picked & pair.pids("backup")
    assert pair.pids("backup") | pair.pids("primary") >= before


def test_restored_objects_belong_to_the_engine_when_another_role_moves(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FULL)
    rows = pair.checker.primary()
    engine, mover = "engine_role_of_test", "mover_role_of_test"
    with connect(pair.settings.primary, purpose="test", autocommit=True) as session:
        existing = {row[0] for row in session.execute("SELECT rolname FROM pg_roles")}
        for role in {engine, mover} - existing:
            session.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(sql.Identifier(role)))
        session.execute(f"GRANT {engine} TO {mover}")
        session.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {engine}, {mover}")
        _give_everything(session, engine)
    settings = as_role(pair.settings, mover, "x")
    try:
        run(settings)
        run(settings, RESTORE)

        assert checker.differences(rows, pair.checker.primary()) == []
        owners = "SELECT DISTINCT pg_get_userbyid(lomowner)::text FROM pg_largeobject_metadata"
        assert pair.execute("primary", owners) == [(engine,)]
        with connect(as_role(pair.settings, engine, "x").primary, purpose="engine") as session:
            assert session.execute("SELECT sum(length(lo_get(oid))) FROM pg_largeobject_metadata").fetchone()
    finally:
        with connect(pair.settings.primary, purpose="test", autocommit=True) as session:
            session.execute(f"REASSIGN OWNED BY {engine}, {mover} TO CURRENT_USER")
            session.execute(f"DROP OWNED BY {engine}, {mover}")
            session.execute(f"DROP ROLE {mover}, {engine}")


def _give_everything(session: psycopg.Connection[tuple[object, ...]], role: str) -> None:
    """Let the role own what an engine owns: its tables, sequences and large objects."""
    for (table,) in session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
        session.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(sql.Identifier(str(table)), sql.Identifier(role)))
    for (name,) in session.execute("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'").fetchall():
        session.execute(
            sql.SQL("ALTER SEQUENCE {} OWNER TO {}").format(sql.Identifier(str(name)), sql.Identifier(role))
        )
    for (number,) in session.execute("SELECT oid FROM pg_largeobject_metadata").fetchall():
        session.execute(sql.SQL("ALTER LARGE OBJECT {} OWNER TO {}").format(sql.Literal(number), sql.Identifier(role)))


def test_running_trees_come_back_complete(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(Engine(every_running=1))
    rows = pair.checker.primary()

    run(pair.settings, includeRunning=True)
    run(pair.settings, RESTORE, {"processStatus": "ACTIVE"})

    assert set(LIVE_ONLY) <= checker.filled(pair.checker.primary())
    assert checker.differences(rows, pair.checker.primary()) == []


# --- what stops a restore -------------------------------------------------------------------------------------------


def _archived(pair: Pair) -> checker.Rows:
    run(pair.settings)
    return pair.checker.backup()


def test_a_reused_correlation_key_is_reported_before_anything_is_written(
    pair_of: Callable[[Engine], Pair],
) -> None:
    pair = pair_of(FULL)
    archived = _archived(pair)
    [(name, owner)] = pair.execute(
        "backup", "SELECT name, processinstanceid FROM correlationkeyinfo ORDER BY 2 LIMIT 1"
    )
    pair.execute(
        "primary", "INSERT INTO correlationkeyinfo (keyid, name, processinstanceid) VALUES (999999, %s, 77)", name
    )

    ran = run(pair.settings, RESTORE)

    _stayed(pair, ran.reports[owner], archived, owner, "correlationkeyinfo.name")


def test_a_taken_timer_is_reported_before_anything_is_written(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FULL)
    archived = _archived(pair)
    [(session, uuid, owner)] = pair.execute(
        "backup", "SELECT kiesessionid, uuid, processinstanceid FROM timermappinginfo ORDER BY 3 LIMIT 1"
    )
    pair.execute(
        "primary", "INSERT INTO timermappinginfo (id, kiesessionid, uuid) VALUES (999999, %s, %s)", session, uuid
    )

    ran = run(pair.settings, RESTORE)

    _stayed(pair, ran.reports[owner], archived, owner, "timermappinginfo")


def test_a_taken_email_header_is_reported_before_anything_is_written(pair_of: Callable[[Engine], Pair]) -> None:
    pair = pair_of(FULL)
    archived = _archived(pair)
    [(header, owner)] = pair.execute(
        "backup",
        "SELECT h.emailheaders_id, t.processinstanceid FROM notification_email_header AS h"
        " JOIN notification AS n ON n.id = h.notification_id"
        " JOIN escalation AS e ON e.id = n.escalation_notifications_id"
        " JOIN deadline AS d ON d.id = e.deadline_escalation_id"
        " JOIN task AS t ON t.id = coalesce(d.deadlines_startdeadline_id, d.deadlines_enddeadline_id)"
        " ORDER BY 2 LIMIT 1",
    )
    pair.execute("primary", "INSERT INTO notification (dtype, id, priority) VALUES ('EmailNotification', 1, 1)")
    pair.execute("primary", "INSERT INTO email_header (id) VALUES (%s)", header)
    pair.execute(
        "primary",
        "INSERT INTO notification_email_header (notification_id, emailheaders_id, mapkey) VALUES (1, %s, 'en')",
        header,
    )

    ran = run(pair.settings, RESTORE)

    root = next(root for root in ran.reports if owner in pair.execute("backup", _MEMBERS, root)[0][0])
    _stayed(pair, ran.reports[root], archived, root, "email")


_MEMBERS = (
    "WITH RECURSIVE tree (id) AS (SELECT %s::bigint UNION SELECT p.processinstanceid FROM tree"
    " JOIN processinstancelog AS p ON p.parentprocessinstanceid = tree.id) SELECT array_agg(id) FROM tree"
)


def test_a_user_that_became_a_group_is_reported_before_anything_is_written(
    pair_of: Callable[[Engine], Pair],
) -> None:
    pair = pair_of(FULL)
    archived = _archived(pair)
    [(person, owner)] = pair.execute(
        "backup",
        "SELECT actualowner_id, processinstanceid FROM task WHERE actualowner_id IS NOT NULL ORDER BY 2 LIMIT 1",
    )
    pair.execute("primary", "UPDATE organizationalentity SET dtype = 'Group' WHERE id = %s", person)

    ran = run(pair.settings, RESTORE)

    root = next(root for root in ran.reports if owner in pair.execute("backup", _MEMBERS, root)[0][0])
    _stayed(pair, ran.reports[root], archived, root, "organizationalentity")


def _stayed(pair: Pair, report: object, archived: checker.Rows, root: int, said: str) -> None:
    assert said in str(report)
    assert "23505" in str(report)
    members = pair.execute("backup", _MEMBERS, root)[0][0]
    assert checker.filled(pair.checker.primary(members)) <= {"correlationkeyinfo"}
    mine = pair.checker.backup(members)
    assert "processinstancelog" in checker.filled(mine)
    assert not [table for table in mine if mine[table] - archived[table]]


@pytest.mark.parametrize("table", ["processinstancelog", "task", "sessioninfo", "processinstanceinfo"])
def test_a_restore_into_a_rebuilt_database_is_refused_as_a_whole(pair_of: Callable[[Engine], Pair], table: str) -> None:
    pair = pair_of(Engine(every_ended=1, every_running=1))
    run(pair.settings, includeRunning=True)
    sequences = {
        "processinstancelog": "proc_inst_log_id_seq",
        "task": "task_id_seq",
        "sessioninfo": "sessioninfo_id_seq",
        "processinstanceinfo": "process_instance_info_id_seq",
    }
    pair.execute("primary", "SELECT setval(%s, 1)", sequences[table])
    before = pair.checker.dump().rows, pair.checker.backup()

    with pytest.raises(errors.PreflightError, match=sequences[table]):
        run(pair.settings, RESTORE)

    assert (pair.checker.dump().rows, pair.checker.backup()) == before


def test_a_restore_of_other_rows_is_not_refused(pair_of: Callable[[Engine], Pair]) -> None:
    """Only what is selected counts: ids of other archived rows may lie beyond the sequence."""
    pair = pair_of(FULL)
    first, last = pair.written.ended
    run(pair.settings)
    highest = pair.execute("backup", "SELECT max(id) FROM task WHERE processinstanceid = ANY(%s)", list(first))[0][0]
    pair.execute("primary", "SELECT setval('task_id_seq', %s)", highest)

    run(pair.settings, RESTORE, {"piids": [str(pid) for pid in first]})

    assert set(first) <= pair.pids("primary")
    assert not set(last) & pair.pids("primary")
