"""What an engine does to the tables of its history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from archival_pipeline.database.connections import connect
from archival_pipeline.local import camunda_schema

if TYPE_CHECKING:
    import psycopg

    from archival_pipeline.settings import DatabaseSettings

AT = datetime(2026, 3, 1, 10, 0)  # noqa: DTZ001 - the engine writes times without zone

_DEFINITIONS = """
    INSERT INTO act_re_procdef (id_, name_, key_, version_, startable_)
    VALUES ('loan:1:d', 'Позика', 'loan', 1, TRUE), ('check:1:d', 'Перевірка', 'check', 1, TRUE)
"""


def create(database: DatabaseSettings) -> None:
    """Builder of an engine's database with two process definitions."""
    with connect(database, purpose="test") as session:
        camunda_schema.create(session)
        session.execute(_DEFINITIONS)


@dataclass
class Engine:
    """Writes history as the engine does, on one session; the caller commits."""

    session: psycopg.Connection[Any]

    def start(self, number: int | str, *, parent: int | str | None = None, key: str = "loan") -> None:
        """A process instance starts."""
        root = f"p{number}" if parent is None else f"p{parent}"
        self.session.execute(
            "INSERT INTO act_hi_procinst (id_, proc_inst_id_, business_key_, proc_def_key_, proc_def_id_, start_time_,"
            " start_user_id_, super_process_instance_id_, root_proc_inst_id_, state_)"
            " VALUES (%(id)s, %(id)s, %(bk)s, %(key)s::text, %(key)s::text || ':1:d', %(at)s, 'olena', %(super)s,"
            " %(root)s, 'ACTIVE')",
            {
                "id": f"p{number}",
                "bk": f"key-{number}",
                "key": key,
                "at": AT,
                "super": None if parent is None else root,
                "root": root,
            },
        )

    def set_state(self, number: int | str, state: str) -> None:
        """A process instance is suspended, activated, or over."""
        over = state not in ("ACTIVE", "SUSPENDED")
        self.session.execute(
            "UPDATE act_hi_procinst SET state_ = %s, end_time_ = %s WHERE id_ = %s",
            [state, AT if over else None, f"p{number}"],
        )

    def create_task(
        self, number: int | str, assignee: str | None = "olena", *, process: int | str | None = None
    ) -> None:
        """A user task is created."""
        owner = f"p{process if process is not None else number}"
        self.session.execute(
            "INSERT INTO act_hi_taskinst (id_, task_def_key_, proc_def_key_, proc_def_id_, root_proc_inst_id_,"
            " proc_inst_id_, act_inst_id_, name_, assignee_, start_time_)"
            " SELECT %(id)s, 'sign', p.proc_def_key_, p.proc_def_id_, p.root_proc_inst_id_, p.id_, %(act)s, 'Sign',"
            " %(who)s, %(at)s FROM act_hi_procinst p WHERE p.id_ = %(owner)s",
            {"id": f"t{number}", "act": f"sign:{number}", "who": assignee, "at": AT, "owner": owner},
        )

    def assign(self, number: int | str, assignee: str | None) -> None:
        """A user task is claimed, handed on or given back."""
        self.session.execute("UPDATE act_hi_taskinst SET assignee_ = %s WHERE id_ = %s", [assignee, f"t{number}"])

    def end_task(self, number: int | str, reason: str = "completed") -> None:
        """A user task is completed or cancelled."""
        self.session.execute(
            "UPDATE act_hi_taskinst SET end_time_ = %s, delete_reason_ = %s WHERE id_ = %s", [AT, reason, f"t{number}"]
        )

    def set_variable(self, number: int | str, name: str, value: str | None) -> None:
        """A variable of a process instance is set; None removes it."""
        self.session.execute(
            "INSERT INTO act_hi_varinst (id_, root_proc_inst_id_, proc_inst_id_, name_, create_time_, text_, state_)"
            " SELECT %(id)s, p.root_proc_inst_id_, p.id_, %(name)s, %(at)s, %(value)s, 'CREATED'"
            " FROM act_hi_procinst p WHERE p.id_ = %(owner)s"
            " ON CONFLICT (id_) DO UPDATE SET text_ = coalesce(excluded.text_, act_hi_varinst.text_),"
            " state_ = CASE WHEN excluded.text_ IS NULL THEN 'DELETED' ELSE 'CREATED' END",
            {"id": f"v{number}-{name[-6:]}", "name": name, "at": AT, "value": value, "owner": f"p{number}"},
        )
