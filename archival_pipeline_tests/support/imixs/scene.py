"""An instance, a backup space and a record together, as a run of the product finds them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archival_pipeline.database import migrations
from archival_pipeline.imixs.record import Record
from archival_pipeline.imixs.storage.opening import open_store
from archival_pipeline.settings_imixs import ImixsSettings, KeepingSettings, SpaceSettings

if TYPE_CHECKING:
    from pathlib import Path

    from archival_pipeline.imixs.record import Held
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.support.imixs.instance import Instance

# An afternoon of November 2026.
CREATED = 1_794_000_000_000
MONTH = "2026/11"


def migrated(database: DatabaseSettings) -> None:
    """A builder of template databases that hold the record's tables."""
    migrations.upgrade(database, "backup")


def document_id(number: int = 0) -> str:
    """An id in the form of the engine."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


@dataclass(frozen=True, slots=True)
class Scene:
    """One arrangement."""

    instance: Instance
    database: DatabaseSettings
    space: SpaceSettings

    def settings(self, **keeping: Any) -> ImixsSettings:
        """Settings of a run; keyword arguments are environment variables of how files are kept."""
        # What the constructor does not get it takes from the environment, which tests keep clean.
        kept = KeepingSettings(**({"BACKUP_LANES": 2, "BACKUP_MANIFEST_MINUTES": 0} | keeping))
        return ImixsSettings(self.instance.settings(), self.space, kept, self.database)

    def read(self, path: str) -> bytes:
        """A file of the space."""
        store = open_store(self.space)
        pieces: list[bytes] = []
        store.read(path, pieces.append)
        store.close()
        return b"".join(pieces)

    def names(self, path: str) -> list[str]:
        """What stands in a folder of the space."""
        store = open_store(self.space)
        found = store.names(path)
        store.close()
        return found

    def files(self, document: str) -> list[Held]:
        """What the record has of a document."""
        with Record.open(self.database, open_store(self.space).name, exclusive=False) as record:
            return record.files_of(document)

    def locks(self, topic: str = "snapshot.backup") -> set[str]:
        """What the record says is locked by us."""
        with Record.open(self.database, open_store(self.space).name, exclusive=False) as record:
            return record.locks(topic)


def folder_space(folder: Path) -> SpaceSettings:
    """A space in a folder of this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    return SpaceSettings(BACKUP_STORAGE_URL=f"file://{folder}")  # type: ignore[call-arg]
