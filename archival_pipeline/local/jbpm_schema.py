"""The tables of a jBPM 7 engine, as DDL that a DBA can read, in the four shapes in which they ship.

The statements are built from the facts in ``catalogue/jbpm_facts``, so that what the tests run against and what the
archive believes come from one source. An engine's own tables are never created by the product: this serves the demo,
the development stack and the tests. Not here: rows (``sample_data``) and the tables of the backup.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.catalogue import facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import psycopg

GUARD_TABLE = "jbpm_active_clob"
PLANNING_TABLE = "planningtask"


class Variant(enum.StrEnum):
    """The engine's DDL comes for two frameworks and with two ways to store binary content."""

    STANDARD_OID = "standard_oid"
    STANDARD_BYTEA = "standard_bytea"
    SPRINGBOOT_OID = "springboot_oid"
    SPRINGBOOT_BYTEA = "springboot_bytea"

    @property
    def springboot(self) -> bool:
        """Whether ids are taken in blocks of 50 for some tables."""
        return self.value.startswith("springboot")

    @property
    def bytea(self) -> bool:
        """Whether binary content stands in the row instead of in a large object."""
        return self.value.endswith("bytea")


def ddl(variant: Variant, *, clob_guard: bool = False) -> str:
    """Return the script that makes an empty engine schema.

    Args:
        variant: which of the four shapes.
        clob_guard: add the triggers that keep the large objects of text columns known to ``vacuumlo``.
    """
    tables = facts.columns(variant.value)
    indexes = facts.indexes(variant.value)
    parts: list[Iterable[str]] = [
        (_sequence(sequence, variant) for sequence in facts.sequences()),
        (_table(name, found) for name, found in tables.items()),
        (_key(index) for index in indexes if index.unique),
        (_foreign_key(column) for found in tables.values() for column in found if column.references),
        (_index(index) for index in indexes if not index.unique),
        _guard() if clob_guard else (),
    ]
    return "\n\n".join("\n".join(part) for part in parts).rstrip() + "\n"


def optional_ddl() -> str:
    """Return the script of the optional task-assigning table."""
    columns = facts.optional_columns()[PLANNING_TABLE]
    keys = ", ".join(column.name for column in columns if column.primary_key)
    return f"{_table(PLANNING_TABLE, columns)}\nALTER TABLE {PLANNING_TABLE} ADD PRIMARY KEY ({keys});\n"


def create(connection: psycopg.Connection[Any], variant: Variant, *, clob_guard: bool = False) -> None:
    """Run the DDL in the first schema of the session's search path; the caller owns the transaction."""
    connection.execute(_own(ddl(variant, clob_guard=clob_guard)))


def create_optional(connection: psycopg.Connection[Any]) -> None:
    """Add the optional task-assigning table ``planningtask``."""
    connection.execute(_own(optional_ddl()))


def increment(sequence: facts.Sequence, variant: Variant) -> int:
    """Return by how much a sequence advances in a variant."""
    return sequence.increment_springboot if variant.springboot else sequence.increment_standard


def _own(script: str) -> sql.SQL:
    """Vouch for text that was built from the package's own facts: no outside value is in it."""
    return sql.SQL(script)


def _sequence(sequence: facts.Sequence, variant: Variant) -> str:
    step = increment(sequence, variant)
    return f"CREATE SEQUENCE {sequence.name} START WITH {sequence.start} INCREMENT BY {step} NO CYCLE;"


def _table(name: str, columns: tuple[facts.Column, ...]) -> str:
    lines = (f"    {column.name} {column.pg_type}{'' if column.nullable else ' NOT NULL'}" for column in columns)
    return f"CREATE TABLE {name} (\n" + ",\n".join(lines) + "\n);"


def _key(index: facts.Index) -> str:
    kind, ending = ("PRIMARY KEY", "pkey") if index.primary_key else ("UNIQUE", f"{'_'.join(index.columns)}_key")
    columns = ", ".join(index.columns)
    return f"ALTER TABLE {index.table} ADD CONSTRAINT {index.table}_{ending} {kind} ({columns});"


def _foreign_key(column: facts.Column) -> str:
    target, target_column = column.references or ("", "")
    return (
        f"ALTER TABLE {column.table} ADD CONSTRAINT {column.table}_{column.name}_fkey "
        f"FOREIGN KEY ({column.name}) REFERENCES {target} ({target_column});"
    )


def _index(index: facts.Index) -> str:
    condition = f" WHERE {index.predicate}" if index.predicate else ""
    name = f"{index.table}_{'_'.join(index.columns)}_idx"
    return f"CREATE INDEX {name} ON {index.table} ({', '.join(index.columns)}){condition};"


# One function per event; the column arrives as the trigger's argument. A text that is no number fails in the cast,
# and so does the statement that wrote it. The table has no index, as in the engine's own script.
_GUARD_FUNCTIONS = """\
CREATE TABLE jbpm_active_clob (
    loid oid
);
CREATE FUNCTION jbpm_active_clob_on_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO jbpm_active_clob (loid)
    SELECT number::oid FROM (SELECT to_jsonb(NEW) ->> TG_ARGV[0]) AS written (number) WHERE number IS NOT NULL;
    RETURN NULL;
END $$;
CREATE FUNCTION jbpm_active_clob_on_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_number oid := (to_jsonb(OLD) ->> TG_ARGV[0])::oid;
BEGIN
    DELETE FROM jbpm_active_clob WHERE loid = old_number;
    INSERT INTO jbpm_active_clob (loid)
    SELECT number::oid FROM (SELECT to_jsonb(NEW) ->> TG_ARGV[0]) AS written (number) WHERE number IS NOT NULL;
    RETURN NULL;
END $$;
CREATE FUNCTION jbpm_active_clob_on_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_number oid := (to_jsonb(OLD) ->> TG_ARGV[0])::oid;
BEGIN
    DELETE FROM jbpm_active_clob WHERE loid = old_number;
    RETURN NULL;
END $$;
CREATE FUNCTION jbpm_active_clob_on_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DELETE FROM jbpm_active_clob WHERE loid IN (SELECT %I::oid FROM %I.%I)',
                   TG_ARGV[0], TG_TABLE_SCHEMA, TG_TABLE_NAME);
    RETURN NULL;
END $$;"""

# event -> (when, clause of the event, level)
_GUARD_EVENTS = {
    "insert": ("AFTER", "INSERT", "ROW"),
    "update": ("AFTER", "UPDATE OF {column}", "ROW"),
    "delete": ("AFTER", "DELETE", "ROW"),
    "truncate": ("BEFORE", "TRUNCATE", "STATEMENT"),
}


def _guard() -> Iterator[str]:
    """The guard table, its functions, and four triggers on each text column that holds large-object numbers."""
    yield _GUARD_FUNCTIONS
    for lob in facts.large_object_columns():
        if lob.kind != "clob":
            continue
        for event, (when, clause, level) in _GUARD_EVENTS.items():
            yield (
                f"CREATE TRIGGER {lob.table}_{lob.column}_clob_{event} "
                f"{when} {clause.format(column=lob.column)} ON {lob.table} "
                f"FOR EACH {level} EXECUTE FUNCTION {GUARD_TABLE}_on_{event}('{lob.column}');"
            )
