"""The operations as Dagster and the command line call them: each opens all it needs, and notes how it ended."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from archival_pipeline.errors import ArchivalError
from archival_pipeline.imixs.backup import Backup
from archival_pipeline.imixs.client import Patience, WorkflowClient
from archival_pipeline.imixs.full import FullBackup
from archival_pipeline.imixs.manifests import write_manifests
from archival_pipeline.imixs.placing import Placing
from archival_pipeline.imixs.record import Record
from archival_pipeline.imixs.restore import Restore, Wish
from archival_pipeline.imixs.storage.opening import StorePool, open_store
from archival_pipeline.imixs.verify import Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archival_pipeline.imixs.results import Report
    from archival_pipeline.settings_imixs import ImixsSettings

# More than any queue: a run works until the queue is empty.
NO_LIMIT = 1_000_000_000
_SHOWN_EVENTS = 1000
# Of whoever asks again in a moment, such as Prometheus.
SHORT_PATIENCE = Patience(connect_seconds=2, read_seconds=4, tries=1)


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def _silent(_: Report) -> None:
    return


class _Opened:
    """Everything that a run needs, open."""

    def __init__(self, settings: ImixsSettings, *, exclusive: bool, files: ExitStack) -> None:
        self.settings = settings
        self.stores = StorePool(lambda: open_store(settings.space))
        files.callback(self.stores.close)
        with self.stores.lent() as store:
            # Before anything is locked anywhere: a space that is not there is no reason to disturb the queue.
            store.check()
            space = store.name
        self.record = files.enter_context(Record.open(settings.database, space, exclusive=exclusive))
        self.client = files.enter_context(WorkflowClient(settings.workflow))
        self.placing = Placing(self.record, settings.keeping)


@contextmanager
def _run(operation: str, report_of: Callable[[], Report], opened: _Opened) -> Iterator[None]:
    """Note a run, however it ends."""
    run_id = opened.record.begin_run(operation)
    try:
        yield
    except BaseException as error:
        code = error.code if isinstance(error, ArchivalError) else type(error).__name__
        if not opened.record.is_closed:
            opened.record.end_run(run_id, "failed", report_of().numbers, f"{code}: {error}"[:2000])
        raise
    report = report_of()
    status = "completed" if report.is_good else "failed"
    opened.record.end_run(run_id, status, report.numbers, report.problem())


@contextmanager
def _open(settings: ImixsSettings, *, exclusive: bool = True) -> Iterator[_Opened]:
    with ExitStack() as files:
        yield _Opened(settings, exclusive=exclusive, files=files)


def backup(
    settings: ImixsSettings,
    *,
    limit: int = NO_LIMIT,
    accept_gone: bool = False,
    progress: Callable[[Report], None] = _silent,
) -> Report:
    """Work off the event log.

    Args:
        settings: of the Imixs backup.
        limit: stop after so many entries.
        accept_gone: delete entries of documents that are gone, however many.
        progress: called after each batch.

    Returns:
        Numbers and problems; entries of documents that failed stay in the queue.
    """
    with _open(settings) as opened:
        run = Backup(opened.client, opened.stores, opened.record, opened.placing, settings.keeping)
        with _run("backup", lambda: run.report, opened):
            run.run(limit, accept_gone=accept_gone, progress=progress)
            _tidy(opened, run.documents, run.report, settings.keeping.manifest_minutes)
        return run.report


def full_backup(settings: ImixsSettings, *, progress: Callable[[Report], None] = _silent) -> Report:
    """Walk over all documents, and store what is missing, older or damaged."""
    with _open(settings) as opened:
        run = FullBackup(opened.client, opened.stores, opened.placing, settings.keeping)
        with _run("full_backup", lambda: run.report, opened):
            run.run(progress)
            _tidy(opened, run.documents, run.report, 0)
        return run.report


def verify(
    settings: ImixsSettings, *, limit: int | None = None, progress: Callable[[Report], None] = _silent
) -> Report:
    """Read files back; all of them, or so many of those not looked at for longest."""
    with _open(settings) as opened:
        run = Verification(opened.stores, opened.record, opened.placing, settings.keeping)
        with _run("verify", lambda: run.report, opened):
            run.run(now(), limit, progress)
            _tidy(opened, opened.record.documents_with_history(), run.report, 0)
        return run.report


def restore(
    settings: ImixsSettings,
    wish: Wish,
    *,
    progress: Callable[[Report], None] = _silent,
    clock: Callable[[], datetime] = now,
) -> Report:
    """Bring files back into the instance."""
    with _open(settings, exclusive=False) as opened:
        # What is in each file matters only to a wish that leaves some out.
        picks = wish.since or wish.until or wish.snapshot_id
        known = opened.record.snapshots_by_path() if picks else {}
        run = Restore(
            opened.client, opened.stores, opened.placing, settings.keeping, wish=wish, known=known, clock=clock
        )
        with _run("restore", lambda: run.report, opened):
            run.run(progress)
        return run.report


def queue(settings: ImixsSettings) -> dict[str, Any]:
    """The event log's entries of our topic: waiting, and locked; of the latter, which are ours."""
    topic = settings.keeping.topic
    with _open(settings, exclusive=False) as opened:
        waiting = opened.client.events(topic, _SHOWN_EVENTS)
        locked = opened.client.events(f"{topic}.lock~{topic}.lock.lock", _SHOWN_EVENTS)
        ours = opened.record.locks(topic)
    return {
        "topic": topic,
        "waiting": len(waiting),
        "more": len(waiting) == _SHOWN_EVENTS,
        "oldest": waiting[0].created if waiting else None,
        "locked": [
            {"id": event.id, "snapshot": event.ref, "created": event.created, "ours": event.id in ours}
            for event in locked
        ],
    }


def waiting(settings: ImixsSettings, *, patience: Patience | None = None) -> int:
    """How many entries wait, counted up to a thousand; asks the instance only.

    Args:
        settings: of the Imixs backup.
        patience: how long to wait for the instance; as the settings say by default.
    """
    with WorkflowClient(settings.workflow, patience=patience) as client:
        return len(client.events(settings.keeping.topic, _SHOWN_EVENTS))


def unlock(settings: ImixsSettings, event_ids: list[str]) -> int:
    """Unlock entries that somebody else has left locked; return how many the instance unlocked."""
    with WorkflowClient(settings.workflow) as client:
        return sum(client.unlock(event_id) for event_id in event_ids)


def status(settings: ImixsSettings) -> dict[str, Any]:
    """What the space holds, sums over all runs, and the latest runs; fails where the space is not there."""
    with _open(settings, exclusive=False) as opened:
        return _status(opened.record)


def numbers(settings: ImixsSettings) -> dict[str, Any]:
    """The same from the record alone: whoever asks every few seconds does not disturb the space."""
    with closing(open_store(settings.space)) as store:
        space = store.name
    with Record.open(settings.database, space, exclusive=False) as record:
        return _status(record)


def _status(record: Record) -> dict[str, Any]:
    return {
        "space": record.space,
        "totals": record.totals(),
        "operations": record.run_totals(),
        "latestRuns": record.latest_runs(10),
    }


def _tidy(opened: _Opened, documents: list[str], report: Report, minutes: int) -> None:
    """Bring history and manifests up to date."""
    keeping = opened.settings.keeping
    older = None
    if keeping.history_days is not None:
        older = int((now() - timedelta(days=keeping.history_days)).timestamp() * 1000)
    with opened.stores.lent() as store:
        report.count("history_removed", opened.placing.prune(store, documents, older))
        report.count("manifests_written", write_manifests(opened.record, store, minutes))
