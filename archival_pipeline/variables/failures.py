"""Why there is no snapshot, or why a plan is not applied: the errors of this room.

::

    ArchivalError
     +-- SnapshotError         history cannot answer (HISTORY_LEVEL_TOO_LOW, HISTORY_INCOMPLETE, NOT_FOUND, …)
     +-- PlanRefusedError      the plan does not fit the instance any more, or nothing was agreed to (PLAN_REFUSED)
     +-- EngineError           the engine's REST API refused or could not be reached (ENGINE_…)
"""

from __future__ import annotations

from archival_pipeline.errors import ArchivalError

LEVEL = "HISTORY_LEVEL_TOO_LOW"
INCOMPLETE = "HISTORY_INCOMPLETE"
NOT_FOUND = "NOT_FOUND"
STILL_RUNNING = "ACTIVITY_STILL_RUNNING"


class SnapshotError(ArchivalError):
    """History cannot say how the variables stood."""

    code = INCOMPLETE


class PlanRefusedError(ArchivalError):
    """The plan was not applied; nothing was sent, or what was sent is said."""

    code = "PLAN_REFUSED"


class EngineError(ArchivalError):
    """The engine's REST API said no.

    Attributes:
        status: the HTTP status; None where no answer came.
        may_have_happened: no answer came to a request that was sent, so its effect is unknown.
    """

    code = "ENGINE_REFUSED"

    def __init__(
        self, summary: str, *, resolve: str, code: str, status: int | None = None, may_have_happened: bool = False
    ) -> None:
        self.status = status
        self.may_have_happened = may_have_happened
        super().__init__(summary, resolve=resolve, code=code)
