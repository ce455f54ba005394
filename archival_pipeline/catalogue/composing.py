"""Keeps the text of composed statements. Not here: the statements."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, LiteralString, ParamSpec, TypeVar, cast

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Callable

Parameters = ParamSpec("Parameters")
Statement = TypeVar("Statement", bound="sql.Composed | None")


def written_once(build: Callable[Parameters, Statement]) -> Callable[Parameters, Statement]:
    """Put a statement together once and keep its text: each is used for thousands of batches."""
    return cast("Callable[Parameters, Statement]", cache(lambda *a, **k: _flat(build(*a, **k))))


def _flat(statement: sql.Composable | None) -> sql.Composed | None:
    if statement is None:
        return None
    text: LiteralString = statement.as_string(None)
    return sql.Composed([sql.SQL(text)])
