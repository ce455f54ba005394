"""Files of forms in an S3 bucket: lists them root by root, removes them by the thousand.

Many roots have no file, and a call for each would be most of the work. So the sorted roots and the sorted listing are
walked together: a page that ends behind twenty roots answers for all of them, and the next page begins at the first
root that is still open. Not here: which roots are over (``cleanup.py``, ``sweeper.py``).
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from archival_pipeline.interim.keys import FILES, parse_object
from archival_pipeline.interim.outages import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from botocore.awsrequest import AWSRequest
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

    from archival_pipeline.settings_interim import FileSettings

FILES_STORE = "files"
# The most that one request may list, and remove.
PAGE = 1_000
_PIECE = 1 << 20
_MISSING = frozenset({"NoSuchKey", "404"})
_REFUSED = frozenset(
    {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket", "403", "401", "InvalidBucketName"}
)


@dataclass(slots=True)
class FilesOutcome:
    """What a removal did.

    Attributes:
        removed: files that are gone.
        bytes: what they took.
        failed: reason by root of what is still there.
    """

    removed: int = 0
    bytes: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def open_files(settings: FileSettings) -> FileStore:
    """A store that connects when it is first used; the bucket is named in the path, as Ceph wants it."""
    secret = settings.secret_key.get_secret_value() if settings.secret_key else None
    client = boto3.client(
        "s3",
        endpoint_url=settings.endpoint,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=secret,
        region_name=settings.region,
        verify=str(settings.ca_cert_path) if settings.ca_cert_path else None,
        config=Config(
            s3={"addressing_style": "path"},
            signature_version="s3v4",
            connect_timeout=5,
            read_timeout=60,
            # Tries are counted in one place, ours (outages.py).
            retries={"total_max_attempts": 1},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    # Ceph asks for the old digest with a removal of many, which the library no longer sends.
    client.meta.events.register("before-sign.s3.DeleteObjects", _with_md5)
    return FileStore(client, settings.bucket)


def _with_md5(request: AWSRequest, **_: Any) -> None:
    body: Any = request.body
    content = body if isinstance(body, bytes) else str(body).encode()
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode("ascii")


class FileStore:
    """One bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        """Work on a client and a bucket that is there."""
        self.client = client
        self.bucket = bucket

    def close(self) -> None:
        """Give the connections back."""
        self.client.close()

    def pages(self, after: str = "") -> Iterator[list[ObjectTypeDef]]:
        """Every file below the common prefix, in the order of their keys, a page at a time.

        Args:
            after: begin behind this key.
        """
        truncated = True
        while truncated:
            page, truncated = self._page(after)
            if not page:
                return
            yield page
            after = page[-1]["Key"]

    def files_of(self, roots: Sequence[str]) -> Iterator[list[ObjectTypeDef]]:
        """The files of these roots only, a page at a time, whatever lies between them."""
        waiting = sorted({f"{FILES}{root}/" for root in roots})
        after = ""
        while waiting:
            # Nothing sorts between a prefix and its own first key.
            after = max(after, waiting[0])
            page, truncated = self._page(after)
            prefixes = set(waiting)
            wanted = [found for found in page if _prefix(found["Key"]) in prefixes]
            if wanted:
                yield wanted
            if not truncated:
                return
            after = page[-1]["Key"]
            # A prefix whose last file may be on the next page is still open.
            waiting = [prefix for prefix in waiting if prefix > after or after.startswith(prefix)]

    def read(self, key: str, target: BinaryIO) -> bool:
        """Write the content of a file; whether there is one. Its length is held against what the service says."""
        target.seek(0)
        target.truncate()
        with reached():
            try:
                answer = self.client.get_object(Bucket=self.bucket, Key=key)
                target.writelines(answer["Body"].iter_chunks(_PIECE))
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _MISSING:
                    return False
                raise
        return True

    def write(self, key: str, source: BinaryIO) -> None:
        """Write a file; it appears whole or not at all."""
        source.seek(0)
        with reached():
            self.client.put_object(Bucket=self.bucket, Key=key, Body=source)

    def remove(self, files: Sequence[ObjectTypeDef]) -> FilesOutcome:
        """Remove files, a thousand a request. A file that is not there is no mistake."""
        outcome = FilesOutcome()
        for at in range(0, len(files), PAGE):
            batch = {found["Key"]: found.get("Size", 0) for found in files[at : at + PAGE]}
            with reached():
                answer = self.client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
                )
            for error in answer.get("Errors", []):
                size = batch.pop(error.get("Key", ""), None)
                if size is not None:
                    owners = parse_object(error["Key"]).owners
                    reason = error.get("Code", "unknown")
                    outcome.failed |= dict.fromkeys(owners, f"{reason} for a file")
            outcome.removed += len(batch)
            outcome.bytes += sum(batch.values())
        return outcome

    def _page(self, after: str) -> tuple[list[ObjectTypeDef], bool]:
        with reached():
            answer = self.client.list_objects_v2(Bucket=self.bucket, Prefix=FILES, StartAfter=after, MaxKeys=PAGE)
        return answer.get("Contents", []), bool(answer.get("IsTruncated"))


def root_of(found: ObjectTypeDef) -> str:
    """The root under whose id a file lies."""
    return _prefix(found["Key"])[len(FILES) : -1]


def _prefix(key: str) -> str:
    """``process/{root}/`` of a file's key."""
    return key[: key.find("/", len(FILES)) + 1]


@contextmanager
def reached() -> Iterator[None]:
    """Turn what the driver raises into our error; its text never holds a credential.

    Raises:
        StoreError: the store cannot be reached or refuses us.
    """
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        raise StoreError(FILES_STORE, f"it answered {code}", transient=code not in _REFUSED) from error
    except BotoCoreError as error:
        raise StoreError(FILES_STORE, type(error).__name__, transient=True) from error
