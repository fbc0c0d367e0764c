"""
Istio's VirtualService, checked by its own definition on a real API server; Istio itself does not run.
"""

from decimal import Decimal
from typing import Any

import pytest
from contracts.kubernetes_worlds import SPEC, ApiServerWorld, parsed

from modelramp.adapters.istio.virtualservices import VirtualServices
from modelramp.adapters.kubernetes.resources import VIRTUAL_SERVICES, Kind
from modelramp.api.document import traffic_hash
from modelramp.ports import ConflictError, Document, Key, Owner
from modelramp.rollout.observed import Acceptance, CohortRoute, RouteState
from modelramp.rollout.plan import SetTraffic

pytestmark = pytest.mark.apiserver

MESHED = {**SPEC, "traffic": {"istio": {"hosts": ["fraud.example.com"], "gateways": ["infra/edge", "mesh"]}}}
STABLE, CANDIDATE = "a" * 10, "b" * 10
COHORT = CohortRoute(header="X-Model-Cohort", value="candidate", revision=CANDIDATE)
RULE = {"route": [{"destination": {"host": f"fraud-{STABLE}"}, "weight": 50},
                  {"destination": {"host": f"fraud-{CANDIDATE}"}, "weight": 50}]}  # fmt: skip


def given(candidate: str, *, raises: bool = True, **aside: Any) -> SetTraffic:  # noqa: ANN401 - any field
    shares = {STABLE: 100 - Decimal(candidate), CANDIDATE: Decimal(candidate)}
    return SetTraffic(shares=shares, raises_exposure=raises, **aside)


class Bench:
    """
    An object behind a VirtualService.
    """

    def __init__(self, real: ApiServerWorld, owner: Owner) -> None:
        """
        The object exists.
        """
        self.real, self.owner, self.key = real, owner, owner.key
        self.routes = VirtualServices(real.transport, real.store)

    async def give(self, effect: SetTraffic) -> None:
        """
        The router is told.
        """
        await self.routes.set_traffic(self.owner, parsed(MESHED), effect)

    async def virtual(self) -> Document:
        """
        The VirtualService now.
        """
        return await self.real.transport.get(VIRTUAL_SERVICES, self.key)

    @property
    def state(self) -> RouteState:
        """
        As last heard of.
        """
        return self.routes.state(self.key)


@pytest.fixture
async def bench(real: ApiServerWorld) -> Bench:
    owner = await real.put(Key(real.namespace, "fraud"), MESHED)
    await real.deployments.read(owner.key)
    return Bench(real, owner)


@pytest.mark.parametrize(
    "effect",
    [
        given("0"),
        given("1"),
        given("25", cohort=COHORT),
        given("0", mirrors={CANDIDATE: Decimal(100)}),
        given("0", mirrors={CANDIDATE: Decimal(100)}, compared=frozenset({CANDIDATE})),
        given("0", mirrors={CANDIDATE: Decimal("12.5")}, cohort=COHORT),
        given("100"),
    ],
    ids=["nothing", "one percent", "a cohort", "all copied", "all compared", "some copied and a cohort", "everything"],
)
async def test_what_is_given_comes_back_through_istios_own_definition(bench: Bench, effect: SetTraffic) -> None:
    """At once and after the next list; the server prunes and defaults nothing of it."""
    assert bench.state == RouteState()
    await bench.give(effect)
    for _ in range(2):
        state = bench.state
        assert (state.shares, state.mirrors, state.cohort) == (effect.shares, effect.mirrors, effect.cohort)
        assert state.compared == effect.compared
        assert (state.contested_by, state.traffic_hash) == (None, traffic_hash(parsed(MESHED)))
        assert state.acceptance is Acceptance.ACCEPTED
        await bench.real.catch_up()
    spec = (await bench.virtual())["spec"]
    assert (spec["hosts"], spec["gateways"]) == (["fraud.example.com"], ["infra/edge", "mesh"])
    assert all(rule["timeout"] == "60s" for rule in spec["http"])


async def test_the_same_traffic_twice_changes_nothing(bench: Bench) -> None:
    """Neither forced nor not."""
    await bench.give(given("5", cohort=COHORT))
    before = (await bench.virtual())["metadata"]["resourceVersion"]
    await bench.give(given("5", cohort=COHORT))
    await bench.give(given("5", cohort=COHORT, raises=False))
    assert (await bench.virtual())["metadata"]["resourceVersion"] == before


async def test_what_is_not_asked_for_any_more_is_gone(bench: Bench) -> None:
    """The rules are one list: no cohort and no copy outlives its step."""
    await bench.give(given("0", mirrors={CANDIDATE: Decimal(100)}, cohort=COHORT))
    await bench.give(given("0", raises=False))
    state = bench.state
    assert (dict(state.mirrors), state.cohort) == ({}, None)
    assert len((await bench.virtual())["spec"]["http"]) == 1


async def test_a_status_of_istio_is_of_a_generation(bench: Bench) -> None:
    """Where Istio writes one, an answer to earlier weights says nothing of these."""
    await bench.give(given("5"))
    generation = (await bench.virtual())["metadata"]["generation"]
    condition = {"type": "Reconciled", "status": "True", "observedGeneration": str(generation)}
    status = {"status": {"observedGeneration": str(generation), "conditions": [condition]}}
    await bench.real.write_as("istiod", VIRTUAL_SERVICES, bench.key, status, subresource="status")
    await bench.real.catch_up()
    assert (bench.state.acceptance, bench.state.message) == (Acceptance.ACCEPTED, "")
    await bench.give(given("25"))
    assert bench.state.acceptance is Acceptance.PENDING


async def test_exposure_is_not_raised_against_another_writer_and_taken_back_from_it(bench: Bench) -> None:
    """It says who writes the rules."""
    await bench.give(given("5"))
    await bench.real.write_as("kubectl-edit", VIRTUAL_SERVICES, bench.key, {"spec": {"http": [RULE]}})
    with pytest.raises(ConflictError):
        await bench.give(given("25"))
    assert (bench.state.contested_by, bench.state.shares[CANDIDATE]) == ("kubectl-edit", 50)
    with pytest.raises(ConflictError, match="kubectl-edit"):
        await bench.give(given("75"))
    await bench.give(given("0", raises=False))
    assert (bench.state.contested_by, bench.state.shares[CANDIDATE]) == (None, 0)


async def test_a_strangers_object_is_never_touched(bench: Bench) -> None:
    """Not even to lower exposure; the watch tells of it, as it has no label of ours."""
    body = {
        "apiVersion": VIRTUAL_SERVICES.api_version,
        "kind": VIRTUAL_SERVICES.kind,
        "metadata": {"name": "fraud", "namespace": bench.key.namespace},
        "spec": {"hosts": ["theirs"], "http": [RULE]},
    }
    made = await bench.real.transport.create(VIRTUAL_SERVICES, body)
    assert bench.real.store.heard(Kind.VIRTUAL_SERVICE, "ADDED", made) == bench.key
    for effect in (given("5"), given("0", raises=False)):
        with pytest.raises(ConflictError):
            await bench.give(effect)
        assert "VirtualService of this name" in str(bench.state.contested_by)
    assert (await bench.virtual())["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_the_definition_that_is_checked_against_is_istios(bench: Bench) -> None:
    """A weight that is a text is refused; else nothing here would be proved."""
    wrong = {"spec": {"http": [{"route": [{"destination": {"host": "x"}, "weight": "5"}]}]}}
    await bench.give(given("5"))
    with pytest.raises(Exception, match="weight"):
        await bench.real.write_as("somebody", VIRTUAL_SERVICES, bench.key, wrong)
