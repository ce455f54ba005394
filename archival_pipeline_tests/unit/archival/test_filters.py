"""Filters: what is accepted, what is refused with which words, what SQL is bound to."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archival_pipeline.archival.filters import (
    Filters,
    ProcessStatus,
    TaskStatus,
    parse_filters,
    require_scope,
    resolve,
)
from archival_pipeline.errors import RequestError

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
EVERYTHING: dict[str, Any] = {
    "processName": "customerOnboarding",
    "processStatus": "COMPLETED",
    "deploymentId": "com.acme:crm:1.4.0",
    "beforeNoOfDays": 90,
    "endedFrom": "2025-01-01T00:00:00Z",
    "endedTo": "2025-02-01T00:00:00+02:00",
    "taskName": "Approve",
    "taskStatus": "InProgress",
    "taskAssignee": "john",
    "processVariables": [{"name": "customerId", "value": "4711"}, {"name": "note", "value": ""}],
    "piids": [1, 2**63 - 1],
}


def test_every_field_is_read_and_given_back_under_its_rest_name() -> None:
    filters = parse_filters(EVERYTHING)

    assert filters.as_json() == EVERYTHING
    assert json.loads(json.dumps(filters.as_json())) == EVERYTHING
    assert parse_filters(filters.as_json()) == filters
    assert not filters.is_empty


def test_every_field_tells_a_form_what_it_is_and_shows_an_example_that_is_accepted() -> None:
    for details in Filters.model_fields.values():
        assert details.description
        for example in details.examples or pytest.fail(f"{details.alias} has no example"):
            assert not parse_filters({str(details.alias): example}).is_empty


def test_null_and_absent_mean_not_given() -> None:
    assert parse_filters({}).is_empty
    assert parse_filters(dict.fromkeys(EVERYTHING)).is_empty
    assert parse_filters(dict.fromkeys(EVERYTHING)).as_json() == {}


def test_zero_days_is_a_filter() -> None:
    assert not parse_filters({"beforeNoOfDays": 0}).is_empty


def test_ids_come_as_numbers_or_digits_and_leave_sorted_and_once() -> None:
    assert parse_filters({"piids": ["9007199254740993", 7, "7", 3]}).piids == (3, 7, 2**53 + 1)


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"processname": "x"}, "processname", "perhaps processName is meant"),
    ({"process_name": "x"}, "process_name", "perhaps processName is meant"),
    ({"colour": "x"}, "colour", "the filters are processName, processStatus"),
    ({"processName": ""}, "processName", "at least 1 character"),
    ({"processName": 5}, "processName", "valid string"),
    ({"processName": "x" * 4001}, "processName", "at most 4000"),
    ({"processName": "a\x00b"}, "processName", "NUL"),
    ({"taskName": "a\x00b"}, "taskName", "NUL"),
    ({"deploymentId": "\ud800"}, "deploymentId", "unicode"),
    ({"processStatus": "DONE"}, "processStatus", "'PENDING', 'ACTIVE', 'COMPLETED', 'ABORTED' or 'SUSPENDED'"),
    ({"processStatus": 2}, "processStatus", "'COMPLETED'"),
    ({"taskStatus": "completed"}, "taskStatus", "'Completed'"),
    ({"beforeNoOfDays": -1}, "beforeNoOfDays", "greater than or equal to 0"),
    ({"beforeNoOfDays": 36_501}, "beforeNoOfDays", "36500"),
    ({"beforeNoOfDays": "90"}, "beforeNoOfDays", "valid integer"),
    ({"beforeNoOfDays": True}, "beforeNoOfDays", "valid integer"),
    ({"beforeNoOfDays": 1.5}, "beforeNoOfDays", "valid integer"),
    ({"endedFrom": "2025-01-01T00:00:00"}, "endedFrom", "no offset from UTC"),
    ({"endedTo": "2025-01-01"}, "endedTo", "no offset from UTC"),
    ({"endedTo": "yesterday"}, "endedTo", "ISO 8601"),
    ({"endedTo": 1735689600}, "endedTo", "ISO 8601"),
    ({"endedTo": "1735689600"}, "endedTo", "ISO 8601"),
    ({"endedTo": "0001-01-01T00:00:00+14:00"}, "endedTo", "outside 1970"),
    (
        {"endedFrom": "2025-01-01T00:00:00Z", "endedTo": "2025-01-01T02:00:00+02:00"},
        "filters",
        "endedFrom must be earlier than endedTo",
    ),
    ({"piids": []}, "piids", "is empty"),
    ({"piids": "12"}, "piids", "a list"),
    ({"piids": [1, 0]}, "piids[1]", "whole number from 1"),
    ({"piids": [-1]}, "piids[0]", "whole number from 1"),
    ({"piids": [2**63]}, "piids[0]", "whole number from 1"),
    ({"piids": [1.0]}, "piids[0]", "whole number from 1"),
    ({"piids": [True]}, "piids[0]", "whole number from 1"),
    ({"piids": [None]}, "piids[0]", "whole number from 1"),
    ({"piids": ["1; DROP TABLE task"]}, "piids[0]", "whole number from 1"),
    ({"piids": ["\u0663"]}, "piids[0]", "whole number from 1"),
    ({"processVariables": []}, "processVariables", "is empty"),
    ({"processVariables": {"name": "a", "value": "b"}}, "processVariables", "a list"),
    ({"processVariables": [{"name": "a"}]}, "processVariables[0].value", "is missing"),
    ({"processVariables": [{"name": "a", "value": 5}]}, "processVariables[0].value", "valid string"),
    ({"processVariables": [{"name": "a", "value": "x\x00"}]}, "processVariables[0].value", "NUL"),
    ({"processVariables": [{"name": "a", "value": "x" * 256}]}, "processVariables[0].value", "longer than 255"),
    ({"processVariables": [{"name": "a", "value": "\U0001f600" * 128}]}, "processVariables[0].value", "longer than"),
    ({"processVariables": [{"name": "a", "value": "b", "type": "c"}]}, "processVariables[0].type", "is no filter"),
]


@pytest.mark.parametrize(("data", "field", "reason"), REFUSED, ids=lambda value: ascii(value)[:50])
def test_what_cannot_be_used_is_named_with_its_reason_and_the_way_out(
    data: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(RequestError) as caught:
        parse_filters(data)

    assert caught.value.field == field
    assert reason in caught.value.summary
    assert caught.value.resolve.startswith(f"Correct {field} ")
    assert caught.value.code == "INVALID_REQUEST"


def test_all_problems_come_in_one_error_that_stays_short() -> None:
    with pytest.raises(RequestError) as caught:
        parse_filters({"processStatus": "DONE", "beforeNoOfDays": -1} | {f"extra{n}": "x" * 9999 for n in range(9)})

    assert "11 filter(s) cannot be used: processStatus='DONE'" in caught.value.summary
    assert "and 6 more" in caught.value.summary
    assert len(caught.value.summary) < 1500


def test_the_longest_value_the_log_can_hold_is_accepted() -> None:
    for value in ("x" * 255, "\U0001f600" * 127):
        assert parse_filters({"processVariables": [{"name": "a", "value": value}]}).process_variables


def test_a_selection_of_everything_must_be_asked_for() -> None:
    with pytest.raises(RequestError, match="every process instance") as caught:
        require_scope(Filters(), allow_all=False)
    assert "allowAll" in caught.value.resolve

    require_scope(Filters(), allow_all=True)
    require_scope(Filters(process_name="x"), allow_all=False)


def test_resolved_filters_hold_only_what_was_given() -> None:
    assert resolve(Filters(), now=NOW, time_zone="UTC") == {}
    assert resolve(parse_filters(EVERYTHING), now=NOW, time_zone="Europe/Kyiv") == {
        "processName": "customerOnboarding",
        "status": 2,
        "deploymentId": "com.acme:crm:1.4.0",
        "endedBefore": "2025-12-01 14:30:00.000000",
        "endedFrom": "2025-01-01 02:00:00.000000",
        "endedTo": "2025-02-01 00:00:00.000000",
        "taskName": "Approve",
        "taskStatus": "InProgress",
        "taskAssignee": "john",
        "processVariables": EVERYTHING["processVariables"],
        "piids": EVERYTHING["piids"],
    }


@pytest.mark.parametrize(("status", "code"), list(zip(ProcessStatus, range(5), strict=True)))
def test_each_status_has_the_code_of_the_engine(status: ProcessStatus, code: int) -> None:
    assert resolve(Filters(process_status=status), now=NOW, time_zone="UTC") == {"status": code}


def test_task_states_are_those_of_the_engine() -> None:
    assert [str(status) for status in TaskStatus] == [
        "Created", "Ready", "Reserved", "InProgress", "Suspended", "Completed", "Failed", "Error", "Exited", "Obsolete",
    ]  # fmt: skip


def test_a_clock_without_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        resolve(Filters(before_no_of_days=1), now=datetime(2026, 1, 1), time_zone="UTC")  # noqa: DTZ001


@given(
    now=st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    days=st.integers(0, 4000),
    zone=st.sampled_from(["UTC", "Europe/Kyiv", "America/Havana", "Australia/Lord_Howe", "Asia/Kolkata"]),
    offset=st.integers(-18_000, 18_000),
)
def test_the_cut_off_picks_no_row_that_is_too_young(now: datetime, days: int, zone: str, offset: int) -> None:
    """Near a change of the clock, too: what the engine wrote after the cut-off never compares as earlier."""
    limit = now - timedelta(days=days)
    bound = datetime.fromisoformat(resolve(Filters(before_no_of_days=days), now=now, time_zone=zone)["endedBefore"])
    ended = limit + timedelta(seconds=offset)
    written = ended.astimezone(ZoneInfo(zone)).replace(tzinfo=None)

    if ended >= limit:
        assert not written < bound
    elif ended < limit - timedelta(hours=2):
        assert written < bound


def test_the_cut_off_in_the_doubled_hour_is_never_too_young() -> None:
    """Kyiv left summer time on 2026-10-25 at 01:00 UTC: 03:00 to 04:00 was shown twice."""
    cases = {
        datetime(2026, 10, 26, 0, 30, tzinfo=UTC): "2026-10-25 02:30:00.000000",
        datetime(2026, 10, 26, 1, 30, tzinfo=UTC): "2026-10-25 03:30:00.000000",
        datetime(2026, 10, 25, 23, 30, tzinfo=UTC): "2026-10-25 02:30:00.000000",
    }
    for now, expected in cases.items():
        assert resolve(Filters(before_no_of_days=1), now=now, time_zone="Europe/Kyiv") == {"endedBefore": expected}


def test_moments_keep_their_instant_whatever_their_offset() -> None:
    east = datetime(2025, 1, 1, 5, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert resolve(Filters(ended_from=east), now=NOW, time_zone="UTC") == {"endedFrom": "2025-01-01 00:00:00.000000"}
