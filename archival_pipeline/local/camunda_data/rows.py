"""Collects rows of the engine's tables and writes them by COPY; remembers which of them are due."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg import sql

from archival_pipeline.catalogue import camunda_facts

if TYPE_CHECKING:
    import random

    import psycopg

_FILLERS: dict[str, Any] = {
    "character": "-",
    "text": "-",
    "integer": 1,
    "bigint": 0,
    "boolean": False,
    "double": 0.0,
    "smallint": 0,
}
_WRITE_EVERY = 20_000


class Rows:
    """Rows that wait to be written, and the ids of those that a cleanup is expected to remove.

    Attributes:
        due: ids by table.
        written: rows by table.
    """

    def __init__(self, connection: psycopg.Connection[Any], draw: random.Random, prefix: str = "") -> None:
        self._connection = connection
        self._draw = draw
        self._prefix = prefix
        self._waiting: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._defaults = {
            table: {c.name: None if c.nullable else _filler(c.pg_type) for c in found}
            for table, found in camunda_facts.columns().items()
        }
        self.due: defaultdict[str, set[str]] = defaultdict(set)
        self.written: Counter[str] = Counter()

    def new_id(self) -> str:
        """An id as the engine's UUID generator makes them."""
        text = f"{self._draw.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def add(self, table: str, *, due: bool, **values: Any) -> str:
        """Take a row; its id is made up where none is given.

        Raises:
            KeyError: the table has no such column.
        """
        row = self._defaults[table] | {"id_": values.pop("id_", None) or self.new_id()}
        for name, value in values.items():
            if name not in row:
                message = f"{table} has no column {name}"
                raise KeyError(message)
            row[name] = value
        if due:
            self.due[table].add(row["id_"])
        self._waiting[table].append(row)
        if len(self._waiting[table]) >= _WRITE_EVERY:
            self.flush()
        return str(row["id_"])

    def flush(self) -> None:
        """Write what waits, in the order of the facts' tables."""
        for table, rows in sorted(self._waiting.items(), key=lambda item: _ORDER.get(item[0], 1)):
            columns = list(self._defaults[table])
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
                sql.Identifier(f"{self._prefix}{table}"), sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row([row[name] for name in columns])
            self.written[table] += len(rows)
        self._waiting.clear()


# What foreign keys point to comes first.
_ORDER = {
    "act_re_deployment": -4,
    "act_re_procdef": -3,
    "act_re_case_def": -3,
    "act_ge_bytearray": -2,
    "act_ru_execution": -1,
}


def _filler(pg_type: str) -> Any:
    if pg_type.startswith("timestamp"):
        return datetime(2020, 1, 1)  # noqa: DTZ001 - the engine's times carry no zone
    return _FILLERS[pg_type.split(" ", maxsplit=1)[0]]
