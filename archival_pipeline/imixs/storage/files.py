"""Folders, here or behind SFTP, through fsspec. Not here: the settings (``opening.py``)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import paramiko
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.sftp import SFTPFileSystem

from archival_pipeline.imixs.failures import StorageError
from archival_pipeline.imixs.storage.store import PIECE, parent_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from fsspec import AbstractFileSystem

_BROKEN = (OSError, EOFError, paramiko.SSHException)


class StrictSftp(SFTPFileSystem):  # type: ignore[misc]
    """SFTP that talks to known hosts only; the class of fsspec would trust any."""

    def _connect(self) -> None:
        arguments = dict(self.ssh_kwargs)
        known_hosts = arguments.pop("known_hosts", None)
        self.client = paramiko.SSHClient()
        self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        if known_hosts:
            self.client.load_host_keys(known_hosts)
        else:
            self.client.load_system_host_keys()
        self.client.connect(self.host, **arguments)
        self.ftp = self.client.open_sftp()
        channel = self.ftp.get_channel()
        if channel is not None:
            channel.settimeout(arguments.get("timeout"))


class FolderStore:
    """A folder of a file system."""

    def __init__(self, name: str, root: str, connect: Callable[[], AbstractFileSystem]) -> None:
        self.name = name
        self._root = root.rstrip("/")
        self._connect = connect
        self._system: AbstractFileSystem | None = None
        self._made: set[str] = set()

    def check(self) -> None:
        """Fail unless the root is there."""
        with self._reported("looking for the root"):
            if not self._files.isdir(self._root):
                message = "the root folder is missing"
                raise OSError(message)

    def size(self, path: str) -> int | None:
        """Size of a file."""
        with self._reported("asking for a size"):
            try:
                return int(self._files.info(self._full(path))["size"])
            except FileNotFoundError:
                return None
        raise AssertionError

    def read(self, path: str, sink: Callable[[bytes], object]) -> None:
        """Read a file."""
        with self._reported("reading a file"), self._files.open(self._full(path), "rb") as file:
            while piece := file.read(PIECE):
                sink(piece)

    def write(self, path: str, source: BinaryIO) -> None:
        """Write a file; on a disk of this machine it is there to stay before this returns."""
        with self._reported("writing a file"):
            self._make(parent_of(path))
            with self._files.open(self._full(path), "wb") as file:
                while piece := source.read(PIECE):
                    file.write(piece)
                file.flush()
                if isinstance(self._files, LocalFileSystem):
                    os.fsync(file.fileno())

    def move(self, source: str, target: str) -> None:
        """Rename a file."""
        with self._reported("renaming a file"):
            self._make(parent_of(target))
            if isinstance(self._files, LocalFileSystem):
                os.replace(self._full(source), self._full(target))  # noqa: PTH105 - both are texts of this store
                _keep_names(parent_of(self._full(target)))
            else:
                # The POSIX rename of the protocol's extension: it replaces, as the old one does not.
                self._files.ftp.posix_rename(self._full(source), self._full(target))

    def remove(self, path: str) -> None:
        """Delete a file."""
        with self._reported("deleting a file"):
            try:
                self._files.rm_file(self._full(path))
            except FileNotFoundError:
                return

    def names(self, path: str) -> list[str]:
        """List a folder."""
        with self._reported("listing a folder"):
            try:
                found = self._files.ls(self._full(path), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
            return sorted(str(name).rstrip("/").rpartition("/")[2] for name in found)
        raise AssertionError

    def close(self) -> None:
        """End the connection, if there is one."""
        if isinstance(self._system, StrictSftp):
            self._system.client.close()
        self._system = None

    @property
    def _files(self) -> Any:
        if self._system is None:
            self._system = self._connect()
        return self._system

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/")

    def _make(self, folder: str) -> None:
        if folder and folder not in self._made:
            if not self._files.isdir(self._root):
                message = "the root folder is missing"
                raise OSError(message)
            self._files.makedirs(self._full(folder), exist_ok=True)
            self._made.add(folder)

    def _reported(self, doing: str) -> AbstractContextManager[None]:
        return _Reported(self, doing)

    def forget(self) -> None:
        """Drop a connection that has failed."""
        self._made.clear()
        self.close()


def _keep_names(folder: str) -> None:
    """Have the names of a folder on disk: what the entry is deleted for must be found after a loss of power, too."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class _Reported:
    """Turns what the place says into our error, and drops the connection."""

    def __init__(self, store: FolderStore, doing: str) -> None:
        self._store, self._doing = store, doing

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _BROKEN):
            self._store.forget()
            reason = str(error).strip().rstrip(".")[:300] or type(error).__name__
            raise StorageError(
                f"The backup space {self._store.name} failed while {self._doing}: {reason}.",
                resolve="Check the place and its rights; the next run tries again.",
            ) from None
