"""Compression and encryption of files, in streams. The name of a file says how it is coded.

Encryption is age (the format of the tool of that name, through pyrage): whoever backs up needs the public recipients
only, and a file can be opened without this product. Not here: which coding is configured (``settings_imixs.py``).
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
from typing import TYPE_CHECKING, cast

import pyrage
import zstandard

from archival_pipeline.errors import ConfigurationError
from archival_pipeline.imixs.failures import DamagedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO

    from archival_pipeline.settings_imixs import KeepingSettings

XML, AGE = ".xml", ".age"
COMPRESSED = {"none": "", "gzip": ".gz", "zstd": ".zst"}
SUFFIXES = tuple(f"{XML}{packed}{sealed}" for sealed in ("", AGE) for packed in COMPRESSED.values())
_GZIP_LEVEL, _ZSTD_LEVEL = 6, 3
_PIECE = 1 << 20


def spool(folder: Path | None) -> BinaryIO:
    """A file without a name, which is gone when it is closed, whatever happens."""
    return cast("BinaryIO", tempfile.TemporaryFile(dir=folder))


def suffix_of(name: str) -> str | None:
    """How the name of a backup file ends; None if it is no backup file."""
    return next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(suffix)), None)


class Coder:
    """Codes and decodes files."""

    def __init__(self, settings: KeepingSettings) -> None:
        self._compression = settings.compression
        self._recipients = _recipients(settings.recipients)
        self._identity_path = settings.identity_path
        self._folder = settings.spool_path
        self.suffix = f"{XML}{COMPRESSED[settings.compression]}{AGE if self._recipients else ''}"

    @property
    def can_open(self) -> bool:
        """Whether files of the configured coding can be read back."""
        return not self._recipients or self._identity_path is not None

    def encode(self, source: BinaryIO, target: BinaryIO) -> None:
        """Write the coded form of a file, from its beginning."""
        source.seek(0)
        if not self._recipients:
            _compress(source, target, self._compression)
            return
        if self._compression == "none":
            pyrage.encrypt_io(source, target, self._recipients)
            return
        with spool(self._folder) as packed:
            _compress(source, packed, self._compression)
            packed.seek(0)
            pyrage.encrypt_io(packed, target, self._recipients)

    def decode(self, source: BinaryIO, target: BinaryIO, suffix: str) -> None:
        """Write the XML of a coded file, from its beginning.

        Args:
            source: the file as it is stored.
            target: takes the XML.
            suffix: how the name of the file ends.

        Raises:
            DamagedError: the file is not what its name says.
            ConfigurationError: it is encrypted, and there is no identity to open it.
        """
        source.seek(0)
        packing = suffix.removeprefix(XML).removesuffix(AGE)
        try:
            if not suffix.endswith(AGE):
                _decompress(source, target, packing)
            elif not packing:
                pyrage.decrypt_io(source, target, self._identities())
            else:
                with spool(self._folder) as packed:
                    pyrage.decrypt_io(source, packed, self._identities())
                    packed.seek(0)
                    _decompress(packed, target, packing)
        except (OSError, EOFError, zstandard.ZstdError, pyrage.DecryptError) as error:
            raise DamagedError(
                f"The file cannot be decoded: {type(error).__name__}.", resolve="Run a full backup to write it anew."
            ) from None

    def _identities(self) -> Sequence[pyrage.x25519.Identity]:
        if self._identity_path is None:
            raise ConfigurationError(
                "A file is encrypted, and BACKUP_ENCRYPTION_IDENTITY_PATH is not set.",
                resolve="Name the file with the age identity that belongs to the recipients.",
            )
        try:
            lines = self._identity_path.read_text(encoding="utf-8").splitlines()
            return [
                pyrage.x25519.Identity.from_str(line.strip()) for line in lines if line.startswith("AGE-SECRET-KEY")
            ]
        except (OSError, pyrage.IdentityError):
            raise ConfigurationError(
                "BACKUP_ENCRYPTION_IDENTITY_PATH cannot be used.", resolve="Name a readable file with an age identity."
            ) from None


def _recipients(text: str | None) -> Sequence[pyrage.x25519.Recipient]:
    try:
        return [pyrage.x25519.Recipient.from_str(part.strip()) for part in (text or "").split(",") if part.strip()]
    except pyrage.RecipientError:
        raise ConfigurationError(
            "BACKUP_ENCRYPTION_RECIPIENTS cannot be used.",
            resolve="Set it to age recipients (age1…), separated by commas.",
        ) from None


def _compress(source: BinaryIO, target: BinaryIO, compression: str) -> None:
    if compression == "gzip":
        # Without a time in its header the same document gives the same file.
        with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=_GZIP_LEVEL, mtime=0) as packed:
            shutil.copyfileobj(source, packed, _PIECE)
    elif compression == "zstd":
        zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).copy_stream(source, target)
    else:
        shutil.copyfileobj(source, target, _PIECE)


def _decompress(source: BinaryIO, target: BinaryIO, packing: str) -> None:
    if packing == ".gz":
        with gzip.GzipFile(fileobj=source, mode="rb") as packed:
            shutil.copyfileobj(packed, target, _PIECE)
    elif packing == ".zst":
        with zstandard.ZstdDecompressor().stream_reader(source, closefd=False) as packed:
            shutil.copyfileobj(packed, target, _PIECE)
    else:
        shutil.copyfileobj(source, target, _PIECE)
