"""One query for each oddity of the sample data: it has rows when the oddity is there."""

from __future__ import annotations

from typing import LiteralString

# name of the trap -> a query that has rows when the trap is there; %s is the list of its ids
TRAPS: dict[str, LiteralString] = {
    "parent_null": "SELECT 1 FROM processinstancelog WHERE processinstanceid = ANY (%s) "
    "AND parentprocessinstanceid IS NULL",
    "parent_zero": "SELECT 1 FROM processinstancelog WHERE processinstanceid = ANY (%s) "
    "AND parentprocessinstanceid = 0",
    "parent_minus_one": "SELECT 1 FROM processinstancelog WHERE processinstanceid = ANY (%s) "
    "AND parentprocessinstanceid = -1",
    "parent_gone": "SELECT 1 FROM processinstancelog AS c WHERE processinstanceid = ANY (%s) AND NOT EXISTS "
    "(SELECT FROM processinstancelog AS p WHERE p.processinstanceid = c.parentprocessinstanceid)",
    "parent_cycle": "SELECT 1 FROM processinstancelog AS a JOIN processinstancelog AS b "
    "ON a.parentprocessinstanceid = b.processinstanceid AND b.parentprocessinstanceid = a.processinstanceid "
    "WHERE a.processinstanceid = ANY (%s) AND a.processinstanceid <> b.processinstanceid",
    "parent_self": "SELECT 1 FROM processinstancelog WHERE processinstanceid = ANY (%s) "
    "AND parentprocessinstanceid = processinstanceid",
    "task_log_pid_null": "SELECT 1 FROM audittaskimpl AS a JOIN taskevent AS e USING (taskid) "
    "JOIN taskvariableimpl AS v USING (taskid) WHERE a.processinstanceid = ANY (%s) "
    "AND e.processinstanceid IS NULL AND v.processinstanceid IS NULL",
    "standalone_task": "SELECT 1 FROM task WHERE id = ANY (%s) AND processinstanceid = -1",
    "content_none": "SELECT 1 FROM task AS t JOIN content AS c ON c.id = t.documentcontentid "
    "WHERE t.processinstanceid = ANY (%s) AND t.documentcontentid = -1 AND t.outputcontentid = 0",
    "task_odd_values": "SELECT 1 FROM task WHERE processinstanceid = ANY (%s) AND name IS NULL AND optlock IS NULL",
    "reused_key": "SELECT 1 FROM processinstancelog AS p JOIN correlationkeyinfo AS k ON k.name = p.correlationkey "
    "WHERE p.processinstanceid = ANY (%s) AND p.end_date IS NOT NULL",
    "duplicate_events": "SELECT element FROM eventtypes WHERE instanceid = ANY (%s) "
    "GROUP BY element HAVING count(*) > 1",
    "process_log_gone": "SELECT 1 FROM nodeinstancelog AS n WHERE processinstanceid = ANY (%s) AND NOT EXISTS "
    "(SELECT FROM processinstancelog AS p WHERE p.processinstanceid = n.processinstanceid)",
    "logs_half_deleted": "SELECT 1 FROM nodeinstancelog WHERE processinstanceid = ANY (%s) HAVING count(*) = 8",
    "live_state": "SELECT 1 FROM processinstanceinfo WHERE instanceid = ANY (%s)",
    "open_task": "SELECT 1 FROM task WHERE processinstanceid = ANY (%s) AND status = 'Reserved'",
    "open_job": "SELECT 1 FROM requestinfo WHERE processinstanceid = ANY (%s) AND status = 'QUEUED'",
    "child_running": "SELECT 1 FROM processinstancelog WHERE parentprocessinstanceid = ANY (%s) AND status = 1",
    "grandchild_running": "SELECT 1 FROM processinstancelog AS g JOIN processinstancelog AS c "
    "ON c.processinstanceid = g.parentprocessinstanceid WHERE c.parentprocessinstanceid = ANY (%s) AND g.status = 1",
    "ended_child_of_running": "SELECT 1 FROM processinstancelog AS c JOIN processinstancelog AS p "
    "ON p.processinstanceid = c.parentprocessinstanceid WHERE c.processinstanceid = ANY (%s) "
    "AND c.status = 2 AND p.status = 1",
    "case_open": "SELECT 1 FROM processinstancelog AS c JOIN processinstancelog AS p "
    "ON p.correlationkey LIKE c.correlationkey || ':%%' WHERE c.processinstanceid = ANY (%s) AND p.status = 1",
    "job_by_business_key": "SELECT 1 FROM requestinfo WHERE processinstanceid IS NULL "
    "AND split_part(businesskey, ':', 1)::bigint = ANY (%s)",
    "timer_without_pid": "SELECT 1 FROM contextmappinginfo AS c JOIN timermappinginfo AS t "
    "ON t.kiesessionid = c.ksession_id WHERE t.processinstanceid IS NULL "
    "AND c.context_id::text = ANY (%s::bigint[]::text[])",
    "session_shared": "SELECT 1 FROM contextmappinginfo WHERE context_id = ANY (%s::bigint[]::text[]) "
    "GROUP BY ksession_id HAVING count(*) = 2",
}
