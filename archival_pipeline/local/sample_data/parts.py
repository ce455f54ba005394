"""Rows that several makers share: contents, translated texts, people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archival_pipeline.local.sample_data.scene import Scene


def write_content(scene: Scene, content: bytes | None = None) -> int:
    """Write one content row; return its id."""
    content_id = scene.writer.next_id("content")
    scene.writer.add(
        "content", id=content_id, content=scene.writer.blob(scene.content() if content is None else content)
    )
    return content_id


def write_text(scene: Scene, column: str, owner: int, text: str) -> None:
    """Write one translated text that belongs to ``owner`` through ``column``."""
    values: dict[str, object] = {
        "id": scene.writer.next_id("i18ntext"),
        "language": "en-UK",
        "shorttext": text,
        "text": scene.writer.clob(text),
        column: owner,
    }
    scene.writer.add("i18ntext", **values)


def write_person(scene: Scene, table: str, owner: int, person: str) -> None:
    """Write one row of a table that assigns a person or a group."""
    scene.writer.add(table, task_id=owner, entity_id=person)
