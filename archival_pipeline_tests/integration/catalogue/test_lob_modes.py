"""How character large objects are stored, judged from the values of a live primary; which objects are shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline.catalogue import lob_modes
from archival_pipeline.catalogue.binding import ClobMode, bind
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.database.connections import connect
from archival_pipeline.database.introspection import read_schema
from archival_pipeline.local import jbpm_schema
from archival_pipeline.local.jbpm_schema import Variant

if TYPE_CHECKING:
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.integration.catalogue.conftest import Session

THERE = "900001"
ALSO_THERE = "900002"
GONE = "900009"
LONG_DIGITS = "1" * 5_000

# values of i18ntext.text, value of deploymentstore.deploymentunit, the mode
CASES: dict[str, tuple[list[str | None], str | None, ClobMode]] = {
    "no value at all": ([], None, ClobMode.TEXT),
    "only NULL": ([None], None, ClobMode.TEXT),
    "numbers of objects": ([THERE, ALSO_THERE, None], THERE, ClobMode.POINTER),
    "a dangling number among them": ([THERE, GONE], None, ClobMode.POINTER),
    "only dangling numbers": ([GONE], None, ClobMode.TEXT),
    "only a left table has values": ([], THERE, ClobMode.POINTER),
    "texts": (["Approve the order", ""], "<deployment/>", ClobMode.TEXT),
    "texts of digits that are no object": (["12345", LONG_DIGITS, "4294967296"], None, ClobMode.TEXT),
    "texts and numbers": (["Approve the order", THERE], None, ClobMode.MIXED),
    "numbers and an empty text": ([THERE, ""], None, ClobMode.MIXED),
    "numbers here, texts in a left table": ([THERE], "<deployment/>", ClobMode.MIXED),
    "numbers and too many digits": ([THERE, LONG_DIGITS], None, ClobMode.MIXED),
}


def fill(session: Session, texts: list[str | None], left: str | None) -> None:
    session.execute("SELECT lo_from_bytea(n::oid, 'text') FROM unnest(ARRAY[900001, 900002]) AS n")
    for number, text in enumerate(texts, start=1):
        session.execute("INSERT INTO i18ntext (id, text) VALUES (%s, %s)", [number, text])
    if left is not None:
        session.execute("INSERT INTO deploymentstore (id, deploymentunit) VALUES (1, %s)", [left])


def detected(session: Session, configured: str = "auto") -> ClobMode:
    return lob_modes.detect_clob_mode(session, JBPM, read_schema(session), configured)


@pytest.mark.parametrize(("texts", "left", "mode"), CASES.values(), ids=CASES)
def test_mode_is_judged_from_all_values(
    engine: Session, texts: list[str | None], left: str | None, mode: ClobMode
) -> None:
    fill(engine, texts, left)
    assert detected(engine) is mode


def test_what_the_operator_says_wins(engine: Session) -> None:
    fill(engine, ["Approve the order", THERE], None)
    assert detected(engine, "pointer") is ClobMode.POINTER
    assert detected(engine, "text") is ClobMode.TEXT


def test_the_guard_means_pointers(primary_database: DatabaseSettings) -> None:
    with connect(primary_database, purpose="test") as session:
        jbpm_schema.create(session, Variant.STANDARD_BYTEA, clob_guard=True)
        assert detected(session) is ClobMode.POINTER


def test_a_database_without_the_engine_has_no_mode_to_find(primary_database: DatabaseSettings) -> None:
    with connect(primary_database, purpose="test") as session:
        assert detected(session) is ClobMode.TEXT


@pytest.mark.parametrize(
    ("mode", "shared"),
    [
        (ClobMode.POINTER, {900001, 900002, 900003}),
        (ClobMode.MIXED, {900001, 900002, 900003}),
        (ClobMode.TEXT, {900001}),
    ],
)
def test_shared_objects_are_found_across_tables_and_columns(engine: Session, mode: ClobMode, shared: set[int]) -> None:
    engine.execute("INSERT INTO content (id, content) VALUES (1, 900001), (2, 900001), (3, 900002), (4, 900004)")
    fill(engine, ["900002", "900003", "not a number", "4294967296"], "900003")
    bound = bind(JBPM, read_schema(engine), mode)
    assert lob_modes.shared_objects(engine, bound, JBPM) == shared


def test_references_that_are_left_are_seen_inside_the_deleting_transaction(engine: Session) -> None:
    fill(engine, [THERE, ALSO_THERE], THERE)
    bound = bind(JBPM, read_schema(engine), ClobMode.POINTER)
    engine.execute("DELETE FROM i18ntext")
    assert lob_modes.references_left(engine, bound, JBPM, [900001, 900002, 4_000_000_000]) == {900001}
    engine.execute("DELETE FROM deploymentstore")
    assert lob_modes.references_left(engine, bound, JBPM, [900001, 900002]) == set()
    assert lob_modes.references_left(engine, bound, JBPM, []) == set()
