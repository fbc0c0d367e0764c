"""
One fetch for the questions of many objects: a MetricSource around another one.

Objects are looked at one after the other, and ask again and again for the same series up to the same instant. Whoever
asks first for a new instant has everything fetched that others asked for up to the instant before; they are answered
from what is kept. A question that was not expected waits for the fetch that is under way, and then shares the next one.

An answer holds what the question selects and nothing else, whatever others ask in the same batch; and a batch that
cannot be answered because of one of them is taken apart until the others are answered.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from modelramp.adapters.prometheus.answer import TooLargeError
from modelramp.adapters.prometheus.groups import Chunk, Group, Member, Outcome, Round
from modelramp.adapters.prometheus.kept import Answer
from modelramp.adapters.prometheus.shapes import Part, Shape, Values, take_apart
from modelramp.analysis import Series
from modelramp.api.spec import Prometheus
from modelramp.ports import MetricSource, PortError, RefusedError, SamplesQuestion

COLLECT_SECONDS: Final = 0.01
KEPT_SECONDS: Final = 60.0
MOST_KEPT: Final = 2_000_000  # samples: 32 MB, and up to twice as much for labels
MOST_MEMBERS: Final = 50_000
_SWEEP_SECONDS: Final = 15.0
_PARALLEL: Final = 2  # of one source: two answers of 8 MiB at most are in memory at once
_SHAPES: Final = 32

_WHOM: Final = tuple(Prometheus.model_fields)
_WITHOUT_SECRETS: Final = frozenset({"address", "tenant", "delay"})

_Key = tuple[object, ...]
"""
Whom is asked, as whom, about how far back (a long question must not make short ones long), and for which metric. Of
objects that look at the same time, those with the same delay ask up to the same instant.
"""


def _key(namespace: str, source: Prometheus, question: SamplesQuestion, name: str) -> _Key:
    whom = [(field, getattr(source, field)) for field in _WHOM]
    own = any(value is not None for field, value in whom if field not in _WITHOUT_SECRETS)
    length = int((question.until - question.since).total_seconds()).bit_length()
    return (*(value for _, value in whom), namespace if own else None, length, name)


@dataclass(slots=True)
class _Asked:
    """
    A question with its place.
    """

    namespace: str
    source: Prometheus
    question: SamplesQuestion
    group: Group
    part: Part


class BatchingSource:
    """
    The port MetricSource.
    """

    def __init__(
        self,
        inner: MetricSource,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        collect_seconds: float = COLLECT_SECONDS,
    ) -> None:
        """
        Ask nothing yet.

        Args:
            inner: Whom to ask.
            monotonic: Seconds.
            collect_seconds: How long a question that nobody expected waits for others to join it.

        """
        self._inner = inner
        self._monotonic = monotonic
        self._collect_seconds = collect_seconds
        self._families: dict[_Key, dict[Shape, Group]] = {}
        self._turns: dict[str | None, asyncio.Semaphore] = {}
        self._swept = monotonic()
        self._members = 0
        self._unchecked = 0
        """Samples that came since it was looked at how many are kept."""
        self._running: set[asyncio.Task[dict[Values, Outcome]]] = set()

    async def samples(self, namespace: str, source: Prometheus, question: SamplesQuestion) -> tuple[Series, ...]:
        """
        Every series the selector names, with its samples in time order; as the port says.
        """
        self._sweep()
        part = take_apart(question.selector)
        asked = None if part is None else self._place(namespace, source, question, part)
        if asked is None:
            return await self._inner.samples(namespace, source, question)
        fetch = self._fetch_for(asked)
        # a question that is given up must not take the answer from others
        outcome = (await asyncio.shield(fetch))[asked.part.values]
        if isinstance(outcome, Answer):
            return outcome.select(asked.part, question.since)
        raise type(outcome)(*outcome.args)  # each its own: a traceback belongs to one

    async def close(self) -> None:
        """
        Give up what is under way.
        """
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _place(self, namespace: str, source: Prometheus, question: SamplesQuestion, part: Part) -> _Asked | None:
        """
        The group that answers it, and its part in that; None: there is no room for it.
        """
        family = self._families.setdefault(_key(namespace, source, question, part.shape.name), {})
        group, part = self._host(family, namespace, part)
        if group is None:
            if len(family) >= _SHAPES:
                return None
            group = family[part.shape] = Group(part.shape)
        member = group.members.get(part.values)
        if member is None:
            if self._members >= MOST_MEMBERS:
                return None
            self._members += 1
            member = group.members[part.values] = Member(question.until, question.until - question.since)
        member.asked(namespace, question, self._monotonic())
        return _Asked(namespace, source, question, group, part)

    @staticmethod
    def _host(family: dict[Shape, Group], namespace: str, part: Part) -> tuple[Group | None, Part]:
        """
        A group that is fetched for this namespace anyway and whose answer holds this one's; else its own, if there is.

        Bad requests are among all requests: they need no fetch of their own.
        """
        for shape, group in sorted(family.items(), key=lambda item: item[0].width):
            found = part.within(shape)
            if found is None:
                continue
            member = group.members.get(found.values)
            if shape == part.shape or (member is not None and namespace in member.namespaces):
                return group, found
        return None, part

    def _fetch_for(self, asked: _Asked) -> "asyncio.Task[dict[Values, Outcome]]":
        """
        The fetch that answers it: planned, under way, done, or a new one.
        """
        now, values, since = self._monotonic(), asked.part.values, asked.question.since
        begun = asked.group.round(asked.question.until, now)
        chunk = begun.chunks.get(values)
        if chunk is not None and chunk.usable(values, since, now):
            if chunk.fetch is None:
                chunk.text = None if asked.part.rest else asked.question.selector
                chunk.fetch = begun.newest = self._start(self._fetch_chunk(asked, chunk))
            return chunk.fetch
        chunk = begun.waiting
        if chunk is None or len(chunk.members) >= asked.group.most():
            chunk = begun.waiting = Chunk({}, since)
            chunk.fetch = begun.newest = self._start(self._fetch_later(asked, begun, chunk, begun.newest))
        chunk.members[values] = None
        chunk.since = min(chunk.since, since)
        chunk.text = chunk.text if asked.part.rest else asked.question.selector
        begun.chunks[values] = chunk
        if chunk.fetch is None:
            raise AssertionError("a chunk of latecomers has its fetch from the beginning")
        return chunk.fetch

    def _start(self, fetch: Coroutine[None, None, dict[Values, Outcome]]) -> "asyncio.Task[dict[Values, Outcome]]":
        task = asyncio.get_running_loop().create_task(fetch)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _fetch_later(
        self, asked: _Asked, begun: Round, chunk: Chunk, before: "asyncio.Task[dict[Values, Outcome]] | None"
    ) -> dict[Values, Outcome]:
        """
        Fetch latecomers, once those before them are fetched: until then more can join.
        """
        await asyncio.sleep(self._collect_seconds)
        if before is not None:
            await asyncio.wait({before})
        if begun.waiting is chunk:
            begun.waiting = None
        return await self._fetch_chunk(asked, chunk)

    async def _fetch_chunk(self, asked: _Asked, chunk: Chunk) -> dict[Values, Outcome]:
        text = chunk.text if len(chunk.members) == 1 else None
        try:
            return await self._fetch(asked, sorted(chunk.members), chunk.since, text)
        finally:
            chunk.ended = self._monotonic()

    async def _fetch(
        self, asked: _Asked, members: list[Values], since: datetime, text: str | None = None
    ) -> dict[Values, Outcome]:
        """
        Fetch them together, or by halves where that is too much or one of them is refused.
        """
        group, together = asked.group, len(members) > 1
        question = SamplesQuestion(
            selector=text or group.shape.selector(members), since=since, until=asked.question.until
        )
        try:
            turns = self._turns.setdefault(asked.source.address, asyncio.Semaphore(_PARALLEL))
            async with turns if together else nullcontext():
                found = await self._inner.samples(asked.namespace, asked.source, question)
        except PortError as error:
            group.failed(members)
            if not together or not isinstance(error, TooLargeError | RefusedError):
                return dict.fromkeys(members, error.with_traceback(None))
        else:
            answer = Answer(group.shape, since, found)
            group.succeeded(members, answer)
            self._keep(group, asked.question.until, answer)
            return dict.fromkeys(members, answer)
        half = len(members) // 2
        return {
            **await self._fetch(asked, members[:half], since),
            **await self._fetch(asked, members[half:], since),
        }

    def _sweep(self) -> None:
        """
        Forget what is old, now and then.
        """
        now = self._monotonic()
        if now - self._swept < _SWEEP_SECONDS:
            return
        self._swept = now
        self._turns = {address: turns for address, turns in self._turns.items() if turns.locked()}
        for key, family in list(self._families.items()):
            for shape, group in list(family.items()):
                group.forget(now, KEPT_SECONDS)
                if not group.members:
                    del family[shape]
            if not family:
                del self._families[key]
        self._members = sum(len(group.members) for group in self._groups())
        self._trim()

    def _groups(self) -> Iterator[Group]:
        return (group for family in self._families.values() for group in family.values())

    def _keep(self, group: Group, until: datetime, answer: Answer) -> None:
        group.keep(until, answer)
        self._unchecked += answer.samples
        if self._unchecked > MOST_KEPT // 8:
            self._trim()

    def _trim(self) -> None:
        """
        Drop the oldest answers while too much is kept: what they would have answered is fetched again.
        """
        self._unchecked = 0
        kept = sorted(
            ((one, group) for group in self._groups() for one in group.rounds.values()), key=lambda each: each[0].begun
        )
        total = sum(one.kept for one, _ in kept)
        for one, group in kept:
            if total <= MOST_KEPT:
                return
            total -= one.kept
            del group.rounds[one.until]
