"""Form data and message payloads in Redis: reads index sets, removes keys, keeps the sets right.

Every call is a pipeline of plain commands: Lua and MULTI are not among the rights that the engine's users have. What
makes up for it is the order: data first, then the keyspace sets, the index of the process last. Whoever is stopped in
between leaves the index, and the next one finds everything by it. Not here: which keys may go (``cleanup.py``,
``sweeper.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from archival_pipeline.interim.redis_client import as_store_error, is_outage, reached

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import redis

    from archival_pipeline.interim.keys import Keyspaces

# Keys of one UNLINK or SREM: some milliseconds of the server's one thread, at most.
_PER_COMMAND = 250
# Commands of one pipeline: bounds the memory of both sides.
_PER_PIPELINE = 2_000
_MEMBERS_AT_ONCE = 1_000
# Beyond so many keys their memory is estimated from so many of them.
_MEASURED = 100


Content = str | list[str] | dict[str, str]
"""A string, the sorted members of a set, or the fields of a hash."""


@dataclass(slots=True)
class RedisOutcome:
    """What a removal did.

    Attributes:
        removed: keys that were there and are gone, by keyspace.
        bytes: memory they took; beyond a hundred keys at a time an estimate.
        failed: reason by key, or by process id, of what is still there.
    """

    removed: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    failed: dict[str, str] = field(default_factory=dict)


class RedisStore:
    """The two keyspaces."""

    def __init__(self, client: redis.Redis, keyspaces: Keyspaces) -> None:
        """Work on a client; others may use it at the same time."""
        self.client = client
        self.keyspaces = keyspaces

    def close(self) -> None:
        """Give the connections back."""
        self.client.close()

    def address(self) -> str:
        """The server that takes our writes: changes with a failover."""
        with reached():
            pool = self.client.connection_pool
            if hasattr(pool, "get_master_address"):
                host, port = pool.get_master_address()
            else:
                host, port = pool.connection_kwargs["host"], pool.connection_kwargs["port"]
            return f"{host}:{port}"

    def members(self, process_ids: Sequence[str]) -> tuple[dict[str, set[str]], dict[str, str]]:
        """Keys that the index sets of processes list, and why some sets could not be read."""
        found: dict[str, set[str]] = {}
        failed: dict[str, str] = {}
        open_sets = dict.fromkeys(process_ids, 0)
        while open_sets:
            calls = [
                ("SSCAN", self.keyspaces.index_of(process), cursor, "COUNT", _MEMBERS_AT_ONCE)
                for process, cursor in open_sets.items()
            ]
            answers = dict(zip(open_sets, self._send(calls), strict=True))
            open_sets = {}
            for process, answer in answers.items():
                if isinstance(answer, Exception):
                    failed[process] = str(answer)
                    continue
                cursor, members = answer
                if members:
                    found.setdefault(process, set()).update(members)
                if int(cursor):
                    open_sets[process] = int(cursor)
        return found, failed

    def remove(self, keys: Iterable[str]) -> RedisOutcome:
        """Remove keys and take them off the keyspace sets. Keys that are not there are no mistake."""
        outcome = RedisOutcome()
        wanted = list(keys)
        outcome.bytes = self._bytes_of(wanted)
        groups: list[tuple[str, list[str]]] = []
        by_space: dict[str, list[str]] = {}
        for key in wanted:
            by_space.setdefault(key.partition(":")[0], []).append(key)
        for space, of_space in by_space.items():
            groups += [(space, of_space[at : at + _PER_COMMAND]) for at in range(0, len(of_space), _PER_COMMAND)]
        answers = self._send([("UNLINK", *group) for _, group in groups])
        for (space, group), answer in zip(groups, answers, strict=True):
            if isinstance(answer, Exception):
                outcome.failed |= dict.fromkeys(group, str(answer))
            else:
                outcome.removed[space] = outcome.removed.get(space, 0) + int(answer)
        # Off the set only what is off the store: the other way round a key would be left that no set knows.
        done = [(space, [key for key in group if key not in outcome.failed]) for space, group in groups]
        self._drop_members({space: [key[len(space) + 1 :] for key in group] for space, group in _merged(done).items()})
        return outcome

    def drop_from_index(
        self, gone: Mapping[str, Collection[str]], listed: Mapping[str, Collection[str]] | None = None
    ) -> None:
        """Take removed keys off the index sets of their processes.

        A set whose members are all gone goes as a whole, many at a time. What a straggler adds at that very moment is
        then listed nowhere; its name says whose it is, and the sweep finds it by that.

        Args:
            gone: keys that were removed, by process.
            listed: what the index set of each process held; without it members are removed one by one.
        """
        held = listed or {}
        whole = [process for process, keys in gone.items() if keys and len(keys) == len(held.get(process, ()))]
        calls = [
            ("UNLINK", *map(self.keyspaces.index_of, whole[at : at + _PER_COMMAND]))
            for at in range(0, len(whole), _PER_COMMAND)
        ]
        _raise_first(self._send(calls))
        partly = gone.keys() - set(whole)
        self._drop_members({self.keyspaces.index_of(process): list(gone[process]) for process in partly})

    def drop_from_keyspace(self, space: str, keys: Sequence[str]) -> int:
        """Take names off a keyspace set; return how many were there."""
        return sum(self._drop_members({space: list(keys)}))

    def scan(self, pattern: str, count: int, cursor: int = 0) -> Iterator[tuple[int, list[str]]]:
        """Walk over keys in small steps; yields the cursor to go on from, and the keys of the step."""
        while True:
            with reached():
                found = self.client.scan(cursor, match=pattern, count=count)
            cursor = int(found[0])
            yield cursor, [str(key) for key in found[1]]
            if not cursor:
                return

    def scan_members(self, name: str, count: int) -> Iterator[list[str]]:
        """Walk over the members of a set in small steps."""
        cursor = 0
        while True:
            with reached():
                found = self.client.sscan(name, cursor, count=count)
            cursor = int(found[0])
            yield [str(member) for member in found[1]]
            if not cursor:
                return

    def missing(self, space: str, keys: Sequence[str]) -> list[str]:
        """Those names of a keyspace set behind which there is no key."""
        answers = self._send([("EXISTS", f"{space}:{key}") for key in keys])
        return [key for key, answer in zip(keys, answers, strict=True) if answer == 0]

    def fields(self, keys: Sequence[str], name: str) -> dict[str, str]:
        """One field of many hashes; what is no hash or lacks the field is left out."""
        answers = self._send([("HGET", key, name) for key in keys])
        return {key: value for key, value in zip(keys, answers, strict=True) if isinstance(value, str)}

    def drop_fields(self, keys: Sequence[str], name: str) -> int:
        """Remove one field of many hashes; return how many had it."""
        return sum(answer for answer in self._send([("HDEL", key, name) for key in keys]) if isinstance(answer, int))

    def contents(self, keys: Sequence[str]) -> dict[str, Content | None]:
        """What keys hold; a key that is not there is left out, one of another type has None."""
        answers = dict(zip(keys, self._send([("HGETALL", key) for key in keys]), strict=True))
        found: dict[str, Content | None] = {key: fields for key, fields in answers.items() if isinstance(fields, dict)}
        found = {key: fields for key, fields in found.items() if fields}
        # The engine's services write hashes; what is none was written by somebody's own program.
        others = [key for key, answer in answers.items() if isinstance(answer, Exception)]
        texts = self._send([("GET", key) for key in others])
        sets = self._send([("SMEMBERS", key) for key in others])
        for key, text, members in zip(others, texts, sets, strict=True):
            found[key] = text if isinstance(text, str) else sorted(members) if isinstance(members, set) else None
        return found

    def put(self, contents: Mapping[str, Content]) -> None:
        """Write keys that are not there."""
        calls: list[tuple[Any, ...]] = []
        for key, content in contents.items():
            if isinstance(content, dict):
                calls.append(("HSET", key, *(part for pair in content.items() for part in pair)))
            elif isinstance(content, list):
                calls.append(("SADD", key, *content))
            else:
                calls.append(("SET", key, content, "NX"))
        _raise_first(self._send(calls))

    def list_again(self, process: str, keys: Sequence[str], listed: Sequence[str]) -> None:
        """Put keys on the sets of their keyspaces, and those that were listed on the index set of their process."""
        calls: list[tuple[Any, ...]] = []
        for key in keys:
            parts = self.keyspaces.split(key)
            if parts is not None:
                calls.append(("SADD", *parts))
        calls += [("SADD", self.keyspaces.index_of(process), key) for key in listed]
        _raise_first(self._send(calls))

    def _drop_members(self, by_set: Mapping[str, Sequence[str]]) -> list[int]:
        calls = [
            ("SREM", name, *members[at : at + _PER_COMMAND])
            for name, members in by_set.items()
            for at in range(0, len(members), _PER_COMMAND)
        ]
        answers = self._send(calls)
        _raise_first(answers)
        return answers

    def _bytes_of(self, keys: Sequence[str]) -> int:
        step = max(1, len(keys) // _MEASURED)
        measured = keys[::step]
        found = [a for a in self._send([("MEMORY", "USAGE", key) for key in measured]) if isinstance(a, int)]
        return sum(found) * len(keys) // len(measured) if measured else 0

    def _send(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands in pipelines; an answer about one key comes back as an exception in its place.

        Raises:
            StoreError: the server itself is in trouble.
        """
        answers: list[Any] = []
        for at in range(0, len(calls), _PER_PIPELINE):
            part = calls[at : at + _PER_PIPELINE]
            try:
                answers += self._sent(part)
            except UnicodeEncodeError:
                # Nothing was sent yet. Rare enough not to look at every argument every time.
                answers += self._sent([tuple(map(_as_bytes, call)) for call in part])
        for answer in answers:
            if isinstance(answer, Exception) and is_outage(answer):
                raise as_store_error(answer) from answer  # type: ignore[arg-type]
        return answers

    def _sent(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        with reached():
            pipeline = self.client.pipeline(transaction=False)
            for call in calls:
                pipeline.execute_command(*call)  # type: ignore[no-untyped-call]
            return pipeline.execute(raise_on_error=False)


def _as_bytes(argument: Any) -> Any:
    """Text as it stands in Redis, with bytes in it that are no text."""
    return argument.encode("utf-8", "surrogateescape") if isinstance(argument, str) else argument


def _raise_first(answers: Sequence[Any]) -> None:
    for answer in answers:
        if isinstance(answer, ResponseError):
            raise as_store_error(answer) from answer


def _merged(groups: Iterable[tuple[str, list[str]]]) -> dict[str, list[str]]:
    merged: dict[str, list[str]] = {}
    for space, group in groups:
        merged.setdefault(space, []).extend(group)
    return merged
