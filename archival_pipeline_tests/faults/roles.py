"""An ordinary role for the faults that take rights or passwords away: a superuser would not notice.

Not here: what is taken away (the tests).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql
from pydantic import SecretStr

from archival_pipeline.database.connections import connect

if TYPE_CHECKING:
    from archival_pipeline.settings import DatabaseSettings

ROLE = "fault_role"
PASSWORD = "told to nobody"
_LEND = """
DO $$
DECLARE thing record;
BEGIN
    FOR thing IN SELECT format('ALTER TABLE %I OWNER TO fault_role', tablename) AS run
        FROM pg_tables WHERE schemaname = current_schema()
        UNION ALL SELECT format('ALTER LARGE OBJECT %s OWNER TO fault_role', oid) FROM pg_largeobject_metadata
    LOOP EXECUTE thing.run; END LOOP;
    EXECUTE format('GRANT ALL ON SCHEMA %I TO fault_role', current_schema());
    EXECUTE format('GRANT ALL ON ALL TABLES IN SCHEMA %I TO fault_role', current_schema());
    EXECUTE format('GRANT ALL ON ALL SEQUENCES IN SCHEMA %I TO fault_role', current_schema());
END $$
"""


def lend(where: DatabaseSettings) -> DatabaseSettings:
    """Give everything in a database to an ordinary role, and return the settings to connect as it."""
    with connect(where, purpose="lend", autocommit=True) as session:
        known = session.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone()
        verb = sql.SQL("CREATE" if known is None else "ALTER")
        session.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, sql.Identifier(ROLE), PASSWORD))
        session.execute(_LEND)
    return where.model_copy(update={"username": ROLE, "password": SecretStr(PASSWORD)})
