"""
The demo as assertions: a good version promoted, a bad one rolled back, no request lost.
"""

import asyncio
import json
import subprocess
import sys
import time

import pytest
from demo.rig import Rig, guilty, operator_memory_mb
from demo.sight import NAMESPACE, manifest
from demo.stage import SYSTEM, Stage, StageError
from demo.story import Telling, tell

pytestmark = pytest.mark.cluster

BAD_ANSWERS_OF_ONE_RUN = (
    20  # the promise is a mean of 12 over five runs; one run of a mean of 7 is above 20 once in 10,000
)


@pytest.fixture(scope="module")
def told(stage: Stage, idle: object) -> Telling:
    """
    The story, told once, beside an object at rest.
    """
    assert idle is not None
    return asyncio.run(tell(stage, 50, lambda _: None))


def test_all_happened_as_it_should(told: Telling) -> None:
    """Version 1 deployed, version 2 promoted, version 3 rolled back."""
    assert [(act.version, act.outcome) for act in told.acts] == [
        ("1", "Promoted"),
        ("2", "Promoted"),
        ("3", "RolledBack"),
    ]


def test_no_request_was_lost(told: Telling) -> None:
    """By the client's own count: every failed answer was signed by version 3."""
    counts = told.counts
    assert counts is not None
    assert counts.sent > 3000
    assert (counts.losses(), guilty(counts) - {"3"}) == ({}, set())


def test_the_bad_version_got_few_answers_out(told: Telling) -> None:
    """It fails on 8 % of real inputs, and was stopped after a handful."""
    act = told.acts[-1]
    assert 1 <= act.bad_answers <= BAD_ANSWERS_OF_ONE_RUN


def test_people_can_read_what_happened(stage: Stage, told: Telling) -> None:
    """Columns, conditions and Events name the phase, the reason and the counts."""
    assert told.acts
    columns = stage.kubectl("-n", NAMESPACE, "get", "mmd", "digits").splitlines()
    assert columns[0].split() == ["NAME", "PHASE", "STEP", "TRAFFIC", "STABLE", "CANDIDATE", "EVIDENCE", "AGE"]
    assert columns[1].split()[:2] == ["digits", "Failed"]
    document = stage.get("-n", NAMESPACE, "mmd", "digits")
    conditions = {c["type"]: (c["status"], c["reason"]) for c in document["status"]["conditions"]}
    assert conditions["Progressing"] == ("False", "AnalysisFailed")
    events = stage.get("-n", NAMESPACE, "events.events.k8s.io")["items"]
    reasons = {event["reason"] for event in events if event["regarding"]["name"] == "digits"}
    assert {"NewRevision", "CandidateReady", "StepPassed", "Promoted", "AnalysisFailed", "RolledBack"} <= reasons
    failed = next(event for event in events if event["reason"] == "AnalysisFailed")
    assert "bad of" in failed["note"]


def test_the_rejected_revision_is_removed_and_the_previous_one_kept_without_pods(stage: Stage, told: Telling) -> None:
    """Version 2 is on a route that gives it everything; version 1 can be returned to by undo."""
    assert told.acts
    rig = Rig(stage, "digits")
    end = time.monotonic() + 90
    while len([name for name in rig.owned() if name.startswith("deployment")]) > 2 and time.monotonic() < end:
        time.sleep(1)
    assert len([name for name in rig.owned() if name.startswith("deployment")]) == 2
    sizes = [
        one["spec"]["replicas"]
        for one in stage.get("-n", NAMESPACE, "deployments")["items"]
        if "digits-" in one["metadata"]["name"]
    ]
    assert sizes.count(0) == 1
    route = stage.get("-n", NAMESPACE, "httproute", "digits")
    assert [backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]] == [100]


def test_the_operator_stays_small(stage: Stage, told: Telling) -> None:
    """Resident memory after the whole story."""
    assert told.acts
    assert operator_memory_mb(stage) <= 120


def test_the_operator_lives_under_restricted_pod_security(stage: Stage) -> None:
    """A namespace that enforces the profile admits its pod."""
    stage.kubectl("label", "namespace", SYSTEM, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
    template = stage.get("-n", SYSTEM, "deployment", "modelramp")["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }
    assert "created" in stage.kubectl("-n", SYSTEM, "create", "--dry-run=server", "-f", "-", text=json.dumps(pod))


def test_an_invalid_object_is_refused_by_name(stage: Stage) -> None:
    """`kubectl apply` says which field is wrong."""
    wrong = manifest(stage, 1, "wrong").replace("traffic: 5%", "traffic: 5")
    with pytest.raises(StageError, match=r"spec\.strategy\.canary\.steps\[0\]\.traffic"):
        stage.kubectl("-n", NAMESPACE, "apply", "-f", "-", text=wrong)


def test_the_plan_is_shown_by_the_installed_command(stage: Stage) -> None:
    """`modelramp plan` on the very manifest that is applied."""
    done = subprocess.run(
        [sys.executable, "-m", "modelramp", "plan", "-", "--rps", "50"],
        input=manifest(stage, 2),
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert "in all about" in done.stdout
