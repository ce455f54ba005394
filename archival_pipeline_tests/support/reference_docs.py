"""Writes the generated parts of ``docs/`` from the code: settings, filters, options, rights, reasons, error codes.

``python -m archival_pipeline_tests.support.reference_docs`` rewrites them; a unit test fails on drift. A part stands
between ``<!-- generated: name -->`` and ``<!-- end: name -->``. Not here: words that the code does not have
(``reference_words.py``).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from archival_pipeline import (
    errors,
    settings,
    settings_api,
    settings_camunda,
    settings_cleanup,
    settings_history,
    settings_imixs,
    settings_interim,
    settings_operations,
    settings_retention,
    settings_variables,
)
from archival_pipeline.archival.filters import Filters
from archival_pipeline.archival.options import Options
from archival_pipeline.archival.trees import REASONS
from archival_pipeline.catalogue import preflight_rights
from archival_pipeline.catalogue.jbpm import JBPM
from archival_pipeline.catalogue.model import Role
from archival_pipeline_tests.support import reference_words as words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"(<!-- generated: (?P<name>\S+) -->\n).*?(<!-- end: (?P=name) -->)", re.DOTALL)
_FORMATS = {"password": "secret", "path": "path of a file", "time": "HH:MM", "date": "YYYY-MM-DD"}
_NAMES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "JSON object",
}
_BIGGEST = 2**62


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def settings_of(part: type[BaseModel]) -> str:
    """Every environment variable of a part of the settings."""
    schema = part.model_json_schema(by_alias=True)
    required = set(schema.get("required", ()))
    rows = [
        [f"`{name}`", _type(schema, about), _default(about, required=name in required), words.SETTINGS[name]]
        for name, about in schema["properties"].items()
        if name != "role_name"
    ]
    return table(["Variable", "Value", "Default", "Meaning"], rows)


def fields_of(model: type[BaseModel]) -> str:
    """Every field of a request model, under its REST name."""
    schema = model.model_json_schema(by_alias=True)
    rows = [
        [f"`{name}`", _type(schema, about), _default(about, required=False), about["description"]]
        for name, about in schema["properties"].items()
    ]
    return table(["Field", "Value", "Default", "Meaning"], rows)


def _type(schema: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """A JSON schema type in words."""
    if "anyOf" in about:
        return _type(schema, next(part for part in about["anyOf"] if part.get("type") != "null"))
    if "$ref" in about:
        about = schema["$defs"][about["$ref"].rsplit("/", 1)[1]]
    if "pattern" in about or "enum" in about:
        return ", ".join(f"`{value}`" for value in about.get("enum") or about["pattern"].strip("^$()").split("|"))
    if "properties" in about:
        return f"`{{{', '.join(about['properties'])}}}`"
    if about["type"] == "array":
        return f"list of {_type(schema, about['items'])}"
    if about.get("format") == "date-time":
        return "ISO 8601 with offset"
    return _FORMATS.get(about.get("format", ""), _NAMES[about["type"]]) + _limits(about)


def _limits(about: Mapping[str, Any]) -> str:
    low, high = about.get("minimum", about.get("exclusiveMinimum")), about.get("maximum", about.get("maxLength"))
    if low is not None and high is not None and high < _BIGGEST:
        return f", {low} to {high}"
    if low is not None:
        return f", from {low}"
    return f", at most {high} characters" if high is not None else ""


def _default(about: Mapping[str, Any], *, required: bool) -> str:
    if required:
        return "required"
    value = about.get("default")
    if value is None:
        return "none"
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{shown.removesuffix(':00') if about.get('format') == 'time' else shown}`"


def rights() -> str:
    """What each operation needs, as preflight asks for it."""
    rows = []
    for operation, needs in preflight_rights._RIGHTS.items():
        cells = [operation.value.replace("_", " ")]
        for side in ("primary", "backup"):
            said = [
                f"{', '.join(given)} on {role.value} tables"
                for (where, role), given in needs.items()
                if where == side and given
            ]
            if preflight_rights._LOCKS.get(operation) == side:
                said.append(f"UPDATE on {', '.join(preflight_rights._LOCKED)}")
            cells.append("; ".join(said) or "none")
        rows.append(cells)
    return table(["Operation", "Primary", "Backup"], rows)


_GRANTS = Template("""\
```sql
-- Primary; for psql, as a superuser or as the owner of the engine's tables.
\\set engine jbpm
\\set archiver archiver
\\set schema public

GRANT USAGE ON SCHEMA :"schema" TO :"archiver";

-- One GRANT for each table that this engine has.
SELECT format('GRANT %s ON %I.%I TO %I', r.rights, n.nspname, c.relname, :'archiver')
FROM (
    VALUES
    ('SELECT, INSERT, DELETE', '{$owned}'::text []),
    ('SELECT, INSERT', '{$shared}'),
    ('SELECT', '{$left}'),
    ('UPDATE', '{$locked}')
) AS r (rights, tables)
INNER JOIN pg_class AS c ON c.relname = ANY(r.tables)
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname = :'schema' AND c.relkind IN ('r', 'p')
\\gexec

-- A restore compares ids with what the sequences have issued.
GRANT SELECT ON ALL SEQUENCES IN SCHEMA :"schema" TO :"archiver";

-- Large objects have no grants for groups of them: only their owner, or a member of that role, may read and unlink.
GRANT :"engine" TO :"archiver";
```
""")


def grants() -> str:
    """The grants on the engine's tables, as a script for psql."""
    names = {role.value: _wrapped(sorted(t.name for t in JBPM.tables if t.role is role)) for role in Role}
    return _GRANTS.substitute(names, locked=",".join(preflight_rights._LOCKED))


def _wrapped(names: Sequence[str], width: int = 90) -> str:
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > width:
            lines.append("    ")
        lines[-1] += f"{name},"
    return "\n".join(lines).rstrip(",")


def reasons() -> str:
    """Why a tree stays: reason, what it means, what to do."""
    rows = [[f"`{reason}`", "skipped", meaning, words.REASON_WAYS_OUT[reason]] for reason, meaning in REASONS.items()]
    rows += [[f"`{reason}`", *told] for reason, told in words.OTHER_REASONS.items()]
    return table(["Reason", "Outcome", "Meaning", "What to do"], rows)


def sqlstates() -> str:
    """What is done about PostgreSQL's errors, by SQLSTATE."""
    kinds = {
        errors.TransientDatabaseError: "tried again, up to five times",
        errors.OperatorDatabaseError: "the run stops",
        errors.DatabaseError: "the tree is quarantined",
    }
    rows = [[f"`{state}`", kinds[kind], way_out] for state, (kind, way_out) in sorted(errors._RESOLUTIONS.items())]
    return table(["Code", "What the run does", "What you do"], rows)


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "primary": ("docs/configuration.md", lambda: settings_of(settings.PrimarySettings)),
    "backup": ("docs/configuration.md", lambda: settings_of(settings.BackupSettings)),
    "engine": ("docs/configuration.md", lambda: settings_of(settings.EngineSettings)),
    "dagster": ("docs/configuration.md", lambda: settings_of(settings.DagsterSettings)),
    "nightly": ("docs/configuration.md", lambda: settings_of(settings.NightlySettings)),
    "camunda": ("docs/configuration.md", lambda: settings_of(settings_camunda.CamundaSettings)),
    "cleanup": ("docs/configuration.md", lambda: settings_of(settings_cleanup.CleanupSettings)),
    "process-cleanup": ("docs/configuration.md", lambda: settings_of(settings_retention.ProcessCleanupSettings)),
    "backup-retention": ("docs/configuration.md", lambda: settings_of(settings_retention.BackupRetentionSettings)),
    "camunda_rest": ("docs/configuration.md", lambda: settings_of(settings_variables.CamundaRestSettings)),
    "alerts": ("docs/configuration.md", lambda: settings_of(settings_operations.AlertSettings)),
    "upkeep": ("docs/configuration.md", lambda: settings_of(settings_operations.UpkeepSettings)),
    "service": ("docs/configuration.md", lambda: settings_of(settings_api.ServiceSettings)),
    "security": ("docs/configuration.md", lambda: settings_of(settings_api.SecuritySettings)),
    "limits": ("docs/configuration.md", lambda: settings_of(settings_api.LimitSettings)),
    "interim-redis": ("docs/configuration.md", lambda: settings_of(settings_interim.RedisSettings)),
    "interim-files": ("docs/configuration.md", lambda: settings_of(settings_interim.FileSettings)),
    "interim": ("docs/configuration.md", lambda: settings_of(settings_interim.InterimSettings)),
    "interim-keep": ("docs/configuration.md", lambda: settings_of(settings_interim.KeepSettings)),
    "history-database": ("docs/history.md", lambda: settings_of(settings_history.HistoryDatabaseSettings)),
    "history-stream": ("docs/history.md", lambda: settings_of(settings_history.HistoryStreamSettings)),
    "history-kafka": ("docs/history.md", lambda: settings_of(settings_history.HistoryKafkaSettings)),
    "history-api": ("docs/history.md", lambda: settings_of(settings_history.HistoryApiSettings)),
    "filters": ("docs/configuration.md", lambda: fields_of(Filters)),
    "options": ("docs/configuration.md", lambda: fields_of(Options)),
    "imixs_workflow": ("docs/imixs.md", lambda: settings_of(settings_imixs.WorkflowSettings)),
    "imixs_space": ("docs/imixs.md", lambda: settings_of(settings_imixs.SpaceSettings)),
    "imixs_keeping": ("docs/imixs.md", lambda: settings_of(settings_imixs.KeepingSettings)),
    "rights": ("docs/security.md", rights),
    "grants": ("docs/security.md", grants),
    "reasons": ("docs/operators-guide.md", reasons),
    "sqlstates": ("docs/operators-guide.md", sqlstates),
}


def documents() -> set[Path]:
    """The documents with generated parts."""
    return {ROOT / name for name, _ in PARTS.values()}


def renew(text: str) -> str:
    """A document with every generated part as the code has it now."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{PARTS[block['name']][1]()}\n{block[3]}", text)


def parts_in(document: Path) -> list[str]:
    """Names of the generated parts of a document."""
    return [block["name"] for block in _BLOCK.finditer(document.read_text(encoding="utf-8"))]


def main() -> None:
    """Rewrite every generated part that differs, and name the documents."""
    for document in sorted(documents()):
        old = document.read_text(encoding="utf-8")
        new = renew(old)
        if new != old:
            document.write_text(new, encoding="utf-8")
            sys.stdout.write(f"{document.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
