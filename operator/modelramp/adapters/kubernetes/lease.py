"""
One leader among the replicas, by a Lease. Own code, because the client's elector cannot create its Lease.

A lease is no fence: a leader that was stopped in the middle of a write may finish it later. So every write has its own
precondition, and who is about to write asks `valid_for` first. Clocks of two machines are never compared: a Lease
has expired when it was seen unchanged here for its whole duration.
Source: the algorithm of client-go's leaderelection.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from modelramp.adapters.kubernetes.resources import LEASES
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.ports import Clock, Document, GoneError, Key, PortError

DURATION_SECONDS: Final = 15  # others wait this long before they take over
RENEW_DEADLINE_SECONDS: Final = 10.0  # a leader that could not renew for this long steps down
RETRY_SECONDS: Final = 2.0
JITTER: Final = 1.2  # retries of those who wait are spread over up to this many further retry periods
TRY_SECONDS: Final = RENEW_DEADLINE_SECONDS / 2  # so that one hanging request does not cost the leadership

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """
    Where time and chance come from.
    """

    clock: Clock
    """Written into the Lease for people; no decision rests on it."""
    monotonic: Callable[[], float]
    """Seconds; every decision rests on these."""
    jitter: Callable[[], float]
    """Numbers from 0 to 1."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Elector:
    """
    This replica's part in the election.
    """

    def __init__(self, transport: Transport, lease: Key, identity: str, timing: Timing) -> None:
        """
        `identity` is unique among the replicas that run at a time, such as the pod's name.
        """
        self._transport = transport
        self._key = lease
        self._identity = identity
        self._timing = timing
        self._monotonic = timing.monotonic
        self._renewed_at: float | None = None
        self._ours: Document | None = None
        """The Lease as this replica wrote it last; None: it must be read before it can be written."""
        self._seen: Document | None = None
        self._seen_at = 0.0
        self.leading = asyncio.Event()
        """Set once this replica is the leader, cleared when it steps down."""

    @property
    def is_leader(self) -> bool:
        """
        This replica leads and renewed in time. True ends by itself, even while nothing else runs.
        """
        return self._renewed_at is not None and self._monotonic() < self._renewed_at + RENEW_DEADLINE_SECONDS

    def valid_for(self) -> float:
        """
        Seconds for which no other replica can lead; 0: this one may not act. A write needs more than its timeout.
        """
        if self._renewed_at is None or not self.is_leader:
            return 0.0
        return max(0.0, self._renewed_at + DURATION_SECONDS - self._monotonic())

    async def run(self, on_lost: Callable[[], None]) -> None:
        """
        Wait for the leadership, then keep it. Returns after `on_lost`, when it was lost; cancel it to step down.

        Before it ends by cancellation the Lease is released, so that another replica takes over at once.
        """
        try:
            while not await self._attempt():
                await self._timing.sleep(RETRY_SECONDS * (1 + JITTER * self._timing.jitter()))
            log.info("leading, by lease %s as %s", self._key, self._identity)
            self.leading.set()
            while self.is_leader:
                await self._timing.sleep(RETRY_SECONDS)
                await self._attempt()
        finally:
            held, self._renewed_at = self._renewed_at is not None and self.is_leader, None
            self.leading.clear()
            if held:
                await self._release()
        log.error("the lease %s was lost", self._key)
        on_lost()

    async def _attempt(self) -> bool:
        """
        Acquire or renew once; whether this replica holds the Lease now.
        """
        began = self._monotonic()  # before the request: the others' wait begins later than that
        try:
            async with asyncio.timeout(TRY_SECONDS):
                held = await self._acquire()
        except (PortError, TimeoutError) as error:
            # Also when somebody wrote in between, or our own last write arrived late: the next look tells who holds it.
            self._ours = None
            log.warning("lease %s: %s", self._key, str(error) or "no answer in time")
            return self.is_leader
        self._renewed_at = began if held else None
        return held

    async def _acquire(self) -> bool:
        if self._ours is not None:
            return await self._written(self._transport.replace(LEASES, self._lease(self._ours)))
        try:
            lease = await self._transport.get(LEASES, self._key)
        except GoneError:
            return await self._written(self._transport.create(LEASES, self._lease(None)))
        spec = lease.get("spec") or {}
        if self._seen is None or spec != self._seen:
            self._seen, self._seen_at = spec, self._monotonic()
        if spec.get("holderIdentity") not in {None, "", self._identity} and not self._expired(spec):
            return False
        return await self._written(self._transport.replace(LEASES, self._lease(lease)))

    async def _written(self, write: Awaitable[Document]) -> bool:
        self._ours = await write
        self._seen, self._seen_at = self._ours["spec"], self._monotonic()
        return True

    def _expired(self, spec: Document) -> bool:
        duration = spec.get("leaseDurationSeconds") or DURATION_SECONDS
        return self._monotonic() >= self._seen_at + duration

    def _lease(self, present: Document | None) -> dict[str, Any]:
        """
        The Lease as this replica's; `present` None: it is new.
        """
        spec: dict[str, Any] = dict((present or {}).get("spec") or {})
        now = self._timing.clock.now().strftime(
            "%Y-%m-%dT%H:%M:%S.%fZ"
        )  # the API server refuses a time without fraction
        if spec.get("holderIdentity") != self._identity:
            transitions = spec.get("leaseTransitions", 0) + 1 if present else 0
            spec |= {"acquireTime": now, "leaseTransitions": transitions}
        spec |= {"holderIdentity": self._identity, "leaseDurationSeconds": DURATION_SECONDS, "renewTime": now}
        metadata = {"name": self._key.name, "namespace": self._key.namespace}
        if present is not None:
            metadata = dict(present["metadata"])
        return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}

    async def _release(self) -> None:
        """
        Give the Lease up; when that fails, the others wait for it to expire.
        """
        try:
            async with asyncio.timeout(TRY_SECONDS):
                lease = await self._transport.get(LEASES, self._key)
                if lease["spec"].get("holderIdentity") == self._identity:
                    free = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._transport.replace(LEASES, {**lease, "spec": free})
        except (PortError, TimeoutError) as error:
            log.warning("lease %s was not released: %s", self._key, str(error) or "no answer in time")
