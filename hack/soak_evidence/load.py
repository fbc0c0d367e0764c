"""
The load of the soak: random inputs from random tenants, counted by version, tenant and status.
"""

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import aiohttp
from demo.client import VERSION_HEADER, LoadClient, is_bad, kind_of_loss

TENANT_HEADER: Final = "x-tenant"

Answers = Mapping[tuple[str | None, str, int], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """
    What was counted up to one instant, or between two of them.

    Attributes:
        sent: Requests sent.
        answers: Answers by version (None: no model signed it), tenant and HTTP status.
        losses: Requests that got no answer at all, by the kind of failure.

    """

    sent: int
    answers: Answers
    losses: Mapping[str, int]

    def __sub__(self, earlier: "Tally") -> "Tally":
        """
        What came after an earlier tally of the same client.
        """
        return Tally(
            sent=self.sent - earlier.sent,
            answers=MappingProxyType(Counter(self.answers) - Counter(earlier.answers)),
            losses=MappingProxyType(Counter(self.losses) - Counter(earlier.losses)),
        )

    @property
    def lost(self) -> int:
        """
        Requests that no version is to blame for: no answer, or one that no model signed.
        """
        return sum(self.losses.values()) + sum(n for (version, _, _), n in self.answers.items() if version is None)

    @property
    def lost_by_kind(self) -> dict[str, int]:
        """
        `lost` in its parts: the client's word for no answer at all, or `-/503` for one that no model signed.
        """
        found = Counter(self.losses)
        for (version, _, status), n in self.answers.items():
            if version is None:
                found[f"-/{status}"] += n
        return dict(sorted(found.items()))

    def requests(self, version: str) -> int:
        """
        Answers that a version signed, whatever the status.
        """
        return sum(n for (signed, _, _), n in self.answers.items() if signed == version)

    def bad(self, version: str) -> int:
        """
        Answers of 500 and above that a version signed.
        """
        return sum(n for (signed, _, status), n in self.answers.items() if signed == version and is_bad(status))

    def failures(self) -> dict[str, dict[str, int]]:
        """
        For each version that answered: requests, failures, and the failures of each tenant that had any.
        """
        found: dict[str, dict[str, int]] = {}
        for (version, tenant, status), n in sorted(self.answers.items(), key=str):
            if version is None:
                continue
            row = found.setdefault(version, {"requests": 0, "failures": 0})
            row["requests"] += n
            if is_bad(status):
                row["failures"] += n
                row[f"failures of {tenant}"] = row.get(f"failures of {tenant}", 0) + n
        return found


class TenantClient(LoadClient):
    """
    A load client that draws body and tenant anew for each request.

    Its counts by tenant are cheap to read at any time, however long it has run.
    """

    def __init__(
        self, url: str, host: str, bodies: Sequence[bytes], tenants: Sequence[str], *, rate: float, seed: int
    ) -> None:
        """
        Take what the base takes and at least one tenant; equal seeds draw equal requests.

        Raises:
            ValueError: as the base, or no tenant.

        """
        super().__init__(url, host, bodies, rate=rate)
        if not tenants:
            raise ValueError("a client of tenants needs a tenant")
        self._tenants = tenants
        self._chance = random.Random(seed)
        self._by_tenant: Counter[tuple[str | None, str, int]] = Counter()
        self._unanswered: Counter[str] = Counter()
        self._latest: dict[str, float] = {}

    async def _request(self, session: aiohttp.ClientSession, _body: bytes) -> None:
        """
        Send one drawn request instead of the one whose turn it is, and count how it ended.
        """
        tenant, body = self._chance.choice(self._tenants), self._chance.choice(self._bodies)
        headers = {**self._headers, TENANT_HEADER: tenant}
        sent_at = self._elapsed()
        try:
            async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._count_lost(kind_of_loss(error))
        else:
            version = answer.headers.get(VERSION_HEADER)
            self._count_answer(version, answer.status, sent_at)
            self._by_tenant[version, tenant, answer.status] += 1
            if version is not None:
                self._latest[version] = time.monotonic()
        finally:
            self._in_flight -= 1

    def _count_lost(self, kind: str) -> None:
        super()._count_lost(kind)
        self._unanswered[kind] += 1

    def tally(self) -> Tally:
        """
        The counts at this instant.
        """
        return Tally(
            sent=self._sent,
            answers=MappingProxyType(Counter(self._by_tenant)),
            losses=MappingProxyType(Counter(self._unanswered)),
        )

    def silent_seconds(self, version: str) -> float | None:
        """
        Seconds since the version last answered; None: it never did.
        """
        last = self._latest.get(version)
        return None if last is None else time.monotonic() - last
