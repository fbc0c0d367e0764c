"""
What the evidence must be, computed from the scripts and from which answers were stored, without the code under test.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from contracts.fault_pages import LONG_AGO, Page, counts
from contracts.fault_stores import Markers

from modelramp.analysis import Block, Counts, Window, margins, wealth_schedule

MARGINS: Final = margins(0.005, 0.25)
WEALTH: Final = wealth_schedule(planned_blocks=40, later_steps=3)
HARM_EFFECTS: Final = (1.25, 1.6, 2.2, 3.2, 5.0, 8.0, 16.0, 50.0)
OK_EFFECTS: Final = (0.85, 0.7, 0.55, 0.4, 0.25, 0.12, 0.03)
ARMS: Final = ("candidate", "stable")


@dataclass(frozen=True)
class Known:
    """
    What the operator is told about pods.

    Attributes:
        starts: Whether start times of containers are known.
        born: Pods whose creation is known.
        scrapes: Pods whose every scrape is known from ``up``.
        patient: Whether slow answers are stored by the time of asking.
    """

    starts: bool = True
    born: frozenset[str] = field(default_factory=frozenset)
    scrapes: frozenset[str] = field(default_factory=frozenset)
    patient: bool = True


def true_block(pages: Sequence[Page], markers: Markers, window: Window, known: Known) -> Block | None:
    """
    Count what the answers stored within the window showed to be new since the last ones; None: an arm has none.

    Answers that are stored after the window was read bring nothing, to no block.
    """
    sums = []
    for arm in ARMS:
        found = [one for page in pages if page.pod.startswith(arm) for one in _increments(page, markers, window, known)]
        if not found:
            return None
        sums.append(sum(found, Counts()))
    return Block(window.after, window.until, *sums)


def _increments(page: Page, markers: Markers, window: Window, known: Known) -> list[Counts]:
    since, after, until = (at.timestamp() for at in (window.since, window.after, window.until))
    stored = [
        (at, number)
        for at, number in markers.get(page.pod, ())
        if since < at <= until and (page.pod in known.scrapes or page.counters(page.answered[number]))
    ]
    if not stored:
        return []
    numbers = [number for _, number in stored]
    return [
        counts(_increment(page, numbers[:position], number, known))
        for position, (at, number) in enumerate(stored)
        if at > after and (known.patient or number not in page.late)
    ]


def _increment(page: Page, earlier: Sequence[int], number: int, known: Known) -> dict[str, int]:
    """By code, what an answer shows to be new since the one before."""
    end = page.answered[number]
    if not earlier:
        return page.between(LONG_AGO, end) if page.pod in known.born else {}
    new = page.between(page.answered[earlier[-1]], end)
    if known.starts:
        return new
    shown = {code: page.answered[one] for one in earlier for code in page.counters(page.answered[one])}
    return {code: amount for code, amount in new.items() if not page.restarted(shown.get(code, end), end)}


def true_logs(blocks: Iterable[Block]) -> tuple[float, float]:
    """Logarithms of the evidence of harm and of "not worse", by formulas (1) and (2) as they are written."""
    harm, ok = [WEALTH.at_start] * len(HARM_EFFECTS), [1.0] * len(OK_EFFECTS)
    unstarted = 1.0 - WEALTH.at_start
    for block in blocks:
        fresh = min(WEALTH.per_block, unstarted)
        unstarted -= fresh
        harm = [
            (one + fresh) * _factor(block, theta, MARGINS.harm.rho, MARGINS.harm.epsilon)
            for one, theta in zip(harm, HARM_EFFECTS, strict=True)
        ]
        ok = [
            one * _factor(block, theta, MARGINS.ok.rho, MARGINS.ok.epsilon)
            for one, theta in zip(ok, OK_EFFECTS, strict=True)
        ]
    return math.log(math.fsum(harm) / len(harm) + unstarted), math.log(math.fsum(ok) / len(ok))


def _factor(block: Block, theta: float, rho: float, epsilon: float) -> float:
    candidate, stable = block.candidate, block.stable
    if candidate.n == 0 or stable.n == 0:
        return 1.0
    bet = theta * (rho * candidate.n + stable.n) / (theta * rho * candidate.n + stable.n)
    rest = 1.0 - rho * candidate.n / stable.n * (bet - 1.0)
    return math.exp(candidate.x * math.log(bet) + stable.x * math.log(rest) - epsilon * candidate.n * (bet - 1.0))
