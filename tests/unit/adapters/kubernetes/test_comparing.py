import argparse
from typing import Any

import pytest
from fakes.rollout import spec

from modelramp.adapters.kubernetes.comparing import arguments_of, comparator_deployment, comparator_service
from modelramp.adapters.kubernetes.rendering import selector_of
from modelramp.api.names import LABEL_DEPLOYMENT, LABEL_REVISION, MAX_NAME_LENGTH, REVISION_LENGTH, comparator_name
from modelramp.api.spec import Compare
from modelramp.cli.comparator import comparator_arguments, settings_of
from modelramp.ports import Key, Owner
from modelramp.rollout.plan import EnsureComparator

OWNER = Owner(key=Key("ml", "fraud"), uid="u1")
EFFECT = EnsureComparator(revision="b" * 10, stable="a" * 10, compare=Compare(), hash="h")
NAME = f"fraud-{'b' * 10}-cmp"


def deployment() -> dict[str, Any]:
    return comparator_deployment(OWNER, EFFECT, "modelramp:1", "Always")


def pod() -> dict[str, Any]:
    found: dict[str, Any] = deployment()["spec"]["template"]
    return found


def test_its_names_are_the_revision_s_with_an_ending() -> None:
    """The longest are names of Services still."""
    assert {one["metadata"]["name"] for one in (deployment(), comparator_service(OWNER, EFFECT.revision))} == {NAME}
    assert len(comparator_name("x" * MAX_NAME_LENGTH, "b" * REVISION_LENGTH)) == 63


def test_no_other_service_selects_its_pods() -> None:
    """Neither a revision's, nor one that selects all pods of the object, nor the user's own by the model's name."""
    labels = pod()["metadata"]["labels"]
    assert not selector_of("fraud", EFFECT.revision).items() <= labels.items()
    assert {LABEL_DEPLOYMENT, LABEL_REVISION} & set(labels) == set()
    assert "fraud" not in labels.values()


def test_its_own_service_does() -> None:
    """And its Deployment keeps them by the same labels."""
    selector = comparator_service(OWNER, EFFECT.revision)["spec"]["selector"]
    assert selector == deployment()["spec"]["selector"]["matchLabels"]
    assert selector.items() <= pod()["metadata"]["labels"].items()


def test_it_is_heard_of_by_the_object_s_label() -> None:
    """Deployment and Service carry it, and so do the Service's slices; the hash is on the Deployment."""
    for one in (deployment(), comparator_service(OWNER, EFFECT.revision)):
        assert one["metadata"]["labels"][LABEL_DEPLOYMENT] == "fraud"
        assert one["metadata"]["ownerReferences"][0]["uid"] == "u1"
    assert deployment()["metadata"]["annotations"] == {"modelramp.io/compare": "h"}


def test_it_has_no_rights() -> None:
    """No token, no user of the node's, nothing to write to: the restricted Pod Security Standard."""
    given = pod()["spec"]
    (container,) = given["containers"]
    assert given["automountServiceAccountToken"] is False
    assert given["securityContext"]["runAsNonRoot"] is True
    assert given["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (container["image"], container["imagePullPolicy"]) == ("modelramp:1", "Always")


def test_it_is_scraped_where_it_shows_its_metrics() -> None:
    """By the annotations that the operator's own pod has."""
    scraped = pod()["metadata"]["annotations"]
    (container,) = pod()["spec"]["containers"]
    ports = {one["name"]: str(one["containerPort"]) for one in container["ports"]}
    assert scraped["prometheus.io/scrape"] == "true"
    assert scraped["prometheus.io/port"] == ports["metrics"]
    assert f"--metrics-port={ports['metrics']}" in container["args"]
    assert f"--port={ports['http']}" in container["args"]


def test_it_is_replaced_without_a_gap() -> None:
    """The old one answers until the new one is ready, and for some seconds after it was told to stop."""
    assert deployment()["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    given = pod()["spec"]
    slept = given["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert given["terminationGracePeriodSeconds"] > slept + 10


@pytest.mark.parametrize(
    ("compare", "said"),
    [
        ({}, {"compare": "Equal", "sample": "100%", "control": "10%", "timeout": "5s", "concurrency": "16"}),
        (
            {"extract": "outputs[0].data[0]", "as": "Number", "tolerance": "1%", "sample": "5%", "control": "50%"},
            {"extract": "outputs[0].data[0]", "compare": "Number", "tolerance": "1%", "sample": "5%", "control": "50%"},
        ),
    ],
)
def test_it_is_told_what_to_compare(compare: dict[str, Any], said: dict[str, str]) -> None:
    """Both revisions at their own Services, never at the route; what is absent is not said."""
    shadow = spec(strategy={"shadow": {"compare": compare}}).strategy.shadow
    assert shadow is not None
    assert shadow.compare is not None
    effect = EnsureComparator(revision="b" * 10, stable="a" * 10, compare=shadow.compare, hash="h")
    verb, *options = arguments_of(OWNER, effect)
    told = dict(option.removeprefix("--").split("=", 1) for option in options)
    assert verb == "comparator"
    assert told["stable"] == f"{'a' * 10}=http://fraud-{'a' * 10}.ml.svc:80"
    assert told["candidate"] == f"{'b' * 10}=http://fraud-{'b' * 10}.ml.svc:80"
    assert said.items() <= told.items()
    assert ("extract" in told, "tolerance" in told) == ("extract" in compare, "tolerance" in compare)


def test_the_comparator_understands_its_command_line() -> None:
    """With everything that may be said; the program that is started is this very one."""
    everything = Compare.model_validate(
        {
            "extract": "$.outputs[0]['a.b']", "as": "Number", "tolerance": "1%", "sample": "0.25%", "control": "50%",
            "timeout": "1m500ms", "concurrency": 256,
        }
    )  # fmt: skip
    for compare in (Compare(), everything):
        effect = EnsureComparator(revision="b" * 10, stable="a" * 10, compare=compare, hash="h")
        parser = argparse.ArgumentParser()
        comparator_arguments(parser)
        found = settings_of(parser.parse_args(arguments_of(OWNER, effect)[1:]))
        assert (found.stable.revision, found.candidate.revision) == ("a" * 10, "b" * 10)
        assert (found.concurrency, found.timeout_seconds) == (compare.concurrency, compare.timeout.seconds)
        assert str(found.comparison.compare) == str(compare.comparison)
