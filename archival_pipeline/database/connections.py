"""Opens PostgreSQL sessions with everything pinned that could change the meaning of a value.

Not here: kept sessions (``pools.py``; a run needs a handful for its whole life, and opens them itself), retries,
transactions.
"""

from __future__ import annotations

import atexit
import re
import tempfile
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from archival_pipeline import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from archival_pipeline.settings import DatabaseSettings

APPLICATION = "archival-pipeline"
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session may hold up the server, in milliseconds; 0 means no limit.

    Attributes:
        lock_timeout: longest wait for one lock.
        statement_timeout: longest statement.
        idle_in_transaction: longest silence inside a transaction, against a hung client.
    """

    lock_timeout: int = 5_000
    statement_timeout: int = 300_000
    idle_in_transaction: int = 600_000


def connect(
    settings: DatabaseSettings,
    *,
    purpose: str,
    limits: Limits | None = None,
    autocommit: bool = False,
) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a session on the configured database and schema.

    Args:
        settings: which database.
        purpose: what the session is for; shown to the DBA in ``application_name``.
        limits: time limits of the session.
        autocommit: whether each statement is its own transaction.

    Raises:
        DatabaseError: the server cannot be reached or refuses the role. Never carries the password.
    """
    try:
        connection = psycopg.connect(**connection_arguments(settings, purpose), autocommit=True)
    except psycopg.Error as error:
        host, port, database = settings.address
        doing = f"connecting to the {settings.role_name} database"
        failure = errors.from_database(error, doing, state=_refusal(error))
        failure.summary = (
            f"Cannot connect to the {settings.role_name} database {database} on {host}:{port} "
            f"as {settings.username}: {_reason(error)}."
        )
        raise failure from None
    pin(connection, settings.schema_name, limits or Limits())
    connection.autocommit = autocommit
    return connection


def connection_arguments(settings: DatabaseSettings, purpose: str) -> dict[str, Any]:
    """The libpq parameters of a session, password included: hand them to a driver, never to a log."""
    arguments: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "user": settings.username,
        "password": settings.password.get_secret_value(),
        "dbname": settings.database,
        "application_name": f"{APPLICATION}: {purpose}"[:63],
        "connect_timeout": 10,
        "client_encoding": "UTF8",
        **_KEEPALIVES,
    }
    return arguments | _tls(settings)


def _tls(settings: DatabaseSettings) -> dict[str, str]:
    """Verify certificate and host name whenever TLS is asked for; the system's roots where no CA is given."""
    if not settings.ssl:
        return {"sslmode": "prefer"} if not settings.host.startswith("/") else {}
    if settings.ca_cert is not None:
        return {"sslmode": "verify-full", "sslrootcert": _ca_file(settings.ca_cert.get_secret_value())}
    if settings.ca_cert_path is not None:
        return {"sslmode": "verify-full", "sslrootcert": str(settings.ca_cert_path)}
    return {"sslmode": "verify-full", "sslrootcert": "system"}


_ca_files: dict[str, str] = {}


def _ca_file(content: str) -> str:
    """Write a CA given by content where libpq can read it (it takes paths only), once a process."""
    if content not in _ca_files:
        with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as handle:
            # A certificate in one line of an environment file carries its line ends as \n.
            handle.write(content.replace("\\n", "\n"))
        _ca_files[content] = handle.name
        atexit.register(Path(handle.name).unlink, missing_ok=True)
    return _ca_files[content]


# What a value looks like on the wire must not depend on the role, the database or the server's configuration.
_PINNED = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "row_security": "off",
    "standard_conforming_strings": "on",
}


def pin(connection: psycopg.Connection[Any], schema: str, limits: Limits) -> None:
    """Set what every session of ours has, whatever role, database and server say."""
    search_path = sql.SQL(", ").join([sql.Identifier(schema), sql.Identifier("pg_temp")]).as_string(connection)
    values = _PINNED | {
        "search_path": search_path,
        "lock_timeout": str(limits.lock_timeout),
        "statement_timeout": str(limits.statement_timeout),
        "idle_in_transaction_session_timeout": str(limits.idle_in_transaction),
    }
    calls = sql.SQL(", ").join(sql.SQL("set_config({}, {}, false)").format(n, v) for n, v in values.items())
    connection.execute(sql.SQL("SELECT {}").format(calls))


# libpq keeps the SQLSTATE of a session that never began to itself. A server that speaks another language is not
# understood here and counts as unreachable.
_REFUSALS = {
    r"certificate verify failed|does not match host name|does not support SSL|SSL error": "TLS_REFUSED",
    r"password authentication failed|no password supplied": "28P01",
    r"no pg_hba\.conf entry|not permitted to log in|role \".*\" does not exist": "28000",
    r"database \".*\" does not exist": "3D000",
    r"too many (clients|connections)|remaining connection slots": "53300",
    r"the database system is": "57P03",
}


def _refusal(error: psycopg.Error) -> str | None:
    """The code of a refused connection, by what libpq said; None when nobody answered."""
    said = str(error)
    return next((code for pattern, code in _REFUSALS.items() if re.search(pattern, said)), None)


def _reason(error: psycopg.Error) -> str:
    """The first line of what libpq said; it names host and role, never a password."""
    return str(error).strip().split("\n", 1)[0].strip().rstrip(".") or type(error).__name__


SESSION_SOURCE: ContextVar[Callable[[DatabaseSettings], AbstractContextManager[psycopg.Connection[Any]]] | None] = (
    ContextVar("session_source", default=None)
)
"""Where short sessions come from, if not from the server directly; see ``pools.py``."""


@contextmanager
def short_session(
    settings: DatabaseSettings, doing: str, *, read_only: bool = True
) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """One transaction on a database, committed when all went well.

    Raises:
        DatabaseError: whatever PostgreSQL refuses comes out as our error.
    """
    try:
        source = SESSION_SOURCE.get()
        with source(settings) if source else connect(settings, purpose=doing) as session:
            session.read_only = read_only or None
            yield session
    except psycopg.Error as error:
        raise errors.from_database(error, doing) from error
