"""What the routes share: settings, workers, Dagster. One per app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from archival_pipeline.api.archival.dagster import Dagster
from archival_pipeline.api.workers import Workers
from archival_pipeline.database.connections import Limits
from archival_pipeline.database.pools import SessionPools
from archival_pipeline.errors import ConfigurationError
from archival_pipeline.settings import Settings
from archival_pipeline.settings_api import LimitSettings

SELECT, AUDIT, MOVE, RUNS, HEALTH = "select", "audit", "move", "runs", "health"
_FIXED_SIZES = {MOVE: 2, RUNS: 2, HEALTH: 3}


def workers_of(limits: LimitSettings) -> tuple[Workers, SessionPools]:
    """Counting and looking at audits get a group each: neither a flood of counts nor one of polls stops the other.

    Returns:
        The groups, and the pools that their sessions come from, to be closed with the app.
    """
    sizes = {SELECT: limits.sessions, AUDIT: limits.sessions, **_FIXED_SIZES}
    # Nobody waits for the answer of a statement that takes longer than its request may. The one lock that is waited for
    # is the turn to launch, which is free again as soon as Dagster has answered.
    longest = int(limits.request_seconds * 1_000)
    patience = Limits(lock_timeout=longest, statement_timeout=longest)
    pools = SessionPools(sum(sizes.values()), patience)
    return Workers(sizes, pools.use), pools


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive as the routes see it.

    Attributes:
        found: the settings of the databases, or why there are none.
        limits: what one caller may take.
        workers: threads for blocking work.
        dagster: where runs are launched.
    """

    found: Settings | ConfigurationError
    limits: LimitSettings
    workers: Workers
    dagster: Dagster

    @property
    def settings(self) -> Settings:
        """The settings of the databases.

        Raises:
            ConfigurationError: they cannot be used; every operation is refused until they are mended.
        """
        if isinstance(self.found, ConfigurationError):
            # The same error object is raised in many requests: a new one each keeps their tracebacks apart.
            raise ConfigurationError(self.found.summary, resolve=self.found.resolve, code=self.found.code)
        return self.found


def archive_of(request: Request) -> Archive:
    """The archive of the app."""
    archive: Archive = request.app.state.archive
    return archive


def usable_archive(request: Request) -> Archive:
    """The archive of the app, if its databases are configured.

    Raises:
        ConfigurationError: they are not.
    """
    archive = archive_of(request)
    _ = archive.settings
    return archive


AnyArchive = Annotated[Archive, Depends(archive_of)]
UsableArchive = Annotated[Archive, Depends(usable_archive)]
