"""Reading documents byte by byte: identity, places, digests, and what is refused."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archival_pipeline.imixs import layout
from archival_pipeline.imixs.documents import ALWAYS, Document, Reader, split_snapshot_id
from archival_pipeline.imixs.envelope import HEADER, RESTORED, cut_out, marked
from archival_pipeline.imixs.failures import DamagedError
from archival_pipeline_tests.support.imixs import wire

SNAPSHOT = "7009e427-7078-4492-af78-0a1145a736df-1795178538385"


def read(content: bytes, *, in_data: bool = True, step: int = 7, wanted: frozenset[str] = ALWAYS) -> Document:
    reader = Reader(in_data=in_data, wanted=wanted)
    for place in range(0, len(content), step):
        reader.feed(content[place : place + step])
    return reader.close()


def attached(content: bytes, said: str | None = None) -> wire.Items:
    about: wire.Items = {"size": [("xs:long", str(len(content)))]}
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest().upper()
    about["md5checksum"] = [wire.text(digest if said is None else said)]
    value = [wire.text("text/plain"), ("xs:base64Binary", base64.b64encode(content).decode()), about]
    return {"$uniqueid": [wire.text(SNAPSHOT)], "$file": [{"a <b>.txt": value}]}


@settings(max_examples=50, deadline=None)
@given(content=st.binary(max_size=300), step=st.integers(1, 50), text=st.text(max_size=30))
def test_file_is_the_element_of_the_answer_whatever_is_in_it(content: bytes, step: int, text: str) -> None:
    items = attached(content) | {"free": [wire.text(text), None, {"deep": [[wire.text("x")]]}]}
    answer = wire.data([items])
    found = read(answer, step=step)
    target = BytesIO()
    size, digest = cut_out(BytesIO(answer), found, target)
    assert target.getvalue() == wire.file_of(items)
    assert (size, digest) == (len(target.getvalue()), hashlib.sha256(target.getvalue()).hexdigest())
    assert found.first("$uniqueid") == SNAPSHOT
    assert found.damaged_attachments == []
    assert [file.size for file in found.attachments] == [len(content)]


def test_attachment_that_does_not_fit_its_digest_is_named() -> None:
    assert read(wire.data([attached(b"content", said="0" * 32)])).damaged_attachments == ["a <b>.txt"]
    assert read(wire.data([attached(b"content", said="")])).damaged_attachments == []


def test_declarations_around_the_document_come_into_the_file() -> None:
    document = b'<document><item name="a"><value xsi:type="xs:string">1</value></item></document>'
    answer = b'<data xmlns:xsi="urn:a" xmlns:xs="urn:&quot;b">' + document + b"</data>"
    target = BytesIO()
    cut_out(BytesIO(answer), read(answer), target)
    expected = b'<document xmlns:xsi="urn:a" xmlns:xs=\'urn:"b\'>' + document.removeprefix(b"<document>")
    assert target.getvalue() == HEADER + expected


@pytest.mark.parametrize("marks", [0, 1])
def test_mark_comes_in_once_and_nothing_else_changes(marks: int) -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    items: wire.Items = attached(b"hello")
    file = wire.file_of(items | {RESTORED: [("xs:dateTime", "2020-01-01T00:00:00Z")]} if marks else items)
    sent = b"".join(marked(BytesIO(file), read(file, in_data=False, wanted=ALWAYS | {RESTORED}), now))
    assert sent.count(b"$backuprestore") == 1
    assert b"2026-11-20T12:00:00.000+00:00" in sent
    assert wire.parse(sent) == items | {RESTORED: [("xs:dateTime", "2026-11-20T12:00:00.000+00:00")]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><body>Login</body></html>",
        b"<data/>",
        b"<data><document/><document/></data>",
        b"<data><document></data>",
        b'<!DOCTYPE data [<!ENTITY a "b">]><data><document>&a;</document></data>',
        b'<?xml version="1.0" encoding="ISO-8859-1"?><data><document/></data>',
        b"<data>" + b"<document>" * 300,
        wire.data([attached(b"content")]).replace(b"Y29udGVudA==", b"Y29udGVudA"),
        wire.data([attached(b"content")]).replace(b"Y29udGVudA==", b"!!!!"),
    ],
    ids=["empty", "page", "none", "two", "cut", "doctype", "encoding", "deep", "half base64", "no base64"],
)
def test_what_is_no_document_is_refused(content: bytes) -> None:
    with pytest.raises(DamagedError):
        read(content)


def test_data_root_is_refused_in_a_file() -> None:
    with pytest.raises(DamagedError):
        read(wire.data([attached(b"x")]), in_data=False)


def test_snapshot_id_is_document_and_milliseconds() -> None:
    assert split_snapshot_id(SNAPSHOT) == ("7009e427-7078-4492-af78-0a1145a736df", 1795178538385)
    for wrong in ("", "7009e427", "../../etc/passwd-1795178538385", "a/b-1795178538385", "abc-1", "abc-x"):
        with pytest.raises(DamagedError):
            split_snapshot_id(wrong)


def test_month_follows_the_time_zone() -> None:
    created = layout.moment_of("2026-10-31T22:30:00.000Z")
    assert layout.month_of(created, "UTC") == "2026/10"
    assert layout.month_of(created, "Europe/Kyiv") == "2026/11"
    assert set(layout.months_around(created, "UTC")) == {"2026/10", "2026/11"}
    assert layout.months_around(layout.moment_of("2026-10-15T00:00:00+02:00"), "UTC") == ["2026/10"]
