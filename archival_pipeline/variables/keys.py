"""The order in which the engine minted ids: the only clock finer than its millisecond times.

An id ends in a UUID of version 1 (its 60-bit timestamp is the key) or in a counter. Counters of several engine
processes interleave in blocks, so they count only where they agree with the times beside them. Ids of another kind
have no key, and callers fall back to times.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

_COUNTER = re.compile(r"[0-9]{1,19}\Z")
_UUID_LENGTH = 36


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


Row = TypeVar("Row", bound=_HasId)


def generated_part(row_id: str) -> str:
    """What the id generator made: activity instance ids put their activity id and a colon before it."""
    return row_id.rsplit(":", 1)[-1]


def uuid_key(row_id: str) -> int | None:
    """The timestamp inside an id that ends in a UUID of version 1."""
    part = row_id if len(row_id) == _UUID_LENGTH else generated_part(row_id)
    # By slices and not by an expression with groups: an instance may have hundreds of thousands of ids.
    if len(part) != _UUID_LENGTH or part[14] != "1" or part[8] != "-" or part[13] != "-":
        return None
    try:
        return int(part[15:18] + part[9:13] + part[:8], 16)
    except ValueError:
        return None


def counter_key(row_id: str) -> int | None:
    """The number that an id ends in."""
    part = generated_part(row_id)
    return int(part) if _COUNTER.match(part) else None


class KeySpace:
    """The keys of one process instance's rows; all of one kind, or none at all.

    Attributes:
        comparable: whether ids tell the order; if not, callers use times.
    """

    def __init__(self, keys: dict[str, int] | None) -> None:
        self._keys = keys or {}
        self.comparable = keys is not None

    @classmethod
    def of(cls, changes: Sequence[tuple[str, datetime]], others: Iterable[str]) -> KeySpace:
        """Find the kind of the ids and whether it can be trusted.

        Args:
            changes: id and time of rows that are minted at that very time, so the order of counters must agree.
            others: ids of the other rows.
        """
        ids = [row_id for row_id, _ in changes]
        ids += others
        for kind, needs_times in ((uuid_key, False), (counter_key, True)):
            keys: dict[str, int] = {}
            for row_id in ids:
                key = kind(row_id)
                if key is None:
                    break
                keys[row_id] = key
            else:
                return cls(keys if not needs_times or _agrees(keys, changes) else None)
        return cls(None)

    def __getitem__(self, row_id: str) -> int:
        key = self._keys.get(row_id)
        if key is None:
            key = uuid_key(row_id)
            key = counter_key(row_id) if key is None else key
        if key is None:
            message = f"no order key in the id {row_id!r}"
            raise KeyError(message)
        return key

    def ordered(self, rows: Iterable[Row]) -> list[Row]:
        """The rows in key order; as given where ids do not tell."""
        found = list(rows)
        if not self.comparable or any(self._missing(row.id) for row in found):
            return found
        return sorted(found, key=lambda row: self[row.id])

    def _missing(self, row_id: str) -> bool:
        return row_id not in self._keys and uuid_key(row_id) is None and counter_key(row_id) is None


def _agrees(keys: dict[str, int], changes: Sequence[tuple[str, datetime]]) -> bool:
    """Whether key order and time order are the same: not so for the counters of several engine processes."""
    ordered = sorted((keys[row_id], time) for row_id, time in changes)
    return all(earlier[1] <= later[1] for earlier, later in pairwise(ordered))
