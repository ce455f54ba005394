"""What an alert says: what happened, since when, and what to do next. Not here: how it is sent (``sending.py``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# The next steps by error code; the code of an error that is not here carries its own way out.
_AFTER_FAILURE = (
    "Nothing is lost: the ledger knows what was done. Launch the same job again when the cause is gone; it finishes "
    "what is open first. Do not use «from failure» unless you have to: a new launch does the same and more."
)


@dataclass(frozen=True, slots=True)
class Alert:
    """One message to people.

    Attributes:
        kind: for machines that route alerts, such as ``run_failed``.
        title: one line.
        text: what happened.
        next_step: what to do.
        link: where to look, if the address of the UI is known.
        facts: named values, for machines and for the end of a mail.
    """

    kind: str
    title: str
    text: str
    next_step: str
    link: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_document(self) -> dict[str, Any]:
        """The body of a webhook. ``text`` alone is what chat systems show, so everything for people is in it."""
        return {
            "kind": self.kind,
            "title": self.title,
            "text": self.as_text(),
            "nextStep": self.next_step,
            "link": self.link,
            "facts": dict(self.facts),
        }

    def as_text(self) -> str:
        """The body of a mail."""
        parts = [self.title, self.text, f"What to do: {self.next_step}"]
        if self.link:
            parts.append(self.link)
        if self.facts:
            parts.append("\n".join(f"{name}: {value}" for name, value in self.facts.items()))
        return "\n\n".join(part for part in parts if part)


def run_failed(
    job: str, run_id: str, *, problem: str, code: str | None, resolve: str | None, ui_url: str | None
) -> Alert:
    """A run that ended badly.

    Args:
        job: its name.
        run_id: its id.
        problem: what it said; our errors name no secrets.
        code: our code or SQLSTATE, where there is one.
        resolve: the way out that the error itself knows.
        ui_url: address of the Dagster UI.
    """
    return Alert(
        kind="run_failed",
        title=f"{job} failed{f' with {code}' if code else ''}",
        text=problem,
        next_step=f"{resolve} {_AFTER_FAILURE}" if resolve else _AFTER_FAILURE,
        link=f"{ui_url.rstrip('/')}/runs/{run_id}" if ui_url else None,
        facts={"job": job, "run": run_id} | ({"code": code} if code else {}),
    )


def backlog(instances: int, limit: int, days: int, *, ui_url: str | None) -> Alert:
    """More finished instances than there should be."""
    return Alert(
        kind="backlog",
        title=f"{instances} finished process instances wait for the backup",
        text=f"They ended more than {days} days ago; the limit is {limit}.",
        next_step=(
            "Look whether the nightly backup is on, runs, and reaches the end of its selection before the window "
            "closes. If it does not, widen the window, lower the pause, or launch process_backup by hand. Trees that "
            "stay for a reason are listed by the step `complete` of the last run."
        ),
        link=f"{ui_url.rstrip('/')}/overview/schedules" if ui_url else None,
        facts={"instances": instances, "limit": limit, "days": days},
    )


def backlog_gone(instances: int, limit: int, days: int, *, ui_url: str | None) -> Alert:
    """The backlog has fallen under its limit again."""
    return Alert(
        kind="backlog_gone",
        title="The backlog of the backup is under its limit again",
        text=f"{instances} finished process instances ended more than {days} days ago; the limit is {limit}.",
        next_step="Nothing.",
        link=f"{ui_url.rstrip('/')}/overview/schedules" if ui_url else None,
        facts={"instances": instances, "limit": limit, "days": days},
    )
