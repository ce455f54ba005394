"""Every shape of a key, and everything that only looks like one."""

from __future__ import annotations

import pytest

from archival_pipeline.interim.keys import Keyspaces, Shape, parse_form, parse_object, parse_payload

P = "3f2b8c1e-7a44-11ee-b962-0242ac120002"
R = "11111111-7a44-11ee-b962-0242ac120002"
U = "9D3A2C10-0b1c-4d5e-8f90-a1b2c3d4e5f6"
SPACES = Keyspaces("bpm-form-submissions", "bpm-message-payloads")


@pytest.mark.parametrize(
    ("key", "shape", "owners"),
    [
        (f"process/{P}/task/sign", Shape.TASK_FORM, (P,)),
        ("process/4711/task/Activity_1-a.b", Shape.TASK_FORM, ("4711",)),
        (f"process/{P}/task/підпис", Shape.TASK_FORM, (P,)),
        (f"process-definition/add-lab/start-form/{U}", Shape.START_FORM, ()),
        (f"lowcode_add-lab_start_form_{U}", Shape.EXTERNAL_START, ()),
        # A definition may be called almost anything.
        (f"lowcode_a_start_form_b_start_form_{U}", Shape.EXTERNAL_START, ()),
        (f"lowcode_x_y_system_signature_ceph_key_start_form_{U}", Shape.EXTERNAL_START, ()),
        (f"lowcode_{R}_{P}_system_signature_ceph_key", Shape.SYSTEM_SIGNATURE, (R, P)),
        (f"lowcode_{P}_system_signature_ceph_key_0", Shape.BATCH_SIGNATURE, (P,)),
        (f"lowcode_{P}_system_signature_ceph_key_123", Shape.BATCH_SIGNATURE, (P,)),
        (f"process-instance-id:{P}", Shape.PROCESS_INDEX, (P,)),
        # Nobody's: shown, never touched.
        ("my-own-key", Shape.OTHER, ()),
        ("", Shape.OTHER, ()),
        (f"process/{P}/task/", Shape.OTHER, ()),
        (f"process/{P}/task/a/b", Shape.OTHER, ()),
        (f"process/{P}/task/sign:phantom", Shape.TASK_FORM, (P,)),
        ("process//task/sign", Shape.OTHER, ()),
        ("process/*/task/sign", Shape.OTHER, ()),
        (f"Process/{P}/task/sign", Shape.OTHER, ()),
        (f"process/{P}/task/sign\0", Shape.OTHER, ()),
        (f"process/{P}/task/\udcff", Shape.OTHER, ()),
        (f"xprocess/{P}/task/sign", Shape.OTHER, ()),
        (f"process/{P}/{U}", Shape.OTHER, ()),
        ("process-definition/add-lab/start-form/1", Shape.OTHER, ()),
        (f"process-definition/add-lab/start-form/{U}\n", Shape.OTHER, ()),
        (f"process-definition/a/b/start-form/{U}", Shape.OTHER, ()),
        (f"process-definition/add-lab/start-message/{U}", Shape.OTHER, ()),
        ("lowcode_add-lab_start_form_1", Shape.OTHER, ()),
        (f"lowcode_{P}_system_signature_ceph_key", Shape.OTHER, ()),
        (f"lowcode_{P}_system_signature_ceph_key_", Shape.OTHER, ()),
        (f"lowcode_{P}_system_signature_ceph_key_1x", Shape.OTHER, ()),
        (f"lowcode_{R}_{P}_x_system_signature_ceph_key", Shape.OTHER, ()),
        ("process-instance-id:", Shape.OTHER, ()),
        (f"process-instance-id:{P}:x", Shape.OTHER, ()),
    ],
)
def test_form_keys(key: str, shape: Shape, owners: tuple[str, ...]) -> None:
    parsed = parse_form(key)
    assert (parsed.shape, parsed.owners) == (shape, owners)


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        (f"process-definition/add-lab/start-message/{U}", Shape.MESSAGE_PAYLOAD),
        (f"process-definition/add-lab/start-form/{U}", Shape.OTHER),
        (f"process/{P}/task/sign", Shape.OTHER),
        ("process-definition/add-lab/start-message/latest", Shape.OTHER),
    ],
)
def test_payload_keys(key: str, shape: Shape) -> None:
    assert parse_payload(key).shape == shape


@pytest.mark.parametrize(
    ("key", "owners"),
    [
        (f"process/{R}/{U}", (R,)),
        ("process/12/a", ("12",)),
        # The listing of 12 must not catch 123.
        ("process/123/a", ("123",)),
        (f"process/{R}/folder/file.pdf", (R,)),
        (f"process/{R}/", ()),
        (f"process/{R}", ()),
        (f"processes/{R}/{U}", ()),
        (f"/process/{R}/{U}", ()),
    ],
)
def test_object_keys(key: str, owners: tuple[str, ...]) -> None:
    parsed = parse_object(key)
    assert parsed.owners == owners
    assert (parsed.shape is Shape.FILE) == bool(owners)


@pytest.mark.parametrize(
    ("full", "shape"),
    [
        (f"bpm-form-submissions:process/{P}/task/sign", Shape.TASK_FORM),
        (f"bpm-message-payloads:process-definition/a/start-message/{U}", Shape.MESSAGE_PAYLOAD),
        # The names of the keyspaces are sets, and another keyspace may begin like ours.
        ("bpm-form-submissions", Shape.OTHER),
        (f"bpm-form-submissions-old:process/{P}/task/sign", Shape.OTHER),
        (f"bpm-message-payloads:process/{P}/task/sign", Shape.OTHER),
        (f"process/{P}/task/sign", Shape.OTHER),
        ("bpm-form-submissions:", Shape.OTHER),
    ],
)
def test_full_keys(full: str, shape: Shape) -> None:
    assert SPACES.parse(full).shape == shape


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("start_form_ceph_key", f"lowcode_a_start_form_{U}", f"bpm-form-submissions:lowcode_a_start_form_{U}"),
        (
            "start_message_payload_storage_key",
            f"process-definition/a/start-message/{U}",
            f"bpm-message-payloads:process-definition/a/start-message/{U}",
        ),
        # A variable is written by people: it must not lead to the data of another process.
        ("start_form_ceph_key", f"process/{P}/task/sign", None),
        ("start_form_ceph_key", f"process-instance-id:{P}", None),
        ("start_form_ceph_key", "anything", None),
        ("start_message_payload_storage_key", f"lowcode_a_start_form_{U}", None),
    ],
)
def test_keys_that_variables_name(variable: str, value: str, expected: str | None) -> None:
    assert SPACES.start_key(variable, value) == expected
