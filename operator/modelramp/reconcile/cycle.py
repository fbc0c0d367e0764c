"""
One pass over one object: observe, decide, commit, act, explain. The order is the point of this file.

1. The memory is written first, on the condition that the object is still the one that was decided on. On conflict the
   plan is dropped: somebody knows more than we do.
2. Only then the world is changed, one effect after the other, in the plan's safe order.
3. Lowering exposure is always allowed. Raising it needs proof, in this very pass, that the object has not changed: the
   write of step 1, or, when there was nothing to write, a live read. Otherwise a pass on an old memory that changes
   nothing would quietly put back a share that was already taken away.
4. Only what was committed is announced.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from modelramp.api.document import InvalidSpecError, MLModelDeployment, parse, parse_status
from modelramp.ports import (
    Clock,
    ConflictError,
    Deployments,
    Document,
    EventSink,
    GoneError,
    Key,
    Owner,
    RefusedError,
)
from modelramp.reconcile.execute import Hands, execute
from modelramp.reconcile.explain import announcement, log_plan
from modelramp.reconcile.observe import Eyes, observe
from modelramp.rollout import Plan, decide
from modelramp.rollout.conditions import refusal


def _uncounted(_reason: str) -> None:
    """
    Nobody counts.
    """


@dataclass(slots=True, kw_only=True)
class Cycle:
    """
    Carries one object one step further; holds nothing that a restart could lose.
    """

    deployments: Deployments
    eyes: Eyes
    hands: Hands
    events: EventSink
    clock: Clock
    moved: Callable[[str], None] = _uncounted
    """Told the reason of every committed transition."""
    refusals: dict[Key, tuple[int, str]] = field(default_factory=dict)
    """What the API server refused lately, by object: generation and message. Lost at a restart, found again by trying."""

    async def __call__(self, key: Key) -> datetime | None:
        """
        One pass; when to look again, None: only when woken.

        Raises:
            PortError: the surroundings failed; try again later.
        """
        document = self.deployments.known(key)
        if document is None or document["metadata"].get("deletionTimestamp"):
            self.refusals.pop(key, None)  # what it owned is removed by the garbage collector
            return None
        now = self.clock.now()
        try:
            deployment = parse(document)
        except InvalidSpecError as error:
            await self._refuse(document, str(error), now)
            return None
        observed = await observe(self.eyes, deployment, self._refused(key, deployment.generation), now)
        plan = decide(deployment, observed, now)
        try:
            fresh = await self._commit(document, deployment, plan)
        except GoneError:
            return None
        if fresh is None:
            return now  # somebody wrote meanwhile: look again at what there is now
        return await self._act(key, deployment, plan, fresh=fresh)

    async def _commit(self, document: Document, deployment: MLModelDeployment, plan: Plan) -> bool | None:
        """
        Write the memory if it changed; whether the object is proved unchanged, None: it has changed, drop the plan.
        """
        if plan.status != deployment.status:
            try:
                await self.deployments.commit(document, plan.status.to_wire())
            except ConflictError:
                return None
            return True
        if not plan.raises_exposure:
            return False
        live = await self.deployments.read(Key(deployment.namespace, deployment.name))
        same = live is not None and _version(live) == _version(document)
        return True if same else None

    async def _act(self, key: Key, deployment: MLModelDeployment, plan: Plan, *, fresh: bool) -> datetime | None:
        if plan.raises_exposure and not fresh:
            return self.clock.now()
        owner = Owner(key=key, uid=deployment.uid)
        log_plan(key, plan)
        refused_before = self.refusals.pop(key, None)
        for effect in plan.effects:
            try:
                await execute(self.hands, owner, deployment.spec, effect)
            except RefusedError as error:
                self.refusals[key] = (deployment.generation, str(error))
                wait = timedelta(seconds=30 if refused_before else 0)
                return self.clock.now() + wait
        news = announcement(plan)
        if news is not None:
            self.moved(news.reason)
            await self.events.announce(owner, news)
        return plan.wake_at

    def _refused(self, key: Key, generation: int) -> str | None:
        """
        What was refused of this very generation; an older refusal says nothing about the new spec.
        """
        known = self.refusals.get(key)
        return known[1] if known is not None and known[0] == generation else None

    async def _refuse(self, document: Document, problem: str, now: datetime) -> None:
        """
        Say what is wrong with a spec that cannot be carried out, once; everything else stays as it is.
        """
        try:
            status = parse_status(document)
        except InvalidSpecError:
            return  # somebody else's status: nothing of ours can be said there
        said = refusal(status, document["metadata"]["generation"], problem, now)
        if said != status:
            await self.deployments.commit(document, said.to_wire())


def _version(document: Document) -> Any:  # noqa: ANN401 - an opaque string
    return document["metadata"]["resourceVersion"]
