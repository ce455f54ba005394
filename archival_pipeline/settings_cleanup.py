"""What the history cleanup removes and when: environment to typed, validated settings.

The names are those of the engine's own configuration, so that one list serves both. Read once, when the code location
loads: a wrong value stops it with the setting named. Not here: the connection (``settings_camunda.py``).
"""

from __future__ import annotations

import json
import re
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode

from archival_pipeline.settings import BackupSettings, _Environment, read_part

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)([+-](?:0\d|1[0-4])[0-5]\d)?")
_DURATION = re.compile(r"P(\d+)D|(\d+)")
_MOST_DAYS = 2**31 - 1
_LONGEST_ARCHIVE = 36_500

Strategy = Literal["removalTimeBased", "endTimeBased"]
RemovalTimeStrategy = Literal["start", "end", "none"]


def days_of(given: str) -> int:
    """Whole days of a time to live such as ``P30D`` or ``30``.

    Raises:
        ValueError: anything else, weeks, months and hours included.
    """
    found = _DURATION.fullmatch(given.strip())
    days = int(found[1] or found[2]) if found else -1
    if not 0 <= days <= _MOST_DAYS:
        message = "must be P<n>D or a whole number of days, such as P30D or 30"
        raise ValueError(message)
    return days


def clock_time(given: str) -> tuple[time, str | None]:
    """Wall-clock time and offset of ``HH:mm`` or ``HH:mm+zzzz``.

    Raises:
        ValueError: anything else.
    """
    found = _TIME.fullmatch(given.strip())
    if found is None:
        message = "must be HH:mm or HH:mm with an offset, such as 20:00 or 20:00+0200"
        raise ValueError(message)
    return time(int(found[1]), int(found[2])), found[3]


def _named(name: str) -> AliasChoices:
    return AliasChoices(name)


class LegalHolds(BaseModel):
    """What must not be removed whatever its age: the hierarchies that have one of these as a member."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    instances: list[str] = []
    businessKeys: list[str] = []  # noqa: N815 - the names of the document are those of REST
    definitions: list[str] = []

    @property
    def any(self) -> bool:
        """Whether anything is held."""
        return bool(self.instances or self.businessKeys or self.definitions)


class CleanupSettings(_Environment):
    """The settings of the history cleanup, under the engine's names."""

    enabled: bool = Field(True, validation_alias=_named("historyCleanupEnabled"))
    strategy: Strategy = Field("removalTimeBased", validation_alias=_named("historyCleanupStrategy"))
    removal_time_strategy: RemovalTimeStrategy = Field("end", validation_alias=_named("historyRemovalTimeStrategy"))
    time_to_live: str = Field("P1D", validation_alias=_named("historyTimeToLive"))
    time_to_live_of: Annotated[dict[str, int], NoDecode] = Field(
        {}, validation_alias=_named("historyTimeToLiveOfDefinitions")
    )
    opens: str = Field("20:00", validation_alias=_named("historyCleanupBatchWindowStartTime"))
    closes: str = Field("22:00", validation_alias=_named("historyCleanupBatchWindowEndTime"))
    degree_of_parallelism: Annotated[int, Field(ge=1, le=8)] = Field(
        1, validation_alias=_named("historyCleanupDegreeOfParallelism")
    )
    batch_size: Annotated[int, Field(ge=1, le=500)] = Field(500, validation_alias=_named("historyCleanupBatchSize"))

    metrics_time_to_live: str | None = Field(None, validation_alias=_named("taskMetricsTimeToLive"))
    archive_before_delete: bool = Field(False, validation_alias=_named("historyCleanupArchiveBeforeDelete"))
    archive_time_to_live: str | None = Field(None, validation_alias=_named("historyArchiveTimeToLive"))
    holds: Annotated[LegalHolds, NoDecode] = Field(LegalHolds(), validation_alias=_named("historyCleanupHolds"))

    monday_opens: str | None = Field(None, validation_alias=_named("mondayHistoryCleanupBatchWindowStartTime"))
    monday_closes: str | None = Field(None, validation_alias=_named("mondayHistoryCleanupBatchWindowEndTime"))
    tuesday_opens: str | None = Field(None, validation_alias=_named("tuesdayHistoryCleanupBatchWindowStartTime"))
    tuesday_closes: str | None = Field(None, validation_alias=_named("tuesdayHistoryCleanupBatchWindowEndTime"))
    wednesday_opens: str | None = Field(None, validation_alias=_named("wednesdayHistoryCleanupBatchWindowStartTime"))
    wednesday_closes: str | None = Field(None, validation_alias=_named("wednesdayHistoryCleanupBatchWindowEndTime"))
    thursday_opens: str | None = Field(None, validation_alias=_named("thursdayHistoryCleanupBatchWindowStartTime"))
    thursday_closes: str | None = Field(None, validation_alias=_named("thursdayHistoryCleanupBatchWindowEndTime"))
    friday_opens: str | None = Field(None, validation_alias=_named("fridayHistoryCleanupBatchWindowStartTime"))
    friday_closes: str | None = Field(None, validation_alias=_named("fridayHistoryCleanupBatchWindowEndTime"))
    saturday_opens: str | None = Field(None, validation_alias=_named("saturdayHistoryCleanupBatchWindowStartTime"))
    saturday_closes: str | None = Field(None, validation_alias=_named("saturdayHistoryCleanupBatchWindowEndTime"))
    sunday_opens: str | None = Field(None, validation_alias=_named("sundayHistoryCleanupBatchWindowStartTime"))
    sunday_closes: str | None = Field(None, validation_alias=_named("sundayHistoryCleanupBatchWindowEndTime"))

    @property
    def default_days(self) -> int:
        """The time to live of instances whose definition has none."""
        return days_of(self.time_to_live)

    @property
    def metric_days(self) -> int | None:
        """How long metrics of tasks stay; None for ever."""
        return None if self.metrics_time_to_live is None else days_of(self.metrics_time_to_live)

    @property
    def archive_days(self) -> int | None:
        """How long archived history stays in the backup; None for ever."""
        return None if self.archive_time_to_live is None else days_of(self.archive_time_to_live)

    @field_validator("archive_time_to_live")
    @classmethod
    def _archive_duration(cls, given: str | None) -> str | None:
        if given is not None and not 1 <= days_of(given) <= _LONGEST_ARCHIVE:
            message = f"must be P1D to P{_LONGEST_ARCHIVE}D"
            raise ValueError(message)
        return given

    @field_validator("time_to_live", "metrics_time_to_live")
    @classmethod
    def _duration(cls, given: str | None) -> str | None:
        if given is not None:
            days_of(given)
        return given

    @field_validator("time_to_live_of", mode="before")
    @classmethod
    def _durations(cls, given: Any) -> dict[str, int]:
        try:
            found = json.loads(given) if isinstance(given, str) else dict(given)
            return {str(key): days_of(str(value)) for key, value in found.items()}
        except (AttributeError, ValueError) as error:
            message = 'must be JSON that maps process definition keys to days, such as {"invoice": "P30D"}'
            raise ValueError(message) from error

    @field_validator("holds", mode="before")
    @classmethod
    def _holds(cls, given: Any) -> LegalHolds:
        if isinstance(given, LegalHolds):
            return given
        try:
            return LegalHolds.model_validate_json(given)
        except ValidationError as error:
            message = 'must be JSON such as {"instances": ["id"], "businessKeys": ["key"], "definitions": ["invoice"]}'
            raise ValueError(message) from error

    @field_validator("opens", "closes", *(f"{day}_{edge}" for day in WEEKDAYS for edge in ("opens", "closes")))
    @classmethod
    def _clock(cls, given: str | None) -> str | None:
        if given is not None:
            clock_time(given)
        return given

    @model_validator(mode="after")
    def _together(self) -> CleanupSettings:
        if self.removal_time_strategy == "none" and self.strategy != "endTimeBased":
            message = "historyRemovalTimeStrategy=none needs historyCleanupStrategy=endTimeBased"
            raise ValueError(message)
        for day in WEEKDAYS:
            if getattr(self, f"{day}_closes") is not None and getattr(self, f"{day}_opens") is None:
                message = (
                    f"{day}HistoryCleanupBatchWindowEndTime needs {day}HistoryCleanupBatchWindowStartTime beside it"
                )
                raise ValueError(message)
        return self


def load_archive() -> BackupSettings:
    """Read where history is archived, without asking for the jBPM primary.

    Raises:
        ConfigurationError: one message that names every missing or wrong variable.
    """
    return read_part(BackupSettings)


def load_cleanup() -> CleanupSettings:
    """Read the settings of the history cleanup.

    Raises:
        ConfigurationError: one message that names every wrong variable.
    """
    return read_part(CleanupSettings)
