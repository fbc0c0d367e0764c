"""
The few outputs that get a label of their own in the metrics.
"""

from collections import Counter
from typing import Final

MOST: Final = 20  # labels: twenty classes fit a dashboard, and a time series each
SEEN_BEFORE: Final = 5  # times: what a model says once may be about one person, what it says often is a class
WATCHED: Final = 1000  # outputs counted at a time before they have a label
OTHER: Final = "other"


class Labels:
    """
    Gives labels to the first outputs that come often; all others are one.
    """

    def __init__(self) -> None:
        """
        None has a label yet.
        """
        self._given: set[str] = set()
        self._seen: Counter[str] = Counter()

    def of(self, output: str | None) -> str:
        """
        The output itself, if it has a label or gets one now; else `other`. None is an output too long for a label, and
        an empty label would be none.
        """
        if output in self._given:
            return output
        if not output or len(self._given) >= MOST:
            return OTHER
        self._seen[output] += 1
        if self._seen[output] <= SEEN_BEFORE:
            if len(self._seen) > WATCHED:
                self._seen.clear()
            return OTHER
        self._given.add(output)
        del self._seen[output]
        return output
