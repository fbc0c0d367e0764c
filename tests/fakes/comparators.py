"""
Comparators in memory: what was written is there at once; readiness is what a test says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from modelramp.ports import Key, Owner, RefusedError
from modelramp.rollout.observed import Comparator
from modelramp.rollout.plan import DeleteComparator, EnsureComparator


@dataclass
class FakeComparators:
    """
    Port `Comparators`.
    """

    available: bool = True
    known: dict[Key, dict[str, Comparator]] = field(default_factory=dict)

    def comparators(self, key: Key) -> Mapping[str, Comparator]:
        return dict(self.known.get(key, {}))

    async def ensure(self, owner: Owner, effect: EnsureComparator) -> None:
        if not self.available:
            raise RefusedError("there is no image for comparators")
        mine = self.known.setdefault(owner.key, {})
        before = mine.get(effect.revision, Comparator(ready=0, hash=None))
        mine[effect.revision] = replace(before, hash=effect.hash)

    async def delete(self, owner: Owner, effect: DeleteComparator) -> None:
        self.known.get(owner.key, {}).pop(effect.revision, None)

    def answer(self, key: Key, revision: str, ready: int) -> None:
        """
        So many endpoints are ready.
        """
        self.known[key][revision] = replace(self.known[key][revision], ready=ready)
