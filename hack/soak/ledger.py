"""
What the client counts: every request ends as answered, as failed by the version itself, or as lost.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

OK: Final = "ok"
FAILED: Final = "failed"
HTTP_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Ending:
    """
    How one request ended.

    Attributes:
        version: Who signed the answer; None: nobody did.
        outcome: `ok`, `failed` (the version says that it was its own doing), or a word for how it was lost.

    """

    version: str | None
    outcome: str

    @property
    def lost(self) -> bool:
        """
        Neither answered nor failed by the version itself.
        """
        return self.outcome not in {OK, FAILED}


def ending_of(status: object, version: str | None, failed_by: str | None) -> Ending:
    """
    The ending of a request that got an answer.

    Args:
        status: HTTP's 200, or anything else: another HTTP status, or the name of a gRPC status.
        version: As the answer names it; None: it names none, so no model gave it.
        failed_by: The version that says the failure was its own doing; None: nobody says so.

    """
    if version is not None and status == HTTP_OK:
        return Ending(version, OK)
    if version is not None and failed_by == version:
        return Ending(version, FAILED)
    return Ending(version, f"{version or '-'}/{status}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """
    What was counted up to one instant, or between two of them.

    Attributes:
        sent: Requests sent, by how they were sent.
        endings: Requests that ended, by how they were sent and how they ended.

    """

    sent: Mapping[str, int] = field(default_factory=dict)
    endings: Mapping[tuple[str, Ending], int] = field(default_factory=dict)

    def __sub__(self, earlier: "Tally") -> "Tally":
        """
        What came after an earlier tally of the same client.
        """
        return Tally(
            sent=MappingProxyType(Counter(self.sent) - Counter(earlier.sent)),
            endings=MappingProxyType(Counter(self.endings) - Counter(earlier.endings)),
        )

    def __add__(self, other: "Tally") -> "Tally":
        """
        Both together.
        """
        return Tally(
            sent=MappingProxyType(Counter(self.sent) + Counter(other.sent)),
            endings=MappingProxyType(Counter(self.endings) + Counter(other.endings)),
        )

    @property
    def total_sent(self) -> int:
        """
        Requests of every kind.
        """
        return sum(self.sent.values())

    @property
    def in_flight(self) -> int:
        """
        Sent and not ended; of a difference: by how much they have grown.
        """
        return self.total_sent - sum(self.endings.values())

    @property
    def failed(self) -> int:
        """
        Failed by the version itself.
        """
        return sum(n for (_, ending), n in self.endings.items() if ending.outcome == FAILED)

    @property
    def lost(self) -> int:
        """
        Everything that was neither answered nor failed by the version itself.
        """
        return sum(n for (_, ending), n in self.endings.items() if ending.lost)

    def losses(self) -> dict[str, int]:
        """
        `lost` in its parts: how it was sent, and what became of it.
        """
        found: Counter[str] = Counter()
        for (way, ending), n in self.endings.items():
            if ending.lost:
                found[f"{way}: {ending.outcome}"] += n
        return dict(sorted(found.items()))

    def answered_by(self, version: str, way: str | None = None) -> int:
        """
        Requests that this version answered, well or not; `way` None: however they were sent.
        """
        return sum(n for (sent, ending), n in self.endings.items() if ending.version == version and way in {None, sent})


class Ledger:
    """
    Counts what is sent and how it ends.
    """

    def __init__(self) -> None:
        """
        Begin at zero.
        """
        self._sent: Counter[str] = Counter()
        self._endings: Counter[tuple[str, Ending]] = Counter()

    def sent(self, way: str) -> None:
        """
        One request more is under way.
        """
        self._sent[way] += 1

    def ended(self, way: str, ending: Ending) -> None:
        """
        One of them ended.
        """
        self._endings[way, ending] += 1

    def tally(self) -> Tally:
        """
        The counts at this instant.
        """
        return Tally(sent=MappingProxyType(Counter(self._sent)), endings=MappingProxyType(Counter(self._endings)))
