"""
Who asked for what, and so who will ask for what next: the bookkeeping of batches. No I/O, no clock.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from modelramp.adapters.prometheus.kept import Answer
from modelramp.adapters.prometheus.shapes import Shape, Values
from modelramp.ports import PortError, SamplesQuestion

MOST_TOGETHER: Final = 1000
"""Members of one fetch: of 1,000 rollouts with two arms each, a metric takes two fetches."""
WANTED_BYTES: Final = 5 * 1024 * 1024  # of an answer: below the limit of 8 MiB, as the next one may be larger
FORGOTTEN_SECONDS: Final = 180.0
FAILURE_SECONDS: Final = 1.0
_ROUNDS: Final = 2
_ROUND_SECONDS: Final = 10.0  # at least, as objects are looked at one after the other
_MISSES: Final = 2
_NAMESPACES: Final = 8

Outcome = Answer | PortError


@dataclass(slots=True)
class Member:
    """
    What is known of one selector's questions.
    """

    until: datetime
    """The end of the newest one."""
    lookback: timedelta
    """Its length."""
    gap: timedelta | None = None
    """Between the ends of the last two; None: there was one only."""
    growth: timedelta = timedelta()
    """By which the newest one was longer than the one before it."""
    seen: float = 0.0
    """When it was asked last: seconds of a monotonic clock."""
    share: int = MOST_TOGETHER
    """The most members of a fetch it may be in: halved by each failure, doubled by each success."""
    missed: int = 0
    """How often it was fetched since without being asked."""
    namespaces: set[str] = field(default_factory=set)
    """Of the objects that ask it."""

    def asked(self, namespace: str, question: SamplesQuestion, now: float) -> None:
        """
        It is asked now.
        """
        lookback = question.until - question.since
        if question.until > self.until:
            self.gap, self.growth = question.until - self.until, max(timedelta(), lookback - self.lookback)
            self.until, self.lookback = question.until, lookback
        elif question.until == self.until:
            self.lookback = max(self.lookback, lookback)
        self.seen, self.missed = now, 0
        if len(self.namespaces) < _NAMESPACES:
            self.namespaces.add(namespace)

    def expected(self, until: datetime, now: float) -> bool:
        """
        It will probably be asked for this end.
        """
        if self.until == until:
            return True
        if self.missed >= _MISSES or now - self.seen > FORGOTTEN_SECONDS:
            return False
        return self.until + (self.gap or timedelta()) <= until and self.until < until

    def since(self, until: datetime) -> datetime:
        """
        From where on it will probably be asked for this end.
        """
        return until - self.lookback - (self.growth if until > self.until else timedelta())


@dataclass(slots=True)
class Chunk:
    """
    Members that are fetched together.
    """

    members: dict[Values, None]
    since: datetime
    text: str | None = None
    """The selector of one of them, as it was written."""
    fetch: "asyncio.Task[dict[Values, Outcome]] | None" = None
    ended: float | None = None
    """When its fetch ended: seconds of a monotonic clock."""

    def usable(self, member: Values, since: datetime, now: float) -> bool:
        """
        Its answer will do, or its error is fresh enough to be repeated.
        """
        if self.fetch is None or not self.fetch.done():
            return self.since <= since
        if self.fetch.cancelled() or self.fetch.exception() is not None or self.ended is None:
            return False
        outcome = self.fetch.result().get(member)
        return outcome.since <= since if isinstance(outcome, Answer) else now - self.ended < FAILURE_SECONDS


@dataclass(slots=True)
class Round:
    """
    Everything with one end.
    """

    until: datetime
    begun: float
    """Seconds of a monotonic clock."""
    chunks: dict[Values, Chunk] = field(default_factory=dict)
    waiting: Chunk | None = None
    """Of members that were not expected: it is fetched as soon as the one before it is."""
    newest: "asyncio.Task[dict[Values, Outcome]] | None" = None
    kept: int = 0
    """Samples in memory."""


@dataclass(slots=True)
class Group:
    """
    Members that one fetch can answer.
    """

    shape: Shape
    members: dict[Values, Member] = field(default_factory=dict)
    rounds: dict[datetime, Round] = field(default_factory=dict)
    member_bytes: float = 0.0
    """Of the answers so far, a member's part: the newest ones weigh most."""

    def round(self, until: datetime, now: float) -> Round:
        """
        The round that ends there; a new one plans to fetch everybody who is expected to ask.
        """
        found = self.rounds.get(until)
        if found is not None:
            return found
        found = self.rounds[until] = Round(until, now)
        for old in sorted(self.rounds)[:-_ROUNDS]:
            if now - self.rounds[old].begun > _ROUND_SECONDS:
                del self.rounds[old]
        expected = [(one.share, values) for values, one in self.members.items() if one.expected(until, now)]
        chunk, room = Chunk({}, until), 0
        for share, values in sorted(expected):  # neighbours have long beginnings in common: good for the server
            member = self.members[values]
            member.missed += member.until < until
            if room == 0:
                chunk, room = Chunk({}, until), min(share, self.most())  # those that follow have no smaller share
            room -= 1
            chunk.members[values] = None
            chunk.since = min(chunk.since, member.since(until))
            found.chunks[values] = chunk
        return found

    def most(self) -> int:
        """
        Members of a fetch whose answer is likely to have the wanted size.
        """
        if self.member_bytes <= 0:
            return MOST_TOGETHER
        return max(1, min(MOST_TOGETHER, int(WANTED_BYTES / self.member_bytes)))

    def succeeded(self, members: Iterable[Values], answer: Answer) -> None:
        """
        They were fetched together.
        """
        known = [self.members[values] for values in members if values in self.members]
        for one in known:
            one.share = min(MOST_TOGETHER, one.share * 2)
        part = answer.size / max(1, len(known))
        self.member_bytes = part if self.member_bytes == 0 else (self.member_bytes + part) / 2

    def keep(self, until: datetime, answer: Answer) -> None:
        """
        An answer is part of that round.
        """
        if until in self.rounds:
            self.rounds[until].kept += answer.samples

    def failed(self, members: Iterable[Values]) -> None:
        """
        They could not be fetched together.
        """
        known = [self.members[values] for values in members if values in self.members]
        for one in known:
            one.share = max(1, len(known) // 2)

    def forget(self, now: float, kept_seconds: float) -> None:
        """
        Drop who has not asked for long, and what was kept for long.
        """
        self.members = {k: one for k, one in self.members.items() if now - one.seen <= FORGOTTEN_SECONDS}
        self.rounds = {until: one for until, one in self.rounds.items() if now - one.begun <= kept_seconds}
