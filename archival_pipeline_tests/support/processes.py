"""Runs programs beside a test, waits for what they do, and never leaves one behind."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_POLL_SECONDS = 0.1
_STOP_SECONDS = 30


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str], log: Path, cwd: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Start a program in a session of its own; whatever is left of it and its children at the end is killed.

    Args:
        command: program and arguments.
        environment: all of its variables.
        log: takes what it says on both outputs.
        cwd: its working directory.
    """
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, env=dict(environment), stdout=output, stderr=output, text=True, cwd=cwd, start_new_session=True
        )
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """End a program and every process it started."""
    family = [psutil.Process(process.pid)] if process.poll() is None else []
    family += [child for parent in family for child in parent.children(recursive=True)]
    for member in family:
        member.terminate()
    _, stubborn = psutil.wait_procs(family, timeout=_STOP_SECONDS)
    for member in stubborn:
        member.kill()
    process.wait()


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait until something can be observed.

    Raises:
        AssertionError: it was not, in so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain until {what}"
        time.sleep(_POLL_SECONDS)
