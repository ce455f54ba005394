"""The errors of the Imixs room: which side failed, and whether another try makes sense."""

from __future__ import annotations

from archival_pipeline.errors import ArchivalError


class ImixsError(ArchivalError):
    """Something went wrong between the instance, the backup space and the record."""

    code = "IMIXS_ERROR"


class UnreachableError(ImixsError):
    """The instance gave no usable answer; the same call may pass later."""

    code = "IMIXS_UNREACHABLE"


class LoginError(ImixsError):
    """The instance did not take the login."""

    code = "IMIXS_LOGIN"


class RefusedError(ImixsError):
    """The instance answered a call with an error; ``status`` is its HTTP status."""

    code = "IMIXS_REFUSED"

    def __init__(self, summary: str, *, resolve: str, status: int) -> None:
        self.status = status
        super().__init__(summary, resolve=resolve)


class DamagedError(ImixsError):
    """Bytes are not the whole, valid document that they should be."""

    code = "IMIXS_DAMAGED"


class StorageError(ImixsError):
    """The backup space refused or broke off; the same call may pass later."""

    code = "IMIXS_STORAGE"


class NothingReadableError(ImixsError):
    """The instance denies everything; that looks like a lost right, not like deleted documents."""

    code = "IMIXS_NOTHING_READABLE"


class PollerBusyError(ImixsError):
    """Another process works on the same backup space."""

    code = "IMIXS_BUSY"


class FindingsError(ImixsError):
    """The work is done, but some documents failed."""

    code = "IMIXS_FINDINGS"
