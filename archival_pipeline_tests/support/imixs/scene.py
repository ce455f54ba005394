"""An instance, a backup space and a record together, as a run of the product finds them."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archival_pipeline.database import migrations
from archival_pipeline.imixs.record import Record
from archival_pipeline.imixs.storage.opening import open_store
from archival_pipeline.settings_imixs import ImixsSettings, KeepingSettings, SpaceSettings
from archival_pipeline_tests.support.imixs.server import USERS

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

    def environment(self) -> dict[str, str]:
        """Variables for a program that works on the scene."""
        database = self.database
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "WORKFLOW_SERVICE_ENDPOINT": self.instance.endpoint,
            "WORKFLOW_SERVICE_USER": "backup",
            "WORKFLOW_SERVICE_PASSWORD": USERS["backup"][0],
            **_environment(self.space),
            "BPM_BACKUP_DB_HOST": database.host,
            "BPM_BACKUP_DB_PORT": str(database.port),
            "BPM_BACKUP_DB_USERNAME": database.username,
            "BPM_BACKUP_DB_PASSWORD": database.password.get_secret_value(),
            "BPM_BACKUP_DB_NAME": database.database,
        }

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


def _environment(space: SpaceSettings) -> dict[str, str]:
    """The variables that these settings would be read from."""
    if space.url is None:
        return {
            "BACKUP_FTP_HOST": space.ftp_host or "",
            "BACKUP_FTP_PORT": str(space.ftp_port),
            "BACKUP_FTP_PATH": space.ftp_path or "",
            "BACKUP_FTP_USER": space.ftp_user,
            "BACKUP_FTP_PASSWORD": space.ftp_password.get_secret_value(),
            "BACKUP_FTP_CA_CERT_PATH": str(space.ftp_ca_cert_path),
        }
    found = {
        "BACKUP_STORAGE_URL": space.url,
        "BACKUP_STORAGE_S3_ENDPOINT": space.s3_endpoint,
        "BACKUP_STORAGE_USER": space.user,
        "BACKUP_STORAGE_PASSWORD": space.password.get_secret_value() if space.password else None,
        "BACKUP_STORAGE_KNOWN_HOSTS_PATH": space.known_hosts_path,
    }
    return {name: str(value) for name, value in found.items() if value is not None}


def folder_space(folder: Path) -> SpaceSettings:
    """A space in a folder of this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    return SpaceSettings(BACKUP_STORAGE_URL=f"file://{folder}")  # type: ignore[call-arg]
