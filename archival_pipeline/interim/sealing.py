"""Encrypts what is kept: age, the format of the tool of that name, through pyrage.

Whoever keeps needs the public recipients only; without the identity, which may lie elsewhere, nobody reads what was
kept. Not here: where it is kept (``archive.py``).
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, BinaryIO, cast

import pyrage

from archival_pipeline.errors import ArchivalError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archival_pipeline.settings_interim import KeepSettings

# What is larger lies on disk while it is worked on.
_IN_MEMORY = 1 << 20


def spool() -> BinaryIO:
    """A file without a name, which is gone when it is closed, whatever happens."""
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))


class Seal:
    """Encrypts for the configured recipients, and opens where there is an identity."""

    def __init__(self, settings: KeepSettings) -> None:
        """Read the recipients, not the identity."""
        self._recipients = _recipients(settings.recipients)
        self._path = settings.identity_path
        self._known: Sequence[pyrage.x25519.Identity] | None = None

    @property
    def can_open(self) -> bool:
        """Whether there is an identity."""
        return self._path is not None

    def close(self, source: BinaryIO, target: BinaryIO) -> None:
        """Write the encrypted form of what is left of the source."""
        pyrage.encrypt_io(source, target, self._recipients)

    def open(self, source: BinaryIO, target: BinaryIO) -> None:
        """Write what was encrypted; the format itself notices a byte that has changed.

        Raises:
            ConfigurationError: there is no identity.
            ArchivalError: it was encrypted for somebody else, or is damaged.
        """
        try:
            pyrage.decrypt_io(source, target, self._identities())
        except (OSError, pyrage.DecryptError) as error:
            raise ArchivalError(
                f"Interim data that was kept cannot be decrypted: {type(error).__name__}.",
                resolve="Name the age identity of the recipients it was kept for in INTERIM_ARCHIVE_IDENTITY_PATH.",
                code="INTERIM_ARCHIVE_SEALED",
            ) from None

    def _identities(self) -> Sequence[pyrage.x25519.Identity]:
        if self._path is None:
            raise ConfigurationError(
                "Interim data that was kept is encrypted, and INTERIM_ARCHIVE_IDENTITY_PATH is not set.",
                resolve="Name the file with the age identity that belongs to the recipients.",
            )
        if self._known is None:
            try:
                lines = self._path.read_text(encoding="utf-8").splitlines()
                found = [line.strip() for line in lines if line.startswith("AGE-SECRET-KEY")]
                self._known = [pyrage.x25519.Identity.from_str(line) for line in found]
            except (OSError, pyrage.IdentityError):
                raise ConfigurationError(
                    "INTERIM_ARCHIVE_IDENTITY_PATH cannot be used.",
                    resolve="Name a readable file with an age identity.",
                ) from None
        return self._known


def _recipients(text: str | None) -> Sequence[pyrage.x25519.Recipient]:
    try:
        return [pyrage.x25519.Recipient.from_str(part.strip()) for part in (text or "").split(",") if part.strip()]
    except pyrage.RecipientError:
        raise ConfigurationError(
            "INTERIM_ARCHIVE_RECIPIENTS cannot be used.",
            resolve="Set it to age recipients (age1…), separated by commas.",
        ) from None
