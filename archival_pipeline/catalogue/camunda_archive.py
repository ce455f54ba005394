"""The history of a Camunda engine as the backup keeps it: which tables, under which names, reached by which keys.

The backup's table of ``act_hi_procinst`` is ``camunda_act_hi_procinst``, whatever prefix the engine's tables have; it
is made from the engine's live table and widened with it, as the copies of jBPM tables are (``backup_tables.py``). Every
row of a hierarchy is found by its root, its instance, its decision or task; rows that belong to no hierarchy by their
own id. Not here: statements (``statements.py``), and how the keys are found (``history/cleanup/archive``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archival_pipeline.catalogue.binding import ClobMode, bind
from archival_pipeline.catalogue.camunda import BYTES_TABLE, HISTORY_TABLES, ROOT, HistoryTable
from archival_pipeline.catalogue.model import Address, Arm, Catalogue, KeySet, Table
from archival_pipeline.database.introspection import LiveSchema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.catalogue.binding import BoundTable

PREFIX = "camunda_"
ROOTS, MEMBERS, DECISIONS, TASKS = "roots", "members", "decisions", "tasks"


def archived(table: str) -> str:
    """The backup's name of an engine's table, which is given without prefix."""
    return f"{PREFIX}{table}"


def _addresses(table: HistoryTable) -> Iterator[Address]:
    if table.rooted and table.name != BYTES_TABLE:
        yield Address(ROOT, ROOTS)
    for column, keys in ((table.instance, MEMBERS), (table.decision, DECISIONS), (table.task, TASKS)):
        if column:
            yield Address(column, keys)
    yield Address(table.key, table.name)


def _table(place: int, table: HistoryTable) -> Table:
    # Byte arrays are removed last, after the rows that say whose they are.
    level = len(HISTORY_TABLES) if table.name == BYTES_TABLE else place
    return Table(archived(table.name), level=level, addresses=tuple(_addresses(table)), optional=True)


CAMUNDA = Catalogue(
    engine="Camunda",
    key_sets=(
        *(KeySet(name, sql_type="text") for name in (ROOTS, MEMBERS, DECISIONS, TASKS)),
        *(
            KeySet(
                table.name,
                # Byte arrays that no row names belong to the root that they name themselves.
                arms=(Arm(archived(BYTES_TABLE), "id_", ROOT, ROOTS),) if table.name == BYTES_TABLE else (),
                sql_type="text",
            )
            for table in HISTORY_TABLES
        ),
    ),
    tables=tuple(_table(place, table) for place, table in enumerate(HISTORY_TABLES)),
)


@dataclass(frozen=True, slots=True)
class Twin:
    """One table of the history on both sides, with the columns that the engine's has.

    Attributes:
        history: what the table means.
        engine: the engine's, under its real name.
        backup: the backup's.
    """

    history: HistoryTable
    engine: BoundTable
    backup: BoundTable


def renamed(engine: LiveSchema, table_prefix: str) -> LiveSchema:
    """The engine's schema as if its tables had the backup's names; only those of the history."""
    names = {
        table_prefix + table.name: archived(table.name)
        for table in HISTORY_TABLES
        if table_prefix + table.name in engine.tables
    }
    return LiveSchema(
        tables={new: replace(engine.tables[old], name=new) for old, new in names.items()},
        columns={new: tuple(replace(c, table=new) for c in engine.columns[old]) for old, new in names.items()},
        foreign_keys=(),
    )


def twins(engine: LiveSchema, table_prefix: str) -> tuple[Twin, ...]:
    """The tables of the history that the engine has, in the order in which their rows are removed."""
    by_name = {archived(table.name): table for table in HISTORY_TABLES}
    return tuple(
        Twin(by_name[bound.name], replace(bound, name=table_prefix + by_name[bound.name].name), bound)
        for bound in bind(CAMUNDA, renamed(engine, table_prefix), ClobMode.TEXT).tables
    )


def kept_tables(backup: LiveSchema) -> dict[str, BoundTable]:
    """The backup's own tables of the history by plain name, in the order in which their rows are removed."""
    by_name = {archived(table.name): table.name for table in HISTORY_TABLES}
    return {by_name[bound.name]: bound for bound in bind(CAMUNDA, backup, ClobMode.TEXT).tables}
