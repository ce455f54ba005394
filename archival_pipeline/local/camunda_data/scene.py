"""Writes a history: hierarchies that are due, too young or running, and every trap once."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from archival_pipeline.local.camunda_data import traps
from archival_pipeline.local.camunda_data.instances import Hierarchies, Level, Shape
from archival_pipeline.local.camunda_data.rows import Rows

if TYPE_CHECKING:
    import psycopg

NOW = datetime(2026, 3, 10, 20, 30)  # noqa: DTZ001 - the engine's wall clock
_DAY = timedelta(days=1)
# key -> time to live of its definition in days
DEFINITIONS: dict[str, int | None] = {"invoice": 5, "order": 30, "claim": None}


@dataclass(frozen=True, slots=True)
class Scene:
    """What was written.

    Attributes:
        now: the engine's wall clock at which the rows of ``due`` have expired.
        due: ids by table of what a cleanup at that moment removes.
        rows: rows by table.
        roots: ids of the due root instances.
    """

    now: datetime
    due: dict[str, frozenset[str]]
    rows: dict[str, int]
    roots: tuple[str, ...]


def generate(
    connection: psycopg.Connection[Any],
    *,
    hierarchies: int = 30,
    level: Level = Level.FULL,
    seed: int = 1,
    prefix: str = "",
    with_traps: bool = True,
    due_share: float = 0.6,
    with_cases: bool = False,
) -> Scene:
    """Write a history into empty tables, in one transaction that the caller commits.

    Args:
        connection: a session on the engine's schema.
        hierarchies: how many root instances beside the traps.
        level: what the engine wrote.
        seed: the same seed, the same rows.
        prefix: of the tables' names.
        with_traps: whether every trap is there too.
        due_share: chance of a hierarchy to be due.
        with_cases: whether there are case instances too, which only the end-time strategy removes, and metrics.
    """
    draw = random.Random(seed)
    rows = Rows(connection, draw, prefix)
    definitions = [_definition(rows, key, days) for key, days in DEFINITIONS.items()]
    writer = Hierarchies(rows, draw, level)
    roots = []
    for _ in range(hierarchies):
        shape = _shape(draw, draw.choice(definitions[:2]), due_share)
        root = writer.add(shape, calls=draw.choice((0, 0, 0, 1, 2)))
        roots += [root] if shape.due else []
    if with_traps:
        traps.add_hierarchies(writer, definitions[2], NOW)
        running = writer.add(Shape(due=False, removal=None, ended=None, runs=True, definition=definitions[0]))
        traps.add_rows(rows, running, NOW)
    if with_cases:
        traps.add_cases(rows, NOW)
    rows.flush()
    due = {table: frozenset(ids) for table, ids in rows.due.items()}
    return Scene(NOW, due, dict(rows.written), tuple(roots))


def _definition(rows: Rows, key: str, days: int | None) -> tuple[str, str]:
    if key == "invoice":
        rows.add("act_re_deployment", due=False, id_=traps.DEPLOYMENT, name_="shop")
    found = rows.add(
        "act_re_procdef", due=False, id_=f"{key}:1", key_=key, name_=key, version_=1, history_ttl_=days,
        deployment_id_=traps.DEPLOYMENT,
    )  # fmt: skip
    return found, key


def _shape(draw: random.Random, definition: tuple[str, str], due_share: float) -> Shape:
    days = DEFINITIONS[definition[1]] or 0
    chance = draw.random()
    if chance < due_share:
        ended = NOW - (days + 1) * _DAY - timedelta(milliseconds=draw.randint(0, 10**9))
        return Shape(due=True, removal=ended + days * _DAY, ended=ended, definition=definition)
    if chance < due_share + (1 - due_share) / 2:
        ended = NOW - timedelta(hours=draw.randint(1, 80))
        return Shape(due=False, removal=ended + days * _DAY, ended=ended, definition=definition)
    return Shape(due=False, removal=None, ended=None, runs=True, definition=definition)
