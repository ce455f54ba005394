"""Reads both databases with plain SQL and says what they hold, so that tests can hold one state against another.

A second opinion on every move: no statement, digest or catalogue of the product is used here, and how an engine stores
its texts is said by the test. Rows are tuples of texts, in which 1.0 is not 1.00 and -0.0 is not 0.0, with the content
of large objects in place of their numbers; a number that points nowhere is kept as such. The paths by which rows belong
to process instances are written out by hand. Not here: what should have happened, which each test knows.
"""

# ruff: noqa: S608 - the conditions are put together from texts of this module

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString, TypeAlias

from psycopg import sql

from archival_pipeline.database.connections import connect

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import psycopg

    from archival_pipeline.settings import DatabaseSettings

Row: TypeAlias = tuple[str | None, ...]
Rows: TypeAlias = dict[str, Counter[Row]]

BLOBS = {
    "content": ("content",),
    "processinstanceinfo": ("processinstancebytearray",),
    "requestinfo": ("requestdata", "responsedata"),
    "sessioninfo": ("rulesbytearray",),
    "timermappinginfo": ("info",),
    "workiteminfo": ("workitembytearray",),
}
CLOBS = {
    "booleanexpression": ("expression",),
    "email_header": ("body",),
    "executionerrorinfo": ("error_info",),
    "i18ntext": ("text",),
    "task_comment": ("text",),
}

_TASKS = "(SELECT o.id FROM task AS o WHERE o.processinstanceid = ANY(%(pids)s))"
_LOGGED_TASKS = (
    "(SELECT o.id FROM task AS o WHERE o.processinstanceid = ANY(%(pids)s)"
    " UNION SELECT o.taskid FROM audittaskimpl AS o WHERE o.processinstanceid = ANY(%(pids)s))"
)
_DEADLINES = (
    f"(SELECT o.id FROM deadline AS o WHERE o.deadlines_startdeadline_id IN {_TASKS}"
    f" OR o.deadlines_enddeadline_id IN {_TASKS})"
)
_ESCALATIONS = f"(SELECT o.id FROM escalation AS o WHERE o.deadline_escalation_id IN {_DEADLINES})"
_NOTIFICATIONS = f"(SELECT o.id FROM notification AS o WHERE o.escalation_notifications_id IN {_ESCALATIONS})"
_REASSIGNMENTS = f"(SELECT o.id FROM reassignment AS o WHERE o.escalation_reassignments_id IN {_ESCALATIONS})"
_CASES = (
    "(SELECT o.correlationkey FROM processinstancelog AS o WHERE o.processinstanceid = ANY(%(pids)s)"
    " AND o.processtype = 2)"
)
_MAPPED = (
    "EXISTS (SELECT FROM processinstancelog AS o WHERE o.processinstanceid = ANY(%(pids)s)"
    " AND {alias}.owner_id = o.externalid AND ({alias}.context_id = o.processinstanceid::text"
    " OR o.processtype = 2 AND {alias}.context_id = o.correlationkey))"
)
_OWN = "t.processinstanceid = ANY(%(pids)s)"
_BY_TASK = f"t.task_id IN {_TASKS}"
# A job without an instance names it in its business key, with the work item it serves.
_JOB = (
    f"({_OWN} OR t.processinstanceid IS NULL AND t.businesskey ~ '^[0-9]{{1,18}}:[0-9]{{1,18}}$'"
    " AND split_part(t.businesskey, ':', 1) = ANY(%(pids)s::bigint[]::text[]))"
)
_OWN_OR_LOGGED = f"({_OWN} OR coalesce(t.processinstanceid, -1) <= 0 AND t.taskid IN {_LOGGED_TASKS})"

OWNED: dict[str, str] = {
    "processinstancelog": _OWN,
    "processinstanceinfo": "t.instanceid = ANY(%(pids)s)",
    "eventtypes": "t.instanceid = ANY(%(pids)s)",
    "correlationkeyinfo": _OWN,
    "correlationpropertyinfo": (
        "t.correlationkey_keyid IN (SELECT o.keyid FROM correlationkeyinfo AS o"
        " WHERE o.processinstanceid = ANY(%(pids)s))"
    ),
    "contextmappinginfo": _MAPPED.format(alias="t"),
    "sessioninfo": (
        "t.id IN (SELECT m.ksession_id FROM contextmappinginfo AS m WHERE " + _MAPPED.format(alias="m") + ")"
        " AND NOT EXISTS (SELECT FROM contextmappinginfo AS n WHERE n.ksession_id = t.id AND NOT "
        + _MAPPED.format(alias="n")
        + ")"
    ),
    "timermappinginfo": _OWN,
    "workiteminfo": _OWN,
    "nodeinstancelog": _OWN,
    "variableinstancelog": _OWN,
    "executionerrorinfo": "t.process_inst_id = ANY(%(pids)s)",
    "requestinfo": _JOB,
    "errorinfo": f"t.request_id IN (SELECT t.id FROM requestinfo AS t WHERE {_JOB})",
    "caseroleassignmentlog": f"({_OWN} OR t.caseid IN {_CASES})",
    "casefiledatalog": f"t.caseid IN {_CASES}",
    "audittaskimpl": _OWN,
    "bamtasksummary": _OWN,
    "taskevent": _OWN_OR_LOGGED,
    "taskvariableimpl": _OWN_OR_LOGGED,
    "task": _OWN,
    "content": (
        "t.id > 0 AND t.id IN (SELECT unnest(ARRAY[o.documentcontentid, o.outputcontentid, o.faultcontentid])"
        " FROM task AS o WHERE o.processinstanceid = ANY(%(pids)s) UNION SELECT a.attachmentcontentid"
        f" FROM attachment AS a WHERE a.taskdata_attachments_id IN {_TASKS})"
    ),
    "attachment": f"t.taskdata_attachments_id IN {_TASKS}",
    "task_comment": f"t.taskdata_comments_id IN {_TASKS}",
    "delegation_delegates": _BY_TASK,
    "peopleassignments_bas": _BY_TASK,
    "peopleassignments_exclowners": _BY_TASK,
    "peopleassignments_potowners": _BY_TASK,
    "peopleassignments_recipients": _BY_TASK,
    "peopleassignments_stakeholders": _BY_TASK,
    "deadline": f"t.id IN {_DEADLINES}",
    "escalation": f"t.id IN {_ESCALATIONS}",
    "booleanexpression": f"t.escalation_constraints_id IN {_ESCALATIONS}",
    "notification": f"t.id IN {_NOTIFICATIONS}",
    "reassignment": f"t.id IN {_REASSIGNMENTS}",
    "reassignment_potentialowners": f"t.task_id IN {_REASSIGNMENTS}",
    "notification_bas": f"t.task_id IN {_NOTIFICATIONS}",
    "notification_recipients": f"t.task_id IN {_NOTIFICATIONS}",
    "notification_email_header": f"t.notification_id IN {_NOTIFICATIONS}",
    "email_header": (
        "t.id IN (SELECT o.emailheaders_id FROM notification_email_header AS o"
        f" WHERE o.notification_id IN {_NOTIFICATIONS})"
    ),
    "i18ntext": (
        f"(t.task_names_id IN {_TASKS} OR t.task_subjects_id IN {_TASKS} OR t.task_descriptions_id IN {_TASKS}"
        f" OR t.deadline_documentation_id IN {_DEADLINES} OR t.reassignment_documentation_id IN {_REASSIGNMENTS}"
        f" OR t.notification_names_id IN {_NOTIFICATIONS} OR t.notification_subjects_id IN {_NOTIFICATIONS}"
        f" OR t.notification_descriptions_id IN {_NOTIFICATIONS}"
        f" OR t.notification_documentation_id IN {_NOTIFICATIONS})"
    ),
}
"""Each owned table with the condition that a row ``t`` of it belongs to the process instances ``pids``."""


@dataclass(frozen=True, slots=True)
class Dump:
    """Everything a database holds, as it is stored.

    Attributes:
        rows: every row of every table of the schema, numbers of large objects as numbers.
        objects: content of each large object, by number.
        sequences: last value of each sequence.
    """

    rows: Rows
    objects: dict[int, bytes]
    sequences: dict[str, int | None]


class Checker:
    """Looks at a primary and its backup, each time in sessions of its own.

    Args:
        primary: the engine's database.
        backup: the archive.
        pointers: whether the engine's text columns hold numbers of large objects.
    """

    def __init__(self, primary: DatabaseSettings, backup: DatabaseSettings, *, pointers: bool = True) -> None:
        self._primary = primary
        self._backup = backup
        self._pointers = pointers

    def primary(self, pids: Collection[int] | None = None) -> Rows:
        """Rows of the owned tables in the primary, contents resolved; of some instances only, where given."""
        return self._read(self._primary, pids, archive=False)

    def backup(self, pids: Collection[int] | None = None) -> Rows:
        """The same of the backup."""
        return self._read(self._backup, pids, archive=True)

    def dump(self, *, backup: bool = False) -> Dump:
        """Everything in one database."""
        with connect(self._backup if backup else self._primary, purpose="check") as session:
            return dump(session)

    def dumps(self) -> tuple[Dump, Dump]:
        """Everything in both databases."""
        return self.dump(), self.dump(backup=True)

    def numbers(self, pids: Collection[int] | None = None) -> set[int]:
        """Numbers that the owned rows of the primary hold, whether or not there is such a large object."""
        found: set[int] = set()
        with connect(self._primary, purpose="check") as session:
            every = _types(session)
            for table, condition in OWNED.items():
                types = every[table]
                for column in BLOBS.get(table, ()) + CLOBS.get(table, ()):
                    if types[column] == "oid" or (self._pointers and types[column] == "text"):
                        query = sql.SQL("SELECT t.{}::bigint FROM {} AS t WHERE t.{} IS NOT NULL AND {}").format(
                            sql.Identifier(column),
                            sql.Identifier(table),
                            sql.Identifier(column),
                            _mine(condition, pids),
                        )
                        found.update(row[0] for row in session.execute(query, {"pids": list(pids or ())}))
        return found

    def _read(self, settings: DatabaseSettings, pids: Collection[int] | None, *, archive: bool) -> Rows:
        with connect(self._primary, purpose="check") as engine:
            types = _types(engine)
            if not archive:
                return self._rows(engine, types, pids, archive=False)
        with connect(settings, purpose="check") as session:
            return self._rows(session, types, pids, archive=True)

    def _rows(
        self,
        session: psycopg.Connection[Any],
        types: Mapping[str, Mapping[str, str]],
        pids: Collection[int] | None,
        *,
        archive: bool,
    ) -> Rows:
        """Read every owned table in one round trip: fault tests do it thousands of times."""
        cursors = {}
        with session.pipeline():
            for table, condition in OWNED.items():
                values = [self._value(table, name, kind, archive=archive) for name, kind in types[table].items()]
                query = sql.SQL("SELECT {} FROM {} AS t WHERE {}").format(
                    sql.SQL(", ").join(values), sql.Identifier(table), _mine(condition, pids)
                )
                cursors[table] = session.execute(query, {"pids": list(pids or ())})
        return {table: Counter(cursor.fetchall()) for table, cursor in cursors.items()}

    def _value(self, table: str, name: str, kind: str, *, archive: bool) -> sql.Composable:
        column = sql.SQL("t.{}").format(sql.Identifier(name))
        blob = name in BLOBS.get(table, ())
        if not blob and name not in CLOBS.get(table, ()):
            return sql.SQL("{}::text").format(column)
        content = _hex(column if blob else sql.SQL("convert_to({}, 'UTF8')").format(column))
        if archive:
            return sql.SQL("coalesce({}, 'lost ' || t.{}::text)").format(content, sql.Identifier(f"{name}_lo"))
        if kind == "oid" or (not blob and self._pointers):
            return sql.SQL(
                "coalesce((SELECT {} FROM pg_largeobject_metadata AS m WHERE m.oid = {}::oid), 'lost ' || {}::text)"
            ).format(_hex(sql.SQL("lo_get(m.oid)")), column, column)
        return content


def dump(session: psycopg.Connection[Any]) -> Dump:
    """Read everything in the session's schema, and every large object of its database."""
    tables = session.execute("SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()").fetchall()
    cursors = {}
    with session.pipeline():
        for (table,) in tables:
            query = sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(table))
            cursors[table] = session.execute(query)
    rows = {table: Counter(cursor.fetchall()) for table, cursor in cursors.items()}
    objects = session.execute("SELECT m.oid::bigint, lo_get(m.oid) FROM pg_largeobject_metadata AS m").fetchall()
    sequences = session.execute(
        "SELECT sequencename::text, last_value FROM pg_sequences WHERE schemaname = current_schema()"
    ).fetchall()
    return Dump(rows, dict(objects), dict(sequences))


def together(one: Mapping[str, Counter[Row]], other: Mapping[str, Counter[Row]]) -> Rows:
    """The rows of both, as multisets."""
    return {table: one.get(table, Counter()) + other.get(table, Counter()) for table in one.keys() | other.keys()}


def differences(expected: Mapping[str, Counter[Row]], found: Mapping[str, Counter[Row]]) -> list[str]:
    """A sentence for each table that does not hold the expected rows; empty when all do."""
    return [
        f"{table}: lost {list((rows - found[table]).items())[:2]}, new {list((found[table] - rows).items())[:2]}"
        for table, rows in expected.items()
        if rows != found[table]
    ]


def filled(rows: Mapping[str, Counter[Row]]) -> set[str]:
    """The tables that have rows."""
    return {table for table, found in rows.items() if found}


def _mine(condition: str, pids: Collection[int] | None) -> sql.Composable:
    return sql.SQL("true") if pids is None else sql.SQL(_own(condition))


def _hex(value: sql.Composable) -> sql.Composed:
    return sql.SQL("'content ' || encode({}, 'hex')").format(value)


def _types(session: psycopg.Connection[Any]) -> dict[str, dict[str, str]]:
    """Columns and their types of every table, in order."""
    query = (
        "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns"
        " WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position"
    )
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in session.execute(query):
        found.setdefault(table, {})[column] = kind
    return found


def _own(text: str) -> LiteralString:
    """Vouch for text that is written in this module."""
    return text
