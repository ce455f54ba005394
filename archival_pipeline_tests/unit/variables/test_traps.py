"""One test for each way in which the engine's history misleads."""

from __future__ import annotations

import pytest

from archival_pipeline.variables import failures
from archival_pipeline.variables.cut import Boundary, Flag
from archival_pipeline.variables.failures import SnapshotError
from archival_pipeline.variables.history import JobSuccess
from archival_pipeline.variables.keys import uuid_key
from archival_pipeline.variables.loops import Loops
from archival_pipeline.variables.owners import OwnerKind
from archival_pipeline.variables.snapshot import Snapshot, of_activity
from archival_pipeline_tests.support.camunda_story import Story


def _seen(story: Story, row: str, at: str = "start", **how: bool) -> Snapshot:
    return of_activity(story.history(), row, Boundary(at), **how)


def _changes(snapshot: Snapshot) -> dict[str, str]:
    return {entry.name: entry.change.id for entry in snapshot.visible if entry.change}


def _uncertain(snapshot: Snapshot) -> dict[str, frozenset[Flag]]:
    return {entry.name: entry.flags for entry in snapshot.uncertain}


def test_an_id_with_colons_in_the_activity_id_has_the_key_of_its_last_part() -> None:
    story = Story()
    part = story.new_id()

    assert uuid_key(f"a:b:{part}") == uuid_key(part)
    assert uuid_key("a:b:no-uuid") is None


def test_a_short_id_without_the_activity_id_is_ordered_too() -> None:
    story = Story()
    story.create("x", source=story.root)
    row = story.enter("very-long", row_id=story.new_id())
    story.create("y", source=row)

    assert _changes(_seen(story, row)).keys() == {"x"}


def test_a_change_in_the_millisecond_of_the_start_is_placed_by_its_id() -> None:
    story = Story()
    variable = story.create("x", source=story.root)
    early = story.change(variable, source=story.root)
    row = story.enter("A")
    late = story.change(variable, source=row)
    story.leave(row)

    assert _changes(_seen(story, row)) == {"x": early}
    assert _changes(_seen(story, row, "end")) == {"x": late}


def test_a_removed_variable_is_gone_and_keeps_its_value_in_its_row() -> None:
    story = Story()
    variable = story.create("x", source=story.root)
    story.wait()
    story.change(variable, source=story.root, empty=True, revision=1)
    story.deleted(variable)
    row = story.enter("A")

    assert not _seen(story, row).entries()


def test_a_null_value_is_not_a_removal() -> None:
    story = Story()
    variable = story.create("x", source=story.root)
    null = story.change(variable, source=story.root, empty=True, revision=1)
    row = story.enter("A")
    story.change(variable, source=row, revision=2)

    assert _changes(_seen(story, row)) == {"x": null}


def test_an_empty_row_that_changes_the_type_is_a_null_value() -> None:
    story = Story()
    variable = story.create("x", source=story.root)
    null = story.change(variable, source=story.root, empty=True, type="null", revision=1)
    row = story.enter("A")
    story.change(variable, source=row, revision=1)

    snapshot = _seen(story, row)
    assert _changes(snapshot) == {"x": null}
    assert not snapshot.flags_of("x")


def test_the_first_row_of_a_variable_is_never_a_removal() -> None:
    story = Story()
    variable = story.create("x", source=story.root, empty=True)
    row = story.enter("A")
    story.change(variable, source=row)

    assert _changes(_seen(story, row)).keys() == {"x"}


def test_removed_and_set_again_in_one_transaction_is_flagged_in_between() -> None:
    story = Story()
    variable = story.create("x", source=story.root)
    story.change(variable, source=story.root, empty=True, revision=1)
    row = story.enter("A")
    story.change(variable, source=row, revision=1)

    snapshot = _seen(story, row)
    assert "x" not in _changes(snapshot)
    assert _uncertain(snapshot) == {"x": frozenset({Flag.DELETE_AMBIGUOUS})}


def test_a_variable_removed_and_created_later_has_two_ids_and_one_value() -> None:
    story = Story()
    old = story.create("x", source=story.root)
    story.change(old, source=story.root, empty=True, revision=1)
    story.deleted(old)
    new = story.create("x", source=story.root)
    row = story.enter("A")

    (entry,) = _seen(story, row).visible
    assert entry.variable_id == new


def test_output_parameters_come_after_the_end() -> None:
    story = Story()
    row = story.enter("A", execution="e-own")
    story.wait()
    story.leave(row)
    story.create("out", source=story.root)
    following = story.enter("B")
    story.create("later", source=following)

    assert not _seen(story, row, "end").entries()
    snapshot = _seen(story, row, "end", after_outputs=True)
    assert _changes(snapshot).keys() == {"out"}


def test_a_later_tie_of_another_branch_is_flagged() -> None:
    story = Story()
    variable = story.create("x", source=story.root)
    story.wait()
    one = story.enter("A", execution="e1")
    other = story.enter("B", execution="e2")
    story.wait()
    story.leave(one)
    story.change(variable, source=other)

    snapshot = _seen(story, one, "end")
    assert snapshot.flags_of("x") == {Flag.TIE}


def test_handlers_of_a_compensation_throw_event_run_while_it_is_active() -> None:
    story = Story()
    variable = story.create("x", source=story.root)
    story.wait()
    throw = story.enter("throw", kind="intermediateCompensationThrowEvent")
    story.wait()
    handler = story.enter("undo")
    story.change(variable, source=handler)
    story.leave(handler)
    story.leave(throw)

    assert _seen(story, throw, "end").flags_of("x") == {Flag.TIE}


def test_a_gateway_that_keeps_its_running_state_has_an_end() -> None:
    story = Story()
    gateway = story.enter("fork", kind="parallelGateway")
    story.leave(gateway, state=0)

    assert _seen(story, gateway, "end").boundary is Boundary.END


def test_the_end_of_a_running_activity_is_refused() -> None:
    story = Story()
    row = story.enter("A", kind="userTask")

    with pytest.raises(SnapshotError) as caught:
        _seen(story, row, "end")

    assert caught.value.code == failures.STILL_RUNNING


def test_inputs_of_a_sub_process_name_the_parent_and_belong_to_the_sub_process() -> None:
    story = Story()
    sub_id = f"sub:{story.new_id()}"
    story.create("inp", source=sub_id, execution="e-sub", named=story.root)
    story.enter("sub", execution="e-sub", kind="subProcess", row_id=sub_id)
    inner = story.enter("A", parent=sub_id, execution="e-sub")

    (entry,) = _seen(story, inner).visible
    assert (entry.owner.kind, entry.owner.activity_instance_id) == (OwnerKind.SCOPE, sub_id)


def test_the_inner_variable_wins_and_the_outer_is_shadowed() -> None:
    story = Story()
    outer = story.create("x", source=story.root)
    sub = story.enter("sub", execution="e-sub", kind="subProcess")
    inner = story.create("x", source=sub, execution="e-sub")
    row = story.enter("A", parent=sub, execution="e-sub")

    snapshot = _seen(story, row)
    assert [entry.variable_id for entry in snapshot.visible] == [inner]
    assert [entry.variable_id for entry in snapshot.shadowed] == [outer]


def test_a_variable_of_an_ended_scope_is_gone_without_a_trace() -> None:
    story = Story()
    sub = story.enter("sub", execution="e-sub", kind="subProcess")
    story.create("x", source=sub, execution="e-sub", named=sub)
    story.leave(sub)
    story.wait()
    row = story.enter("A")

    assert not _seen(story, row).entries()


def test_a_branch_variable_follows_its_token_and_no_other() -> None:
    story = Story()
    one = story.enter("A1", execution="e1")
    story.create("x", source=one, execution="e1", named=one)
    story.leave(one)
    story.wait()
    follower = story.enter("A2", execution="e1")
    other = story.enter("B", execution="e2")

    (entry,) = _seen(story, follower).visible
    assert entry.owner.kind is OwnerKind.BRANCH
    snapshot = _seen(story, other)
    assert "x" not in _changes(snapshot)


def test_a_branch_variable_whose_lineage_is_lost_is_flagged() -> None:
    """A sub-process in the branch has an execution of its own, and history does not name its parent."""
    story = Story()
    outer = story.create("x", source=story.root)
    one = story.enter("A1", execution="e1")
    inner = story.create("x", source=one, execution="e1")
    story.leave(one)
    sub = story.enter("sub", execution="e-sub", kind="subProcess")
    # The row is written at commit, when the branch was in the sub-process.
    story.variables[inner] = story.variables[inner]._replace(activity_instance_id=sub)

    snapshot = _seen(story, sub)
    assert [entry.variable_id for entry in snapshot.visible] == [outer]
    assert Flag.AMBIGUOUS in snapshot.visible[0].flags
    assert Flag.AMBIGUOUS in _uncertain(snapshot)["x"]


def test_a_modification_names_no_source_and_is_flagged() -> None:
    story = Story()
    story.create("x", source=None, execution="e9")
    row = story.enter("A", execution="e1")

    assert Flag.AMBIGUOUS in _uncertain(_seen(story, row))["x"]


def test_variables_of_an_event_scope_name_an_instance_without_a_row() -> None:
    story = Story()
    dangling = f"sub:{story.new_id()}"
    copied = story.create("x", source=dangling, execution="e-event", named=dangling)
    handler = story.enter("undo", parent=dangling, execution="e-undo")

    (entry,) = _seen(story, handler).visible
    assert entry.variable_id == copied
    assert entry.owner.kind is OwnerKind.EVENT_SCOPE


def test_task_variables_are_apart() -> None:
    story = Story()
    row = story.enter("B", kind="userTask", execution="e1")
    story.wait()
    story.create("t", source=row, execution="e1", named=row, task="task-1")
    story.wait()
    story.leave(row)

    snapshot = _seen(story, row, "end")
    assert not snapshot.visible
    assert [entry.name for entry in snapshot.task_local] == ["t"]


def _parallel(story: Story, rounds: int) -> tuple[str, list[str]]:
    """A body whose executions are created last to first and whose inner instances start first to last."""
    body = story.enter("M#multiInstanceBody", execution="e-body", kind="multiInstanceBody")
    for number in reversed(range(rounds)):
        story.create("loopCounter", source=body, execution=f"e{number}", named=body, counter=number)
        story.create("el", source=body, execution=f"e{number}", named=body)
    story.wait()
    inner = [story.enter("M", parent=body, execution=f"own{number}", kind="subProcess") for number in range(rounds)]
    return body, inner


def test_each_round_of_a_parallel_body_has_its_own_loop_variables() -> None:
    story = Story()
    body, inner = _parallel(story, 3)

    for number, row in enumerate(inner):
        snapshot = _seen(story, row)
        owners = {entry.name: entry.owner.execution_id for entry in snapshot.visible}
        assert owners == {"loopCounter": f"e{number}", "el": f"e{number}"}
        assert Flag.TECHNICAL in snapshot.flags_of("loopCounter")
        assert not snapshot.flags_of("el")
    loops = Loops(story.history())
    assert [loops.index_of(story.activities[row]) for row in inner] == [0, 1, 2]
    assert not _seen(story, body).entries()


def test_rounds_that_start_through_jobs_are_told_by_the_job_log() -> None:
    story = Story()
    body = story.enter("M#multiInstanceBody", execution="e-body", kind="multiInstanceBody")
    for number in reversed(range(3)):
        story.create("loopCounter", source=body, execution=f"e{number}", named=body, counter=number)
    inner = {}
    for number in (2, 0, 1):
        story.wait()
        inner[number] = story.enter("M", parent=body, execution=f"own{number}", kind="subProcess")
        story.jobs.append(JobSuccess(story.new_id(), "M", f"e{number}"))

    for number, row in inner.items():
        (entry,) = _seen(story, row).visible
        assert entry.owner.execution_id == f"e{number}"


def test_jobs_at_the_same_time_leave_the_rounds_in_doubt() -> None:
    story = Story()
    body = story.enter("M#multiInstanceBody", execution="e-body", kind="multiInstanceBody")
    for number in reversed(range(2)):
        story.create("loopCounter", source=body, execution=f"e{number}", named=body, counter=number)
    rows = [story.enter("M", parent=body, execution=f"own{number}", kind="subProcess") for number in range(2)]
    story.jobs += [JobSuccess(story.new_id(), "M", "e1"), JobSuccess(story.new_id(), "M", "e0")]

    for row in rows:
        snapshot = _seen(story, row)
        assert not snapshot.visible
        assert Flag.AMBIGUOUS in _uncertain(snapshot)["loopCounter"]


def test_a_sequential_body_keeps_one_set_of_loop_variables() -> None:
    story = Story()
    body = story.enter("M#multiInstanceBody", execution="e-body", kind="multiInstanceBody")
    counter = story.create("loopCounter", source=body, execution="e-body", named=body, counter=0)
    story.wait()
    first = story.enter("M", parent=body, execution="own0")
    story.leave(first)
    story.wait()
    second_value = story.change(counter, source=body, counter=1)
    story.wait()
    second = story.enter("M", parent=body, execution="own1")

    assert _changes(_seen(story, second)) == {"loopCounter": second_value}
    assert Loops(story.history()).index_of(story.activities[second]) == 1


def test_a_user_s_own_variable_of_a_technical_name_is_not_technical() -> None:
    story = Story()
    story.create("loopCounter", source=story.root)
    row = story.enter("A")

    assert not _seen(story, row).flags_of("loopCounter")


def test_a_body_without_rounds_has_no_inner_instances() -> None:
    story = Story()
    body = story.enter("M#multiInstanceBody", execution="e-body", kind="multiInstanceBody")
    story.leave(body)

    assert not _seen(story, body, "end").entries()


def test_counters_of_several_engine_processes_fall_back_to_times() -> None:
    """Blocks of 100 ids per process: a later change may have the smaller id."""
    story = Story(counters=True)
    variable = story.create("x", source=story.root)
    story.wait(10)
    story._ticks += 500
    row = story.enter("A")
    story.change(variable, source=row)
    story._ticks -= 400
    story.wait(10)
    story.create("y", source=row)
    story.wait(10)
    story.leave(row)

    history = story.history()
    assert not history.keys.comparable
    assert [entry.change.sequence for entry in _seen(story, row).visible if entry.change] == [1]
    assert _changes(_seen(story, row, "end")).keys() == {"x", "y"}


def test_without_an_order_a_tie_with_the_start_is_flagged() -> None:
    story = Story()
    story.create("x", source=story.root)
    row = story.enter("A", row_id="A:opaque-id")

    assert _uncertain(_seen(story, row)) == {"x": frozenset({Flag.TIE})}


def test_form_properties_and_migrations_leave_no_change_and_no_hole() -> None:
    story = Story()
    variable = story.create("x", source=story.root)
    story.variables[variable] = story.variables[variable]._replace(type="integer")
    row = story.enter("A")

    assert _changes(_seen(story, row)).keys() == {"x"}


@pytest.mark.parametrize("hole", ["first", "middle", "all"])
def test_history_with_holes_is_refused(hole: str) -> None:
    story = Story()
    variable = story.create("x", source=story.root)
    story.change(variable, source=story.root)
    story.change(variable, source=story.root)
    row = story.enter("A")
    story.changes = {"first": story.changes[1:], "middle": story.changes[::2], "all": []}[hole]

    with pytest.raises(SnapshotError) as caught:
        _seen(story, row)

    assert caught.value.code == failures.INCOMPLETE


def test_a_cancelled_activity_has_a_snapshot_of_its_end() -> None:
    story = Story()
    row = story.enter("A", kind="userTask")
    story.wait()
    story.create("x", source=None)
    story.wait()
    story.leave(row, state=2)

    assert _changes(_seen(story, row, "end")).keys() == {"x"}
