"""Access tokens that the engine's services left in form data, in clear: counts them, and takes out those nobody needs.

A token goes when it has expired *and* no running process needs its entry; those of running processes only on demand,
so many days after they expired. The rest of the entry stays. Not here: removing entries (``sweeper.py``).
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archival_pipeline.interim.keys import Shape, parse_form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from archival_pipeline.interim.holding import Guard
    from archival_pipeline.interim.judging import Judge, Verdict
    from archival_pipeline.interim.outages import Patience
    from archival_pipeline.interim.redis_store import RedisStore

_FIELD = "accessToken"
_BATCH = 1_000
# Clocks of the issuer and of ours may differ by so much.
_LEEWAY = 3_600
_DAY = 86_400


@dataclass(slots=True)
class TokenReport:
    """Tokens in the form data.

    Attributes:
        entries: entries that were looked at.
        tokens: entries with a token, by what is known of the entry: ``over``, ``running``, ``named``, ``held``,
            ``unknown``. What is held is only told apart when tokens are taken out.
        expired: tokens that have expired.
        unreadable: tokens whose expiry cannot be read; they go with their entry.
        oldest_days: days since the oldest of them expired.
        scrubbed: tokens that were taken out.
        stopped: whether it was told to stop before all were seen.
    """

    entries: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    expired: int = 0
    unreadable: int = 0
    oldest_days: int = 0
    scrubbed: int = 0
    stopped: bool = False


def expiry(token: str) -> int | None:
    """When a token says it expires, in seconds since 1970. It is not verified: a forged one would only scrub itself."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        return None
    try:
        content: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    when = content.get("exp") if isinstance(content, dict) else None
    return int(when) if isinstance(when, (int, float)) else None


@dataclass(slots=True)
class TokenKeeper:
    """Everything that looking for tokens needs.

    Attributes:
        redis: the form data.
        judge: says which entries are still needed.
        guard: says which entries are on legal hold; nothing is taken out of them.
        patience: how often a step is tried.
        rest: rests after so many keys.
        stop: asked before each step.
        step: keys that one SCAN looks at.
    """

    redis: RedisStore
    judge: Judge
    guard: Guard
    patience: Patience
    rest: Callable[[int], None]
    stop: Callable[[], bool]
    step: int

    def look(self, now: float, *, scrub: bool, running_after_days: int | None = None) -> TokenReport:
        """Count tokens; take out what nobody needs.

        Args:
            now: seconds since 1970.
            scrub: whether to take any out.
            running_after_days: take out those of running processes, too, so many days after they expired.
        """
        report = TokenReport()
        space = self.redis.keyspaces.forms
        cursor = 0
        while not report.stopped:
            at = cursor
            cursor, keys = self.patience.trying(lambda: next(self.redis.scan(f"{space}:*", self.step, at)))  # noqa: B023
            self._look_at(keys, report, now, scrub=scrub, running_after_days=running_after_days)
            if not cursor:
                break
            self.rest(self.step)
            report.stopped = self.stop()
        return report

    def _look_at(
        self, keys: Sequence[str], report: TokenReport, now: float, *, scrub: bool, running_after_days: int | None
    ) -> None:
        prefix = f"{self.redis.keyspaces.forms}:"
        parsed = {key[len(prefix) :]: parse_form(key[len(prefix) :]) for key in keys}
        entries = [f"{prefix}{key}" for key, found in parsed.items() if found.shape is not Shape.PROCESS_INDEX]
        report.entries += len(entries)
        tokens = self.patience.trying(lambda: self.redis.fields(entries, _FIELD))
        found = {key: parsed[key] for full in tokens if (key := full[len(prefix) :])}
        if not (scrub and tokens):
            self._doomed(tokens, self.judge.verdicts(found), report, now, running_after_days)
            return
        with self.guard.removal() as on_hold:
            verdicts = self.judge.verdicts(found, on_hold=on_hold)
            doomed = self._doomed(tokens, verdicts, report, now, running_after_days)
            if doomed:
                on_hold.require()
                report.scrubbed += self.patience.trying(lambda: self.redis.drop_fields(doomed, _FIELD))

    def _doomed(
        self,
        tokens: Mapping[str, str],
        verdicts: Mapping[str, Verdict],
        report: TokenReport,
        now: float,
        running_after_days: int | None,
    ) -> list[str]:
        """Count tokens; the entries whose token nobody needs."""
        cut = len(f"{self.redis.keyspaces.forms}:")
        running = None if running_after_days is None else running_after_days * _DAY
        doomed = []
        for full, token in tokens.items():
            verdict = verdicts[full[cut:]]
            report.tokens[verdict] = report.tokens.get(verdict, 0) + 1
            age = self._age(token, report, now)
            enough = {"over": 0, "held": None}.get(verdict, running)
            if age is not None and enough is not None and age > enough:
                doomed.append(full)
        return doomed

    def _age(self, token: str, report: TokenReport, now: float) -> float | None:
        """Seconds since it expired; None while it has not, or when nobody can tell."""
        when = expiry(token)
        if when is None:
            report.unreadable += 1
            return None
        age = now - when - _LEEWAY
        if age <= 0:
            return None
        report.expired += 1
        report.oldest_days = max(report.oldest_days, int(age // _DAY))
        return age
