"""Which column types hold each other, and which may be widened without changing what a row says."""

from __future__ import annotations

import pytest

from archival_pipeline.catalogue.backup_tables import _index_name, fits, widens

HOLDS = [
    ("bigint", "bigint"),
    ("character varying(255)", "character varying(255)"),
    ("character varying(255)", "character varying(4000)"),
    ("character varying(255)", "character varying"),
    ("numeric(10,2)", "numeric(12,2)"),
    ("numeric(10,2)", "numeric"),
    ("numeric(10)", "numeric(12,0)"),
]
HOLDS_NOT = [
    ("character varying(255)", "character varying(100)"),
    ("character varying", "character varying(255)"),
    # The binary image of a row names the type, so these would never compare equal.
    ("character varying(255)", "text"),
    ("integer", "bigint"),
    ("numeric(10,2)", "numeric(10,3)"),
    ("numeric(12,2)", "numeric(10,2)"),
    ("numeric", "numeric(10,2)"),
    ("timestamp without time zone", "timestamp with time zone"),
]
WIDENS = [
    ("bigint", "integer"),
    ("integer", "smallint"),
    ("text", "character varying(255)"),
    ("text", "character varying"),
    ("character varying(500)", "character varying(255)"),
    ("character varying", "character varying(255)"),
    ("numeric(12,2)", "numeric(10,2)"),
    ("numeric", "numeric(10,2)"),
]
WIDENS_NOT = [
    ("integer", "bigint"),
    ("character varying(255)", "text"),
    ("character varying(100)", "character varying(255)"),
    ("numeric(12,3)", "numeric(10,2)"),
    ("bigint", "text"),
    ("bytea", "oid"),
    ("timestamp with time zone", "timestamp without time zone"),
]


@pytest.mark.parametrize(("wanted", "there"), HOLDS)
def test_fits(wanted: str, there: str) -> None:
    assert fits(wanted, there)


@pytest.mark.parametrize(("wanted", "there"), HOLDS_NOT)
def test_does_not_fit(wanted: str, there: str) -> None:
    assert not fits(wanted, there)


@pytest.mark.parametrize(("wanted", "there"), WIDENS)
def test_widens(wanted: str, there: str) -> None:
    assert widens(wanted, there)


@pytest.mark.parametrize(("wanted", "there"), WIDENS_NOT)
def test_does_not_widen(wanted: str, there: str) -> None:
    assert not widens(wanted, there)


def test_index_names_are_short_enough_and_stay_apart() -> None:
    first, second = _index_name("t" * 60, "first_column"), _index_name("t" * 60, "second_column")
    assert first != second
    assert max(len(first.encode()), len(second.encode())) <= 63
    assert _index_name("task", "processinstanceid") == "task_processinstanceid_archived"
    assert len(_index_name("т" * 40, "id").encode()) <= 63
