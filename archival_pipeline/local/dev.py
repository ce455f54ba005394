"""``make dev``: REST service, Dagster UI and daemon on the embedded servers, with a sample database to play with.

The sample database is made on the first start and kept. Whoever sets the connection variables of a side uses their own
server there; then nothing is made or migrated. Not here: the servers (``servers.py``), the folder of Dagster's instance
(``dagster_home.py``).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import click
import psutil

from archival_pipeline.archival import service
from archival_pipeline.database.connections import connect
from archival_pipeline.local import dagster_home, interim_dev, jbpm_schema
from archival_pipeline.local.jbpm_schema import Variant
from archival_pipeline.local.sample_data import Profile, generate
from archival_pipeline.local.servers import BACKUP, DEFAULT_FOLDER, PRIMARY, LocalStack
from archival_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from archival_pipeline.settings import DatabaseSettings

_HOST = "127.0.0.1"
_VARIANT = Variant.STANDARD_OID
_START_SECONDS = 120
_STOP_SECONDS = 45


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), default=3000, show_default=True, help="Port of REST.")
@click.option("--ui-port", type=click.IntRange(1, 65_535), default=3001, show_default=True, help="Port of the UI.")
@click.option("--trees", type=click.IntRange(0), default=600, show_default=True, help="Trees of the sample database.")
@click.option("--folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER, help="Home of the servers.")
def main(port: int, ui_port: int, trees: int, folder: Path) -> None:
    """Start the embedded servers, the REST service, the Dagster UI and its daemon; Ctrl-C stops them all."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with LocalStack(folder) as stack, ExitStack() as more:
            environment = dagster_home.environment(stack, folder)
            _prepare(stack, environment, trees)
            if stack.is_embedded(PRIMARY) and stack.is_embedded(BACKUP) and interim_dev.wished(environment):
                environment |= more.enter_context(interim_dev.stores(folder, load_settings()))
            environment |= _of_the_service(port, ui_port)
            base = environment.get("BASE_PATH", "archivalservice").strip("/")
            commands = [dagster_home.webserver(_HOST, ui_port), dagster_home.daemon(), dagster_home.api()]
            with _running(commands, environment) as children:
                _wait_until_up(children, ui_port, "/server_info", "Dagster UI")
                _wait_until_up(children, port, f"/{base}/ping", "REST service")
                click.echo(f"Dagster UI: http://{_HOST}:{ui_port}\nDAGSTER_HOME={environment['DAGSTER_HOME']}")
                click.echo(
                    f"REST: http://{_HOST}:{port}/{base}/bpm, described at http://{_HOST}:{port}/{base}/api-docs"
                )
                for side in (PRIMARY, BACKUP):
                    where = f"{environment[f'{side.prefix}HOST']}:{environment[f'{side.prefix}PORT']}"
                    click.echo(f"{side.folder}: {where}/{environment[side.name]}")
                click.echo("Ctrl-C stops everything; the databases are kept.")
                _wait_for_an_end(children)
    except KeyboardInterrupt:
        click.echo("Stopped.")


def _of_the_service(port: int, ui_port: int) -> dict[str, str]:
    """What the REST service is told here; whoever names an identity server gets his tokens checked."""
    security = {} if os.environ.get("IDS_URL") else {"IDS_ENABLE": "false"}
    return {"PORT": str(port), "DAGSTER_WEBSERVER_URL": f"http://{_HOST}:{ui_port}", **security}


def _prepare(stack: LocalStack, environment: Mapping[str, str], trees: int) -> None:
    if not (stack.is_embedded(PRIMARY) and stack.is_embedded(BACKUP)):
        click.echo("Your own servers are used: run `archival-pipeline migrate` on them before the first job.")
        return
    # From here on this process has the settings that its children get.
    os.environ.clear()
    os.environ.update(environment)
    settings = load_settings()
    if not _is_filled(settings.primary):
        click.echo(f"Making up a jBPM database with {trees} trees ...")
        with connect(settings.primary, purpose="sample data") as session:
            jbpm_schema.create(session, _VARIANT)
            generate(session, Profile(seed=1, trees=trees, now=datetime.now(UTC)), _VARIANT)
    service.migrate(settings)


def _is_filled(primary: DatabaseSettings) -> bool:
    with connect(primary, purpose="look for sample data") as session:
        row = session.execute("SELECT to_regclass('processinstancelog') IS NOT NULL").fetchone()
        return row is not None and bool(row[0])


@contextmanager
def _running(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run programs beside this one and stop them, and whatever they started, at the end."""
    children: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            # A session of its own: Ctrl-C reaches this process alone, which then stops the others in order.
            child = subprocess.Popen(  # noqa: S603 - our own programs
                command, env=dict(environment), cwd=dagster_home.REPOSITORY, start_new_session=True
            )
            children.append(child)
        yield children
    finally:
        _stop(children)


def _stop(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask everything to end; runs in flight are cancelled, and what does not end in time is killed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # An impatient second Ctrl-C would leave half of it running.
        signal.signal(number, signal.SIG_IGN)
    family = [psutil.Process(child.pid) for child in children if child.poll() is None]
    offspring = [grandchild for process in family for grandchild in process.children(recursive=True)]
    for process in family:
        process.send_signal(signal.SIGINT)
    _, stubborn = psutil.wait_procs([*family, *offspring], timeout=_STOP_SECONDS)
    for process in stubborn:
        process.kill()
    for child in children:
        child.wait()


def _wait_until_up(children: Sequence[subprocess.Popen[bytes]], port: int, path: str, name: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(port, path):
        _raise_if_ended(children)
        if time.monotonic() > deadline:
            message = f"the {name} did not answer on port {port} within {_START_SECONDS} s"
            raise click.ClickException(message)
        time.sleep(0.2)


def _answers(port: int, path: str) -> bool:
    connection = HTTPConnection(_HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200  # noqa: PLR2004 - OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _wait_for_an_end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    while True:
        psutil.wait_procs([psutil.Process(child.pid) for child in children], timeout=1)
        _raise_if_ended(children)


def _raise_if_ended(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is not None:
            message = f"{Path(str(child.args[0])).name} ended with exit code {child.returncode}"  # type: ignore[index]
            raise click.ClickException(message)


if __name__ == "__main__":
    main()
