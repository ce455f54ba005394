"""Puts the REST service together, and starts it."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import start_http_server

from archival_pipeline.api.app import About, create_app, tokens_of
from archival_pipeline.api.archival import audits, health, moving, selecting
from archival_pipeline.api.archival.dagster import Dagster
from archival_pipeline.api.archival.imixs import imixs_collector
from archival_pipeline.api.archival.interim import interim_collector
from archival_pipeline.api.archival.metrics import ArchiveCollector
from archival_pipeline.api.archival.state import Archive, workers_of
from archival_pipeline.api.server import host_of, serve
from archival_pipeline.api.variables import routes as variables
from archival_pipeline.errors import ConfigurationError
from archival_pipeline.settings import load_settings
from archival_pipeline.settings_api import load_api

if TYPE_CHECKING:
    from fastapi import FastAPI

    from archival_pipeline.settings import Settings
    from archival_pipeline.settings_api import ApiSettings

_DESCRIPTION = """\
Plans, starts and follows moves of finished process trees between an engine's database (the primary) and its archive
(the backup).

- One backup, restore or deletion runs at a time, whoever starts it. A second one is answered with the `auditId` of the
  operation in progress.
- An operation is a run of Dagster: it stands in the queue and in the Dagster UI, and its `auditId` is the run's id.
- Every answer carries `X-Request-Id`; every error has the same body, with a code, a summary and the way out.
"""
# Shorter than a request. A launch that takes longer than this is looked for before an error is told.
_DAGSTER_SECONDS = 20.0


def archival_app(found: Settings | ConfigurationError, settings: ApiSettings) -> FastAPI:
    """The app of the archival service; nothing is connected yet.

    Args:
        found: the settings of the databases, or why there are none. Then the service is there and says so.
        settings: everything else.
    """
    base = f"/{settings.service.base_path}"
    limits = settings.limits
    about = About(
        title="Archival service",
        description=_DESCRIPTION,
        version=version("archival-pipeline"),
        base=base,
        tags=[selecting.TAG, moving.TAG, audits.TAG, variables.TAG, health.TAG],
        slow_paths={f"{base}/bpm{moving.DELETE_PATH}": limits.delete_seconds},
    )
    workers, pools = workers_of(limits)
    app = create_app(about, limits, tokens_of(settings.security), close=pools.close)
    archive = Archive(found, limits, workers, Dagster(settings.service.dagster_url, _DAGSTER_SECONDS))
    app.state.archive = archive
    app.state.metrics.registry.register(ArchiveCollector(archive))
    for prefix, router in (
        (f"{base}/bpm", selecting.router),
        (f"{base}/bpm", moving.router),
        (f"{base}/bpm", audits.router),
        (base, health.router),
    ):
        app.include_router(router, prefix=prefix)
    variables.install(app, f"{base}/bpm", limits)
    return app


def databases() -> Settings | ConfigurationError:
    """The settings of the databases, or why they cannot be used: the service starts all the same and says so."""
    try:
        return load_settings()
    except ConfigurationError as error:
        return error


def run() -> None:
    """Serve until told to stop.

    Raises:
        ConfigurationError: the settings of the service itself cannot be used.
    """
    settings = load_api()
    app = archival_app(databases(), settings)
    for collector in (imixs_collector(), interim_collector()):
        if collector is not None:
            app.state.metrics.registry.register(collector)
    if settings.service.metrics_port is not None:
        start_http_server(settings.service.metrics_port, host_of(settings), app.state.metrics.registry)
    serve(app, settings)
