"""The books of interim data in the backup database: how far we are, what waits, what looks left behind, how much.

Work is written down in the transaction that moves the cursor, and struck off when its store has done it: whoever is
killed in between leaves work that is done again, which does no harm. Not here: the work itself (``cleanup.py``).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from psycopg.types.json import Jsonb

from archival_pipeline.database.sqlfiles import load_sql
from archival_pipeline.interim.engines import Ended, cursor_from
from archival_pipeline.interim.holding import ON_HOLD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import psycopg

    from archival_pipeline.interim.engines import Cursor

Store = Literal["redis", "files"]
_CURSOR = "cursor:"
_RUN = "run:"
# Processes on hold that wait in one piece of work.
_MOST_HELD = 1_000


@dataclass(frozen=True, slots=True)
class Work:
    """Processes whose data in one store is to be removed."""

    work_id: int
    items: tuple[Ended, ...]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for one store.

    Attributes:
        store: which one.
        processes: how many are waiting, without those on hold.
        oldest_seconds: how long the oldest has been.
        attempts: most tries that any of it has behind it.
        last_error: why it waits, as far as known.
        due: pieces of work that may be tried now.
        on_hold: processes that wait for the release of a legal hold, and for nothing else.
    """

    store: str
    processes: int
    oldest_seconds: int
    attempts: int
    last_error: str | None
    due: int
    on_hold: int


class Books:
    """One session on the backup database, in autocommit."""

    def __init__(self, session: psycopg.Connection[Any]) -> None:
        """Use a session that nobody else uses at the same time."""
        self.session = session

    @contextmanager
    def reading(self, engine: str) -> Iterator[Cursor]:
        """The cursor, for one reader at a time; what is written in the block is committed with its end."""
        name = f"{_CURSOR}{engine}"
        with self.session.transaction():
            self.session.execute(
                "INSERT INTO interim_state (name, content) VALUES (%s, '{}') ON CONFLICT (name) DO NOTHING", (name,)
            )
            row = self.session.execute(
                "SELECT content FROM interim_state WHERE name = %s FOR UPDATE", (name,)
            ).fetchone()
            yield cursor_from(row[0] if row else None)

    def state(self, name: str) -> dict[str, Any]:
        """What was remembered under a name; nothing at first."""
        row = self.session.execute("SELECT content FROM interim_state WHERE name = %s", (name,)).fetchone()
        return dict(row[0]) if row else {}

    def remember(self, name: str, content: Mapping[str, Any]) -> None:
        """Remember something under a name, instead of what was there."""
        self.session.execute(
            "INSERT INTO interim_state (name, content) VALUES (%s, %s) "
            "ON CONFLICT (name) DO UPDATE SET content = excluded.content, updated_at = now()",
            (name, Jsonb(dict(content))),
        )

    def move_cursor(self, engine: str, cursor: Cursor) -> None:
        """Write the cursor down; call it inside of :meth:`reading`."""
        self.remember(f"{_CURSOR}{engine}", cursor.as_json())

    def forget_cursor(self, engine: str) -> None:
        """Read everything that ended once more."""
        self.session.execute("DELETE FROM interim_state WHERE name = %s", (f"{_CURSOR}{engine}",))

    def queue(self, store: Store, ended: Sequence[Ended]) -> None:
        """Write down that a store has to forget these processes."""
        if ended:
            self.session.execute(
                "INSERT INTO interim_work (store, items, item_count) VALUES (%s, %s, %s)",
                (store, Jsonb([one.as_json() for one in ended]), len(ended)),
            )

    @contextmanager
    def taking(self, store: Store) -> Iterator[Work | None]:
        """The oldest work of a store that is due; free again for others when the block ends, however it ends."""
        with self.session.transaction():
            row = self.session.execute(load_sql("backup/interim_take"), {"store": store}).fetchone()
            yield Work(row[0], tuple(Ended.from_json(item) for item in row[1])) if row else None

    def finish(self, work: Work, besides: Sequence[Ended] = ()) -> None:
        """Strike work off, but for what waits elsewhere."""
        left_out = set(besides)
        done = [one for one in work.items if one not in left_out] if left_out else work.items
        self.session.execute(
            "UPDATE interim_work SET finished_at = now(), last_error = NULL, items = coalesce(%(done)s, items),"
            " item_count = %(count)s WHERE work_id = %(work_id)s",
            {
                "work_id": work.work_id,
                "done": Jsonb([one.as_json() for one in done]) if left_out else None,
                "count": len(done),
            },
        )

    def put_off(self, work: Work, left: Sequence[Ended], error: str) -> None:
        """Leave what could not be done for later, longer each time."""
        parameters = {"work_id": work.work_id, "items": Jsonb([one.as_json() for one in left]), "error": error[:500]}
        self.session.execute(load_sql("backup/interim_put_off"), parameters)

    def wait_held(self, work: Work, held: Sequence[Ended]) -> None:
        """Let what is on hold wait apart from its work."""
        items = Jsonb([one.as_json() for one in held])
        parameters = {"work_id": work.work_id, "items": items, "on_hold": ON_HOLD, "most": _MOST_HELD}
        self.session.execute(load_sql("backup/interim_wait_held"), parameters)

    def wait_with(self, work: Work) -> None:
        """Let everything else of its store wait as long as this work: the store is down."""
        self.session.execute(load_sql("backup/interim_wait_with"), {"work_id": work.work_id})

    def hold_back(self, store: Store, error: str) -> None:
        """Put off whatever is due of a store that cannot even be found."""
        with self.taking(store) as work:
            if work is not None:
                self.put_off(work, work.items, error)
                self.wait_with(work)

    def reopen_recent(self) -> int:
        """Do the Redis work of the last hour again; return how many pieces that are."""
        return self.session.execute(load_sql("backup/interim_reopen")).rowcount

    def purge(self) -> None:
        """Forget work that was finished hours ago."""
        self.session.execute("DELETE FROM interim_work WHERE finished_at < now() - interval '2 hours'")

    def due_at_once(self) -> None:
        """Let everything that waits be tried now."""
        self.session.execute("UPDATE interim_work SET next_attempt_at = now() WHERE finished_at IS NULL")

    def backlog(self) -> list[Backlog]:
        """What waits, per store."""
        return [Backlog(*row) for row in self.session.execute(load_sql("backup/interim_backlog"), {"on_hold": ON_HOLD})]

    def note_candidates(self, store: Store, found: Mapping[str, str]) -> dict[str, float]:
        """Remember what looks left behind (name and shape); answer how many seconds ago each was first seen so."""
        parameters = {"store": store, "names": list(found), "shapes": list(found.values())}
        return dict(self.session.execute(load_sql("backup/interim_note_candidates"), parameters).fetchall())

    def drop_candidates(self, store: Store, names: Iterable[str]) -> None:
        """Forget candidates: they are gone, or needed after all."""
        self.session.execute("DELETE FROM interim_candidate WHERE store = %s AND name = ANY(%s)", (store, list(names)))

    def drop_unseen(self, store: Store, prefix: str, since: str) -> None:
        """Forget candidates that a whole sweep over a prefix, begun at that time, has not met."""
        self.session.execute(
            "DELETE FROM interim_candidate "
            "WHERE store = %s AND starts_with(name, %s) AND last_seen_at < %s::timestamptz",
            (store, prefix, since),
        )

    def note_run(self, what: str, numbers: Mapping[str, int]) -> None:
        """Remember what the last run of something did."""
        self.remember(f"{_RUN}{what}", numbers)

    def last_runs(self) -> list[tuple[str, float, dict[str, int]]]:
        """What ran last, when (in seconds since 1970), and its numbers."""
        rows = self.session.execute(
            "SELECT substr(name, %s), extract(EPOCH FROM updated_at)::float, content FROM interim_state"
            " WHERE starts_with(name, %s) ORDER BY name",
            (len(_RUN) + 1, _RUN),
        )
        return [(row[0], row[1], row[2]) for row in rows.fetchall()]

    def orphans(self) -> list[tuple[str, str, int, int]]:
        """Store, shape, how many, and the age of the oldest in seconds, of what looks left behind."""
        rows = self.session.execute(load_sql("backup/interim_orphans")).fetchall()
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    def now(self) -> str:
        """The time of this server; the only clock that ages are measured by."""
        row = self.session.execute("SELECT clock_timestamp()::text").fetchone()
        return str(row[0]) if row else ""

    def add_totals(self, amounts: Mapping[tuple[str, str], int]) -> None:
        """Add to the counters: figure and place, such as ``deleted`` in ``bpm-form-submissions``."""
        told = {key: amount for key, amount in amounts.items() if amount}
        if told:
            parameters = {
                "figures": [figure for figure, _ in told],
                "places": [place for _, place in told],
                "amounts": list(told.values()),
            }
            self.session.execute(load_sql("backup/interim_add_totals"), parameters)

    def totals(self) -> dict[tuple[str, str], int]:
        """The counters since the beginning."""
        rows = self.session.execute("SELECT figure, place, amount FROM interim_total ORDER BY figure, place")
        return {(row[0], row[1]): row[2] for row in rows}
