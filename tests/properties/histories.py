"""
Random histories of one object at the speed of the core: no event loop, no JSON but where it is the point.

A history is what users, gateways, pods, the metric source and the operator's own mishaps do to one object, drawn from a
seed; the operator is `transition` and `difference` behind the same order as the shell: memory first, on the condition
that the object is still the one that was decided on, then the effects one by one, any of which may be the last.
Everything that must never happen is checked after every write, against the gateway's real state.
"""

import json
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final

from modelramp.analysis import Block, Counts
from modelramp.api.action import STEPPED, Verb
from modelramp.api.document import MLModelDeployment
from modelramp.api.names import ANNOTATION_ACTION
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.api.status import Status
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.approval import needs_approval
from modelramp.rollout.assess import assess
from modelramp.rollout.decide import transition
from modelramp.rollout.desired import difference
from modelramp.rollout.freeze import frozen
from modelramp.rollout.needs import due
from modelramp.rollout.observed import (
    Acceptance,
    Arm,
    Beside,
    CohortRoute,
    Drain,
    HostRoute,
    Measured,
    NoData,
    Observed,
    Reading,
    RouteState,
    Unavailable,
    WarmUpReading,
)
from modelramp.rollout.others import each_beside
from modelramp.rollout.plan import (
    DeleteWorkload,
    Effect,
    EnsureWorkload,
    RestartWorkload,
    ScaleWorkload,
    SetRole,
    SetTraffic,
)
from modelramp.rollout.rules import ASKED_FOR, Rule
from modelramp.rollout.situation import Situation

BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
NOTHING: Final = Decimal(0)
NEVER: Final = math.inf
NEVER_GIVEN: Final = (NOTHING, NOTHING, 0)
SPINS: Final = 40  # passes that may change something at one instant; more is a loop
SECOND_VERSION_AT: Final = 20.0
EVENTFUL_SECONDS: Final = 240
CALM_SECONDS: Final = 1500  # three step deadlines, two progress deadlines, a drain
PODS: Final = 2
READY_AFTER: Final = 4.0
LINGER: Final = 8.0
NAMED_WAITS: Final = frozenset(
    {
        Reason.METRICS_UNAVAILABLE,
        Reason.ANALYSIS_INCONCLUSIVE,
        Reason.ROUTE_CONFLICT,
        Reason.PAUSED_BY_REQUEST,
        Reason.APPROVAL_NEEDED,
        Reason.ROLLBACK_RECOMMENDED,
    }
)
DEGREES: Final = ("Full", "Full", "Full", "Partial", "Assist", "Shadow", "HumanOnly")
OTHER_VERSIONS: Final = range(11, 15)
BY_PEOPLE: Final = frozenset(finding.__name__ for finding in ASKED_FOR)
AT_REST: Final = frozenset({Phase.STABLE, Phase.FAILED, Phase.REPORTED, Phase.PENDING})


def _others(*versions: int) -> list[dict[str, Any]]:
    return [{"name": f"o{version}", "model": {"version": str(version)}} for version in versions]


_STAGE: Final = {"mirror": "50%", "soak": "10s", "deadline": "90s"}
STRATEGIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "canary": {"canary": {"steps": [{"traffic": "10%"}, {"traffic": "50%"}], "soak": "8s", "stepDeadline": "90s"}},
    "to the end": {"canary": {"steps": [{"traffic": "25%"}, {"traffic": "100%"}], "soak": "8s", "stepDeadline": "90s"}},
    "cohort": {"canary": {"steps": [{"traffic": "20%"}], "cohort": {}, "soak": "8s", "stepDeadline": "90s"}},
    "shadow first": {
        "canary": {"shadow": _STAGE, "steps": [{"traffic": "20%"}], "soak": "8s", "stepDeadline": "90s"}
    },
    "blue-green": {
        "blueGreen": {
            "preview": {}, "preSwitch": {"soak": "6s"}, "soak": "8s", "bake": "20s", "stepDeadline": "90s"
        }
    },
    "a host": {
        "blueGreen": {
            "preview": {"hostname": "preview.fraud.example"}, "preSwitch": {"soak": "6s"}, "soak": "8s",
            "steps": [{"traffic": "30%"}, {"traffic": "100%"}], "bake": "20s", "stepDeadline": "90s",
        }
    },
    "in parts": {
        "blueGreen": {
            "preSwitch": {"soak": "6s"}, "steps": [{"traffic": "50%"}, {"traffic": "100%"}], "soak": "8s",
            "bake": "20s", "stepDeadline": "90s",
        }
    },
    "report": {"shadow": _STAGE},
    "shadow": {"shadow": {**_STAGE, "onPassed": "Promote"}},
    "others": {"shadow": {**_STAGE, "others": _others(11, 12, 13)}},
    "other others": {"shadow": {**_STAGE, "mirror": "100%", "onPassed": "Promote", "others": _others(13, 14)}},
}  # fmt: skip


def _roles(status: Status) -> tuple[str | None, str | None]:
    """
    Who is stable and who is candidate.
    """
    return status.stable and status.stable.revision, status.candidate and status.candidate.revision


@cache
def spec_of(
    version: int, strategy: str, mode: str, policy: str, degree: str = "Full", thaw: float | None = None
) -> MLModelDeploymentSpec:
    """
    A spec with times of seconds; `thaw`: nothing rises by itself before so many seconds.
    """
    end = None if thaw is None else (BEGIN + timedelta(seconds=thaw)).strftime("%Y-%m-%dT%H:%M:%SZ")
    freezes = [] if end is None else [{"start": BEGIN.strftime("%Y-%m-%dT%H:%M:%SZ"), "end": end}]
    return MLModelDeploymentSpec.model_validate(
        {
            "model": {"version": str(version)},
            "serving": {
                "port": 8080,
                "replicas": PODS,
                "config": [{"configMap": "limits"}],
                "template": {"spec": {"containers": [{"name": "m", "image": f"i:{version}"}]}},
            },
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}], "requestTimeout": "20s"}},
            "strategy": {**STRATEGIES[strategy], "progressDeadline": "60s", "scaleDownDelay": "6s"},
            "automation": {"degree": degree, "freezes": freezes},
            "analysis": {
                "mode": mode,
                "interval": "5s",
                "metrics": [{"preset": "errors"}],
                "overdispersion": "1",
                "onInconclusive": policy,
                "guardrails": {"notReadyFor": "15s"},
            },
        }
    )


@dataclass(kw_only=True)
class Load:
    """
    One revision's pods: a number of them with one birth and one fate.
    """

    version: int
    wanted: int
    role: str
    born: float
    gone_at: float = NEVER
    restart_id: str | None = None
    fate: str = "good"

    def arm(self, revision: str, now: float) -> Arm:
        """
        As the caches see it.
        """
        age = now - self.born
        alive = now < self.gone_at
        broken = (self.fate == "crashes" and age > 30) or self.fate == "never ready"
        ready = self.wanted if alive and age >= READY_AFTER and not broken else 0
        crashing = "container m restarted 5 times" if self.fate == "crashes" and age > 30 and self.wanted else None
        pods = self.wanted if alive else 0
        lingering = PODS if self.wanted == 0 and now < self.gone_at else 0
        return Arm(
            revision=revision,
            wanted_replicas=self.wanted,
            pods=max(pods, lingering),
            ready=ready,
            role=self.role,
            crash_looping=crashing,
            restart_id=self.restart_id,
        )


@dataclass(kw_only=True)
class Route:
    """
    What was written, and what the gateway does by now.
    """

    shares: Mapping[str, Decimal] = field(default_factory=dict)
    mirrors: Mapping[str, Decimal] = field(default_factory=dict)
    cohort: CohortRoute | None = None
    host: HostRoute | None = None
    dropped: HostRoute | None = None
    """A host that was taken away; its route has no status to say when the gateway follows."""
    dropped_at: float = NEVER
    """When it really is."""
    hash: str | None = None
    follows_at: float = NEVER
    real: tuple[Mapping[str, Decimal], Mapping[str, Decimal], CohortRoute | None] = field(
        default_factory=lambda: ({}, {}, None)
    )

    def reaches(self, revision: str) -> bool:
        """
        The gateway really sends something there.
        """
        shares, mirrors, cohort = self.real
        sent = {one.revision for one in (cohort, self.host, self.dropped) if one is not None}
        aside = mirrors.get(revision, NOTHING) > 0 or revision in sent
        return shares.get(revision, NOTHING) > 0 or aside

    def given(self, revision: str) -> tuple[Decimal, Decimal, int]:
        """
        What was written for the revision, in the order of exposure.
        """
        ways = sum(one is not None and one.revision == revision for one in (self.cohort, self.host))
        return self.shares.get(revision, NOTHING), self.mirrors.get(revision, NOTHING), ways


class History:
    """
    One history; `faults` holds everything that must never happen and did.
    """

    def __init__(self, seed: int, *, fenced: bool = True) -> None:
        """
        Draw how the world is. `fenced` False: effects are carried out although the memory was refused, a mistake that
        the checks must find.
        """
        self.fenced = fenced
        self.random = random.Random(seed)
        self.seed = seed
        draw = self.random
        self.content: str | None = "0"
        """What the ConfigMap holds that is part of the revision; None: it cannot be read now."""
        self.strategy = draw.choice(list(STRATEGIES))
        self.mode = draw.choice(["Evidence", "Evidence", "GuardrailsOnly"])
        self.policy = draw.choice(["Pause", "Rollback", "Advance"])
        self.degree = draw.choice(DEGREES)
        self.thaw: float | None = None
        self.events = draw.choice([0.01, 0.04, 0.1])
        """The chance that something happens in two seconds."""
        self.disturbed = draw.random() < 0.6
        self.fates = {
            version: draw.choice(["good", "good", "good", "fails", "crashes", "never ready"]) for version in range(2, 6)
        }
        self.fates |= {
            version: draw.choice(["good", "good", "fails", "crashes", "never ready"]) for version in range(11, 15)
        }
        self.now = 0.0
        self.version = 1
        self.loads: dict[str, Load] = {}
        self.route = Route()
        self.versions = [Status()]
        self.annotations: dict[str, str] = {}
        self.contested = False
        self.metrics_up = True
        self.deaf = False
        self.generation = 1
        self.requests = 0
        self.stops: set[str] = set()
        """Requests to stop that were seen already."""
        self.stopped: str | None = None
        """A candidate a person paused, aborted or rejected: nothing raises it by itself."""
        self.cycles = 0
        self.rules: set[str] = set()
        self.faults: list[str] = []

    # -- the world

    @property
    def spec(self) -> MLModelDeploymentSpec:
        """
        What the user asks for now.
        """
        return spec_of(self.version, self.strategy, self.mode, self.policy, self.degree, self.thaw)

    def deployment(self, status: Status) -> MLModelDeployment:
        """
        The object with a memory.
        """
        return MLModelDeployment(
            namespace="ml", name="fraud", uid="u", generation=self.generation, spec=self.spec, status=status,
            annotations=dict(self.annotations), config={} if self.content is None else {"limits": self.content},
        )  # fmt: skip

    def observed(self) -> Observed:
        """
        The cluster as it is.
        """
        acceptance = Acceptance.ABSENT
        if self.route.shares:
            acceptance = Acceptance.ACCEPTED if self.now >= self.route.follows_at else Acceptance.PENDING
        route = RouteState(
            acceptance=acceptance, shares=self.route.shares, mirrors=self.route.mirrors, cohort=self.route.cohort,
            host=self.route.host,
            contested_by="flux" if self.contested else None, traffic_hash=self.route.hash,
        )  # fmt: skip
        arms = {name: load.arm(name, self.now) for name, load in self.loads.items()}
        idle = {name: 0.0 if not self.route.reaches(name) else 5.0 for name in self.loads}
        drain = Drain(requests=idle, in_flight=idle) if self.metrics_up else None
        return Observed(arms=arms, route=route, drain=drain, warm_up=WarmUpReading(sent=9, failed=0, p95_seconds=0.1))

    def readings(self, deployment: MLModelDeployment, seen: Observed, now: datetime) -> Mapping[str, Reading]:
        """
        Blocks of many requests, so that a few decide.
        """
        return self._read(Situation(deployment=deployment, status=deployment.status, observed=seen, now=now))

    def readings_of_others(self, deployment: MLModelDeployment, seen: Observed, now: datetime) -> Mapping[str, Beside]:
        """
        The same of each of the other candidates, by revision.
        """
        asked = Situation(deployment=deployment, status=deployment.status, observed=seen, now=now)
        return {other.revision: Beside(readings=self._read(one)) for other, one in each_beside(asked)}

    def _read(self, asked: Situation) -> Mapping[str, Reading]:
        found: dict[str, Reading] = {}
        for metric, window in due(asked):
            if not self.metrics_up:
                found[metric.title] = Unavailable("away")
                continue
            load = self.loads.get(asked.candidate) if asked.candidate else None
            share = float(asked.step_percent / 100) or float((asked.step.mirror if asked.step else NOTHING) / 100)
            total = 4000 * (window.until - window.after).total_seconds() / 5
            mine = total * share
            bad = 0.2 if load is not None and load.fate == "fails" else 0.0
            if share == 0:
                found[metric.title] = NoData("nothing")
                continue
            rest = total if asked.step_percent == 0 else total - mine
            counts = Counts(float(int(mine)), float(int(mine * bad))), Counts(float(int(rest)), 0.0)
            found[metric.title] = Measured(Block(window.after, window.until, *counts))
        return found

    # -- the operator

    def cycle(self, *, skew: float = 0.0) -> bool:
        """
        One pass; whether it changed anything.
        """
        self.cycles += 1
        behind = self.random.randint(1, 3) if self._strikes(0.15) else 0
        behind = min(behind, len(self.versions) - 1)
        status = self.versions[-1 - behind]
        now = BEGIN + timedelta(seconds=int(self.now + skew))
        deployment, seen = self.deployment(status), self.observed()
        others = self.readings_of_others(deployment, seen, now)
        seen = replace(seen, readings=self.readings(deployment, seen, now), others=others)
        after, rule = transition(deployment, seen, now)
        effects = difference(after)
        self._check_decision(deployment, after, rule, effects, skew)
        if self._strikes(0.04):
            return True  # dies before the first write
        if behind and self.fenced and self._refused(status, after.status, effects):
            return True  # somebody knows more
        if after.status != status:
            self._remember(after.status)
        for effect in effects:
            if self._strikes(0.05):
                return True  # dies, or the write fails
            self._carry_out(effect, after)
        return bool(effects) or after.status != status

    def _refused(self, old: Status, decided: Status, effects: tuple[Effect, ...]) -> bool:
        """
        What the shell does on an old memory: its write is refused; without one a live read comes before traffic moves,
        which is raised on the present memory only, and lowered while stable and candidate are the same.
        """
        moves = [effect for effect in effects if isinstance(effect, SetTraffic)]
        raises = any(effect.raises_exposure for effect in moves)
        return decided != old or raises or (bool(moves) and _roles(old) != _roles(self.versions[-1]))

    def _remember(self, status: Status) -> None:
        if self.random.random() < 0.05:
            again = Status.model_validate(json.loads(json.dumps(status.to_wire())), by_alias=True, by_name=False)
            if again != status:
                self._fault("the memory does not survive its wire form")
            status = again
        self.versions = [*self.versions[-3:], status]

    def _carry_out(self, effect: Effect, s: Situation) -> None:
        match effect:
            case EnsureWorkload():
                version = int((effect.other or s.spec).model.version)
                fate = "good" if version == 1 else self.fates[version]
                self.loads.setdefault(
                    effect.revision,
                    Load(version=version, wanted=effect.replicas, role=str(effect.role), born=self.now, fate=fate),
                )
            case ScaleWorkload():
                self._scale(effect)
            case SetTraffic():
                self._set_traffic(effect, s)
            case SetRole():
                self.loads[effect.revision].role = str(effect.role)
            case RestartWorkload():
                self.loads[effect.revision].restart_id = effect.restart_id
            case DeleteWorkload():
                if self.route.reaches(effect.revision):
                    self._fault(f"deleted {effect.revision} while the gateway sends requests there")
                self.loads.pop(effect.revision, None)

    def _scale(self, effect: ScaleWorkload) -> None:
        load = self.loads[effect.revision]
        if effect.replicas < load.wanted and self.route.reaches(effect.revision):
            self._fault(f"scaled {effect.revision} down while the gateway sends requests there")
        if effect.replicas == 0:
            load.gone_at = self.now + LINGER
        elif load.wanted == 0:
            load.born, load.gone_at = self.now, NEVER
        load.wanted = effect.replicas

    def _set_traffic(self, effect: SetTraffic, s: Situation) -> None:
        if sum(effect.shares.values()) != 100 or min(effect.shares.values()) < 0:
            self._fault(f"shares are no whole: {effect.shares}")
        for name, percent in effect.shares.items():
            if percent > 0 and self.loads[name].version in OTHER_VERSIONS:
                self._fault(f"{name}, another candidate of a shadow run, gets a share")
        before = {name: self.route.given(name) for name in self.loads}
        real = self.route.real if self.now < self.route.follows_at else self._written()
        gone = self.route.host if self.route.host != effect.host else None
        self.route = Route(
            shares=dict(effect.shares), mirrors=dict(effect.mirrors), cohort=effect.cohort, host=effect.host,
            dropped=gone or self.route.dropped,
            dropped_at=self.now + self.random.choice([0.0, 1.0, 3.0]) if gone else self.route.dropped_at,
            hash=s.deployment.traffic_hash, real=real,
            follows_at=NEVER if self.deaf else self.now + self.random.choice([0.0, 1.0, 3.0]),
        )  # fmt: skip
        self._check_raise(before)

    def _written(self) -> tuple[Mapping[str, Decimal], Mapping[str, Decimal], CohortRoute | None]:
        return self.route.shares, self.route.mirrors, self.route.cohort

    # -- what must never happen

    def _fault(self, what: str) -> None:
        self.faults.append(f"seed {self.seed} at {self.now:.0f} s: {what}")

    def _check_raise(self, before: Mapping[str, tuple[Decimal, Decimal, int]]) -> None:
        status = self.versions[-1]
        stable = status.stable.revision if status.stable else None
        on_trial = status.candidate.revision if status.candidate and status.phase is not Phase.ROLLING_BACK else None
        rejected = {known.revision for known in status.rejected}
        for name, load in self.loads.items():
            raised = any(
                now > then for now, then in zip(self.route.given(name), before.get(name, NEVER_GIVEN), strict=True)
            )
            if not raised:
                continue
            if load.arm(name, self.now).ready == 0:
                self._fault(f"{name} gets more and has nothing ready")
            if name in rejected and name not in {on_trial, stable}:
                self._fault(f"{name} was rejected and gets more")
            if name == self.stopped and name != stable:
                self._fault(f"{name} was stopped by a person and gets more")
            if load.version in OTHER_VERSIONS and not self._takes_part(name):
                self._fault(f"{name}, another candidate, gets copies and takes part in no run")

    def _takes_part(self, name: str) -> bool:
        """
        The memory knows it as one of a run under way that nothing was decided against.
        """
        status = self.versions[-1]
        known = {other.revision for other in status.others if other.outcome in {"Undecided", "Passed"}}
        return name in known and status.phase in {Phase.PROGRESSING, Phase.PAUSED}

    def _check_decision(
        self,
        deployment: MLModelDeployment,
        after: Situation,
        rule: Rule | None,
        effects: tuple[Effect, ...],
        skew: float,
    ) -> None:
        if rule is not None:
            self.rules.add(f"{rule.when.__name__}/{rule.because}")
        if skew < 0 and rule is not None and rule.when.__name__ in {"step_passed", "last_step_passed"}:
            entered = deployment.status.step.in_place_since if deployment.status.step else None
            if entered is not None and entered > after.now:
                self._fault(f"advanced by {rule.when.__name__} on a clock that went backwards")
        if rule is None or rule.when.__name__ not in BY_PEOPLE:
            self._check_left_to_people(deployment, after, effects)
        if self.cycles % 16 == 0:
            again, same = transition(deployment, after.observed, after.now)
            if same != rule or again.status != after.status or difference(again) != effects:
                self._fault("the same look was decided otherwise")

    def _check_left_to_people(
        self, deployment: MLModelDeployment, after: Situation, effects: tuple[Effect, ...]
    ) -> None:
        """
        Nothing rises by itself past the degree of automation, or in a freeze window.
        """
        given = [effect for effect in effects if isinstance(effect, SetTraffic)]
        if not given:
            return
        before = assess(deployment, after.observed, after.now)
        if before.candidate is None or before.status.phase is Phase.PROMOTING:
            return
        raises = any(effect.shares.get(before.candidate, NOTHING) > before.step_percent for effect in given)
        if raises and (needs_approval(before) or frozen(before)):
            self._fault(f"{before.candidate} gets more, which was for people to decide")

    # -- what happens

    def _strikes(self, chance: float) -> bool:
        return self.disturbed and self.now < EVENTFUL_SECONDS and self.random.random() < chance

    def _ask(self, verb: Verb) -> None:
        status = self.versions[-1]
        named = status.candidate.revision if status.candidate else self.deployment(status).revision
        if verb is Verb.UNDO and status.candidate is None and status.kept:
            named = status.kept[-1].revision
        if verb is Verb.RESTART and status.stable is not None:
            named = status.stable.revision
        self.requests += 1
        request: dict[str, Any] = {"id": f"r-{self.requests}", "verb": str(verb), "revision": named, "by": "ada"}
        if verb in STEPPED:
            request["step"] = (status.recommendation.step if status.recommendation else None) or 1
        self.annotations[ANNOTATION_ACTION] = json.dumps(request)
        self.stopped = None

    def event(self) -> None:
        """
        Somebody does something.
        """
        what = self.random.choice(EVENTS)
        acts: dict[str, Callable[[], None]] = {
            "new version": self._new_version,
            "strategy": self._new_strategy,
            "contested": lambda: setattr(self, "contested", not self.contested),
            "outage": lambda: setattr(self, "metrics_up", not self.metrics_up),
            "deaf": self._deaf,
            "pods die": self._pods_die,
            "degree": self._new_degree,
            "frozen": self._freeze,
            "content": self._new_content,
        }
        acts[what]() if what in acts else self._ask(Verb(what))

    def _new_version(self) -> None:
        self.version, self.generation = self.random.randint(1, 5), self.generation + 1
        self.stopped = None

    def _new_strategy(self) -> None:
        self.strategy, self.generation = self.random.choice(list(STRATEGIES)), self.generation + 1

    def _new_content(self) -> None:
        """
        Another content, no answer, or one again: the object stays as it is, and what cannot be read changes nothing.
        """
        self.content = self.random.choice(["0", "1", None])
        self.stopped = None

    def _new_degree(self) -> None:
        self.degree, self.generation = self.random.choice(DEGREES), self.generation + 1

    def _freeze(self) -> None:
        self.thaw, self.generation = self.now + 60, self.generation + 1

    def _deaf(self) -> None:
        self.deaf = not self.deaf
        if not self.deaf and self.route.follows_at == NEVER:
            self.route.follows_at = self.now + 1

    def _pods_die(self) -> None:
        for load in self.loads.values():
            load.born = self.now if self.random.random() < 0.3 else load.born

    def _remember_stops(self) -> None:
        status, action = self.versions[-1], self.versions[-1].action
        if action is not None and action.outcome == "Done" and action.verb in {Verb.PAUSE, Verb.ABORT, Verb.REJECT}:
            asked = json.loads(self.annotations.get(ANNOTATION_ACTION, "{}"))
            known = asked.get("id") != action.id or action.id in self.stops  # an edit after it is a new decision
            if not known and status.phase in {Phase.PAUSED, Phase.ROLLING_BACK, Phase.FAILED}:
                self.stopped = action.revision
                self.stops.add(action.id)

    def _happen(self) -> None:
        """
        What others do now: anything in the eventful time, and nothing bad any more in the calm one.
        """
        if self.now >= EVENTFUL_SECONDS:
            self.contested = self.deaf = False
            self.metrics_up = True
            if self.route.follows_at == NEVER and self.route.shares:
                self.route.follows_at = self.now
        elif self.now == SECOND_VERSION_AT:
            self.version, self.generation = 2, self.generation + 1
        elif self.now > SECOND_VERSION_AT and self.random.random() < self.events:
            self.event()

    def _work(self) -> None:
        """
        Passes until nothing changes any more at this instant.
        """
        spins = 0
        while self.cycle(skew=-40.0 if self._strikes(0.03) else 0.0):
            spins += 1
            if spins > SPINS:
                self._fault("does not come to rest at one instant")
                return

    def run(self) -> "History":
        """
        Live through it: an eventful time, then a calm one, at whose end it rests or waits for something named.
        """
        while self.now < EVENTFUL_SECONDS + CALM_SECONDS and not self.faults:
            self._happen()
            self._work()
            self._remember_stops()
            if self.now >= EVENTFUL_SECONDS and self._over():
                return self
            self.now += 2.0 if self.now < EVENTFUL_SECONDS else 5.0
            if self.now >= self.route.follows_at:
                self.route.real = self._written()
            if self.now >= self.route.dropped_at:
                self.route.dropped, self.route.dropped_at = None, NEVER
        status = self.versions[-1]
        if not self.faults and not self._waits_for_somebody():
            self._fault(f"neither ends nor waits for anything named: {status.phase} {status.reason} {status.message}")
        return self

    def _waits_for_somebody(self) -> bool:
        """
        A pause says what ends it; where stable has no endpoint there is nobody to return to.
        """
        status = self.versions[-1]
        stable = self.loads.get(status.stable.revision) if status.stable else None
        if status.phase is Phase.PROMOTING and status.recommendation is not None:
            return True  # a rollback that the degree leaves to people
        broken = stable is None or stable.arm("", self.now).ready == 0
        return broken or (status.phase is Phase.PAUSED and status.reason in NAMED_WAITS)

    def _over(self) -> bool:
        status = self.versions[-1]
        serving = {name for name, load in self.loads.items() if load.wanted}
        return status.phase in AT_REST and serving <= ({status.stable.revision} if status.stable else set())


EVENTS: Final = (
    *("new version",) * 5, *("strategy",) * 2, "contested", "contested", "outage", "outage", "deaf", "deaf", "pods die",
    *(str(verb) for verb in Verb), *(str(Verb.APPROVE),) * 5, *(str(Verb.UNDO),) * 2, "degree", "frozen",
    *("content",) * 2,
)  # fmt: skip
