"""The rows below a task's deadlines: escalations with their conditions, notifications and reassignments."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from archival_pipeline.local.sample_data import parts, vocabulary

if TYPE_CHECKING:
    from archival_pipeline.local.sample_data.scene import Scene
    from archival_pipeline.local.sample_data.tasks import Task

_NOTIFICATION_TEXTS = (
    "notification_names_id",
    "notification_subjects_id",
    "notification_documentation_id",
    "notification_descriptions_id",
)


def write_deadlines(scene: Scene, task: Task, *, complete: bool) -> None:
    """Write the deadlines of a task.

    Args:
        scene: the tools.
        task: whose deadlines.
        complete: both kinds of deadline and every table below; otherwise one kind, with one measure.
    """
    kinds = ("deadlines_startdeadline_id", "deadlines_enddeadline_id")
    for kind in kinds if complete else (scene.rng.choice(kinds),):
        deadline_id = scene.writer.next_id("deadline")
        values: dict[str, object] = {
            "id": deadline_id,
            "deadline_date": task.created + timedelta(hours=8),
            "escalated": int(not task.done),
            kind: task.id,
        }
        scene.writer.add("deadline", **values)
        parts.write_text(scene, "deadline_documentation_id", deadline_id, "after eight hours")
        _escalation(scene, deadline_id, complete=complete)


def _escalation(scene: Scene, deadline_id: int, *, complete: bool) -> None:
    writer = scene.writer
    escalation_id = writer.next_id("escalation")
    writer.add("escalation", id=escalation_id, name="late", deadline_escalation_id=deadline_id)
    writer.add(
        "booleanexpression",
        id=writer.next_id("booleanexpression"),
        expression=writer.clob("task.priority > 5"),
        type="mvel",
        escalation_constraints_id=escalation_id,
    )
    notify = complete or scene.chance(0.5)
    if notify:
        _notification(scene, escalation_id)
    if complete or not notify:
        _reassignment(scene, escalation_id)


def _notification(scene: Scene, escalation_id: int) -> None:
    writer = scene.writer
    notification_id = writer.next_id("notification")
    writer.add(
        "notification",
        dtype="EmailNotification",
        id=notification_id,
        priority=1,
        escalation_notifications_id=escalation_id,
    )
    for column in _NOTIFICATION_TEXTS:
        parts.write_text(scene, column, notification_id, vocabulary.text(scene.rng))
    parts.write_person(scene, "notification_bas", notification_id, "Administrator")
    parts.write_person(scene, "notification_recipients", notification_id, scene.rng.choice(vocabulary.WORKERS))
    parts.write_person(scene, "notification_recipients", notification_id, vocabulary.EMAILS[0])
    for language in ("en-UK", "uk-UA"):
        header_id = writer.next_id("email_header")
        writer.add(
            "email_header",
            id=header_id,
            body=writer.clob(f"Dear colleague,\n{vocabulary.text(scene.rng)}"),
            fromaddress="engine@example.com",
            language=language,
            replytoaddress=vocabulary.EMAILS[0],
            subject="A task is late",
        )
        writer.add(
            "notification_email_header",
            notification_id=notification_id,
            emailheaders_id=header_id,
            mapkey=language,
        )


def _reassignment(scene: Scene, escalation_id: int) -> None:
    reassignment_id = scene.writer.next_id("reassignment")
    scene.writer.add("reassignment", id=reassignment_id, escalation_reassignments_id=escalation_id)
    parts.write_text(scene, "reassignment_documentation_id", reassignment_id, "to the managers")
    parts.write_person(scene, "reassignment_potentialowners", reassignment_id, "managers")
