"""What belongs to a jBPM 7 process instance: 41 owned tables, one shared, the left ones, the optional ones.

Every line restates a fact of ``jbpm_facts/relations.csv``, ``lobs.csv`` and ``logical_refs.csv``; a test holds the two
against each other. Not here: columns, which come from the live schema.
"""

from __future__ import annotations

from archival_pipeline.catalogue.model import PROCESS, Address, Arm, Catalogue, KeySet, Role, Scan, Table

# Rows of a task that carry no instance id of their own are reached through the task's id.
_NO_INSTANCE = "coalesce(t.processinstanceid, 0) <= 0"
# Before 7.72 timermappinginfo has no such column; read as JSON, a missing column is NULL.
_NO_INSTANCE_COLUMN = "to_jsonb(t) ->> 'processinstanceid' IS NULL"


def _without_instance(table: str, key: str = "id") -> KeySet:
    """Rows of a task log that name the task but no instance."""
    return KeySet(
        f"loose_{table}", arms=(Arm(table, key, "taskid", "task_of_log", condition=_NO_INSTANCE),), minimum=None
    )


KEY_SETS = (
    KeySet(PROCESS),
    KeySet("case", query="common/keys_case", needs=("processinstancelog",), sql_type="text", minimum=None),
    KeySet("mapping", query="common/keys_mapping", needs=("contextmappinginfo",), minimum=None),
    KeySet("session", query="common/keys_session", needs=("contextmappinginfo", "sessioninfo")),
    KeySet(
        "timer",
        arms=(
            Arm("timermappinginfo", "id", "processinstanceid", PROCESS, indexed=False),
            Arm("timermappinginfo", "id", "kiesessionid", "session", condition=_NO_INSTANCE_COLUMN),
        ),
        minimum=None,
    ),
    KeySet("work_item", arms=(Arm("workiteminfo", "workitemid", "processinstanceid", PROCESS, indexed=False),)),
    KeySet("correlation", arms=(Arm("correlationkeyinfo", "keyid", "processinstanceid", PROCESS, indexed=False),)),
    KeySet("request", query="common/keys_request", needs=("requestinfo",), scan=Scan("requestinfo", "id")),
    KeySet("task", arms=(Arm("task", "id", "processinstanceid", PROCESS),)),
    KeySet(
        "task_of_log",
        arms=(
            Arm("task", "id", "processinstanceid", PROCESS),
            Arm("audittaskimpl", "taskid", "processinstanceid", PROCESS),
        ),
    ),
    _without_instance("audittaskimpl"),
    _without_instance("bamtasksummary", "pk"),
    _without_instance("taskevent"),
    _without_instance("taskvariableimpl"),
    KeySet(
        "content",
        arms=(
            Arm("task", "documentcontentid", "id", "task"),
            Arm("task", "outputcontentid", "id", "task"),
            Arm("task", "faultcontentid", "id", "task"),
            Arm("attachment", "attachmentcontentid", "taskdata_attachments_id", "task"),
        ),
    ),
    KeySet(
        "deadline",
        arms=(
            Arm("deadline", "id", "deadlines_startdeadline_id", "task"),
            Arm("deadline", "id", "deadlines_enddeadline_id", "task"),
        ),
    ),
    KeySet("escalation", arms=(Arm("escalation", "id", "deadline_escalation_id", "deadline"),)),
    KeySet("notification", arms=(Arm("notification", "id", "escalation_notifications_id", "escalation"),)),
    KeySet("reassignment", arms=(Arm("reassignment", "id", "escalation_reassignments_id", "escalation"),)),
    KeySet(
        "email_header", arms=(Arm("notification_email_header", "emailheaders_id", "notification_id", "notification"),)
    ),
    KeySet(
        "entity",
        arms=(
            Arm("task", "actualowner_id", "id", "task"),
            Arm("task", "createdby_id", "id", "task"),
            Arm("task", "taskinitiator_id", "id", "task"),
            Arm("attachment", "attachedby_id", "taskdata_attachments_id", "task"),
            Arm("task_comment", "addedby_id", "taskdata_comments_id", "task"),
            Arm("delegation_delegates", "entity_id", "task_id", "task"),
            Arm("peopleassignments_bas", "entity_id", "task_id", "task"),
            Arm("peopleassignments_exclowners", "entity_id", "task_id", "task"),
            Arm("peopleassignments_potowners", "entity_id", "task_id", "task"),
            Arm("peopleassignments_recipients", "entity_id", "task_id", "task"),
            Arm("peopleassignments_stakeholders", "entity_id", "task_id", "task"),
            Arm("reassignment_potentialowners", "entity_id", "task_id", "reassignment"),
            Arm("notification_bas", "entity_id", "task_id", "notification"),
            Arm("notification_recipients", "entity_id", "task_id", "notification"),
        ),
        sql_type="text",
        minimum=None,
    ),
)


def _owned(name: str, level: int, *addresses: tuple[str, str], **more: object) -> Table:
    return Table(name, Role.OWNED, level, tuple(Address(*a) for a in addresses), **more)  # type: ignore[arg-type]


TABLES = (
    _owned("processinstancelog", 0, ("processinstanceid", PROCESS)),
    _owned("processinstanceinfo", 0, ("instanceid", PROCESS), blobs=("processinstancebytearray",)),
    _owned("correlationkeyinfo", 0, ("keyid", "correlation")),
    _owned("sessioninfo", 0, ("id", "session"), blobs=("rulesbytearray",)),
    _owned("contextmappinginfo", 0, ("mappingid", "mapping")),
    _owned("timermappinginfo", 0, ("id", "timer"), blobs=("info",), optional=True),
    _owned("workiteminfo", 0, ("workitemid", "work_item"), blobs=("workitembytearray",)),
    _owned("nodeinstancelog", 0, ("processinstanceid", PROCESS)),
    _owned("variableinstancelog", 0, ("processinstanceid", PROCESS)),
    _owned("executionerrorinfo", 0, ("process_inst_id", PROCESS), clobs=("error_info",), optional=True),
    _owned("requestinfo", 0, ("id", "request"), blobs=("requestdata", "responsedata")),
    _owned("caseroleassignmentlog", 0, ("processinstanceid", PROCESS), ("caseid", "case"), optional=True),
    _owned("casefiledatalog", 0, ("caseid", "case"), optional=True),
    _owned("audittaskimpl", 0, ("processinstanceid", PROCESS), ("id", "loose_audittaskimpl")),
    _owned("bamtasksummary", 0, ("processinstanceid", PROCESS), ("pk", "loose_bamtasksummary")),
    _owned("taskevent", 0, ("processinstanceid", PROCESS), ("id", "loose_taskevent")),
    _owned("taskvariableimpl", 0, ("processinstanceid", PROCESS), ("id", "loose_taskvariableimpl"), optional=True),
    _owned("content", 0, ("id", "content"), blobs=("content",)),
    _owned("email_header", 0, ("id", "email_header"), clobs=("body",)),
    _owned("eventtypes", 1, ("instanceid", PROCESS)),
    _owned("correlationpropertyinfo", 1, ("correlationkey_keyid", "correlation")),
    _owned("errorinfo", 1, ("request_id", "request")),
    _owned("task", 1, ("processinstanceid", PROCESS)),
    _owned("attachment", 2, ("taskdata_attachments_id", "task")),
    _owned("task_comment", 2, ("taskdata_comments_id", "task"), clobs=("text",)),
    _owned("delegation_delegates", 2, ("task_id", "task")),
    _owned("peopleassignments_bas", 2, ("task_id", "task")),
    _owned("peopleassignments_exclowners", 2, ("task_id", "task")),
    _owned("peopleassignments_potowners", 2, ("task_id", "task")),
    _owned("peopleassignments_recipients", 2, ("task_id", "task")),
    _owned("peopleassignments_stakeholders", 2, ("task_id", "task")),
    _owned("deadline", 2, ("deadlines_startdeadline_id", "task"), ("deadlines_enddeadline_id", "task")),
    _owned("escalation", 3, ("deadline_escalation_id", "deadline")),
    _owned("booleanexpression", 4, ("escalation_constraints_id", "escalation"), clobs=("expression",)),
    _owned("notification", 4, ("escalation_notifications_id", "escalation")),
    _owned("reassignment", 4, ("escalation_reassignments_id", "escalation")),
    _owned(
        "i18ntext",
        5,
        ("task_names_id", "task"),
        ("task_subjects_id", "task"),
        ("task_descriptions_id", "task"),
        ("deadline_documentation_id", "deadline"),
        ("reassignment_documentation_id", "reassignment"),
        ("notification_names_id", "notification"),
        ("notification_subjects_id", "notification"),
        ("notification_descriptions_id", "notification"),
        ("notification_documentation_id", "notification"),
        clobs=("text",),
    ),
    # In these three the column task_id holds a notification's or a reassignment's id.
    _owned("notification_bas", 5, ("task_id", "notification")),
    _owned("notification_recipients", 5, ("task_id", "notification")),
    _owned("reassignment_potentialowners", 5, ("task_id", "reassignment")),
    _owned("notification_email_header", 5, ("notification_id", "notification")),
    _owned("planningtask", 2, ("taskid", "task"), optional=True),
    _owned(
        "mappedvariable",
        2,
        ("processinstanceid", PROCESS),
        ("taskid", "task"),
        ("workitemid", "work_item"),
        optional=True,
    ),
    Table("organizationalentity", Role.SHARED, addresses=(Address("id", "entity"),)),
    Table("taskdef", Role.LEFT, optional=True),
    Table("caseidinfo", Role.LEFT, optional=True),
    Table("deploymentstore", Role.LEFT, optional=True, clobs=("deploymentunit",)),
    Table("querydefinitionstore", Role.LEFT, optional=True, clobs=("qexpression",)),
    Table("jbpm_active_clob", Role.LEFT, optional=True),
)

JBPM = Catalogue("jBPM", KEY_SETS, TABLES, known_prefixes=("qrtz_", "archival_"))
