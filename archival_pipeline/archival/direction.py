"""Which way an operation goes: what it reads and deletes from, and what it writes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["primary", "backup"]
OperationName = Literal["backup", "restore", "delete"]


@dataclass(frozen=True, slots=True)
class Direction:
    """The two sides of one operation.

    Attributes:
        operation: its name in audit and ledger.
        origin: the side that is read and deleted from.
        destination: the side that is written; for a bulk deletion the side that is compared with.
    """

    operation: OperationName
    origin: Side
    destination: Side

    @property
    def copies(self) -> bool:
        """Whether rows are written to the destination."""
        return self.operation != "delete"

    @property
    def proof_with_copy(self) -> bool:
        """Whether the digests of both sides are compared before the copy commits, and not right before the deletion.

        What leaves the primary is proven at the last moment, against the committed backup. What comes back to it
        belongs to the engine as soon as it is committed, so there the proof must come before.
        """
        return self.operation == "restore"

    @property
    def ledger_with_copy(self) -> bool:
        """Whether the ledger stands in the database that is written, so that both commit together."""
        return self.destination == "backup"


BACKUP = Direction("backup", "primary", "backup")
RESTORE = Direction("restore", "backup", "primary")
DELETE_PRIMARY = Direction("delete", "primary", "backup")
DELETE_BACKUP = Direction("delete", "backup", "primary")


def is_archive(side: Side) -> bool:
    """Whether the tables of a side hold contents in place of large objects."""
    return side == "backup"


def direction_of(operation: str, database: str | None = None) -> Direction:
    """The direction of a stored operation; ``database`` says which side a bulk deletion works on."""
    if operation == "delete":
        return DELETE_BACKUP if database == "backup" else DELETE_PRIMARY
    return RESTORE if operation == "restore" else BACKUP
