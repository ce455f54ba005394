"""What is kept of a process before its interim data goes: its keys in Redis as one document, each of its files.

Access tokens are left out: a credential has no place in an archive. Not here: where it is kept (``archive.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from archival_pipeline.interim.archive import Item
from archival_pipeline.interim.keys import parse_object

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mypy_boto3_s3.type_defs import ObjectTypeDef

    from archival_pipeline.interim.archive import Archive
    from archival_pipeline.interim.file_store import FileStore
    from archival_pipeline.interim.redis_store import Content, RedisStore

TOKEN = "accessToken"  # noqa: S105 - the name of a field
# Forms may be large: so many processes are read at a time.
_AT_ONCE = 25


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps data in the archive."""

    archive: Archive

    def keep_keys(
        self, redis: RedisStore, wanted: Mapping[str, Collection[str]], listed: Mapping[str, Collection[str]]
    ) -> dict[str, str]:
        """Keep keys of processes.

        Args:
            redis: where they are.
            wanted: keys by process.
            listed: those that the index set of the process lists.

        Returns:
            Why the keys of a process could not be kept, by process; those must stay.
        """
        refused: dict[str, str] = {}
        self.archive.keep(self._documents(redis, wanted, listed, refused))
        return refused

    def keep_files(self, files: FileStore, found: Sequence[ObjectTypeDef]) -> None:
        """Keep files."""
        self.archive.keep(self._file(files, one["Key"]) for one in found)

    def _documents(
        self,
        redis: RedisStore,
        wanted: Mapping[str, Collection[str]],
        listed: Mapping[str, Collection[str]],
        refused: dict[str, str],
    ) -> Iterator[Item]:
        left = iter(wanted.items())
        while group := dict(islice(left, _AT_ONCE)):
            contents = redis.contents([key for keys in group.values() for key in keys])
            for process, keys in group.items():
                there = {key: contents[key] for key in keys if key in contents}
                odd = next((key for key, content in there.items() if content is None), None)
                if odd is not None:
                    refused[process] = f"a key cannot be kept, its type is none of ours: {odd!a}"
                elif there:
                    yield _document(process, there, listed.get(process, ()))

    def _file(self, files: FileStore, key: str) -> Item:
        owner = parse_object(key).owners[0]
        return Item(owner, "files", key, lambda target: files.read(key, target))


def _document(process: str, contents: Mapping[str, Content | None], listed: Collection[str]) -> Item:
    keys = [
        {"key": key, "listed": key in listed, "content": without_token(content)} for key, content in contents.items()
    ]
    # Bytes that are no text come as lone surrogates; as escapes they survive.
    text = json.dumps({"version": 1, "keys": keys}, ensure_ascii=True)

    def write(target: BinaryIO) -> bool:
        return target.write(text.encode("ascii")) > 0

    return Item(process, "redis", "", write)


def without_token(content: Content | None) -> Any:
    """A content as it is kept."""
    return {k: v for k, v in content.items() if k != TOKEN} if isinstance(content, dict) else content
