"""How long process history lives: in the primary by time to live, in the backup by retention.

Both are off unless they are switched on. The names are made like those of the Camunda cleanup
(``settings_cleanup.py``), because they mean the same for other rows. Not here: what has expired.
"""

from __future__ import annotations

import json
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_settings import NoDecode

from archival_pipeline.settings import _Environment, read_part
from archival_pipeline.settings_cleanup import clock_time, days_of

_MOST_DAYS = 36_500


def _named(name: str) -> AliasChoices:
    return AliasChoices(name)


def _days(given: str) -> int:
    days = days_of(given)
    if not 1 <= days <= _MOST_DAYS:
        message = f"must be P1D to P{_MOST_DAYS}D"
        raise ValueError(message)
    return days


class Retention(_Environment):
    """What both have in common; the names stand in the two classes below."""

    enabled: bool
    time_to_live: str | None
    time_to_live_of: Annotated[dict[str, int | None], NoDecode]
    opens: str
    closes: str
    pause_ms: Annotated[int, Field(ge=0, le=600_000)]

    @property
    def default_days(self) -> int | None:
        """Days of every definition that has none of its own; None for never."""
        return None if self.time_to_live is None else days_of(self.time_to_live)

    @property
    def window(self) -> tuple[time, time]:
        """When the window opens and closes, on the wall of the engine."""
        return clock_time(self.opens)[0], clock_time(self.closes)[0]

    @field_validator("time_to_live", check_fields=False)
    @classmethod
    def _duration(cls, given: str | None) -> str | None:
        if given is not None:
            _days(given)
        return given

    @field_validator("time_to_live_of", mode="before", check_fields=False)
    @classmethod
    def _durations(cls, given: Any) -> dict[str, int | None]:
        try:
            found = json.loads(given) if isinstance(given, str) else dict(given)
            return {str(key): None if value is None else _days(str(value)) for key, value in found.items()}
        except (AttributeError, ValueError) as error:
            message = 'must be JSON of names and days, such as {"invoice": "P3650D", "contract": null}'
            raise ValueError(message) from error

    @field_validator("opens", "closes", check_fields=False)
    @classmethod
    def _clock(cls, given: str) -> str:
        if clock_time(given)[1] is not None:
            message = "must be HH:mm without an offset: the zone is BPM_TIME_ZONE"
            raise ValueError(message)
        return given


class ProcessCleanupSettings(Retention):
    """The removal of jBPM history from the primary."""

    enabled: bool = Field(False, validation_alias=_named("processHistoryCleanupEnabled"))
    time_to_live: str | None = Field(None, validation_alias=_named("processHistoryTimeToLive"))
    time_to_live_of: Annotated[dict[str, int | None], NoDecode] = Field(
        {}, validation_alias=_named("processHistoryTimeToLiveOfDefinitions")
    )
    opens: str = Field("20:00", validation_alias=_named("processHistoryCleanupBatchWindowStartTime"))
    closes: str = Field("22:00", validation_alias=_named("processHistoryCleanupBatchWindowEndTime"))
    pause_ms: Annotated[int, Field(ge=0, le=600_000)] = Field(
        0, validation_alias=_named("processHistoryCleanupPauseMs")
    )

    @model_validator(mode="after")
    def _has_a_time(self) -> ProcessCleanupSettings:
        if self.enabled and self.default_days is None and not any(self.time_to_live_of.values()):
            message = (
                "processHistoryCleanupEnabled needs processHistoryTimeToLive or "
                "processHistoryTimeToLiveOfDefinitions beside it"
            )
            raise ValueError(message)
        return self


class BackupRetentionSettings(Retention):
    """The removal of archived trees from the backup."""

    enabled: bool = Field(False, validation_alias=_named("backupRetentionEnabled"))
    time_to_live: str | None = Field(None, validation_alias=_named("backupTimeToLive"))
    time_to_live_of: Annotated[dict[str, int | None], NoDecode] = Field(
        {}, validation_alias=_named("backupTimeToLiveOfDefinitions")
    )
    since: Literal["ended", "archived"] = Field("archived", validation_alias=_named("backupTimeToLiveSince"))
    opens: str = Field("20:00", validation_alias=_named("backupRetentionBatchWindowStartTime"))
    closes: str = Field("22:00", validation_alias=_named("backupRetentionBatchWindowEndTime"))
    pause_ms: Annotated[int, Field(ge=0, le=600_000)] = Field(0, validation_alias=_named("backupRetentionPauseMs"))

    @model_validator(mode="after")
    def _has_a_time(self) -> BackupRetentionSettings:
        if self.enabled and self.default_days is None and not any(self.time_to_live_of.values()):
            message = "backupRetentionEnabled needs backupTimeToLive or backupTimeToLiveOfDefinitions beside it"
            raise ValueError(message)
        return self


def load_process_cleanup() -> ProcessCleanupSettings:
    """Read how long jBPM history lives in the primary.

    Raises:
        ConfigurationError: one message that names every wrong variable.
    """
    return read_part(ProcessCleanupSettings)


def load_backup_retention() -> BackupRetentionSettings:
    """Read how long archived trees live in the backup.

    Raises:
        ConfigurationError: one message that names every wrong variable.
    """
    return read_part(BackupRetentionSettings)
