"""Prints the variables of the servers that ``make dev`` has started, as lines that a shell takes.

The passwords are those of the embedded servers, which listen on loopback; own servers are named by the shell already.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from archival_pipeline.local import dagster_home, interim_dev
from archival_pipeline.local.servers import DEFAULT_FOLDER, LocalStack


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True), default=DEFAULT_FOLDER)
def main(folder: Path) -> None:
    """Print `export NAME=value` for each variable of the embedded servers in FOLDER, which are running."""
    stack = LocalStack(folder)
    with stack:
        values = (
            stack.environment()
            | interim_dev.variables(folder)
            | {"DAGSTER_HOME": str(dagster_home.make(folder / "dagster"))}
        )
        ours = dagster_home.REPOSITORY / ".venv" / "bin"
    click.echo(f'export PATH={shlex.quote(str(ours))}:"$PATH"')
    for name, value in values.items():
        click.echo(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main()
