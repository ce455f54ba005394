"""Runs a program many times without loading it again: one process has imported it, and forks for each call.

A hundred crashes in a row are cheap that way. The program's module calls :func:`serve`; a test holds a
:class:`ForkServer`. Not here: what is run.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

REPOSITORY = Path(__file__).parents[2]


def serve(main: Callable[[Sequence[str]], int]) -> NoReturn:
    """Answer calls until standard input ends: first the process id of the fork, then how it ended.

    Args:
        main: takes the arguments of a call, returns its exit code.
    """
    for line in sys.stdin:
        call = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ.update(call["environment"])
            # Straight out: no exit handler of the parent may run twice.
            os._exit(main(call["arguments"]))
        _say({"pid": child})
        _, status = os.waitpid(child, 0)
        _say({"exit": os.waitstatus_to_exitcode(status)})
    sys.exit(0)


def _say(document: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


class ForkServer:
    """A test's end of a module that serves; one call at a time."""

    def __init__(self, module: str, longest_run: float) -> None:
        """Start it.

        Args:
            module: is run with ``--serve``.
            longest_run: seconds after which a call counts as one that hangs.
        """
        self._longest_run = longest_run
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, once its last call has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
        """Begin a call; return the id of its process."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"arguments": arguments, "environment": dict(environment)}) + "\n")
        self._process.stdin.flush()
        return self._read()["pid"]

    def end(self) -> int:
        """Wait for the end of the call; return its exit code, negative for a signal."""
        return self._read()["exit"]

    def _read(self) -> dict[str, int]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], self._longest_run)
        assert ready, "the program hangs"
        answer: dict[str, int] = json.loads(self._process.stdout.readline())
        return answer
