"""The documents fit the code: generated parts are up to date, links lead somewhere, reasons and commands are real."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import pytest

from archival_pipeline.archival.trees import REASONS
from archival_pipeline.cli import cli
from archival_pipeline_tests.support import reference_docs
from archival_pipeline_tests.support import reference_words as words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT = reference_docs.ROOT
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
TARGET = re.compile(r"(?:^|`|&& |sudo )make (?:--silent )?(?P<target>[a-z][a-z-]*)", re.MULTILINE)
RULE = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
CALL = re.compile(r"\barchival-pipeline +(?P<command>[a-z][a-z-]*)")
REPORT = re.compile(r'TreeReport\(\s*\w+,\s*"(?:skipped|quarantined)",\s*"(?P<reason>\w+)"')
CHOICE = re.compile(r'reason = "(?P<one>\w+)" if \w+ else "(?P<other>\w+)"')


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors_of(path: Path) -> set[str]:
    """The anchors of a document's headings, made as the usual viewers make them."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    lower = (re.sub(r"[^\w\- ]", "", heading["text"].lower()) for heading in HEADING.finditer(text))
    return {heading.strip().replace(" ", "-") for heading in lower}


def reasons_in_the_code() -> Iterator[str]:
    for source in (ROOT / "archival_pipeline" / "archival").glob("*.py"):
        text = source.read_text(encoding="utf-8")
        yield from (match["reason"] for match in REPORT.finditer(text))
        for match in CHOICE.finditer(text):
            yield from (match["one"], match["other"])


@pytest.mark.parametrize("document", sorted(reference_docs.documents()), ids=name_of)
def test_generated_parts_are_what_the_code_says(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    again = "run `python -m archival_pipeline_tests.support.reference_docs`"
    assert reference_docs.renew(text) == text, f"{name_of(document)} is out of date; {again}"


def test_every_generated_part_stands_in_its_document_once() -> None:
    found = [(name, name_of(path)) for path in reference_docs.documents() for name in reference_docs.parts_in(path)]
    assert sorted(found) == sorted((name, document) for name, (document, _) in reference_docs.PARTS.items())


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for link in LINK.finditer(CODE.sub("", document.read_text(encoding="utf-8"))):
        path, _, anchor = link["target"].partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link["target"])
    assert not broken


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= {link["target"] for link in LINK.finditer(index)}


def test_every_decision_is_in_their_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in folder.glob("*.md")} - {"README.md"}
    assert pages <= {link["target"] for link in LINK.finditer(index)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_targets_of_make_exist(document: Path) -> None:
    found = set(TARGET.findall("".join(CODE.findall(document.read_text(encoding="utf-8")))))
    assert found <= set(RULE.findall((ROOT / "Makefile").read_text(encoding="utf-8")))


def test_every_demonstration_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "demonstrations.md").read_text(encoding="utf-8")
    paths = re.findall(r"ARGS=\$T/(\S+?)`", text)
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / "archival_pipeline_tests" / path).exists()] == []


def test_every_target_that_shows_something_is_among_the_demonstrations() -> None:
    text = (ROOT / "docs" / "demonstrations.md").read_text(encoding="utf-8")
    rules = RULE.findall((ROOT / "Makefile").read_text(encoding="utf-8"))
    shown = {rule for rule in rules if rule.startswith(("bench", "test", "demo"))}
    assert shown <= set(TARGET.findall(text))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_no_outside_host_is_named(document: Path) -> None:
    hosts = re.findall(r"https?://([^/\s:`)]+)", document.read_text(encoding="utf-8"))
    assert set(hosts) <= {"127.0.0.1", "localhost"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_exist(document: Path) -> None:
    assert isinstance(cli, click.Group)
    named = {call["command"] for call in CALL.finditer(document.read_text(encoding="utf-8"))}
    assert named <= set(cli.commands)


def test_every_reason_of_the_code_is_explained() -> None:
    explained = words.REASON_WAYS_OUT.keys() | words.OTHER_REASONS.keys()
    assert set(reasons_in_the_code()) <= explained


def test_every_explained_reason_is_one_of_the_code() -> None:
    assert words.REASON_WAYS_OUT.keys() == REASONS.keys()
    assert words.OTHER_REASONS.keys() <= set(reasons_in_the_code())
