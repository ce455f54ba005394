"""F32, F33: values that a format, a driver or an encoding might change on the way; equal on arrival, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.faults import disturbances as them
from archival_pipeline_tests.faults.stage import BACKUP, RESTORE, SMALL
from archival_pipeline_tests.support.checker import Checker

if TYPE_CHECKING:
    from archival_pipeline_tests.faults.stage import Stages

_TEXTS = [
    *(
        "",
        " ",
        "trailing ",
        "\\N",
        "\\.",
        "\n\\.\n",
        "a\tb",
        "a\r\nb",
        "\r",
        "a\\b",
        "\x01\x1f\x7f",
        "{}",
        '{"a": "\\ud800"}',
    ),
    *("NULL", "null", "'; DROP TABLE task --", "$$ $$", "%s %(a)s", "E'\\x41'", "\\xDEADBEEF", "1e400", "-0", "NaN"),
    *("\u00e9", "e\u0301", "\U0001f600", "\ufeff", "\u202e", "\u200b", "x" * 255),
]
_TIMES = ["infinity", "-infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999", "1900-01-01", "0001-01-01"]
_IDS = [2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, -1, 0, -(2**63)]

_INSERT = (
    "INSERT INTO variableinstancelog SELECT (jsonb_populate_record(t, jsonb_build_object("
    "'id', %(id)s::bigint, 'value', %(value)s::text, 'oldvalue', %(value)s::text, 'log_date', %(time)s::text))).*"
    " FROM variableinstancelog AS t WHERE t.id ="
    " (SELECT min(o.id) FROM variableinstancelog AS o WHERE o.processinstanceid = %(root)s AND o.id > 0)"
)


def test_f32_f33_odd_values_arrive_as_they_were(stages: Stages) -> None:
    rows = [(-100 - n, text, "2026-01-01") for n, text in enumerate(_TEXTS)]
    rows += [(-200 - n, "time", moment) for n, moment in enumerate(_TIMES)]
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        with connect(sides[0], purpose="engine") as engine:
            for number, text, moment in rows:
                engine.execute(_INSERT, {"id": number, "value": text, "time": moment, "root": them.ROOT})
            engine.commit()
        checker = Checker(*sides)
        before = checker.primary()
        stages.run(sides, BACKUP)
        assert them.lost(before, checker.backup()) == []
        stages.run(sides, RESTORE)
        assert them.lost(before, checker.primary()) == []


@pytest.mark.parametrize("number", _IDS)
def test_f32_ids_at_the_ends_of_their_range(number: int, stages: Stages) -> None:
    stage = stages.stage(BACKUP, SMALL)
    with stages.copy(stage.start) as sides:
        with connect(sides[0], purpose="engine") as engine:
            engine.execute(_INSERT, {"id": number, "value": "id", "time": "2026-01-01", "root": them.ROOT})
            engine.commit()
        before = Checker(*sides).primary()
        stages.run(sides, BACKUP)
        assert them.lost(before, Checker(*sides).backup()) == []
