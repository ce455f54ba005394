"""A bucket of an S3 service. An object appears whole or not at all; a move is a copy within the service.

boto3 is used as it is: the S3 file system of fsspec pins releases of the libraries below it that the rest of the
product does not use. Not here: the settings (``opening.py``).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from archival_pipeline.imixs.failures import StorageError
from archival_pipeline.imixs.storage.store import PIECE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from mypy_boto3_s3 import S3Client
    from pydantic import SecretStr

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
# One part at a time: a lane holds one piece of a large file in memory, not ten.
_TRANSFER = TransferConfig(use_threads=False, multipart_chunksize=8 << 20)


class S3Store:
    """The objects of a bucket below a prefix."""

    def __init__(
        self, bucket: str, prefix: str, *, endpoint: str | None, user: str | None, password: SecretStr | None,
        timeout: float,
    ) -> None:  # fmt: skip
        self.name = f"s3://{bucket}/{prefix.strip('/')}".rstrip("/")
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client: S3Client = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=user,
            aws_secret_access_key=password.get_secret_value() if password else None,
            config=Config(connect_timeout=timeout, read_timeout=timeout, retries={"mode": "standard"}),
        )

    def check(self) -> None:
        """Fail unless the bucket is there."""
        with self._reported("looking for the bucket"):
            self._client.head_bucket(Bucket=self._bucket)

    def size(self, path: str) -> int | None:
        """Size of an object."""
        with self._reported("asking for a size"):
            try:
                return self._client.head_object(Bucket=self._bucket, Key=self._key(path))["ContentLength"]
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise

    def read(self, path: str, sink: Callable[[bytes], object]) -> None:
        """Read an object; the service's own length is held against what came."""
        with self._reported("reading an object"):
            body = self._client.get_object(Bucket=self._bucket, Key=self._key(path))["Body"]
            for piece in body.iter_chunks(PIECE):
                sink(piece)

    def write(self, path: str, source: BinaryIO) -> None:
        """Write an object."""
        with self._reported("writing an object"):
            kept: Any = _Kept(source)
            self._client.upload_fileobj(kept, self._bucket, self._key(path), Config=_TRANSFER)

    def move(self, source: str, target: str) -> None:
        """Copy an object and delete the first."""
        with self._reported("renaming an object"):
            origin = {"Bucket": self._bucket, "Key": self._key(source)}
            self._client.copy(origin, self._bucket, self._key(target), Config=_TRANSFER)  # type: ignore[arg-type]
            self._client.delete_object(Bucket=self._bucket, Key=self._key(source))

    def remove(self, path: str) -> None:
        """Delete an object."""
        with self._reported("deleting an object"):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(path))

    def names(self, path: str) -> list[str]:
        """List what stands below a prefix, as a folder would."""
        prefix = self._key(f"{path}/" if path else "")
        with self._reported("listing objects"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, Delimiter="/"
            )
            found: set[str] = set()
            for page in pages:
                found |= {content["Key"][len(prefix) :] for content in page.get("Contents", [])}
                found |= {part["Prefix"][len(prefix) :].rstrip("/") for part in page.get("CommonPrefixes", [])}
        return sorted(found - {""})

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _key(self, path: str) -> str:
        return f"{self._prefix}{path}"

    @contextmanager
    def _reported(self, doing: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._failed(doing, _code(error)) from None
        except (BotoCoreError, OSError) as error:
            raise self._failed(doing, type(error).__name__) from None

    def _failed(self, doing: str, reason: str) -> StorageError:
        return StorageError(
            f"The backup space {self.name} failed while {doing}: {reason}.",
            resolve="Check bucket, keys and rights; the next run tries again.",
        )


class _Kept:
    """The transfer manager closes what it was given; the caller still needs it."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        return self._source.read(size)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
