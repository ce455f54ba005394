"""Backup spaces whose files a test reads and writes behind the back of the product. Servers: ``spaces.py``."""

from __future__ import annotations

import shutil
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import boto3

from archival_pipeline_tests.support.imixs import spaces
from archival_pipeline_tests.support.imixs.scene import folder_space

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from archival_pipeline.settings_imixs import SpaceSettings


class Contents(Protocol):
    """The files of a space, behind the back of the product."""

    def read(self) -> dict[str, bytes]:
        """All of them, by path."""
        ...

    def write(self, files: Mapping[str, bytes]) -> None:
        """Have these files, and no other."""
        ...


@dataclass(frozen=True)
class Folder:
    """Files below a folder of this machine."""

    root: Path

    def read(self) -> dict[str, bytes]:
        found = self.root.rglob("*")
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found if path.is_file()}

    def write(self, files: Mapping[str, bytes]) -> None:
        shutil.rmtree(self.root)
        self.root.mkdir()
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@dataclass(frozen=True)
class Bucket:
    """Objects of a bucket."""

    client: S3Client
    name: str

    def read(self) -> dict[str, bytes]:
        keys = [found["Key"] for found in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]
        return {key: self.client.get_object(Bucket=self.name, Key=key)["Body"].read() for key in keys}

    def write(self, files: Mapping[str, bytes]) -> None:
        for key in self.read().keys() - files.keys():
            self.client.delete_object(Bucket=self.name, Key=key)
        for key, content in files.items():
            self.client.put_object(Bucket=self.name, Key=key, Body=content)


@contextmanager
def a_folder(folder: Path) -> Iterator[tuple[SpaceSettings, Contents]]:
    yield folder_space(folder / "space"), Folder(folder / "space")


@contextmanager
def an_s3(_: Path) -> Iterator[tuple[SpaceSettings, Contents]]:
    with spaces.s3() as space:
        client = boto3.client(
            "s3",
            endpoint_url=space.s3_endpoint,
            region_name="us-east-1",
            aws_access_key_id=spaces.USER,
            aws_secret_access_key=spaces.PASSWORD,
        )
        with closing(client):
            yield space, Bucket(client, "backups")


@contextmanager
def an_ftp(folder: Path) -> Iterator[tuple[SpaceSettings, Contents]]:
    with spaces.ftp(folder) as space:
        yield space, Folder(folder / "ftp" / "backup")


@contextmanager
def an_ftp_that_replaces_nothing(folder: Path) -> Iterator[tuple[SpaceSettings, Contents]]:
    with spaces.ftp(folder, spaces.Faults(never_replaces=True)) as space:
        yield space, Folder(folder / "ftp" / "backup")


@contextmanager
def an_sftp(folder: Path) -> Iterator[tuple[SpaceSettings, Contents]]:
    with spaces.sftp(folder) as space:
        yield space, Folder(folder / "sftp" / "backup")
