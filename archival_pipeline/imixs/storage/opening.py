"""Chooses the place by the settings, and lends its connections to the lanes."""

from __future__ import annotations

import queue
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from fsspec.implementations.local import LocalFileSystem

from archival_pipeline.errors import ConfigurationError
from archival_pipeline.imixs.storage.files import FolderStore, StrictSftp
from archival_pipeline.imixs.storage.ftp import FtpAddress, FtpStore
from archival_pipeline.imixs.storage.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archival_pipeline.imixs.storage.store import Store
    from archival_pipeline.settings_imixs import SpaceSettings

_SSH_PORT = 22


def open_store(settings: SpaceSettings) -> Store:
    """A connection to the configured place; nothing is sent yet, except to S3 for nobody."""
    if settings.url is None:
        return FtpStore(_ftp(settings))
    parts = urlsplit(settings.url)
    path = unquote(parts.path)
    if parts.scheme == "file":
        return FolderStore(f"file://{path.rstrip('/')}", path, lambda: LocalFileSystem(skip_instance_cache=True))
    if parts.scheme == "sftp":
        port = parts.port or _SSH_PORT
        return FolderStore(f"sftp://{parts.hostname}:{port}{path.rstrip('/')}", path, lambda: _sftp(settings, port))
    return S3Store(
        parts.netloc,
        path,
        endpoint=settings.s3_endpoint,
        user=settings.user,
        password=settings.password,
        timeout=settings.timeout_seconds,
    )


def _ftp(settings: SpaceSettings) -> FtpAddress:
    return FtpAddress(
        host=settings.ftp_host or "",
        port=settings.ftp_port,
        root=settings.ftp_path or "",
        user=settings.ftp_user,
        password=settings.ftp_password,
        tls=_tls(settings),
        timeout=settings.timeout_seconds,
    )


def _tls(settings: SpaceSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ftp_ca_cert_path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"BACKUP_FTP_CA_CERT_PATH cannot be used: {type(error).__name__}.",
            resolve="Name a readable file with the CA certificate in PEM.",
        ) from None
    if not settings.ftp_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _sftp(settings: SpaceSettings, port: int) -> StrictSftp:
    arguments: dict[str, Any] = {
        "port": port,
        "username": settings.user,
        "timeout": settings.timeout_seconds,
        "allow_agent": False,
        "look_for_keys": False,
    }
    if settings.password is not None:
        arguments["password"] = settings.password.get_secret_value()
    if settings.key_path is not None:
        arguments["key_filename"] = str(settings.key_path)
    if settings.known_hosts_path is not None:
        arguments["known_hosts"] = str(settings.known_hosts_path)
    host = urlsplit(settings.url or "").hostname
    return StrictSftp(host, skip_instance_cache=True, **arguments)


class StorePool:
    """Connections of the lanes: each is used by one at a time, and kept for the next."""

    def __init__(self, connect: Callable[[], Store]) -> None:
        self._connect = connect
        self._free: queue.SimpleQueue[Store] = queue.SimpleQueue()
        self._all: list[Store] = []

    @contextmanager
    def lent(self) -> Iterator[Store]:
        """A connection, for a while."""
        try:
            store = self._free.get_nowait()
        except queue.Empty:
            store = self._connect()
            self._all.append(store)
        try:
            yield store
        finally:
            self._free.put(store)

    def close(self) -> None:
        """Close all of them."""
        for store in self._all:
            store.close()
        self._all.clear()
