"""Fills an engine schema with a forest of process instances, the same for the same profile."""

from __future__ import annotations

from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.local.sample_data import every_table, shared, traps
from archival_pipeline.local.sample_data.forest import Planner, fact
from archival_pipeline.local.sample_data.instances import write_tree
from archival_pipeline.local.sample_data.profile import Profile, Summary
from archival_pipeline.local.sample_data.scene import Scene
from archival_pipeline.local.sample_data.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import psycopg

    from archival_pipeline.local.jbpm_schema import Variant
    from archival_pipeline.local.sample_data.profile import ClobMode


def generate(connection: psycopg.Connection[Any], profile: Profile, variant: Variant) -> Summary:
    """Write a forest into the first schema of the session's search path and analyse it.

    Each chunk of trees is one transaction, or a savepoint when the caller is inside a transaction. May be called again
    on the same database; ids, keys and case numbers go on where they were. The engine must not be writing. Plain texts
    (``clob_mode="text"``) and the triggers of the CLOB guard exclude each other, as they do for the engine.

    Args:
        connection: session of a role that may write all tables.
        profile: what to write.
        variant: the shape of the schema that is there.
    """
    facts = []
    with _studio(connection, profile, variant) as (writer, scene, planner):
        for number in range(profile.trees):
            # Random numbers per tree, so that a change to one kind of tree leaves the others as they were.
            scene.rng = planner.rng = _random(profile.seed, number)
            root = planner.ordinary(number)
            write_tree(scene, root)
            facts.append(fact(root))
            if (number + 1) % profile.chunk_trees == 0:
                writer.flush()
        writer.flush()
        found = traps.Traps(scene, planner)
        if profile.traps:
            scene.rng = planner.rng = _random(profile.seed, "traps")
            writer.drain()
            with connection.transaction():
                found.write_all(connection)
    _analyse(connection, writer)
    return Summary(
        rows=dict(writer.rows),
        large_objects=writer.large_objects,
        orphaned_large_objects=writer.orphans,
        trees=(*facts, *found.facts),
        traps=found.named,
    )


def populate_every_table(
    connection: psycopg.Connection[Any],
    variant: Variant,
    *,
    now: datetime,
    ended: bool,
    clob_mode: ClobMode = "pointer",
    seed: int = 1,
) -> tuple[int, ...]:
    """Write two trees that together have a row in every owned table.

    Args:
        connection: session of a role that may write all tables.
        variant: the shape of the schema that is there.
        now: the moment at which the engine is looked at.
        ended: write trees that may be archived; they lack the five tables that only a running instance can have
            (``every_table.LIVE_ONLY``). Otherwise the trees are running and fill all 41 tables.
        clob_mode: what text columns hold.
        seed: start of the random numbers.

    Returns:
        The process instance ids of all members, each root before its descendants.
    """
    profile = Profile(seed=seed, trees=0, now=now, flavour="kie_server", clob_mode=clob_mode, traps=False)
    with _studio(connection, profile, variant) as (writer, scene, planner):
        pids = every_table.write(scene, planner, ended=ended)
    _analyse(connection, writer)
    return pids


@contextmanager
def _studio(
    connection: psycopg.Connection[Any], profile: Profile, variant: Variant
) -> Iterator[tuple[Writer, Scene, Planner]]:
    """Open the tools on the rows that every forest shares; what is collected at the end is written."""
    rng = _random(profile.seed, "shared")
    with connection.transaction():
        writer = Writer(connection, variant, profile.clob_mode)
        scene = Scene(writer, rng, profile, profile.engine_now)
        planner = Planner(profile, writer, rng, shared.case_number(connection))
        shared.add_people(connection)
        shared.add_deployments(connection, scene)
    with writer:
        yield writer, scene, planner
        writer.flush()
        writer.drain()
    shared.set_case_number(connection, planner.case_number)


def _random(seed: int, part: int | str) -> Random:
    return Random(f"{seed}:{part}")


def _analyse(connection: psycopg.Connection[Any], writer: Writer) -> None:
    if tables := [sql.Identifier(table) for table in sorted(writer.rows)]:
        with connection.transaction():
            connection.execute(sql.SQL("ANALYZE {}").format(sql.SQL(", ").join(tables)))
