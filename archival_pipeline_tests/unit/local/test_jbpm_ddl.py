"""The text of the engine's DDL; what a server makes of it is tested with a server."""

from __future__ import annotations

import re

import pytest

from archival_pipeline.local.jbpm_schema import Variant, ddl, optional_ddl


@pytest.mark.parametrize("variant", Variant)
def test_names_are_short_enough_and_used_once(variant: Variant) -> None:
    names = re.findall(r"(?:CONSTRAINT|INDEX|SEQUENCE|TABLE|TRIGGER) (\w+)", ddl(variant, clob_guard=True))
    made = [name for name in names if not re.fullmatch(r"\w+", name) or len(name) > 63]
    assert not made
    indexes = re.findall(r"(?:CONSTRAINT|CREATE INDEX|CREATE SEQUENCE|CREATE TABLE) (\w+)", ddl(variant))
    assert len(indexes) == len(set(indexes))


def test_script_has_no_default_no_cascade_and_no_deferrable_key() -> None:
    text = ddl(Variant.STANDARD_OID).upper()
    assert not any(word in text for word in ("DEFAULT", "CASCADE", "DEFERRABLE", "OWNED BY", "SERIAL", "IDENTITY ("))


def test_guard_adds_four_triggers_to_each_of_seven_columns() -> None:
    guarded = ddl(Variant.SPRINGBOOT_BYTEA, clob_guard=True)
    assert guarded.count("CREATE TRIGGER") == 28
    assert "CREATE TRIGGER" not in ddl(Variant.SPRINGBOOT_BYTEA)


def test_optional_table_has_its_primary_key() -> None:
    assert "CREATE TABLE planningtask" in optional_ddl()
    assert "PRIMARY KEY (taskid)" in optional_ddl()
