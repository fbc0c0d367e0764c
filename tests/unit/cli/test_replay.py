"""
The command line: `modelramp replay` on recorded samples.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from modelramp.__main__ import main
from modelramp.analysis import HARM_GRID, Counts, log_factor, log_sum_exp, margins

MANIFEST = """
apiVersion: modelramp.io/v1alpha1
kind: MLModelDeployment
metadata: {name: fraud}
spec:
  model: {version: "2"}
  serving: {runtime: mlserver, template: {spec: {containers: [{name: m, image: i}]}}}
  traffic: {gatewayAPI: {parentRefs: [{name: gw}]}}
  strategy: {canary: {steps: [{traffic: 10%}, {traffic: 50%}], blastRadius: 2%, soak: 30s, stepDeadline: 5m}}
  analysis:
    interval: 15s
    metrics:
    - {name: errors, ratio: {bad: 'requests_total{code=~"5..",$arm}', total: 'requests_total{$arm}'}}
"""
Capture = pytest.CaptureFixture[str]
BEGIN = 1_700_000_000
ARMS = ("--arm", 'stable={version="1"}', "--arm", 'candidate={version="2"}')


def row(labels: Mapping[str, str], values: list[tuple[int, float]]) -> dict[str, Any]:
    """
    A series as Prometheus answers it.
    """
    return {"metric": dict(labels), "values": [[at, str(value)] for at, value in values]}


def counters(
    per_scrape: Mapping[str, tuple[int, int]], seconds: int, name: str = "requests_total"
) -> list[dict[str, Any]]:
    """
    Steady counters, read every five seconds: good and bad requests per scrape, by version.
    """
    return [
        row(
            {"__name__": name, "code": code, "version": version, "instance": version},
            [(BEGIN + at, 1000 + at // 5 * (good, bad)[code == "500"]) for at in range(0, seconds + 1, 5)],
        )
        for version, (good, bad) in per_scrape.items()
        for code in ("200", "500")
    ]


class Folder:
    """
    Files of one replay.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = self.file("m.yaml", MANIFEST)

    def file(self, name: str, text: str) -> str:
        path = self.path / name
        path.write_text(text)
        return str(path)

    def replay(self, samples: object, *more: str, weights: object = None) -> int:
        given = ["--samples", self.file("s.json", json.dumps(samples)), *ARMS, *more]
        if weights is not None:
            given += ["--weights", self.file("w.json", json.dumps(weights))]
        return main(["replay", self.manifest, *given])


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """
    A manifest and room for samples.
    """
    return Folder(tmp_path)


HEALTHY = counters({"1": (448, 2), "2": (50, 0)}, 400)
HARMFUL = counters({"1": (448, 2), "2": (45, 5)}, 100)


def test_a_healthy_recording_advances_and_stays_so(folder: Folder, capsys: Capture) -> None:
    """Once certified and soaked; never before."""
    assert folder.replay(HEALTHY, "--json") == 0
    verdicts = [one["verdict"] for one in json.loads(capsys.readouterr().out)]
    assert verdicts[0] == "Hold"
    first = verdicts.index("Advance")
    assert set(verdicts[:first]) == {"Hold"}
    assert set(verdicts[first:]) == {"Advance"}


def test_a_harmful_recording_fails_and_names_the_metric(folder: Folder, capsys: Capture) -> None:
    """A failure is kept."""
    assert folder.replay({"status": "success", "data": {"result": HARMFUL}}, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    first = next(n for n, one in enumerate(rows) if one["verdict"] == "Fail")
    assert {one["verdict"] for one in rows[first:]} == {"Fail"}
    assert "worse than allowed in errors" in rows[first]["reasons"][0]
    assert rows[-1]["metrics"][0]["ratio"]["low"] > 5


def test_the_evidence_is_that_of_the_true_counts(folder: Folder, capsys: Capture) -> None:
    """The first block holds three scrapes; ln M by the primitive alone, with half of the wealth begun."""
    folder.replay(HARMFUL, "--json")
    first = json.loads(capsys.readouterr().out)[0]
    found = first["metrics"][0]
    assert (found["candidate"], found["stable"]) == ({"n": 150, "x": 15}, {"n": 1350, "x": 6})
    assert found["block"] == {"candidate": found["candidate"], "stable": found["stable"]}
    null = margins(0.02, 0.5).harm
    factors = [log_factor(Counts(150, 15), Counts(1350, 6), theta=theta, null=null) for theta in HARM_GRID]
    started = 0.5 + 0.25 / (2 * 300 / 15)  # at the start, and with one block of forty
    mixture = log_sum_exp(factors) - math.log(len(HARM_GRID))
    assert found["lnHarm"] == pytest.approx(math.log(started * math.exp(mixture) + 1 - started), abs=1e-3)


def test_recorded_shares_set_the_step(folder: Folder, capsys: Capture) -> None:
    """No block reaches over a change; what is certified for 50 % has to be shown again at 50 %."""
    assert folder.replay(HEALTHY, "--json", weights=[[BEGIN, 10], [BEGIN + 200, 50], [BEGIN + 300, 100]]) == 0
    rows = json.loads(capsys.readouterr().out)
    ends = [one["t"] - BEGIN for one in rows]
    assert ends == [*range(20, 201, 15), *range(220, 300, 15)]
    after = next(one for one in rows if one["t"] == BEGIN + 220)
    assert after["verdict"] == "Hold"
    assert after["metrics"][0]["candidate"]["n"] > after["metrics"][0]["block"]["candidate"]["n"]
    assert all("contradicts" in one["reasons"][0] for one in rows if one["t"] > BEGIN + 220)


def test_a_deadline_without_evidence_is_inconclusive(folder: Folder, capsys: Capture) -> None:
    """A candidate at its margin is neither shown harmful nor not worse."""
    scarce = counters({"1": (40, 8), "2": (4, 1)}, 400)
    assert folder.replay(scarce, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[-1]["verdict"] == "Inconclusive"
    assert rows[-1]["reasons"][0].startswith("AnalysisInconclusive: ")


def test_people_get_a_line_a_block(folder: Folder, capsys: Capture) -> None:
    """And a reason where the verdict changes."""
    assert folder.replay(HARMFUL) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2023-11-14 22:13:35  Fail")
    assert "ratio" in lines[0]
    assert lines[1].startswith(" " * 21 + "AnalysisFailed: ")


def test_a_preset_finds_the_counters_that_were_recorded(folder: Folder, capsys: Capture) -> None:
    """Errors as Contour's Envoy counts them; the arms are told by the selectors given."""
    preset = MANIFEST[: MANIFEST.index("    metrics:")]
    samples = [
        {**one, "metric": {**one["metric"], "envoy_response_code_class": one["metric"]["code"][0]}}
        for one in counters({"1": (448, 2), "2": (45, 5)}, 100, "envoy_cluster_upstream_rq_xx")
    ]
    folder.manifest = folder.file("preset.yaml", preset)
    assert folder.replay(samples, "--json") == 0
    assert json.loads(capsys.readouterr().out)[-1]["verdict"] == "Fail"


@pytest.mark.parametrize(
    ("samples", "weights", "said"),
    [
        ([], None, "errors: the samples hold no series"),
        (counters({"1": (9, 1)}, 100), None, "errors: the samples hold no series"),
        (counters({"1": (9, 1), "2": (1, 0)}, 10), None, "less than one block of 15s"),
        ([row({"__name__": "requests_total", "version": v}, []) for v in "12"], None, "hold no instant"),
        ({"data": 1}, None, "not the result of a range-vector query"),
        ([{"metric": {}}], None, "not the result of a range-vector query"),
        (HARMFUL, [[1]], "not a list of"),
        (HARMFUL, [[1, 120]], "not from 0 to 100"),
        (HARMFUL, [[BEGIN, 100]], "less than one block"),
    ],
)
def test_what_cannot_be_replayed_is_refused(
    samples: object, weights: object, said: str, folder: Folder, capsys: Capture
) -> None:
    """Status 2, with what is missing."""
    assert folder.replay(samples, weights=weights) == 2
    assert said in capsys.readouterr().err


def test_both_arms_must_be_told(folder: Folder, capsys: Capture) -> None:
    """By name."""
    samples = folder.file("s.json", "[]")
    assert main(["replay", folder.manifest, "--samples", samples, "--arm", 'stable={v="1"}']) == 2
    assert "--arm candidate=SELECTOR is missing" in capsys.readouterr().err
    assert main(["replay", folder.manifest, "--samples", samples, "--arm", "stable=x", "--arm", "candidate={}"]) == 2
    assert "not label matchers" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["replay", folder.manifest, "--samples", samples, "--arm", "green={}"])
    assert main(["replay", folder.manifest, "--samples", "/nowhere.json", *ARMS]) == 2
