"""Events, and how any number of them about one row become one.

Each field of a row is a register: the greater (final, version, value) stays. Such a choice does not depend on order
and does not mind repetition, so shuffled, doubled and replayed streams end in the same row. Not here: the same choice
in SQL, against what the row holds already (``store/writing.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from archival_pipeline.history.events.fields import ENTITIES, FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archival_pipeline.history.events.fields import Entity, Field, Kind, Value


class HistoryEvent(NamedTuple):
    """A change of one row; a tuple, because thousands of them are made each second.

    Attributes:
        kind: which kind of row.
        entity_id: which row.
        values: what the event says, by field name; a field with None is cleared, one that is absent is left alone.
        version: grows with every change of the row.
        event_type: what happened, for people.
        event_id: the same whenever the same change is published.
    """

    kind: Kind
    entity_id: str
    values: Mapping[str, Value]
    version: int
    event_type: str
    event_id: str

    @property
    def entity(self) -> Entity:
        """The description of the row."""
        return ENTITIES[self.kind]


@dataclass(slots=True)
class Folded:
    """What a number of events say about one row: version and value by field name."""

    kind: Kind
    entity_id: str
    cells: dict[str, tuple[int, Value]] = field(default_factory=dict)

    def take(self, event: HistoryEvent) -> None:
        """Put one more event in."""
        version, cells, fields = event.version, self.cells, FIELDS[event.kind]
        for name, value in event.values.items():
            known = cells.get(name)
            described = fields[name]
            if known is None:
                newer = True
            elif described.final == () and known[0] != version:
                # What the rank of most fields comes down to.
                newer = known[0] < version
            else:
                newer = _rank(described, (version, value)) > _rank(described, known)
            if newer:
                cells[name] = (version, value)


def fold(events: Iterable[HistoryEvent]) -> list[Folded]:
    """One entry per row that the events speak of, in the order of kind and id, so that writers lock alike."""
    rows: dict[tuple[Kind, str], Folded] = {}
    for event in events:
        key = (event.kind, event.entity_id)
        row = rows.get(key)
        if row is None:
            row = rows[key] = Folded(event.kind, event.entity_id)
        row.take(event)
    return [rows[key] for key in sorted(rows)]


def _rank(described: Field, cell: tuple[int, Value]) -> tuple[bool, int, bool, str]:
    version, value = cell
    # Texts in order of their code points, as COLLATE "C" has them; times of one form order like their texts.
    return (described.is_final(value), version, value is not None, str(value))
