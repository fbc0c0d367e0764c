"""How a version behaves, and what it has counted."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

_FAILS: Final = re.compile(r"-fails(?P<percent>\d{1,3})\b")
KINDS: Final = ("request", "stream")
OUTCOMES: Final = ("ok", "failed")


@dataclass(frozen=True, slots=True)
class Conduct:
    """
    What a version does.

    Attributes:
        version: Named in every answer.
        failing: Share of the requests that fail, 0 to 1.
        ready: Whether it ever becomes ready.

    """

    version: str
    failing: float
    ready: bool

    @classmethod
    def of(cls, version: str) -> Conduct:
        """Read it off the version: `7`, `7-fails30`, `7-unready`."""
        found = _FAILS.search(version)
        return cls(version, int(found["percent"]) / 100 if found else 0.0, "-unready" not in version)


@dataclass(slots=True)
class Counts:
    """What was answered, by kind and outcome."""

    conduct: Conduct
    _ended: Counter[tuple[str, str]] = field(default_factory=Counter)

    def draw(self, *, may_fail: bool) -> bool:
        """Whether the next request succeeds; counted as answered so."""
        ok = not (may_fail and random.random() < self.conduct.failing)
        self._ended["request", "ok" if ok else "failed"] += 1
        return ok

    def streamed(self) -> None:
        """Count a stream that was sent to its end."""
        self._ended["stream", "ok"] += 1

    def page(self) -> str:
        """
        All series in Prometheus' text format, those at 0 as well: one that appears late loses its first events.
        """
        rows = (
            f'soak_requests_total{{kind="{kind}",outcome="{outcome}"}} {self._ended[kind, outcome]}'
            for kind in KINDS
            for outcome in OUTCOMES
        )
        return "\n".join(["# TYPE soak_requests_total counter", *rows, ""])
