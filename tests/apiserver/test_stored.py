"""
What the API server makes of a stored object: its status, its scale, and unknown fields.
"""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from apiserver.server import GROUP_PATH, ApiServer
from apiserver.values import smallest

from modelramp.api.document import parse

pytestmark = pytest.mark.apiserver

NAME: Final = "stored-by-tests"
AT: Final = "2026-01-01T00:00:00Z"
COUNTS: Final = {"n": "1000", "x": "3"}
FULL_STATUS: Final[dict[str, Any]] = {
    "observedGeneration": 1,
    "phase": "Progressing",
    "phaseSince": AT,
    "reason": "CandidateReady",
    "message": "waits for evidence",
    "stable": {"revision": "a", "version": "1", "since": AT, "restartId": "r-1"},
    "candidate": {"revision": "b", "version": "2", "since": AT, "readySince": AT, "readyPods": 2, "warm": True},
    "rejected": [
        {
            "revision": "c",
            "version": "0",
            "reason": "AnalysisFailed",
            "at": AT,
            "evidence": [{"name": "errors", "state": {"harm": [-0.6931, 0.25], "until": AT, "level": 0.5}}],
            "claim": "0123456789",
        }
    ],
    "step": {"index": 1, "display": "2/4", "traffic": "25%", "enteredAt": AT, "inPlaceSince": AT},
    "recommendation": {
        "verb": "approve",
        "revision": "b",
        "step": 2,
        "share": "25%",
        "message": "step 2/4 at 25% is recommended",
        "at": AT,
    },
    "undo": {"revision": "b", "insteadOf": "a", "by": "me"},
    "kept": [{"revision": "z", "version": "0"}],
    "config": [{"configMap": "limits", "hash": "0123456789abcdef0123456789abcdef"}],
    "traffic": {"wanted": "25%", "programmed": "25%", "observed": "24.9%"},
    "evidenceSummary": "3.1/20",
    "action": {
        "id": "1",
        "verb": "promote-full",
        "revision": "b",
        "by": "me",
        "at": AT,
        "outcome": "Refused",
        "message": "the step's traffic is not in place",
    },
    "verdicts": [
        {
            "name": "errors",
            "verdict": "Inconclusive",
            "evidence": "3.1 of 20",
            "harm": "0.4 of 100",
            "candidate": COUNTS,
            "stable": COUNTS,
            "secondsLeft": 60,
            "message": "",
        }
    ],
    "evidence": [{"name": "errors", "state": {"v": 1, "log": [0.25, -1.5e-07], "since": {"a": None}}}],
    "others": [
        {
            "name": "large",
            "revision": "d",
            "version": "9-large",
            "since": AT,
            "readySince": AT,
            "readyPods": 2,
            "warm": True,
            "enteredAt": AT,
            "inPlaceSince": AT,
            "outcome": "Harmful",
            "message": "large: version 9-large (d) is worse than allowed",
            "decidedAt": AT,
            "verdicts": [],
            "evidence": [{"name": "errors", "state": {"v": 1, "log": [0.25]}}],
        }
    ],
    "replicas": 2,
    "selector": "modelramp.io/deployment=stored-by-tests",
    "history": [
        {
            "revision": "a",
            "version": "1",
            "outcome": "Promoted",
            "message": "",
            "evidence": ["errors: Passed, 0 of 50 against 1 of 950, harm 0.4 of 100"],
            "others": ["large (version 9-large): Harmful: it is worse than allowed"],
            "actor": "ada",
            "strategy": "canary",
            "beganAt": AT,
            "endedAt": AT,
        },
    ],
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Complete",
            "message": "",
            "lastTransitionTime": AT,
            "observedGeneration": 1,
        }
    ],
}


@pytest.fixture
def stored(served: ApiServer) -> Iterator[dict[str, Any]]:
    """
    An object in the API server, removed afterwards.
    """
    document = smallest()
    document["metadata"]["name"] = NAME
    served.send("DELETE", f"{GROUP_PATH}/{NAME}", None)
    created = served.send("POST", f"{GROUP_PATH}?fieldValidation=Strict", document)
    assert created.status == 201, created.body
    yield created.body
    served.send("DELETE", f"{GROUP_PATH}/{NAME}", None)


def _write_status(server: ApiServer, stored: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    answer = server.send("PUT", f"{GROUP_PATH}/{NAME}/status", {**stored, "status": status})
    assert answer.status == 200, answer.body
    return answer.body


class TestStatus:
    """
    The status subresource.
    """

    def test_keeps_what_the_operator_writes(self, served: ApiServer, stored: dict[str, Any]) -> None:
        """
        Every field, floats in the evidence too, and what is read is what was written.
        """
        before = parse({**stored, "status": FULL_STATUS}).status
        assert before.model_fields_set == set(type(before).model_fields) - {"retry_seen"}
        after = parse(_write_status(served, stored, before.to_wire()))
        assert after.status == before
        assert after.generation == stored["metadata"]["generation"]

    def test_keeps_what_a_newer_version_writes(self, served: ApiServer, stored: dict[str, Any]) -> None:
        """
        Unknown fields on any level, and words this version does not know.
        """
        newer = {
            **FULL_STATUS,
            "phase": "Shadowing",
            "monitoring": {"drift": [1, {"a": "b"}]},
            "traffic": {"wanted": "25%", "mirrored": "100%"},
            "conditions": [{**FULL_STATUS["conditions"][0], "type": "Drifting", "reason": "NotKnownYet"}],
        }
        assert _write_status(served, stored, newer)["status"] == newer

    def test_feeds_the_scale_subresource(self, served: ApiServer, stored: dict[str, Any]) -> None:
        """
        So that `kubectl scale` and an autoscaler work.
        """
        _write_status(served, stored, FULL_STATUS)
        scale = served.send("GET", f"{GROUP_PATH}/{NAME}/scale", None).body
        assert scale["spec"] == {"replicas": 1}
        assert scale["status"] == {"replicas": 2, "selector": FULL_STATUS["selector"]}
        patch = {"spec": {"replicas": 5}}
        scaled = served.send("PATCH", f"{GROUP_PATH}/{NAME}/scale", patch, "application/merge-patch+json")
        assert scaled.body["spec"] == {"replicas": 5}

    def test_shows_the_columns(self, served: ApiServer, stored: dict[str, Any]) -> None:
        """
        What `kubectl get mmd` prints.
        """
        _write_status(served, stored, FULL_STATUS)
        table = served.send("GET", f"{GROUP_PATH}/{NAME}", None, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
        names = [column["name"] for column in table.body["columnDefinitions"]]
        cells = dict(zip(names, table.body["rows"][0]["cells"], strict=True))
        assert {name: cells[name] for name in ("Phase", "Step", "Traffic", "Stable", "Candidate", "Evidence")} == {
            "Phase": "Progressing",
            "Step": "2/4",
            "Traffic": "25%",
            "Stable": "1",
            "Candidate": "2",
            "Evidence": "3.1/20",
        }
