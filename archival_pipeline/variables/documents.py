"""Snapshots, lists and differences as JSON documents: the same for commands, the REST interface and saved files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from archival_pipeline.variables.comparing import Described, Difference
    from archival_pipeline.variables.listing import Listed
    from archival_pipeline.variables.service import Shown
    from archival_pipeline.variables.snapshot import Entry
    from archival_pipeline.variables.stored import Stored
    from archival_pipeline.variables.values import Value


def snapshot(shown: Shown) -> dict[str, Any]:
    """A snapshot with its values."""
    made = shown.snapshot
    lists = {
        "variables": made.visible,
        "shadowed": made.shadowed,
        "uncertain": made.uncertain,
        "ownInputs": made.own_inputs,
        "taskLocal": made.task_local,
    }
    return {
        "processInstanceId": made.process.id,
        "processDefinitionId": made.process.definition_id,
        "activityInstanceId": made.activity.id if made.activity else None,
        "activityId": made.activity.activity_id if made.activity else None,
        "at": made.boundary.value if made.boundary else None,
        "afterOutputs": made.after_outputs,
        "moment": _time(made.moment, shown.zone),
        "path": list(made.path),
        "expired": shown.expired,
        **{name: [entry(item, shown.value_of(item), shown.zone) for item in found] for name, found in lists.items()},
    }


def entry(item: Entry, value: Value | None, zone: ZoneInfo) -> dict[str, Any]:
    """One variable."""
    owner = item.owner
    return {
        "name": item.name,
        **(value.as_json() if value is not None else {"type": None, "value": None}),
        "owner": {
            "kind": owner.kind.value,
            "activityInstanceId": owner.activity_instance_id,
            "activityId": owner.activity_id,
            "executionId": owner.execution_id,
        },
        "variableInstanceId": item.variable_id,
        "changeId": item.change.id if item.change else None,
        "time": _time(item.change.time, zone) if item.change else None,
        "flags": sorted(flag.value for flag in item.flags),
    }


def activities(rows: Iterable[Listed], zone: ZoneInfo) -> list[dict[str, Any]]:
    """Activity instances to choose from."""
    return [
        {
            "activityInstanceId": row.activity.id,
            "parentActivityInstanceId": row.activity.parent_id,
            "activityId": row.activity.activity_id,
            "activityName": row.activity.name,
            "activityType": row.activity.type,
            "state": row.state,
            "startTime": _time(row.activity.start, zone),
            "endTime": _time(row.activity.end, zone),
            "loopIndex": row.loop_index,
            "taskId": row.activity.task_id,
        }
        for row in rows
    ]


def stored(rows: Iterable[Stored], zone: ZoneInfo) -> list[dict[str, Any]]:
    """Stored snapshots to choose from."""
    return [
        {
            "storedSnapshotId": row.id,
            "processInstanceId": row.process_instance_id,
            "processDefinitionId": row.process_definition_id,
            "processDefinitionKey": row.process_definition_key,
            "activityInstanceId": row.activity_instance_id,
            "activityId": row.activity_id,
            "loopIndex": row.loop_index,
            "at": row.boundary,
            "time": _time(row.activity_time, zone),
            "storedAt": row.stored_at.isoformat(timespec="milliseconds"),
            "refusal": row.refusal,
            "variables": row.variables,
        }
        for row in rows
    ]


def difference(before: Shown, after: Shown, found: Iterable[Difference]) -> dict[str, Any]:
    """What differs between two snapshots."""
    return {
        "before": _which(before),
        "after": _which(after),
        "differences": [
            {
                "name": item.name,
                "kind": item.kind,
                "before": _described(item.before, before.zone),
                "after": _described(item.after, after.zone),
            }
            for item in found
        ],
    }


def _which(shown: Shown) -> dict[str, Any]:
    whole = snapshot(shown)
    return {name: whole[name] for name in ("processInstanceId", "activityInstanceId", "at", "afterOutputs", "moment")}


def _described(item: Described | None, zone: ZoneInfo) -> dict[str, Any] | None:
    return entry(item.entry, item.value, zone) if item is not None else None


def _time(moment: datetime | None, zone: ZoneInfo) -> str | None:
    return moment.replace(tzinfo=zone).isoformat(timespec="milliseconds") if moment is not None else None
