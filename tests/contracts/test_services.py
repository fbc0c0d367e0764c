"""
The plain Service on a real API server; EndpointSlices are written by the tests, as no controller runs.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from contracts.benches import RouterBench
from contracts.kubernetes_worlds import SPEC, ApiServerWorld, parsed
from fakes.kubernetes import FakePod

from modelramp.adapters.kubernetes.resources import ENDPOINT_SLICES, SERVICES, Kind
from modelramp.adapters.service.services import PlainServices
from modelramp.api.document import traffic_hash
from modelramp.api.names import LABEL_DEPLOYMENT, LABEL_REVISION, workload_name
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import ConflictError, Key, RefusedError
from modelramp.rollout.observed import Acceptance, CohortRoute, Role, RouteState
from modelramp.rollout.plan import EnsureWorkload, SetTraffic

pytestmark = pytest.mark.apiserver

PLAIN = {**SPEC, "traffic": {"service": {"port": 8000}}}
NEXT = {**PLAIN, "model": {"version": "9"}}
STABLE, CANDIDATE = parsed(PLAIN).revision, parsed(NEXT).revision


def shares(candidate: str) -> dict[str, Decimal]:
    return {STABLE: 100 - Decimal(candidate), CANDIDATE: Decimal(candidate)}


def raising(candidate: str) -> SetTraffic:
    return SetTraffic(shares=shares(candidate), raises_exposure=True)


def lowering(candidate: str) -> SetTraffic:
    return SetTraffic(shares=shares(candidate), raises_exposure=False)


class Bench(RouterBench):
    """
    An object with two revisions behind a plain Service.
    """

    def __init__(self, real: ApiServerWorld, newer: Mapping[str, Any] = NEXT) -> None:
        """
        `newer` is the spec of the second one, with which the router is told.
        """
        super().__init__(real, PlainServices(real.transport, real.store), SERVICES, PLAIN)
        self.newer = newer
        self.pods: dict[str, list[str]] = {}

    async def begin(self) -> None:
        """
        Both revisions exist.
        """
        await super().begin()
        for spec in (PLAIN, self.newer):
            effect = EnsureWorkload(revision=parsed(spec).revision, replicas=2, role=Role.STABLE)
            await self.real.workloads.ensure(self.owner, parsed(spec), effect)
        await self.real.catch_up()
        self.spec = self.newer

    async def run_pods(self, revision: str, number: int) -> None:
        """
        So many ready pods of a revision, behind its own Service.
        """
        for index in range(number):
            name = f"{workload_name(self.key.name, revision)}-{index}"
            await self.real.run_pod(self.key, revision, FakePod(name=name))
            piece = await self.real.transport.get(ENDPOINT_SLICES, Key(self.key.namespace, name))
            self.pods.setdefault(revision, []).append(piece["endpoints"][0]["targetRef"]["uid"])

    async def point(self, *uids: str) -> None:
        """
        The EndpointSlice of the object's own Service lists these pods.
        """
        name = f"fraud-front-{len(uids)}-{'-'.join(uids)[:20]}"
        for old in (await self.real.transport.list(ENDPOINT_SLICES, namespace=self.key.namespace)).items:
            if old["metadata"]["labels"].get("kubernetes.io/service-name") == "fraud":
                await self.real.transport.delete(ENDPOINT_SLICES, Key(self.key.namespace, old["metadata"]["name"]))
        labels = {LABEL_DEPLOYMENT: "fraud", "kubernetes.io/service-name": "fraud"}
        endpoints = [
            {"addresses": [f"10.1.2.{n + 9}"], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "uid": uid}}
            for n, uid in enumerate(uids)
        ]
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": self.key.namespace, "labels": labels},
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [],
        }
        await self.real.transport.create(ENDPOINT_SLICES, body)
        await self.real.catch_up()


@pytest.fixture
async def bench(real: ApiServerWorld) -> Bench:
    found = Bench(real)
    await found.begin()
    return found


async def test_no_service_is_absent(bench: Bench) -> None:
    """Nothing is routed."""
    assert bench.state == RouteState()


@pytest.mark.parametrize("candidate", ["0", "10", "4.76", "100"])
async def test_shares_come_back_exactly_as_given(bench: Bench, candidate: str) -> None:
    """Zeros included, at once and after the next list."""
    await bench.give(raising(candidate))
    for _ in range(2):
        assert bench.state.shares == shares(candidate)
        assert bench.state.contested_by is None
        assert bench.state.traffic_hash == traffic_hash(parsed(NEXT))
        await bench.real.catch_up()


@pytest.mark.parametrize(
    ("candidate", "revision"), [("0", STABLE), ("10", None), ("100", CANDIDATE)], ids=["pinned", "all", "switched"]
)
async def test_the_selector_says_who_serves(bench: Bench, candidate: str, revision: str | None) -> None:
    """One revision, or all pods of the object; nothing that would bend the split is left to others."""
    await bench.give(raising("0"))
    await bench.give(raising(candidate))
    spec = (await bench.written())["spec"]
    chosen = {LABEL_DEPLOYMENT: "fraud"} | ({} if revision is None else {LABEL_REVISION: revision})
    assert spec["selector"] == chosen
    assert (spec["sessionAffinity"], spec["internalTrafficPolicy"]) == ("None", "Cluster")
    assert [(port["port"], port["targetPort"]) for port in spec["ports"]] == [(8000, parsed(PLAIN).serving.http_port)]


async def test_the_same_traffic_twice_changes_nothing(bench: Bench) -> None:
    """Neither forced nor not."""
    await bench.give(raising("10"))
    before = (await bench.written())["metadata"]["resourceVersion"]
    await bench.give(raising("10"))
    await bench.give(lowering("10"))
    assert (await bench.written())["metadata"]["resourceVersion"] == before


async def test_a_pinned_service_is_accepted_once_its_endpoints_are_those_of_the_revision(bench: Bench) -> None:
    """A pod of the other revision in its slices still gets connections."""
    await bench.run_pods(STABLE, 2)
    await bench.run_pods(CANDIDATE, 1)
    await bench.give(raising("0"))
    await bench.real.catch_up()
    assert bench.state.acceptance is Acceptance.PENDING
    await bench.point(*bench.pods[STABLE], *bench.pods[CANDIDATE])
    assert bench.state.acceptance is Acceptance.PENDING
    assert "1 pods that it should not send to" in bench.state.message
    await bench.point(*bench.pods[STABLE])
    state = bench.state
    assert (state.acceptance, state.message) == (Acceptance.ACCEPTED, "")
    assert state.achieved == {STABLE: Decimal(100), CANDIDATE: Decimal(0)}


async def test_a_union_is_accepted_near_its_shares_only(bench: Bench) -> None:
    """And says what the ready pods come to."""
    await bench.run_pods(STABLE, 3)
    await bench.run_pods(CANDIDATE, 1)
    everybody = [*bench.pods[STABLE], *bench.pods[CANDIDATE]]
    await bench.give(raising("25"))
    await bench.point(*everybody)
    assert bench.state.acceptance is Acceptance.ACCEPTED
    assert bench.state.achieved == {STABLE: Decimal(75), CANDIDATE: Decimal(25)}
    await bench.point(*everybody[2:])
    assert bench.state.acceptance is Acceptance.PENDING
    assert bench.state.shares == shares("25")
    assert bench.state.achieved == {STABLE: Decimal(50), CANDIDATE: Decimal(50)}


async def test_somebody_elses_selector_is_told_and_what_it_does(bench: Bench) -> None:
    """Exposure is not raised against it, and taken back from it."""
    await bench.give(raising("0"))
    pinned = {"spec": {"selector": {LABEL_DEPLOYMENT: "fraud", LABEL_REVISION: CANDIDATE}}}
    await bench.real.write_as("kubectl-edit", SERVICES, bench.key, pinned)
    with pytest.raises(ConflictError):
        await bench.give(raising("10"))
    assert bench.state.contested_by == "kubectl-edit"
    assert bench.state.shares == shares("100")
    await bench.give(lowering("0"))
    assert bench.state.contested_by is None
    assert bench.state.shares == shares("0")
    assert (await bench.written())["spec"]["selector"][LABEL_REVISION] == STABLE


async def test_session_affinity_of_somebody_else_is_a_conflict(bench: Bench) -> None:
    """It would keep each client at one pod: no share would be one of requests."""
    await bench.give(raising("0"))
    await bench.real.write_as("kubectl-edit", SERVICES, bench.key, {"spec": {"sessionAffinity": "ClientIP"}})
    await bench.real.catch_up()
    assert bench.state.contested_by == "kubectl-edit, who set spec.sessionAffinity to ClientIP"
    with pytest.raises(ConflictError):
        await bench.give(raising("10"))
    await bench.give(lowering("0"))
    assert (bench.state.contested_by, (await bench.written())["spec"]["sessionAffinity"]) == (None, "None")


async def test_session_affinity_that_is_undone_contests_nothing(bench: Bench) -> None:
    """Whoever set it stays its owner for good; were that a conflict, a rollout would never go on."""
    await bench.give(raising("0"))
    for value in ("ClientIP", "None"):
        patch = {"spec": {"sessionAffinity": value, "sessionAffinityConfig": None}}
        await bench.real.write_as("kubectl-edit", SERVICES, bench.key, patch)
    await bench.real.catch_up()
    managers = {entry["manager"] for entry in (await bench.written())["metadata"]["managedFields"]}
    assert (bench.state.contested_by, "kubectl-edit" in managers) == (None, True)
    await bench.give(raising("10"))
    assert bench.state.shares == shares("10")


@pytest.mark.parametrize("effect", [raising("10"), lowering("0")])
async def test_a_strangers_service_is_never_touched(bench: Bench, effect: SetTraffic) -> None:
    """Not even to lower exposure, and it says whose it is."""
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "fraud", "namespace": bench.key.namespace},
        "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 80}]},
    }
    await bench.real.transport.create(SERVICES, body)
    before = (await bench.written())["metadata"]["resourceVersion"]
    for _ in range(2):
        with pytest.raises(ConflictError):
            await bench.give(effect)
        assert "Service of this name" in str(bench.state.contested_by)
    assert (await bench.written())["metadata"]["resourceVersion"] == before


async def test_exposure_is_raised_only_over_the_service_last_heard_of(bench: Bench) -> None:
    """Another replica that has heard nothing does not raise; it may not even make the Service anew."""
    await bench.give(raising("10"))
    other = ApiServerWorld(bench.real.transport)
    routes = PlainServices(other.transport, other.store)
    with pytest.raises(ConflictError):
        await routes.set_traffic(bench.owner, parsed(NEXT), raising("50"))
    assert routes.state(bench.key).shares == shares("10")


async def test_revisions_on_different_ports_are_pinned_but_not_joined(real: ApiServerWorld) -> None:
    """The way back goes to the port of the revision that serves, whatever the spec says by now."""
    moved = {**NEXT, "serving": {**PLAIN["serving"], "port": 9999}}
    bench, newer = Bench(real, moved), parsed(moved).revision
    await bench.begin()
    both = {STABLE: Decimal(50), newer: Decimal(50)}
    with pytest.raises(RefusedError, match=r"9999 of revision .* keep spec\.serving\.port"):
        await bench.give(SetTraffic(shares=both, raises_exposure=True))
    for serving, port in ((newer, 9999), (STABLE, parsed(PLAIN).serving.http_port)):
        given = {STABLE: Decimal(0), newer: Decimal(0), serving: Decimal(100)}
        await bench.give(SetTraffic(shares=given, raises_exposure=False))
        assert (await bench.written())["spec"]["ports"][0]["targetPort"] == port


@pytest.mark.parametrize(
    "aside",
    [{"mirrors": {CANDIDATE: Decimal(100)}}, {"cohort": CohortRoute(header="h", value="v", revision=CANDIDATE)}],
)
async def test_what_a_service_cannot_is_refused(bench: Bench, aside: dict[str, Any]) -> None:
    """Loudly: a copy that is not made would be judged as if it were."""
    with pytest.raises(RefusedError):
        await bench.give(SetTraffic(shares=shares("0"), raises_exposure=True, **aside))
    assert bench.state == RouteState()


async def test_the_revisions_own_services_are_not_taken_for_it(bench: Bench) -> None:
    """They carry the label too."""
    assert bench.real.store.get(Kind.SERVICE, Key(bench.key.namespace, workload_name("fraud", STABLE))) is not None
    assert bench.state == RouteState()


def test_the_two_specs_are_two_revisions() -> None:
    """Or nothing here would be tested."""
    spec: MLModelDeploymentSpec = parsed(NEXT)
    assert spec.revision == CANDIDATE != STABLE
