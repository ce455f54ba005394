"""The instance for tests behaves as the real engine was seen to, oddities included: line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from archival_pipeline_tests.support.imixs.scene import CREATED, document_id

if TYPE_CHECKING:
    import httpx

    from archival_pipeline_tests.support.imixs.instance import Instance

AUTH = ("backup", "s3cret&+%")
QUERY = "SELECT document FROM Document AS document"


def call(instance: Instance, method: str, path: str, **more: Any) -> httpx.Response:
    return instance.http.request(method, f"/api/{path}", auth=AUTH, **more)


def listed(instance: Instance, path: str) -> list[ElementTree.Element]:
    answer = call(instance, "GET", path)
    assert answer.status_code == 200
    root = ElementTree.fromstring(answer.content)  # noqa: S314 - our own server
    assert root.tag == "data"
    return list(root)


def first_entry(instance: Instance) -> str:
    return instance.entries()[0][0]


@pytest.fixture
def snapshot(instance: Instance) -> str:
    return instance.save(document_id(), {"state": "old"}, {"a.txt": b"hello", "one": b"1"}, CREATED)


def test_event_log_lists_oldest_first_by_exact_topics(instance: Instance, snapshot: str) -> None:
    del snapshot
    instance.put("snapshot.backup.north", "other")
    assert len(listed(instance, "eventlog/snapshot.backup")) == 1
    assert len(listed(instance, "eventlog/snapshot.backup~snapshot.backup.north")) == 2
    assert len(listed(instance, "eventlog/snapshot.backup?maxCount=0")) == 1
    assert call(instance, "GET", "eventlog/snapshot.backup?maxCount=-1").status_code == 500
    assert call(instance, "GET", "eventlog/none").content.endswith(b"<data/>")
    call(instance, "POST", f"eventlog/lock/{first_entry(instance)}")
    assert listed(instance, "eventlog/snapshot.backup") == []
    assert len(listed(instance, "eventlog?pageSize=100&pageIndex=0")) == 2


def test_lock_excludes_nobody(instance: Instance, snapshot: str) -> None:
    del snapshot
    entry = first_entry(instance)
    assert [call(instance, "POST", f"eventlog/lock/{entry}").status_code for _ in range(2)] == [200, 200]
    assert instance.topics() == ["snapshot.backup.lock.lock"]
    assert call(instance, "POST", f"eventlog/unlock/{entry}").status_code == 200
    assert instance.topics() == ["snapshot.backup.lock"]
    assert call(instance, "POST", "eventlog/lock/unknown").status_code == 500


def test_unlock_of_what_is_not_locked_fails(instance: Instance, snapshot: str) -> None:
    del snapshot
    assert call(instance, "POST", f"eventlog/unlock/{first_entry(instance)}").status_code == 500


def test_release_deletes_what_it_should_free(instance: Instance, snapshot: str) -> None:
    del snapshot
    call(instance, "POST", f"eventlog/lock/{first_entry(instance)}")
    assert call(instance, "POST", "eventlog/release/3600000/snapshot.backup~").status_code == 204
    assert instance.entries() == []


def test_release_never_reaches_an_entry_locked_twice(instance: Instance, snapshot: str) -> None:
    del snapshot
    for _ in range(2):
        call(instance, "POST", f"eventlog/lock/{first_entry(instance)}")
    call(instance, "POST", "eventlog/release/0/snapshot.backup")
    assert len(instance.entries()) == 1


def test_put_stores_data_in_lower_case_and_delete_never_complains(instance: Instance) -> None:
    body = (
        '<document><item name="NO_OVERWRITE"><value xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xmlns:xs="http://www.w3.org/2001/XMLSchema" xsi:type="xs:boolean">true</value></item></document>'
    )
    assert call(instance, "PUT", "eventlog/snapshot.backup/ref", content=body).status_code == 204
    [entry] = listed(instance, "eventlog/snapshot.backup")
    items = {item.get("name"): item for item in entry}
    assert items["data"].find(".//item[@name='no_overwrite']") is not None
    assert call(instance, "DELETE", f"eventlog/{first_entry(instance)}").status_code == 204
    assert call(instance, "DELETE", "eventlog/unknown").status_code == 204
    assert call(instance, "PUT", "eventlog/snapshot.backup/", content=body).status_code == 204
    assert instance.entries() == []


def test_unknown_and_unreadable_documents_are_both_404(instance: Instance) -> None:
    instance.save(document_id(1), readers=["somebody"], created=CREATED)
    assert call(instance, "GET", f"documents/{document_id(2)}").status_code == 404
    assert instance.http.get(f"/api/documents/{document_id(1)}", auth=("reader", "reader")).status_code == 404
    assert call(instance, "GET", f"documents/{document_id(1)}").status_code == 200
    assert call(instance, "GET", "documents/none").status_code == 404


def test_answers_carry_items_that_the_document_has_not(instance: Instance, snapshot: str) -> None:
    [found] = listed(instance, f"documents/{snapshot}?items=state,nothing")
    names = [item.get("name") for item in found]
    assert names == sorted(str(name) for name in names)
    assert set(names) == {"state", "nothing", "$isauthor", "$version", "$modified"}
    nothing = next(item for item in found if item.get("name") == "nothing")
    assert nothing[0].get("{http://www.w3.org/2001/XMLSchema-instance}nil") == "true"


def test_failing_query_is_an_empty_answer_and_percent_is_decoded_twice(instance: Instance, snapshot: str) -> None:
    del snapshot
    condition = " WHERE document.type NOT LIKE 'snapshot-%'"
    assert len(listed(instance, f"documents/jpql/{quote(QUERY, safe='')}")) == 2
    once = quote(QUERY + condition, safe="")
    assert listed(instance, f"documents/jpql/{once}") == []
    assert len(listed(instance, f"documents/jpql/{once.replace('%25', '%2525')}")) == 1
    assert listed(instance, "documents/jpql/nonsense") == []


def test_deleted_document_takes_its_snapshots_along_and_leaves_its_entries(instance: Instance, snapshot: str) -> None:
    assert call(instance, "DELETE", f"documents/{document_id()}").status_code == 200
    assert instance.ids() == []
    assert [ref for _, _, ref in instance.entries()] == [snapshot]
    assert call(instance, "GET", f"documents/{snapshot}").status_code == 404


def test_history_of_one_leaves_entries_whose_snapshot_is_gone(instance: Instance) -> None:
    snapshots = [instance.save(document_id(), created=CREATED) for _ in range(3)]
    found = [call(instance, "GET", f"documents/{snapshot}").status_code for snapshot in snapshots]
    assert found == [404, 404, 200]
    assert len(instance.entries()) == 3


def test_digest_is_upper_case_and_absent_for_less_than_two_bytes(instance: Instance, snapshot: str) -> None:
    found = instance.document(snapshot)
    assert found is not None
    [files] = found["$file"]
    assert files["a.txt"][2]["md5checksum"] == [["xs:string", "5D41402ABC4B2A76B9719D911017C592"]]
    assert "md5checksum" not in files["one"][2]
    origin = instance.document(document_id())
    assert origin is not None
    assert origin["$file"][0]["a.txt"][1] == ["xs:base64Binary", ""]


def test_control_characters_and_emoji_are_stripped(instance: Instance) -> None:
    snapshot = instance.save(document_id(), {"text": "a\x0bb😀c"}, created=CREATED)
    assert b">abc<" in call(instance, "GET", f"documents/{snapshot}").content


def test_restore_replaces_even_a_newer_document(instance: Instance, snapshot: str) -> None:
    answer = call(instance, "GET", f"documents/{snapshot}").content
    document = answer.partition(b"<data>")[2].removesuffix(b"</data>")
    newer = instance.save(document_id(), {"state": "new"})
    queued = len(instance.entries())
    assert call(instance, "POST", "snapshot/", content=document).status_code == 200
    origin = instance.document(document_id())
    assert origin is not None
    assert (origin["state"], origin["$snapshotid"]) == ([["xs:string", "old"]], [["xs:string", snapshot]])
    assert origin["type"] == [["xs:string", "workitem"]]
    assert not {"$noindex", "$immutable", "$version", "$backuprestore"} & origin.keys()
    assert {snapshot, newer} <= set(instance.ids())
    assert len(instance.entries()) == queued


def test_restore_validates_nothing_but_xml_and_role(instance: Instance, snapshot: str) -> None:
    answer = call(instance, "GET", f"documents/{snapshot}").content
    document = answer.partition(b"<data>")[2].removesuffix(b"</data>")
    assert call(instance, "POST", "snapshot", content=b"<document/>").status_code == 200
    assert call(instance, "POST", "snapshot/", content=b"nonsense").status_code == 400
    assert call(instance, "POST", "snapshot/", content=answer).status_code == 500
    undeclared = document.replace(b' xmlns:xs="http://www.w3.org/2001/XMLSchema"', b"")
    assert call(instance, "POST", "snapshot/", content=undeclared).status_code == 400
    refused = instance.http.post("/api/snapshot/", content=document, auth=("reader", "reader"))
    assert refused.status_code == 401


def test_expired_form_session_is_a_page_with_status_200(instance: Instance) -> None:
    instance.configure(method="FORM")
    answer = instance.http.delete("/api/eventlog/unknown")
    assert answer.status_code == 200
    assert "j_security_check" in answer.text
