"""The suite's own test: a safety check is taken out of a copy of the product, and some test must notice.

Long form only. A check that another one backs up is taken out together with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from archival_pipeline_tests.support.forks import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

_FAULTS = "archival_pipeline_tests/faults"


@dataclass(frozen=True, slots=True)
class Mutation:
    """A check, how it is taken out, and the tests that must notice.

    Attributes:
        check: what is taken out, in words.
        file: below ``archival_pipeline``.
        old: the code that checks.
        new: what stands in its place.
        tests: arguments of pytest; one failure is enough.
    """

    check: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "what was deleted equals what stands in the destination",
        "catalogue/digests.py",
        "if expected.get(name, EMPTY) != found.get(name, EMPTY)",
        "if expected.get(name, EMPTY).rows < 0",
        (f"{_FAULTS}/test_f15_engine.py", "-k", "test_f28_i7 and one"),
    ),
    Mutation(
        "what was written is read back",
        "archival/transfer.py",
        "        if wrong:\n            raise errors.VerificationError",
        "        if not move:\n            raise errors.VerificationError",
        (f"{_FAULTS}/test_f15_engine.py", "-k", "test_f28_f29"),
    ),
    Mutation(
        "children that came after the copy",
        "archival/removal.py",
        "trees.new_children(origin, list(members)).items()",
        "{}.items()",
        (f"{_FAULTS}/test_f15_engine.py", "-k", "test_f15_f16 and late and child"),
    ),
    Mutation(
        "trees are over when they are moved",
        "archival/trees.py",
        "    return _by_weight([row for row in rows if only is None or row[1] in only])",
        "    return {}",
        ("archival_pipeline_tests/integration/archival/test_eligibility.py",),
    ),
    Mutation(
        "one operation at a time",
        "database/locks.py",
        "    if not taken:",
        "    if taken is None:",
        (f"{_FAULTS}/test_f17_two_movers.py", "-k", "test_f17_i11_a_second"),
    ),
    Mutation(
        "a mover without its lock is fenced",
        "database/locks.py",
        "        if row is None or not row[0]:",
        "        if row is None:",
        (f"{_FAULTS}/test_f17_two_movers.py", "-k", "test_f4"),
    ),
    Mutation(
        "the tables are still the ones that were bound",
        "archival/removal.py",
        "!= move.fingerprint:",
        "is None:",
        (f"{_FAULTS}/test_f15_engine.py", "-k", "test_f24"),
    ),
    Mutation(
        "the fate of a transaction is asked for",
        "archival/recovery.py",
        "    if not done:",
        "    if move is None:",
        (f"{_FAULTS}/test_f01_kill.py", "-k", "each_lasting and (restore or backup)"),
    ),
    Mutation(
        "reasons are written before the commit",
        "archival/removal.py",
        "        move.ledger.report(batch, removed.stayed)\n        later",
        "        later",
        (f"{_FAULTS}/test_f15_engine.py", "-k", "test_i10_reasons"),
    ),
    Mutation(
        "what was restored is still there when the archive is deleted",
        "archival/removal.py",
        "    if gone:\n        raise BatchChangedError",
        "    if not move:\n        raise BatchChangedError",
        (f"{_FAULTS}/test_f15_engine.py", "-k", "test_i3_what_was_restored"),
    ),
    Mutation(
        "a copy is taken back only of a tree that the origin has entirely",
        "archival/comparison.py",
        "    if not any(_vanished(rows, _of(origin, name)) for name, rows in copied.items()):\n        return report",
        "    if move:\n        return report",
        (f"{_FAULTS}/test_f15_engine.py", "-k", "test_i3_a_tree_that_lives_again"),
    ),
    Mutation(
        "every row that was copied with several batches belongs to one of them",
        "archival/together.py",
        "    if counted != written.rows:",
        "    if not counted:",
        ("archival_pipeline_tests/integration/archival/test_together.py", "-k", "test_i3"),
    ),
    Mutation(
        "what is on legal hold stays",
        "archival/removal.py",
        "    return found | holding.on_hold(lane, move, several)",
        "    return found",
        ("archival_pipeline_tests/integration/archival/test_holds.py",),
    ),
    Mutation(
        "interim data on legal hold stays",
        "interim/judging.py",
        "        if on_hold is not None and on_hold.any:",
        "        if on_hold is None:",
        ("archival_pipeline_tests/integration/interim/test_holds.py", "-k", "test_i13"),
    ),
)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.check)
def test_a_check_that_is_taken_out_is_missed(mutation: Mutation, tmp_path: Path) -> None:
    copy = _copy(tmp_path)
    target = copy / "archival_pipeline" / mutation.file
    source = target.read_text(encoding="utf-8")
    assert mutation.old in source, "the check has another form now: bring this list up to date"
    target.write_text(source.replace(mutation.old, mutation.new), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutation.tests],
        check=False,
        capture_output=True,
        text=True,
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    print(f"\n{mutation.check}: noticed by {failed}")
    assert done.returncode == 1, done.stdout[-2_000:]
    assert failed


def _copy(folder: Path) -> Path:
    """The parts of the repository that the tests need, to be spoilt."""
    copy = folder / "copy"
    copy.mkdir()
    for name in ("archival_pipeline", "archival_pipeline_tests", "sql", "docs"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", copy)
    return copy
