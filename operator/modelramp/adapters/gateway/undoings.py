"""
Who keeps undoing what is written to a route of somebody else's.

A GitOps controller that was not told to leave the backends alone puts them back with every sync. One undoing may be a
deploy; several in a short time are a fight, which nobody wins.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from modelramp.ports import Key

UNDOINGS: Final = 3
WITHIN_SECONDS: Final = 600.0
SNIPPET: Final = (
    "Argo CD leaves them alone with ignoreDifferences jqPathExpressions ['.spec.rules[].backendRefs'] for this route "
    "and the sync option RespectIgnoreDifferences=true"
)


@dataclass(slots=True)
class _Past:
    written: Mapping[str, Decimal]
    undone: deque[tuple[float, str, str]] = field(default_factory=lambda: deque(maxlen=UNDOINGS))
    """When it was seen, in which version of the route, by whom."""


class Undoings:
    """
    Counts, by object, how often others undid what was written. After a restart it counts anew.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """
        `monotonic` tells seconds.
        """
        self._monotonic = monotonic
        self._past: dict[Key, _Past] = {}

    def wrote(self, key: Key, shares: Mapping[str, Decimal]) -> None:
        """
        This was written just now.
        """
        self._past.setdefault(key, _Past(shares)).written = dict(shares)

    def forget(self, key: Key) -> None:
        """
        Nothing is written for the object any more.
        """
        self._past.pop(key, None)

    def seen(self, key: Key, version: str, shares: Mapping[str, Decimal], others: str) -> None:
        """
        The route in this resourceVersion gives these shares; `others` wrote its rules last, nobody else if empty.
        """
        past = self._past.get(key)
        if past is None or not others or shares == past.written:
            return
        if not past.undone or past.undone[-1][1] != version:
            past.undone.append((self._monotonic(), version, others))

    def fought_by(self, key: Key) -> str | None:
        """
        Who undoes again and again, for people, and what ends it; None: nobody.
        """
        past = self._past.get(key)
        if past is None or len(past.undone) < UNDOINGS:
            return None
        if self._monotonic() - past.undone[0][0] > WITHIN_SECONDS:
            return None
        who = " and ".join(dict.fromkeys(others for _, _, others in past.undone))
        return f"{who}, which undid the shares {UNDOINGS} times within {WITHIN_SECONDS / 60:.0f} minutes ({SNIPPET})"
