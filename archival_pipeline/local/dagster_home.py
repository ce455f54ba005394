"""The folder that ``DAGSTER_HOME`` names on a laptop, and the commands that run Dagster on it.

Not here: the instance itself (``dagster.yaml`` at the root of the repository, which is copied), its databases.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from archival_pipeline.errors import ConfigurationError
from archival_pipeline.local.servers import BACKUP, PRIMARY

if TYPE_CHECKING:
    from archival_pipeline.local.servers import LocalStack

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = "archival_pipeline.definitions"


def make(folder: Path) -> Path:
    """Make the folder, with the newest ``dagster.yaml`` in it.

    Raises:
        ConfigurationError: this is not a checkout of the repository.
    """
    source = REPOSITORY / "dagster.yaml"
    if not source.is_file():
        raise ConfigurationError(f"There is no {source}.", resolve="Run this from a checkout of the repository.")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, folder / source.name)
    return folder.resolve()


def execute_job(job: str, config: Path) -> list[str]:
    """The command that runs a job in a process of its own and waits for it."""
    return [program("dagster"), "job", "execute", "-m", MODULE, "-j", job, "-c", str(config)]


def launch_job(job: str, config: Path) -> list[str]:
    """The command that puts a job into the run queue; a daemon takes it from there."""
    return [program("dagster"), "job", "launch", "-w", _workspace(), "-j", job, "-c", str(config)]


def webserver(host: str, port: int) -> list[str]:
    """The command that serves the Dagster UI."""
    return [program("dagster-webserver"), "-w", _workspace(), "-h", host, "-p", str(port)]


def api() -> list[str]:
    """The command that serves the REST interface."""
    return [program("archival-pipeline"), "api"]


def history_api() -> list[str]:
    """The command that serves the execution history to users."""
    return [program("archival-pipeline"), "history-api"]


def daemon() -> list[str]:
    """The command that runs queue, schedules and sensors."""
    return [program("dagster-daemon"), "run", "-w", _workspace()]


def _workspace() -> str:
    return str(REPOSITORY / "workspace.yaml")


def program(name: str) -> str:
    """The program beside the interpreter at work: that of the same virtual environment."""
    return str(Path(sys.executable).with_name(name))


def environment(stack: LocalStack, folder: Path) -> dict[str, str]:
    """The environment of a Dagster process that works on the stack; nothing of the shell's own settings shines through.

    Args:
        stack: running.
        folder: home of the stack; the folder for ``DAGSTER_HOME`` is made in it.
    """
    ours = {name for side in (PRIMARY, BACKUP) for name in (*side.connection_variables(), side.name, side.schema)}
    if stack.is_embedded(PRIMARY):
        # What describes another engine does not describe the sample.
        ours |= {"BPM_TIME_ZONE", "BPM_CLOB_MODE"}
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    return inherited | stack.environment() | {"DAGSTER_HOME": str(make(folder / "dagster"))}
