"""What the routes of the history interface share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archival_pipeline.api.history.tokens import TokenVerifier
    from archival_pipeline.api.workers import Workers
    from archival_pipeline.database.pools import SessionPools
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline.settings_history import HistoryApiSettings


@dataclass(frozen=True, slots=True)
class HistoryState:
    """Settings, threads, sessions and keys of one app."""

    settings: HistoryApiSettings
    workers: Workers
    database: DatabaseSettings
    pools: SessionPools
    verifier: TokenVerifier
