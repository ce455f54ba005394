"""Where a snapshot stands in the backup space.

``<yyyy>/<MM>/<document id>.xml`` by the day the *document* was created, as the original has it, so that spaces of
either can be read and continued by the other. What the original does not know stands under ``.archival``, at a depth
that its restore does not look at. Not here: the places themselves (``storage/``).
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from archival_pipeline.imixs.documents import split_snapshot_id
from archival_pipeline.imixs.failures import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archival_pipeline.imixs.storage.store import Store

OWN = ".archival"
_YEAR, _MONTH = re.compile(r"\d{4}"), re.compile(r"\d{2}")
# Zones differ by so much at most: a space that was begun in another zone has the document in one of these months.
_WIDEST = timedelta(hours=26)


def moment_of(text: str | None) -> datetime:
    """A date of a document as a moment.

    Raises:
        DamagedError: it is missing or none.
    """
    try:
        found = datetime.fromisoformat((text or "").strip())
    except ValueError:
        raise DamagedError(f"{text!r} is not a date.", resolve="Look at the document in the instance.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def month_of(created: datetime, zone: str) -> str:
    """The folder of a document: year and month, in the given time zone."""
    return created.astimezone(ZoneInfo(zone)).strftime("%Y/%m")


def months_around(created: datetime, zone: str) -> list[str]:
    """The folder of a document, and those it would have in other time zones."""
    months = [month_of(created + shift, zone) for shift in (timedelta(), -_WIDEST, _WIDEST)]
    return list(dict.fromkeys(months))


def path_of(month: str, document_id: str, suffix: str) -> str:
    """The current file of a document."""
    return f"{month}/{document_id}{suffix}"


def history_path(month: str, snapshot_id: str, suffix: str) -> str:
    """The place of a snapshot that a newer one has taken the place of."""
    return f"{OWN}/history/{month}/{split_snapshot_id(snapshot_id)[0]}/{snapshot_id}{suffix}"


def manifest_path(month: str) -> str:
    """The manifest of a month."""
    return f"{OWN}/manifests/{month}.json"


def damaged_path(path: str) -> str:
    """Where a file goes that was found damaged and is written anew."""
    return f"{OWN}/damaged/files/{path}"


def incoming_path(snapshot_id: str) -> str:
    """A name that nobody else uses, for a file that is not verified yet."""
    return f"{OWN}/incoming/files/new/{snapshot_id}.{uuid.uuid4().hex[:12]}.part"


INCOMING = f"{OWN}/incoming/files/new"


def months_in(store: Store) -> Iterator[str]:
    """Every month folder of a space, oldest first."""
    for year in filter(_YEAR.fullmatch, store.names("")):
        for month in filter(_MONTH.fullmatch, store.names(year)):
            yield f"{year}/{month}"
