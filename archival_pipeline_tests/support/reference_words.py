"""What the generated parts of ``docs/`` say about names that carry no description in the code.

A new setting or a new reason has no words here at first; then ``reference_docs.py`` stops with a KeyError, and a test
fails. Not here: the tables (``reference_docs.py``).
"""

from __future__ import annotations

_CONNECTION = {
    "HOST": "Host name or address of the server.",
    "PORT": "Port of the server.",
    "USERNAME": "Role to log in as; see [security.md](security.md) for its rights.",
    "PASSWORD": "Password of that role.",
    "SSL": "`true`: TLS, and certificate and host name are verified. `false`: TLS if the server offers it, unverified.",
    "CA_CERT_PATH": "File with the CA certificate, used when SSL is on. Without a CA, the system's own list counts.",
    "CA_CERT": "The CA certificate itself, PEM; `\\n` may stand for a line end. Wins over the path.",
}

SETTINGS: dict[str, str] = {
    **{f"DB_{name}": words for name, words in _CONNECTION.items()},
    **{f"BPM_BACKUP_DB_{name}": words for name, words in _CONNECTION.items()},
    "BPM_DB_NAME": "Database of the engine.",
    "BPM_DB_SCHEMA_NAME": "Schema with the engine's tables. It must exist; `migrate` adds functions to it.",
    "BPM_BACKUP_DB_NAME": "Database of the archive. It must exist, be another than the primary, and use UTF8.",
    "BPM_BACKUP_DB_SCHEMA_NAME": "Schema of the archive; `migrate` creates it. One schema serves one engine.",
    "BPM_TIME_ZONE": "IANA zone in which the engine's JVM writes its times, which carry no zone.",
    "BPM_CLOB_MODE": "How the engine stores long texts: as `pointer` to a large object or as `text`. `auto` looks.",
    "DAGSTER_PG_URL": "Storage of Dagster: `postgresql+psycopg2://user:password@host:port/database`.",
    "NIGHTLY_BACKUP_ENABLED": "Whether the schedule `nightly_backup` is on when Dagster first sees it.",
    "NIGHTLY_BACKUP_WINDOW_START": "When the window opens, and the run starts.",
    "NIGHTLY_BACKUP_WINDOW_END": "When the window closes; earlier than the start means the next day.",
    "NIGHTLY_BACKUP_TIME_ZONE": "IANA zone of both times.",
    "NIGHTLY_BACKUP_BEFORE_NO_OF_DAYS": "Only trees that ended at least so many days ago.",
    "NIGHTLY_BACKUP_PROCESS_NAME": "Only this process; every process if it is not set.",
    "NIGHTLY_BACKUP_PAUSE_MS": "Milliseconds each lane rests after a batch.",
    "ALERT_WEBHOOK_URL": "Address that alerts are posted to as JSON with the field `text`; chat systems take that.",
    "ALERT_WEBHOOK_TOKEN": "Sent along as `Authorization: Bearer …`.",
    "ALERT_SMTP_HOST": "Mail server for alerts.",
    "ALERT_SMTP_PORT": "Its port.",
    "ALERT_SMTP_SECURITY": "`starttls`: encrypt or send nothing; `tls`: encrypted from the start; `none`: clear.",
    "ALERT_SMTP_USERNAME": "Login of the mail server, if it wants one.",
    "ALERT_SMTP_PASSWORD": "Password of that login.",
    "ALERT_MAIL_FROM": "Sender of the mails.",
    "ALERT_MAIL_TO": "Recipients, separated by commas.",
    "ALERT_UI_URL": "Address of the Dagster UI as people reach it; alerts then carry a link.",
    "ALERT_BACKLOG_INSTANCES": "More ended instances than this in the primary are an alert. Not set: no such alert.",
    "ALERT_BACKLOG_DAYS": "Only instances that ended longer ago than this are counted.",
    "DAGSTER_KEEP_RUNS_DAYS": "Age at which `nightly_prune` deletes ended runs with their events, logs and outputs.",
    "DAGSTER_PRUNE_RUNS": "Whether the schedule `nightly_prune` is on when Dagster first sees it.",
    "BACKUP_PARTITIONS_START": "First day that `process_backup_by_day` offers.",
}

REASON_WAYS_OUT: dict[str, str] = {
    "running_member": "Wait until it ends. To move it all the same: `includeRunning`, with the engine stopped.",
    "live_state": "Usually the engine is between two steps: wait. If the instance ended long ago, look at the engine.",
    "open_task": "Complete or exit the task, or wait.",
    "queued_job": "Let the executor finish the job, or cancel it.",
    "younger_member": "Wait, or move the date limit. `rootsOnly` with `endedTo` judges the root alone.",
    "running_ancestor": "Wait: the tree goes together with its ancestor, or after it.",
    "case_outside": "Select the whole case, and wait until every instance of it has ended.",
    "case_shared": "Move or delete all instances of the case together; until then the tree stays.",
    "shared_content": "Select the tree of the other task as well, or leave both.",
    "not_there": "Nothing: it is in the other database already, or the engine has cleaned it away.",
    "changed_during_run": "Nothing: it is taken back, and the next run judges it anew. Quarantined, it needs a look.",
}

# Reasons that other modules than ``trees.py`` give: outcome, meaning, way out.
OTHER_REASONS: dict[str, tuple[str, str, str]] = {
    "not_backed_up": (
        "skipped",
        "bulk deletion with `onlyIfBackedUp`: the other database does not hold the same rows",
        "Back the tree up first, or compare both sides.",
    ),
    "other_content": (
        "quarantined",
        "the destination already holds other rows of the tree (23505)",
        "See [Quarantined trees](#quarantined-trees-and-23505).",
    ),
    "unique_violation": (
        "quarantined",
        "a key of the tree belongs to another row at the destination (23505)",
        "See [Quarantined trees](#quarantined-trees-and-23505).",
    ),
    "key_reused": (
        "quarantined",
        "restore: the engine has given the tree's correlation key to another instance",
        "Wait until that instance has ended, or archive it; then restore again.",
    ),
    "refused_by_destination": (
        "quarantined",
        "the destination refused a row (SQLSTATE class 22 or 23); the detail names the table",
        "Compare both tables; a constraint or column of the destination was changed by hand.",
    ),
    "changed_by_destination": (
        "quarantined",
        "what was sent did not come back equal",
        "Look for triggers, rules and generated columns on the destination's tables.",
    ),
    "ambiguous_large_object": (
        "quarantined",
        "a value of digits may be a text or the number of a large object",
        "See [Large objects](#large-objects-and-the-clob-mode).",
    ),
}
