"""Rows that belong to no instance but must be there: people, deployments, the counter of case ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archival_pipeline.local.sample_data import vocabulary

if TYPE_CHECKING:
    import psycopg

    from archival_pipeline.local.sample_data.scene import Scene

_PEOPLE = (("User", vocabulary.USERS), ("Group", vocabulary.GROUPS), ("Email", vocabulary.EMAILS))
_ADD_PERSON = "INSERT INTO organizationalentity (dtype, id) VALUES (%s, %s) ON CONFLICT (id) DO NOTHING"
_SET_CASE_NUMBER = """
INSERT INTO caseidinfo (id, caseidprefix, currentvalue) VALUES (nextval('case_id_info_id_seq'), %s, %s)
ON CONFLICT (caseidprefix) DO UPDATE SET currentvalue = excluded.currentvalue
"""


def add_people(connection: psycopg.Connection[Any]) -> None:
    """Insert the users and groups that are missing; tasks point to them by foreign key."""
    with connection.cursor() as cursor:
        cursor.executemany(_ADD_PERSON, [(kind, person) for kind, people in _PEOPLE for person in people])


def add_deployments(connection: psycopg.Connection[Any], scene: Scene) -> None:
    """Collect the deployments that are missing, and one stored query."""
    known = {row[0] for row in connection.execute("SELECT deployment_id FROM deploymentstore")}
    for deployment in vocabulary.DEPLOYMENTS:
        if deployment not in known:
            scene.writer.add(
                "deploymentstore",
                id=scene.writer.next_id("deploymentstore"),
                attributes="",
                deployment_id=deployment,
                deploymentunit=scene.writer.clob(f"<deployment-unit>{deployment}</deployment-unit>"),
                state=1,
                updatedate=scene.now,
            )
    if not known:
        scene.writer.add(
            "querydefinitionstore",
            id=scene.writer.next_id("querydefinitionstore"),
            qexpression=scene.writer.clob("select * from processinstancelog"),
            qname="all-instances",
            qsource="java:jboss/datasources/ExampleDS",
            qtarget="CUSTOM",
        )


def case_number(connection: psycopg.Connection[Any]) -> int:
    """Return the last number that was given to a case."""
    row = connection.execute(
        "SELECT currentvalue FROM caseidinfo WHERE caseidprefix = %s", (vocabulary.CASE_PREFIX,)
    ).fetchone()
    return int(row[0]) if row else 0


def set_case_number(connection: psycopg.Connection[Any], number: int) -> None:
    """Remember the last number that was given to a case."""
    if number:
        with connection.transaction():
            connection.execute(_SET_CASE_NUMBER, (vocabulary.CASE_PREFIX, number))
