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
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>\S+)(?P<rest>.*(?:\n    .*)*)", re.MULTILINE)


def wanted() -> list[Requirement]:
    project = PROJECT["project"]
    extras = (line for lines in project["optional-dependencies"].values() for line in lines)
    lines = [*project["dependencies"], *extras, *PROJECT["build-system"]["requires"]]
    requirements = [Requirement(line) for line in lines]
    return [requirement for requirement in requirements if requirement.name != project["name"]]


def pins() -> list[tuple[str, str]]:
    return [(canonicalize_name(pin["name"]), pin["version"]) for pin in PIN.finditer(LOCK)]


@pytest.mark.parametrize("requirement", wanted(), ids=str)
def test_requirement_is_pinned_to_a_release_that_fits(requirement: Requirement) -> None:
    versions = [version for name, version in pins() if name == canonicalize_name(requirement.name)]
    assert versions, "run `make lock`"
    assert all(requirement.specifier.contains(version, prereleases=True) for version in versions), "run `make lock`"


def test_every_pin_has_a_hash() -> None:
    assert [pin["name"] for pin in PIN.finditer(LOCK) if "--hash=sha256:" not in pin["rest"]] == []


def test_every_line_is_a_pin_or_a_hash() -> None:
    left = PIN.sub("", LOCK)
    assert left.strip() == ""
    assert "://" not in LOCK
