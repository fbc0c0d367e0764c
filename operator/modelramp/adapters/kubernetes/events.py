"""
Kubernetes Events about an object. They are a courtesy: nothing waits for them, and nothing fails with them.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from modelramp.adapters.kubernetes.faults import ExistsError
from modelramp.adapters.kubernetes.resources import EVENTS, Kind
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.vocabulary import API_VERSION, GROUP, KIND
from modelramp.ports import Announcement, Clock, Key, Owner, PortError

REPORTER: Final = f"{GROUP}/operator"
LONGEST_NOTE: Final = 1024  # bytes; the API server refuses more
BURST: Final = 25  # per object, and one more every 5 minutes, as client-go's recorder does
REFILL_SECONDS: Final = 300.0
_NAME_DIGITS: Final = 16

log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Allowance:
    """
    How many Events each object may still cause.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """
        `monotonic` gives seconds.
        """
        self._monotonic = monotonic
        self._buckets: dict[str, _Bucket] = {}

    def take(self, uid: str) -> bool:
        """
        Take one of the object's tokens; False: it has none left.
        """
        now = self._monotonic()
        self._forget_full(now)
        bucket = self._buckets.setdefault(uid, _Bucket(BURST, now))
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.filled_at) / REFILL_SECONDS)
        bucket.filled_at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _forget_full(self, now: float) -> None:
        """
        Objects that have been quiet, or are gone, need no bucket.
        """
        full = BURST * REFILL_SECONDS
        self._buckets = {uid: bucket for uid, bucket in self._buckets.items() if now - bucket.filled_at < full}


def occasion_in(store: Store) -> Callable[[Key], str]:
    """
    What tells one occurrence of the same words from the next: the object's generation, phase and step.

    They are written with the decision that is announced, so a repetition after a crash has the same ones.
    """

    def occasion(key: Key) -> str:
        document = store.get(Kind.MODEL, key) or {}
        generation = (document.get("metadata") or {}).get("generation", "")
        status = document.get("status") or {}
        return f"{generation}/{status.get('phaseSince', '')}/{(status.get('step') or {}).get('enteredAt', '')}"

    return occasion


def shortened(note: str) -> str:
    """
    The note in at most `LONGEST_NOTE` bytes of UTF-8.
    """
    whole = note.encode()
    if len(whole) <= LONGEST_NOTE:
        return note
    return whole[: LONGEST_NOTE - len("…".encode())].decode(errors="ignore") + "…"


def event_of(owner: Owner, announcement: Announcement, *, occasion: str, at: datetime, instance: str) -> dict[str, Any]:
    """
    The Event. Its name is made of what it says, so that saying it twice is one Event.
    """
    said = f"{owner.uid}\n{occasion}\n{announcement.reason}\n{announcement.note}"
    digest = hashlib.sha256(said.encode()).hexdigest()[:_NAME_DIGITS]
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": f"{owner.key.name}.{digest}", "namespace": owner.key.namespace},
        "eventTime": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": "Warning" if announcement.warning else "Normal",
        "reason": announcement.reason,
        "action": announcement.action,
        "note": shortened(announcement.note),
        "reportingController": REPORTER,
        "reportingInstance": instance,
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": owner.key.name,
            "namespace": owner.key.namespace,
            "uid": owner.uid,
        },
    }


class KubernetesEvents:
    """
    Port `EventSink` over events.k8s.io/v1.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        *,
        instance: str,
        occasion: Callable[[Key], str],
        monotonic: Callable[[], float],
    ) -> None:
        """
        `instance` is the operator's pod; `occasion` tells one occurrence of the same words from the next.
        """
        self._transport = transport
        self._clock = clock
        self._instance = instance
        self._occasion = occasion
        self._allowance = Allowance(monotonic)
        self.lost = 0
        """Events that could not be written, or were one too many, since the start."""

    async def announce(self, owner: Owner, announcement: Announcement) -> None:
        """
        Record it once; a repetition after a crash is the same Event. Never fails: what is lost is counted and logged.
        """
        if not self._allowance.take(owner.uid):
            self.lost += 1
            return
        event = event_of(
            owner,
            announcement,
            occasion=self._occasion(owner.key),
            at=self._clock.now(),
            instance=self._instance,
        )
        try:
            await self._transport.create(EVENTS, event)
        except ExistsError:
            return
        except PortError as error:
            self.lost += 1
            log.warning("event %s about %s was not recorded: %s", announcement.reason, owner.key, error)
