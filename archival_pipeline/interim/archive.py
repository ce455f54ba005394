"""The archive of interim data in the backup database: encrypted, read back before it counts.

What is kept is committed, then read back from the table and held against what was encrypted; where there is an
identity it is decrypted, too. Only then does ``keep`` return, and only then is anything removed. Not here: what is kept
(``keeping.py``), and how it comes back (``restoring.py``).
"""

from __future__ import annotations

import hashlib
import uuid
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, BinaryIO

from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.errors import ArchivalError
from archival_pipeline.interim.sealing import spool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    import psycopg

    from archival_pipeline.interim.books import Store
    from archival_pipeline.interim.sealing import Seal

PIECE = 1 << 20
# What is written, and then read back, in one go.
_TOGETHER = 16 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """Something to be kept.

    Attributes:
        process_id: whose it is.
        store: where it comes from.
        name: the key of a file; empty for Redis.
        write: writes its content; says no when there is nothing any more.
    """

    process_id: str
    store: Store
    name: str
    write: Callable[[BinaryIO], bool]


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that was kept."""

    entry_id: uuid.UUID
    process_id: str
    store: Store
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class _Sealed:
    entry: Entry
    plain_bytes: int
    plain_sha256: str
    content: BinaryIO


class Archive:
    """One session on the backup database, in autocommit, that nobody else uses."""

    def __init__(self, session: psycopg.Connection[Any], seal: Seal) -> None:
        """Use a session of its own: what is kept is committed before the work that asked for it."""
        self._session = session
        self._seal = seal

    def keep(self, items: Iterable[Item]) -> int:
        """Keep things; when this returns they are there, read back, and may go. Return how many bytes they were.

        Raises:
            ArchivalError: what was read back is something else.
        """
        kept = 0
        with ExitStack() as spools:
            group: list[_Sealed] = []
            waiting = 0
            for item in items:
                sealed = self._sealed(item, spools)
                if sealed is None:
                    continue
                group.append(sealed)
                waiting += sealed.plain_bytes
                kept += sealed.plain_bytes
                if waiting >= _TOGETHER:
                    self._write(group)
                    spools.close()
                    group, waiting = [], 0
            self._write(group)
        return kept

    def entries(self, process_ids: Sequence[str]) -> list[Entry]:
        """What was kept of processes: parts of Redis, oldest first, and the newest copy of each file."""
        rows = self._session.execute(load_sql("backup/interim_archive_entries"), {"process_ids": list(process_ids)})
        return [Entry(*row) for row in rows.fetchall()]

    def read(self, entry: Entry, target: BinaryIO) -> None:
        """Write the content of something that was kept.

        Raises:
            ArchivalError: it is damaged, or cannot be decrypted.
        """
        with closing(spool()) as sealed:
            with closing(self._pieces([entry.entry_id])) as pieces:
                _collect(entry, (row[1] for row in pieces), sealed)
            self._seal.open(sealed, target)

    def restored_by(self, audit_id: str) -> list[str]:
        """The processes that an operation has moved back to the engine's database."""
        rows = self._session.execute(load_sql("backup/interim_archive_restored"), {"audit_id": audit_id})
        return [row[0] for row in rows.fetchall()]

    def mark_restored(self, process_id: str) -> None:
        """Remember that a process has its data again."""
        self._session.execute("UPDATE interim_archive SET restored_at = now() WHERE process_id = %s", (process_id,))

    def owners_older_than(self, days: int) -> list[str]:
        """The processes of which something was kept longer ago."""
        rows = self._session.execute(
            "SELECT DISTINCT process_id FROM interim_archive WHERE kept_at < now() - make_interval(days => %s)", (days,)
        )
        return [row[0] for row in rows.fetchall()]

    def forget_older_than(self, days: int, besides: Iterable[str] = ()) -> int:
        """Delete what was kept longer ago, but for some processes; return how many things that were."""
        return self._session.execute(
            "DELETE FROM interim_archive"
            " WHERE kept_at < now() - make_interval(days => %s) AND process_id <> ALL(%s::text[])",
            (days, list(besides)),
        ).rowcount

    def _sealed(self, item: Item, spools: ExitStack) -> _Sealed | None:
        with closing(spool()) as plain:
            if not item.write(plain):
                return None
            size = plain.tell()
            plain.seek(0)
            content = spools.enter_context(closing(spool()))
            self._seal.close(plain, content)
            entry = Entry(uuid.uuid4(), item.process_id, item.store, item.name, _digest(content))
            return _Sealed(entry, size, _digest(plain), content)

    def _write(self, group: Sequence[_Sealed]) -> None:
        if not group:
            return
        columns = "entry_id, process_id, store, name, sha256, plain_bytes"
        with self._session.transaction(), self._session.cursor() as cursor:
            with cursor.copy(f"COPY interim_archive ({columns}) FROM STDIN") as copy:
                for one in group:
                    entry = one.entry
                    copy.write_row(
                        (entry.entry_id, entry.process_id, entry.store, entry.name, entry.sha256, one.plain_bytes)
                    )
            with cursor.copy("COPY interim_archive_piece (entry_id, number, content) FROM STDIN") as copy:
                for one in group:
                    one.content.seek(0)
                    for number, piece in enumerate(iter(lambda: one.content.read(PIECE), b"")):  # noqa: B023
                        copy.write_row((one.entry.entry_id, number, piece))
        self._verify({one.entry.entry_id: one for one in group})

    def _verify(self, group: Mapping[uuid.UUID, _Sealed]) -> None:
        read = 0
        with closing(self._pieces(list(group))) as pieces:
            for entry_id, rows in groupby(pieces, key=itemgetter(0)):
                one = group[entry_id]
                with closing(spool()) as there:
                    _collect(one.entry, (row[1] for row in rows), there)
                    self._verify_plain(one, there)
                read += 1
        if read != len(group):
            raise _damaged(next(iter(group.values())).entry)

    def _verify_plain(self, one: _Sealed, sealed: BinaryIO) -> None:
        if not self._seal.can_open:
            return
        with closing(spool()) as plain:
            self._seal.open(sealed, plain)
            if _digest(plain) != one.plain_sha256:
                raise _damaged(one.entry)

    def _pieces(self, entry_ids: Sequence[uuid.UUID]) -> Generator[tuple[uuid.UUID, bytes]]:
        """Id and piece, entry by entry."""
        with self._session.cursor() as cursor:
            yield from cursor.stream(
                "SELECT entry_id, content FROM interim_archive_piece"
                " WHERE entry_id = ANY(%s) ORDER BY entry_id, number",
                (list(entry_ids),),
                binary=True,
            )


def _collect(entry: Entry, pieces: Iterable[bytes], target: BinaryIO) -> None:
    """Write the encrypted content of an entry, and go back to its beginning."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        target.write(piece)
    target.seek(0)
    if digest.hexdigest() != entry.sha256:
        raise _damaged(entry)


def _digest(content: BinaryIO) -> str:
    content.seek(0)
    digest = hashlib.sha256()
    while piece := content.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _damaged(entry: Entry) -> ArchivalError:
    return ArchivalError(
        f"What was kept of process {entry.process_id} does not read back as it was written ({entry.store}).",
        resolve="Look at the disk and the log of the backup database. Nothing was removed because of this copy.",
        code="INTERIM_ARCHIVE_DAMAGED",
    )
