"""Layers when the program runs: what an import brings with it, and what it must not do."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "archival_pipeline"
MAY_IMPORT_DAGSTER = {"defs", "definitions"}
# Starting a migration or a program is what these files are for; importing them does it.
RUN_WHEN_IMPORTED = {"alembic", "__main__"}


def module_names() -> list[str]:
    """Every module as it is on disk, so that a new room is under the rules from its first day."""
    names = [path.relative_to(ROOT).with_suffix("").parts for path in PACKAGE.rglob("*.py")]
    return sorted(".".join(parts).removesuffix(".__init__") for parts in names if not RUN_WHEN_IMPORTED & set(parts))


MODULES = module_names()
ROOMS = sorted({name.split(".")[1] for name in MODULES if "." in name})


def run_fresh(program: str, *, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program in a new interpreter: this one has imported half the world already."""
    return subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment or {},
        timeout=120,
    )


def importable(rooms: set[str]) -> list[str]:
    return [name for name in MODULES if "." in name and name.split(".")[1] in rooms]


def test_nothing_outside_defs_brings_dagster_in() -> None:
    names = importable(set(ROOMS) - MAY_IMPORT_DAGSTER)
    assert "archival_pipeline.settings" in names
    program = (
        f"import importlib, sys\nfor name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'dagster' not in sys.modules, name"
    )
    result = run_fresh(program)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("room", ROOMS)
def test_import_needs_no_setting_and_opens_no_connection(room: str) -> None:
    program = (
        "import importlib, sys\n"
        "def forbid(event, arguments):\n"
        "    if event == 'socket.connect':\n"
        "        raise RuntimeError(f'{event} at import: {arguments}')\n"
        "sys.addaudithook(forbid)\n"
        f"for name in {importable({room})!r}:\n    importlib.import_module(name)"
    )
    result = run_fresh(program)
    assert result.returncode == 0, result.stderr


def test_contract_about_dagster_names_every_room_but_defs() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    forbidden = next(contract for contract in contracts if contract["type"] == "forbidden")
    named = {module.removeprefix("archival_pipeline.") for module in forbidden["source_modules"]}
    assert named == set(ROOMS) - MAY_IMPORT_DAGSTER
