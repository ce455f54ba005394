"""Fetches one snapshot, whole: what does not fit its digests is asked for once more.

The second answer tells a damaged transfer from a document that is damaged in the instance. The latter is stored as it
is, and said so: refusing it would lose what is good in it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from archival_pipeline.imixs import coding
from archival_pipeline.imixs.failures import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from archival_pipeline.imixs.client import WorkflowClient
    from archival_pipeline.imixs.documents import Document


class Fetched:
    """A snapshot and the answer it came in."""

    def __init__(self, answer: BinaryIO, document: Document, damaged: list[str]) -> None:
        self.answer, self.document, self.damaged = answer, document, damaged


@contextmanager
def fetched(client: WorkflowClient, snapshot_id: str, folder: Path | None) -> Iterator[Fetched | None]:
    """A snapshot in a spool; None if the instance has none of that id, or none that this user may read.

    Raises:
        DamagedError: two answers, and neither is a whole document.
    """
    with coding.spool(folder) as answer:
        document = _whole(client, snapshot_id, answer)
        if document is None:
            yield None
            return
        if document.first("$uniqueid") != snapshot_id:
            raise DamagedError(
                f"The instance answered with another document than {snapshot_id}.", resolve="Look at the instance."
            )
        yield Fetched(answer, document, document.damaged_attachments)


def _whole(client: WorkflowClient, snapshot_id: str, answer: BinaryIO) -> Document | None:
    try:
        document = client.fetch(snapshot_id, answer)
        if document is None or not document.damaged_attachments:
            return document
        before = [(file.name, file.md5) for file in document.attachments]
    except DamagedError:
        return client.fetch(snapshot_id, answer)
    again = client.fetch(snapshot_id, answer)
    after = [(file.name, file.md5) for file in again.attachments] if again else None
    if again is not None and again.damaged_attachments and before != after:
        raise DamagedError(
            f"Two answers about {snapshot_id} differ, and neither fits the digests of its attachments.",
            resolve="Check the network and the instance; the next run tries again.",
        )
    return again
