"""The command line: the operations of the archive for shells, scripts and schedulers.

The commands are in ``commands/``; here is what they have in common for a caller: name, help, exit codes.
"""

from __future__ import annotations

import click

from archival_pipeline.commands import (
    asking,
    audits,
    cleanup,
    cleanup_archive,
    history,
    holds,
    imixs,
    interim,
    moving,
    output,
    retention,
    steering,
    stored_variables,
    upkeep,
    variables,
)

_EPILOG = """\
\b
On a terminal the answer is text. Otherwise, or with --json, standard output is one JSON
document with the field names of the REST interface, and an error is one JSON object on
standard error: {"errorCode", "errorSummary", "errorResolve"}.

\b
Exit codes:
    0   done
    1   failed, or `check` found something
    2   wrong usage, filters, options or settings; nothing was changed
    3   another operation is at work
    4   done, but some trees were quarantined: see the answer or the audit
  130   stopped by SIGINT; finished batches stay finished
  143   stopped by SIGTERM; finished batches stay finished

The databases are named by environment variables, which docs/configuration.md lists.
"""


@click.group(name="archival-pipeline", epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="archival-pipeline")
def cli() -> None:
    """Move finished process trees between an engine's database and its backup."""


@click.command(cls=output.JsonCommand)
def api() -> None:
    """Serve the REST interface on PORT until told to stop; docs/rest.md has the rest."""
    # The other commands do not wait until the HTTP libraries are loaded.
    from archival_pipeline.api.archival import app  # noqa: PLC0415

    app.run()


@click.command("history-api", cls=output.JsonCommand)
def history_api() -> None:
    """Serve the execution history to users on HISTORY_API_PORT until told to stop; docs/history.md has the rest."""
    from archival_pipeline.api.history import app  # noqa: PLC0415

    app.run()


for command in (
    upkeep.migrate,
    upkeep.check,
    upkeep.pair,
    asking.count,
    asking.find,
    asking.children,
    asking.generate_sql,
    moving.backup,
    moving.restore,
    moving.delete_bulk,
    steering.pause,
    steering.resume,
    steering.slow,
    steering.stop,
    steering.reconcile,
    audits.audits,
    cleanup.cleanup,
    holds.hold,
    retention.retention,
    interim.interim,
    variables.variables,
    history.history,
    history_api,
    api,
    imixs.imixs,
):
    cli.add_command(command)
variables.variables.add_command(stored_variables.stored)

for command in (cleanup_archive.migrate, cleanup_archive.archived, cleanup_archive.restore, cleanup_archive.expire):
    cleanup.cleanup.add_command(command)


def main() -> int:
    """Run the command that the arguments name, and return its exit code."""
    return output.run(cli)
