"""What a place for files must be able to do; one object serves one lane at a time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

PIECE = 1 << 20


class Store(Protocol):
    """A backup space. Every method raises :class:`StorageError` when the place refuses or breaks off.

    Attributes:
        name: says where it is, without secrets; the same place always has the same name.
    """

    name: str

    def check(self) -> None:
        """Fail unless the root is there: a root that is missing may be a mount that is missing."""
        ...

    def size(self, path: str) -> int | None:
        """Size of a file in bytes; None if there is none."""
        ...

    def read(self, path: str, sink: Callable[[bytes], object]) -> None:
        """Hand the content of a file over, piece by piece."""
        ...

    def write(self, path: str, source: BinaryIO) -> None:
        """Write a file from the place where the source stands; folders are made on demand."""
        ...

    def move(self, source: str, target: str) -> None:
        """Give a file another name; what had that name before is replaced."""
        ...

    def remove(self, path: str) -> None:
        """Delete a file; one that is not there counts as deleted."""
        ...

    def names(self, path: str) -> list[str]:
        """Names of what stands in a folder, in order; none if there is no such folder."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


def digest_of(store: Store, path: str) -> tuple[int, str]:
    """Size and SHA-256 of a file, read back in full."""
    digest = hashlib.sha256()
    size = 0

    def take(piece: bytes) -> None:
        nonlocal size
        size += len(piece)
        digest.update(piece)

    store.read(path, take)
    return size, digest.hexdigest()


def parent_of(path: str) -> str:
    """The folder of a path."""
    return path.rpartition("/")[0]
