from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from fakes.rollout import spec

from modelramp.adapters.istio.reading import SILENT, acceptance_of, cohort_in, compared_in, mirrors_in, shares_in
from modelramp.adapters.istio.rendering import virtual_service
from modelramp.adapters.kubernetes.projection import project
from modelramp.adapters.kubernetes.resources import Kind
from modelramp.ports import Key, Owner, RefusedError
from modelramp.rollout.observed import Acceptance, CohortRoute
from modelramp.rollout.plan import SetTraffic

KEY = Key("ml", "fraud")
OWNER = Owner(key=KEY, uid="u")
A, B = "a" * 10, "b" * 10
GENERATION = 7


def effect(candidate: str = "5", **changes: Any) -> SetTraffic:  # noqa: ANN401 - any field
    return SetTraffic(shares={A: 100 - Decimal(candidate), B: Decimal(candidate)}, raises_exposure=True, **changes)


def rendered(wanted: SetTraffic, **istio: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return virtual_service(OWNER, spec(traffic={"istio": {"hosts": ["fraud.example.com"], **istio}}), wanted)


def to(name: str, weight: int | None = None) -> dict[str, Any]:
    route: dict[str, Any] = {"destination": {"host": name}}
    return route if weight is None else {**route, "weight": weight}


def virtual(*rules: Mapping[str, Any], **annotations: str) -> dict[str, Any]:
    return {"metadata": {"name": "fraud", "annotations": annotations}, "spec": {"http": list(rules)}}


COHORT = CohortRoute(header="X-Model-Cohort", value="candidate", revision=B)


def test_the_whole_of_it() -> None:
    """
    The cohort's rule first, weights that sum to 100, copies and the time of a request.
    """
    found = rendered(effect("0", mirrors={B: Decimal("12.5")}, cohort=COHORT), gateways=["infra/edge", "mesh"])
    own = {number: {"host": f"fraud-{name}", "port": {"number": 80}} for number, name in ((A, A), (B, B))}
    assert found["spec"] == {
        "hosts": ["fraud.example.com"],
        "gateways": ["infra/edge", "mesh"],
        "http": [
            {
                "name": "cohort",
                "match": [{"headers": {"x-model-cohort": {"exact": "candidate"}}}],
                "route": [{"destination": own[B], "weight": 100}],
                "timeout": "60s",
            },
            {
                "name": "shares",
                "route": [{"destination": own[A], "weight": 100}, {"destination": own[B], "weight": 0}],
                "mirror": own[B],
                "mirrorPercentage": {"value": 12.5},
                "timeout": "60s",
            },
        ],
    }


@pytest.mark.parametrize(("asked", "written"), [("1m30s", "90s"), ("1500ms", "1.5s"), ("0s", None), ("24h", "86400s")])
def test_the_time_of_a_request(asked: str, written: str | None) -> None:
    """
    In seconds; none at all where there is no limit.
    """
    (rule,) = rendered(effect(), requestTimeout=asked)["spec"]["http"]
    assert rule.get("timeout") == written


def test_what_it_cannot_say_is_refused() -> None:
    """
    Part of a percent, another router.
    """
    with pytest.raises(RefusedError, match=r"97\.5% is none"):
        rendered(effect("2.5"))
    with pytest.raises(RefusedError, match=r"spec\.traffic\.istio"):
        virtual_service(OWNER, spec(), effect())


@pytest.mark.parametrize(
    "wanted",
    [
        effect("0"),
        effect("1"),
        effect("25", cohort=COHORT),
        effect("100"),
        effect("0", mirrors={B: Decimal(100)}),
        effect("0", mirrors={B: Decimal("0.5")}, cohort=COHORT),
        effect("0", mirrors={B: Decimal(100), "c": Decimal(100), "d": Decimal("12.5")}),
        SetTraffic(shares={B: Decimal(100)}, raises_exposure=False),
    ],
)
def test_what_is_written_can_be_read(wanted: SetTraffic) -> None:
    """
    Through what is kept of it.
    """
    body = rendered(wanted)
    stored = {**body, "metadata": {**body["metadata"], "uid": "v", "resourceVersion": "1", "generation": 1}}
    kept = project(Kind.VIRTUAL_SERVICE, stored)
    assert project(Kind.VIRTUAL_SERVICE, kept) == kept
    assert shares_in(kept, KEY) == wanted.shares
    assert mirrors_in(kept, KEY) == wanted.mirrors
    assert cohort_in(kept, KEY) == wanted.cohort


@pytest.mark.parametrize(
    ("rules", "shares"),
    [
        ([], {}),
        ([{"route": [to(f"fraud-{A}")]}], {A: "100"}),
        ([{"route": [to(f"fraud-{A}", 0)]}], {A: "100"}),
        ([{"route": [to(f"fraud-{A}.ml.svc.cluster.local", 1), to("fraud-api", 3)]}], {A: "25", "api": "75"}),
        ([{"route": [to(f"fraud-{A}", 0), to(f"fraud-{B}", 0)]}], {A: "0", B: "0"}),
        ([{"route": [to(f"fraud-{A}", 1), to(f"fraud-{B}")]}], {A: "100", B: "0"}),
        ([{"route": [to("other", 1), to(f"fraud-{B}", 3)]}, {"route": [to(f"fraud-{B}", 1), to("x", 9)]}], {B: "75"}),
        ([{"redirect": {"uri": "/"}}], {}),
        (
            [
                {"match": [{"headers": {"x": {"exact": "y"}}}], "route": [to(f"fraud-{B}")]},
                {"match": [{"headers": {"x": {"exact": "z"}}}], "route": [to(f"fraud-{B}")]},
            ],
            {B: "100"},
        ),
        ([{"match": [{"headers": {"x": {"regex": "y"}}}], "route": [to(f"fraud-{B}")]}], {B: "100"}),
        ([{"match": [{"uri": {"exact": "/"}}], "route": [to(f"fraud-{B}")]}], {B: "100"}),
        ([{"match": [{"headers": {"x": {"exact": "y"}}}], "route": [to("other")]}], {}),
    ],
    ids=[
        "no rules",
        "one without a weight",
        "one with weight 0 gets everything",
        "written in full, beside another",
        "nobody gets anything",
        "an absent weight beside one",
        "the largest of two rules",
        "a redirect",
        "a second cohort may be everybody",
        "a regular expression may match everybody",
        "a path may be everybody's",
        "a cohort of somebody else",
    ],
)
def test_shares_of_what_anybody_wrote(rules: list[Mapping[str, Any]], shares: Mapping[str, str]) -> None:
    """
    As much as may reach a revision; only one exact header is told apart.
    """
    assert shares_in(virtual(*rules), KEY) == {name: Decimal(percent) for name, percent in shares.items()}


def test_copies_of_what_anybody_wrote() -> None:
    """
    In either form; without a percentage everything is copied.
    """
    one = {"mirror": {"host": f"fraud-{A}"}, "route": [to("x")]}
    several = {
        "mirrors": [
            {"destination": {"host": f"fraud-{A}"}, "percentage": {"value": 5}},
            {"destination": {"host": f"fraud-{B}"}, "percentage": {"value": 0}},
            {"destination": {"host": "other"}},
        ]
    }
    assert mirrors_in(virtual(one), KEY) == {A: Decimal(100)}
    assert mirrors_in(virtual(several), KEY) == {A: Decimal(5)}
    assert mirrors_in(virtual(several, one), KEY) == {A: Decimal(100)}


def test_a_header_is_spelt_as_it_was_asked_for() -> None:
    """
    Unless somebody else chose another.
    """
    rule = {"match": [{"headers": {"x-team": {"exact": "a"}}}], "route": [to(f"fraud-{B}")]}
    plain = CohortRoute(header="x-team", value="a", revision=B)
    assert cohort_in(virtual(rule), KEY) == plain
    assert cohort_in(virtual(rule, **{"modelramp.io/cohort-header": "X-Other"}), KEY) == plain
    spelt = cohort_in(virtual(rule, **{"modelramp.io/cohort-header": "X-Team"}), KEY)
    assert spelt == CohortRoute(header="X-Team", value="a", revision=B)
    assert cohort_in(virtual({"route": [to(f"fraud-{B}")]}), KEY) is None


def reconciled(status: str, generation: int | str | None = GENERATION) -> dict[str, Any]:
    told = {"type": "Reconciled", "status": status, "message": "2/3 proxies up to date."}
    return told if generation is None else {**told, "observedGeneration": generation}


ERROR = {"level": "ERROR", "type": {"code": "IST0101"}, "documentationUrl": "https://istio.io/IST0101"}


@pytest.mark.parametrize(
    ("status", "acceptance", "said"),
    [
        (None, Acceptance.ACCEPTED, SILENT),
        ({"observedGeneration": str(GENERATION), "conditions": [reconciled("True")]}, Acceptance.ACCEPTED, ""),
        ({"observedGeneration": GENERATION}, Acceptance.ACCEPTED, ""),
        ({"observedGeneration": str(GENERATION - 1)}, Acceptance.PENDING, "present generation"),
        ({"conditions": [reconciled("False")]}, Acceptance.PENDING, "2/3 proxies"),
        ({"conditions": [reconciled("True", str(GENERATION - 1))]}, Acceptance.PENDING, "not every proxy"),
        ({"conditions": [reconciled("True", None)]}, Acceptance.ACCEPTED, ""),
        ({"conditions": [{"type": "Other", "status": "False"}]}, Acceptance.ACCEPTED, ""),
        ({"validationMessages": [ERROR]}, Acceptance.REFUSED, "IST0101"),
        ({"validationMessages": [{"level": "WARNING"}]}, Acceptance.ACCEPTED, ""),
        (
            {"observedGeneration": GENERATION - 1, "validationMessages": [ERROR]},
            Acceptance.PENDING,
            "present generation",
        ),
    ],
)
def test_what_istio_says(status: Mapping[str, Any] | None, acceptance: Acceptance, said: str) -> None:
    """
    Nothing, by default; then the object stands as accepted, and says so.
    """
    document = {"metadata": {"generation": GENERATION}, **({} if status is None else {"status": status})}
    found, message = acceptance_of(document)
    assert found is acceptance
    assert said in message


@pytest.mark.parametrize("by_way", [True, False])
def test_copies_go_to_the_comparator_or_to_the_revision(by_way: bool) -> None:  # noqa: FBT001 - a case
    """
    And are read back as they were asked for, also where a stranger wrote the host in full.
    """
    compared = frozenset({B}) if by_way else frozenset()
    document = rendered(effect("0", mirrors={B: Decimal("12.5")}, compared=compared))
    (rule,) = document["spec"]["http"]
    assert rule["mirror"] == {"host": f"fraud-{B}-cmp" if by_way else f"fraud-{B}", "port": {"number": 80}}
    rule["mirror"]["host"] += ".ml.svc.cluster.local"
    assert (mirrors_in(document, KEY), compared_in(document, KEY)) == ({B: Decimal("12.5")}, compared)


def test_copies_to_others_are_compared_by_nobody() -> None:
    """
    Nor are those that get none.
    """
    others = virtual({"route": [to(f"fraud-{A}")], "mirror": {"host": "theirs-cmp"}})
    none = virtual(
        {"route": [to(f"fraud-{A}")], "mirror": {"host": f"fraud-{B}-cmp"}, "mirrorPercentage": {"value": 0}}
    )
    assert [compared_in(one, KEY) for one in (others, none)] == [frozenset(), frozenset()]
