"""Archived history that has outlived its time in the backup: it goes whole and alone, and what is on hold stays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from archival_pipeline.archival import holding
from archival_pipeline.cli import cli
from archival_pipeline.commands import output
from archival_pipeline.database.connections import connect
from archival_pipeline.errors import BusyError, FencedError, PreflightError
from archival_pipeline.history.cleanup.archive import expiring, ledger
from archival_pipeline.history.cleanup.archive.broom import archive_orphans
from archival_pipeline.history.cleanup.archive.ledger import ARCHIVED, COPIED, EXPIRED, RESTORED
from archival_pipeline.history.cleanup.archive.opening import Target
from archival_pipeline.history.cleanup.archive.service import Wanted
from archival_pipeline.history.cleanup.database import hold_alone, open_session
from archival_pipeline.history.cleanup.running import Surroundings
from archival_pipeline_tests.support.archive import environment_of
from archival_pipeline_tests.support.camunda import variables
from archival_pipeline_tests.support.camunda_archive import Pair
from archival_pipeline_tests.support.camunda_cleanup import Clock, around, cleanup_settings

if TYPE_CHECKING:
    from archival_pipeline.catalogue.holds import Kind
    from archival_pipeline.history.cleanup.archive.expiring import Expired
    from archival_pipeline.settings import DatabaseSettings
    from archival_pipeline_tests.support.camunda_cleanup import Content

_AGED = "UPDATE cleanup_archive_unit SET changed_at = now() - interval '31 days' WHERE unit_id = ANY(%s)"
_ALL_AGED = "UPDATE cleanup_archive_unit SET changed_at = now() - interval '31 days'"
_OF_INVOICES = (
    "SELECT m.unit_id FROM cleanup_archive_unit AS m, camunda_act_hi_procinst AS p"
    " WHERE p.id_ = ANY(m.members) AND p.proc_def_key_ = 'invoice' GROUP BY m.unit_id"
)
_UNITS = "SELECT unit_id, members FROM cleanup_archive_unit WHERE kind = 'hierarchy' ORDER BY unit_id"


@dataclass(frozen=True)
class Kept:
    """A pair whose due history stands in the backup."""

    pair: Pair

    def expire(self, **given: Any) -> Expired:
        """Remove what is older than thirty days, in real time."""
        real = Surroundings(clock=lambda: datetime.now(UTC), sleep=lambda _: None)
        surroundings = given.pop("around", real)
        dry_run = given.pop("dry_run", False)
        settings = cleanup_settings(**{"historyArchiveTimeToLive": "P30D", "historyCleanupBatchSize": "4"} | given)
        return expiring.expire(self.pair.engine, settings, surroundings, Target(self.pair.backup, ""), dry_run=dry_run)

    def age(self, *roots: str) -> None:
        """Let time pass for some, or for all."""
        if roots:
            assert self.pair.execute_backup(_AGED, list(roots)) == len(roots)
        else:
            assert self.pair.execute_backup(_ALL_AGED)

    def units(self) -> dict[str, list[str]]:
        """Hierarchies that the ledger knows, with their members."""
        with connect(self.pair.backup, purpose="test") as session:
            return dict(session.execute(_UNITS).fetchall())

    def roots(self) -> set[str]:
        """Roots that the archive has."""
        return set(self.units()) & set(self.pair.archive_content()["act_hi_procinst"])

    def rows_of(self, root: str) -> set[tuple[str, str]]:
        """The rows of one hierarchy as the engine had them: what a restore of it alone brings back."""
        before = self.pair.engine_content()
        assert self.pair.restore(Wanted(instances=[root])).hierarchies == 1
        back = self.pair.engine_content()
        found = {(table, key) for table, rows in back.items() for key in rows.keys() - before[table].keys()}
        self.pair.run()
        return found


@pytest.fixture
def kept(primary_database: DatabaseSettings, backup_database: DatabaseSettings) -> Kept:
    pair = Pair.make(primary_database, backup_database, hierarchies=12)
    pair.run()
    return Kept(pair)


def place(kept: Kept, kind: Kind, value: str) -> int:
    return holding.place(kept.pair.backup, "camunda", kind, value, reason="case 12", by="a lawyer").hold.hold_id


def flat(content: Content) -> set[tuple[str, str]]:
    return {(table, key) for table, rows in content.items() for key in rows}


def test_an_expired_hierarchy_goes_whole_with_its_byte_arrays_and_nothing_else_changes(kept: Kept) -> None:
    root = max(kept.units(), key=lambda unit: (len(kept.units()[unit]), unit))
    whole = kept.rows_of(root)
    assert {"act_ge_bytearray", "act_hi_procinst"} <= {table for table, _ in whole}
    kept.age(root)
    engine, archive = kept.pair.engine_content(), kept.pair.archive_content()
    told = kept.expire(dry_run=True)
    assert (told.hierarchies, kept.pair.archive_content()) == (1, archive)
    done = kept.expire()
    assert kept.pair.engine_content() == engine
    left = kept.pair.archive_content()
    assert flat(archive) - flat(left) == whole
    assert all(rows.items() <= archive[table].items() for table, rows in left.items())
    assert (done.hierarchies, done.loose, done.rows, done.left) == (1, 0, told.rows, 0)
    assert done.rows.total() == len(whole)
    assert kept.pair.states() == {ARCHIVED, EXPIRED}
    again = kept.expire()
    assert (again.hierarchies, again.rows.total()) == (0, 0)


def test_everything_expires_loose_rows_included(kept: Kept) -> None:
    kept.age()
    done = kept.expire()
    assert not any(kept.pair.archive_content().values())
    assert done.loose
    assert kept.pair.states() == {EXPIRED}
    assert kept.pair.restore().hierarchies == 0


def test_young_history_stays_and_without_a_time_to_live_everything_does(kept: Kept) -> None:
    before = kept.pair.archive_content()
    assert kept.expire().hierarchies == 0
    kept.age()
    never = kept.expire(historyArchiveTimeToLive=None)
    assert never.hierarchies == 0
    assert kept.expire(historyArchiveTimeToLive="P32D").hierarchies == 0
    assert kept.pair.archive_content() == before


def test_i13_what_is_on_hold_stays_whole_and_goes_after_the_release(kept: Kept) -> None:
    units = kept.units()
    called = next(root for root, members in units.items() if len(members) > 1)
    member = next(member for member in units[called] if member != called)
    named, by_setting = [root for root in kept.pair.scene.roots if root in units and root != called][:2]
    holds = [place(kept, "instance", member), place(kept, "business_key", f"bk-{named[:8]}")]
    own = json.dumps({"instances": [by_setting]})
    kept.age()
    assert kept.expire(dry_run=True, historyCleanupHolds=own).held == 3
    done = kept.expire(historyCleanupHolds=own)
    assert (done.held, done.left) == (3, 0)
    assert kept.roots() == {called, named, by_setting}
    assert set(units[called]) <= set(kept.pair.archive_content()["act_hi_procinst"])
    for number in holds:
        holding.release(kept.pair.backup, number, reason="over", by="a judge")
    assert kept.expire().hierarchies == 3
    assert not kept.roots()


def test_i13_a_hold_of_a_definition_keeps_every_hierarchy_that_has_it(kept: Kept) -> None:
    with connect(kept.pair.backup, purpose="test") as session:
        named = {row[0] for row in session.execute(_OF_INVOICES)}
    assert named
    kept.age()
    place(kept, "definition", "invoice")
    before = kept.roots()
    done = kept.expire()
    assert (done.held, done.hierarchies) == (len(named), len(before - named))
    assert kept.roots() == named


def test_i13_loose_rows_of_an_instance_on_hold_stay(kept: Kept) -> None:
    kept.age()
    kept.expire()
    pair = kept.pair
    assert archive_orphans(pair.engine, cleanup_settings(), around(pair.scene), Target(pair.backup, "orphans")).total()
    with connect(pair.backup, purpose="test") as session:
        row = session.execute("SELECT id_, proc_inst_id_ FROM camunda_act_hi_detail").fetchone()
    assert row is not None
    number = place(kept, "instance", row[1])
    kept.age()
    # A detail, and a byte array that names the same instance as its root.
    assert kept.expire().held == 2
    assert row[0] in pair.archive_content()["act_hi_detail"]
    holding.release(pair.backup, number, reason="over", by="a judge")
    assert kept.expire().loose == 2
    assert not any(pair.archive_content().values())


def test_i13_a_hold_placed_between_two_batches_counts(kept: Kept) -> None:
    kept.age()
    now, looks, placed = datetime.now(UTC), iter(range(1000)), list[str]()

    def clock() -> datetime:
        # Looked at once for the age, then before each batch.
        if next(looks) == 2:
            placed.append(min(kept.roots()))
            place(kept, "instance", placed[0])
        return now

    kept.expire(around=Surroundings(clock, lambda _: None, deadline=now + timedelta(hours=1)))
    assert kept.roots() == set(placed)


def test_what_went_back_or_waits_for_a_person_is_left_alone(kept: Kept) -> None:
    back, waiting, *_ = kept.units()
    kept.pair.restore(Wanted(instances=[back]))
    kept.pair.execute_backup("UPDATE cleanup_archive_unit SET problem = 'look' WHERE unit_id = %s", waiting)
    kept.age()
    engine = kept.pair.engine_content()
    assert kept.expire().problems == 1
    assert kept.pair.engine_content() == engine
    assert kept.roots() == {waiting}
    assert kept.pair.states() == {RESTORED, EXPIRED, ARCHIVED}
    # Archived again, it is young again.
    kept.pair.run()
    assert kept.expire().hierarchies == 0
    assert kept.roots() == {waiting, back}


def test_what_is_between_the_sides_is_left_alone(
    primary_database: DatabaseSettings, backup_database: DatabaseSettings
) -> None:
    kept = Kept(Pair.make(primary_database, backup_database, hierarchies=4))
    kept.pair.begin()
    kept.age()
    before = kept.pair.archive_content()
    assert kept.expire().hierarchies == 0
    assert kept.pair.archive_content() == before
    assert kept.pair.states() == {COPIED}


def test_no_batch_begins_after_the_end_of_the_window(kept: Kept) -> None:
    kept.age()
    now = datetime.now(UTC)
    short = Surroundings(Clock(now, timedelta(seconds=1)), lambda _: None, deadline=now + timedelta(seconds=2))
    done = kept.expire(around=short)
    assert done.stopped
    assert done.hierarchies == 4
    assert done.left == len(kept.roots()) + 1
    assert kept.expire().left == 0
    assert not kept.roots()


def test_one_at_a_time_and_only_of_the_engine_that_archived(kept: Kept) -> None:
    kept.age()
    before = kept.pair.archive_content()
    with open_session(kept.pair.engine, "test", autocommit=True) as session:
        hold_alone(session, kept.pair.engine)
        with pytest.raises(BusyError):
            kept.expire()
    kept.pair.execute_backup("UPDATE cleanup_archive_engine SET schema = 'elsewhere'")
    with pytest.raises(PreflightError, match="holds the history of the engine"):
        kept.expire()
    assert kept.pair.archive_content() == before


def test_a_restore_that_lost_the_race_is_told_so(kept: Kept) -> None:
    kept.age()
    with connect(kept.pair.backup, purpose="test", autocommit=True) as session:
        found = list(ledger.units(session, list(kept.units())).values())
        kept.expire()
        with pytest.raises(FencedError, match="another run"):
            ledger.change(session, found, ledger.ARCHIVED, ledger.RETURNING, transaction="1")


def test_the_command_counts_and_removes(
    kept: Kept, clean_environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**environment_of(kept.pair.engine, kept.pair.backup), **variables(kept.pair.engine)}.items():
        clean_environment.setenv(name, value)

    def call(*arguments: str, code: int = output.ExitCode.OK) -> Any:
        assert output.run(cli, ["cleanup", "expire", *arguments, "--json"]) == code
        said = capsys.readouterr().out
        return json.loads(said) if said else None

    call("--dry-run", code=output.ExitCode.USAGE)
    clean_environment.setenv("historyArchiveTimeToLive", "P30D")
    call(code=output.ExitCode.USAGE)
    kept.age()
    told = call("--dry-run")
    done = call("--yes", "--immediate")
    assert {**told, "dryRun": False} == done
    assert done["hierarchies"] > 0
    assert not kept.roots()
