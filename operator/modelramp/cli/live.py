"""
A live Prometheus behind the commands: the operator's rules for addresses and answers, asked in chunks.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from modelramp.adapters.clock import SystemClock
from modelramp.adapters.prometheus import AddressPolicy
from modelramp.adapters.prometheus.answer import QuestionError
from modelramp.adapters.prometheus.apiclient import ApiClientSource
from modelramp.analysis import Series
from modelramp.api.document import MLModelDeployment
from modelramp.api.spec import BearerAuth, Prometheus, PrometheusAuth, SecretKey
from modelramp.cli.matchers import Selector
from modelramp.cli.options import LiveError, UsageError, When
from modelramp.cli.recording import selectors_of
from modelramp.ports import Clock, DeniedError, MetricSource, PortError, SamplesQuestion, counters_only

LONGEST_CHUNK: Final = timedelta(hours=1)
SHORTEST_CHUNK: Final = timedelta(minutes=1)
MAX_SAMPLES: Final = 2_000_000  # about 250 MB; a rollout of an hour with 500 series scraped every 5 s has 360,000
_AUTH_FIELD: Final = "spec.analysis.prometheus.auth"
_TOKEN: Final = SecretKey(name="token", key="token")


@dataclass(frozen=True, slots=True)
class Live:
    """
    A metric source, and how it is named.
    """

    source: MetricSource
    spec: Prometheus
    clock: Clock = SystemClock()  # noqa: RUF009 - it holds nothing

    def fetch(self, selectors: Iterable[Selector], since: datetime, until: datetime) -> tuple[Series, ...]:
        """
        Every series of any of the selectors, once, with its samples of (since, until].

        Raises:
            LiveError: there was no complete answer, or it is too much.
        """
        try:
            return asyncio.run(self._fetch(selectors, since, until))
        except DeniedError as error:
            raise LiveError(str(error).replace(_AUTH_FIELD, "--token-file")) from None
        except PortError as error:
            raise LiveError(str(error)) from None

    def record(
        self, deployment: MLModelDeployment, arms: tuple[Selector, Selector], since: When, until: When | None
    ) -> tuple[Series, ...]:
        """
        All series of the metrics of both arms (stable, candidate), up to samples that are complete; None: up to now.

        Raises:
            LiveError: there was no complete answer, or it is too much.
            UsageError: the time ends before it begins.
        """
        now = self.clock.now()
        settled = now - deployment.spec.analysis.prometheus.delay.timedelta
        begin, end = since(now), settled if until is None else min(until(now), settled)
        if begin >= end:
            raise UsageError(f"--from {begin:%FT%TZ} is not before {end:%FT%TZ}, up to which samples are complete")
        return self.fetch(selectors_of(deployment, *arms), begin, end)

    async def _fetch(self, selectors: Iterable[Selector], since: datetime, until: datetime) -> tuple[Series, ...]:
        found: dict[frozenset[tuple[str, str]], Series] = {}
        number = 0
        for selector in selectors:
            own: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = {}
            async for one in self._chunks(str(selector), since, until):
                own.setdefault(frozenset(one.labels.items()), []).extend(one.samples)
                number += len(one.samples)
                if number > MAX_SAMPLES:
                    raise LiveError(f"more than {MAX_SAMPLES:,} samples; ask for less time, or select fewer series")
            for key, samples in own.items():
                found.setdefault(key, Series(labels=dict(key), samples=tuple(samples)))
        return tuple(found.values())

    async def _chunks(self, selector: str, since: datetime, until: datetime) -> AsyncIterator[Series]:
        """
        The series of one chunk after the other; a chunk is halved when the source has no complete answer to it.
        """
        chunk = LONGEST_CHUNK
        while since < until:
            chunk = min(chunk, until - since)
            question = SamplesQuestion(selector=selector, since=since, until=since + chunk)
            try:
                answer = counters_only(await self.source.samples("", self.spec, question))
            except QuestionError:  # too large, too slow, or incomplete: only the last does not get better
                if chunk <= SHORTEST_CHUNK:
                    raise
                chunk /= 2
                continue
            for one in answer:
                yield one
            since += chunk


def live(address: str, token_file: str | None) -> Live:
    """
    The Prometheus at a base URL that the user of the command wrote.

    Raises:
        LiveError: it is no base URL, or the token cannot be used.
    """
    try:
        policy = AddressPolicy(address)
    except ValueError as error:
        raise LiveError(f"--{error}".replace("prometheus.address", "prometheus")) from None
    token = None if token_file is None else _token(token_file)

    async def read(namespace: str, name: str, key: str) -> str:  # noqa: ARG001 - the reader's signature
        return token or ""

    auth = None if token is None else PrometheusAuth(bearer=BearerAuth(secret_ref=_TOKEN))
    return Live(ApiClientSource(policy, read), Prometheus(auth=auth))


def _token(path: str) -> str:
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise LiveError(f"--token-file {path}: {reason}") from None
    if not token.isascii() or not token.isprintable() or not token:
        raise LiveError(f"--token-file {path}: it is empty or holds what no header can carry")
    return token
