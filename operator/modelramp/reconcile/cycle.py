"""
One pass over one object: observe, decide, commit, act, explain. The order is the point of this file.

1. The memory is written first, on the condition that the object is still the one that was decided on. On conflict the
   plan is dropped: somebody knows more than we do.
2. Only then the world is changed, one effect after the other, in the plan's safe order.
3. Lowering exposure is always allowed. Raising it needs proof, in this very pass, that the object has not changed: the
   write of step 1, or, when there was nothing to write, a live read. Otherwise a pass on an old memory that changes
   nothing would quietly put back a share that was already taken away.
4. Only what was committed is announced, and that also when an effect fails: the transition will not be seen again.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from modelramp.api.document import InvalidSpecError, MLModelDeployment, parse, parse_status
from modelramp.ports import (
    Clock,
    ConflictError,
    DeniedError,
    Deployments,
    Document,
    EventSink,
    GoneError,
    Key,
    Owner,
    PortError,
    RefusedError,
    UnreachableError,
)
from modelramp.reconcile.contents import look_again, with_contents
from modelramp.reconcile.execute import Hands, execute
from modelramp.reconcile.explain import announcement, log_plan
from modelramp.reconcile.observe import Eyes, observe
from modelramp.rollout import Plan, decide
from modelramp.rollout.conditions import refusal

log = logging.getLogger("modelramp.cycle")

NOW: Final = timedelta(0)
REFUSED_AGAIN: Final = timedelta(seconds=30)  # a quota may be raised, a policy changed, without a change of the object


def _uncounted(_reason: str) -> None:
    """
    Nobody counts.
    """


async def _nothing_to_undo(_key: Key) -> None:
    """
    Everything that was done for an object is owned by it.
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
    farewell: Callable[[Key], Awaitable[None]] = _nothing_to_undo
    """Undoes what was done for an object outside of what it owns: called while the object is being deleted and
    something holds it."""
    moved: Callable[[str], None] = _uncounted
    """Told the reason of every committed transition."""
    refusals: dict[Key, tuple[int, str]] = field(default_factory=dict)
    """What the API server refused lately, by object: generation and message. After a restart it is found by trying."""

    async def __call__(self, key: Key) -> datetime | None:
        """
        One pass; when to look again, None: only when woken.

        Raises:
            PortError: the surroundings failed; try again later.
        """
        document = self.deployments.known(key)
        if document is None or document["metadata"].get("deletionTimestamp"):
            self.refusals.pop(key, None)  # what it owned is removed by the garbage collector
            if document is not None and document["metadata"].get("finalizers"):
                await self.farewell(key)
            return None
        now = self.clock.now()
        try:
            deployment = parse(document)
        except InvalidSpecError as error:
            await self._refuse(document, str(error), now)
            return None
        deployment = await with_contents(self.eyes.configs, deployment)
        observed = await observe(self.eyes, deployment, self._refused(key, deployment.generation), now)
        plan = decide(deployment, observed, now)
        try:
            await self._commit(document, deployment, plan)
        except GoneError:
            return None
        return look_again(deployment, await self._act(key, deployment, plan), now)

    async def _commit(self, document: Document, deployment: MLModelDeployment, plan: Plan) -> None:
        """
        Write the memory if it changed. Having returned is the proof that effects need: of freshness where they raise
        exposure, of a memory that knows of them in any case.

        Raises:
            ConflictError: the object has changed: the plan is dropped.
        """
        if plan.status != deployment.status:
            await self.deployments.commit(document, plan.status.to_wire())
        elif plan.raises_exposure or plan.lowers_exposure:
            await self._look_first(document, deployment, plan)

    async def _look_first(self, document: Document, deployment: MLModelDeployment, plan: Plan) -> None:
        """
        Read the object before traffic moves on a memory that is not written in this pass.

        What raises exposure needs the very same object. What lowers it waits for nothing that happened to the object,
        nor for an answer, but for this: an old memory may take for the candidate what has become stable since, and give
        its traffic to a revision that was retired or rejected (found by random histories, 4 in 100,000).

        Raises:
            ConflictError: the object has changed: the plan is dropped.
        """
        try:
            live = await self.deployments.read(Key(deployment.namespace, deployment.name))
        except UnreachableError:
            if plan.raises_exposure:
                raise
            return
        same = live is not None and _version(live) == _version(document)
        if same or (live is not None and not plan.raises_exposure and _roles(live) == _roles(document)):
            return
        raise ConflictError("the object has changed since it was last heard of")

    async def _act(self, key: Key, deployment: MLModelDeployment, plan: Plan) -> datetime | None:
        owner = Owner(key=key, uid=deployment.uid)
        log_plan(key, plan)
        refused_before = self._refused(key, deployment.generation)
        try:
            for effect in plan.effects:
                await execute(self.hands, owner, deployment.spec, effect)
        except (RefusedError, DeniedError) as error:  # no repetition helps; people must see it on the object
            self.refusals[key] = (deployment.generation, str(error))
            await self._tell(owner, plan)
            return self.clock.now() + (REFUSED_AGAIN if refused_before else NOW)
        except PortError:
            await self._tell(owner, plan)  # the next pass will not see this transition any more
            raise
        self.refusals.pop(key, None)
        await self._tell(owner, plan)
        return plan.wake_at if refused_before is None else self.clock.now()

    async def _tell(self, owner: Owner, plan: Plan) -> None:
        news = announcement(plan)
        if news is not None:
            self.moved(news.reason)
            await self.events.announce(owner, news)

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
        except InvalidSpecError as error:  # somebody else's status: nothing of ours can be said there
            log.warning("not worked on: %s", error, extra={"object": str(_key(document))})
            return
        said = refusal(status, document["metadata"]["generation"], problem, now)
        if said != status:
            await self.deployments.commit(document, said.to_wire())


def _roles(document: Document) -> tuple[str | None, str | None]:
    """
    The revisions that are stable and candidate, as remembered; None: there is none.
    """
    status = document.get("status") or {}
    stable, candidate = ((status.get(role) or {}).get("revision") for role in ("stable", "candidate"))
    return stable, candidate


def _key(document: Document) -> Key:
    return Key(document["metadata"]["namespace"], document["metadata"]["name"])


def _version(document: Document) -> Any:  # noqa: ANN401 - an opaque string
    return document["metadata"]["resourceVersion"]
