"""Judges a pair of databases at any moment of a move: nothing lost, nothing torn, nothing double without a name.

It knows only what stood there before, which trees the job is about, and the ledger; rows are read by ``checker.py``,
which shares no statement with the product. The names of the checks are those of the invariants. Not here: what made
the moment (the fault tests).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archival_pipeline.database.connections import connect
from archival_pipeline_tests.support.checker import OWNED, Checker, differences

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.support.checker import Row, Rows

_LEDGER = """
SELECT b.audit_id, b.state, b.digests IS NOT NULL, m.root
FROM archival_batch AS b CROSS JOIN LATERAL unnest(b.member_roots) AS m (root)
WHERE b.state <> 'planned' GROUP BY b.batch_id, m.root
"""
_OPEN = ("copying", "copied", "deleting")


@dataclass(frozen=True, slots=True)
class Moment:
    """What both databases hold.

    Attributes:
        primary: rows of the owned tables.
        backup: the same.
        others: rows of the primary's other tables.
        objects: large objects of the primary.
        sequences: last values of the primary's sequences.
        audits: operations that the ledger knows.
    """

    primary: Rows
    backup: Rows
    others: Rows
    objects: dict[int, bytes]
    sequences: dict[str, int | None]
    audits: frozenset[str]

    @classmethod
    def look(cls, primary: DatabaseSettings, backup: DatabaseSettings) -> Moment:
        """Read both databases."""
        checker = Checker(primary, backup)
        everything = checker.dump()
        others = {name: rows for name, rows in everything.rows.items() if name not in OWNED}
        audits = frozenset(entry.audit_id for entry in read_ledger(backup))
        return cls(checker.primary(), checker.backup(), others, everything.objects, everything.sequences, audits)


@dataclass(frozen=True, slots=True)
class Entry:
    """A tree in a batch of the ledger."""

    audit_id: str
    state: str
    proven: bool
    root: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found at one moment.

    Attributes:
        problems: a sentence for each invariant that does not hold; empty when all do.
        origin: how much of the trees is at the origin: whole, gone, or some of both.
        destination: the same of the destination.
        ledger: states of the trees in the ledger, of this job only.
    """

    problems: list[str]
    origin: str
    destination: str
    ledger: str


class Oracle:
    """Knows the beginning of one job, and judges every later moment of it.

    Args:
        start: before the job.
        trees: rows of every tree the job should move, by root, as they stood at the origin.
        origin: the side they leave.
        copies: whether they go to the other side; a bulk deletion leaves them nowhere.
    """

    def __init__(self, start: Moment, trees: Mapping[int, Rows], origin: str, *, copies: bool) -> None:
        self._start = start
        self.trees = trees
        self._origin = origin
        self._copies = copies

    def judge(self, primary: DatabaseSettings, backup: DatabaseSettings) -> Judgement:
        """Look at both databases now and hold them against every invariant."""
        return self._judge(Moment.look(primary, backup), self._entries(backup))

    def _entries(self, backup: DatabaseSettings) -> list[Entry]:
        """What the ledger says since the beginning."""
        return [entry for entry in read_ledger(backup) if entry.audit_id not in self._start.audits]

    def _judge(self, now: Moment, ledger: list[Entry]) -> Judgement:
        here, there = (now.primary, now.backup) if self._origin == "primary" else (now.backup, now.primary)
        left = {root: self._part(rows, here) for root, rows in self.trees.items()}
        come = {root: self._part(rows, there) for root, rows in self.trees.items()}
        problems = [
            *self._i2_wholeness(left, come),
            *self._i3_never_neither(left, come),
            *self._i4_named_doubles(left, come, ledger),
            *self._i1_conservation_and_i5_bystanders(now, left, come),
            *self._i7_proof_before_delete(left, ledger),
        ]
        states = " and ".join(sorted({entry.state for entry in ledger})) or "planned or nothing"
        return Judgement(problems, _in_words(left), _in_words(come), states)

    def judge_end(self, primary: DatabaseSettings, backup: DatabaseSettings, end: Moment) -> list[str]:
        """The same for the moment after the last run: also, it must be the end of the undisturbed run."""
        now, entries = Moment.look(primary, backup), self._entries(backup)
        problems = self._judge(now, entries).problems
        problems += [f"I6 primary {text}" for text in differences(end.primary, now.primary)]
        problems += [f"I6 backup {text}" for text in differences(end.backup, now.backup)]
        # A restore makes objects anew under numbers of its own; that each row has its content was seen above.
        mine, theirs = Counter(now.objects.values()), Counter(end.objects.values())
        if mine != theirs:
            problems.append(f"I6 large objects: {(mine - theirs).total()} too many, {(theirs - mine).total()} missing")
        if now.sequences != self._start.sequences:
            problems.append("I9 a sequence moved")
        problems += [f"I4 tree {e.root} is still {e.state} in {e.audit_id}" for e in entries if e.state in _OPEN]
        moved = Counter(entry.root for entry in entries if entry.state == "deleted")
        problems += [f"I10 tree {root} has {moved[root]} end states" for root in self.trees if moved[root] != 1]
        return problems

    def _part(self, tree: Rows, side: Rows) -> str:
        """How much of a tree a side has: all, none or a part."""
        found = sum((rows & side[table]).total() for table, rows in tree.items())
        return "none" if found == 0 else "all" if found == sum(rows.total() for rows in tree.values()) else "part"

    def _i2_wholeness(self, left: Mapping[int, str], come: Mapping[int, str]) -> Iterator[str]:
        for root in self.trees:
            if "part" in (left[root], come[root]):
                yield f"I2 tree {root}: {left[root]} at the origin, {come[root]} at the destination"

    def _i3_never_neither(self, left: Mapping[int, str], come: Mapping[int, str]) -> Iterator[str]:
        if self._copies:
            yield from (f"I3 tree {root} is nowhere" for root in self.trees if left[root] == come[root] == "none")

    def _i4_named_doubles(
        self, left: Mapping[int, str], come: Mapping[int, str], ledger: Collection[Entry]
    ) -> Iterator[str]:
        named = {entry.root for entry in ledger if entry.state in _OPEN}
        if self._copies:
            yield from (
                f"I4 tree {root} stands in both databases and the ledger does not say so"
                for root in self.trees
                if left[root] == come[root] == "all" and root not in named
            )

    def _i1_conservation_and_i5_bystanders(
        self, now: Moment, left: Mapping[int, str], come: Mapping[int, str]
    ) -> Iterator[str]:
        """Given which trees have left and come, both databases hold exactly what they should, row by row."""
        here, there = [dict(self._start.primary), dict(self._start.backup)][:: 1 if self._origin == "primary" else -1]
        for root, tree in self.trees.items():
            here = here if left[root] == "all" else _without(here, tree)
            there = _with(there, tree) if self._copies and come[root] == "all" else there
        expected = (here, there) if self._origin == "primary" else (there, here)
        yield from (f"I1 primary {text}" for text in differences(expected[0], now.primary))
        yield from (f"I1 backup {text}" for text in differences(expected[1], now.backup))
        yield from (f"I5 {text}" for text in differences(self._start.others, now.others))

    def _i7_proof_before_delete(self, left: Mapping[int, str], ledger: Collection[Entry]) -> Iterator[str]:
        if not self._copies:
            # A bulk deletion that was not asked to compare has nothing to prove.
            return
        proven = {entry.root for entry in ledger if entry.proven and entry.state in ("deleting", "deleted")}
        yield from (
            f"I7 tree {root} left its origin without digests in the ledger"
            for root in self.trees
            if left[root] == "none" and root not in proven
        )


def read_ledger(backup: DatabaseSettings) -> list[Entry]:
    """Every tree of every batch that is past its planning."""
    with connect(backup, purpose="check") as session:
        return [Entry(*row) for row in session.execute(_LEDGER).fetchall()]


def _without(rows: Mapping[str, Counter[Row]], tree: Mapping[str, Counter[Row]]) -> Rows:
    return {table: found - tree.get(table, Counter()) for table, found in rows.items()}


def _with(rows: Mapping[str, Counter[Row]], tree: Mapping[str, Counter[Row]]) -> Rows:
    return {table: found + tree.get(table, Counter()) for table, found in rows.items()}


def _in_words(parts: Mapping[int, str]) -> str:
    found = set(parts.values())
    return "whole" if found == {"all"} else "nothing" if found == {"none"} else "some trees whole, others not"
