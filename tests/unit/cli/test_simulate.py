"""
The command line: `modelramp simulate`.
"""

import json
from pathlib import Path

import pytest

from modelramp.__main__ import main

MANIFEST = """
apiVersion: modelramp.io/v1alpha1
kind: MLModelDeployment
metadata: {name: fraud}
spec:
  model: {version: "8"}
  serving: {runtime: mlserver, template: {spec: {containers: [{name: m, image: i}]}}}
  traffic: {gatewayAPI: {parentRefs: [{name: gw}]}}
  strategy: {canary: {steps: [{traffic: 10%}], blastRadius: 1%, soak: 30s, stepDeadline: 10m}}
  analysis:
    metrics:
    - {preset: errors}
    - {name: fallbacks, ratio: {bad: 'fallbacks_total{$arm}', total: 'all_total{$arm}'}}
"""
Capture = pytest.CaptureFixture[str]
QUICK = ("--rps", "100", "--stable", "0.1%")


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    """
    A file with one object and two metrics.
    """
    path = tmp_path / "m.yaml"
    path.write_text(MANIFEST)
    return str(path)


def test_one_run_is_told_as_a_timeline(manifest: str, capsys: Capture) -> None:
    """Times, phases and shares, and how it ended."""
    assert main(["simulate", manifest, *QUICK, "--candidate", "50%"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "fraud"
    assert lines[1].split()[:3] == ["0:00:00", "Preparing", "0%"]
    assert lines[-2].split()[1:3] == ["RollingBack", "0%"]
    assert lines[-1].startswith("  RolledBack, for errors after ")


def test_many_runs_are_told_as_shares_and_times(manifest: str, capsys: Capture) -> None:
    """A table for people."""
    assert main(["simulate", manifest, *QUICK, "--candidate", "0.1%", "--runs", "5"]) == 0
    out = capsys.readouterr().out
    assert "fraud: 5 runs\n  promoted 100.0%, rolled back 0.0%, inconclusive 0.0%" in out
    assert [line.split()[0] for line in out.splitlines()[3:]] == ["minutes", "requests", "bad"]


def test_json_has_counts_and_the_culprits(manifest: str, capsys: Capture) -> None:
    """What programs read; the metric that was made worse is named."""
    arguments = [*QUICK, "--candidate", "0.1%", "--candidate", "fallbacks=40%", "--runs", "4", "--json"]
    assert main(["simulate", manifest, *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["runs"], found["promoted"], found["rolledBack"], found["inconclusive"]) == (4, 0, 4, 0)
    assert found["culprits"] == {"fallbacks": 4}
    assert set(found["badRequests"]) == set(found["totalRequests"]) == set(found["seconds"]) == {"mean", "p50", "p95"}


def test_equal_seeds_give_equal_answers(manifest: str, capsys: Capture) -> None:
    """And others others."""
    answers = []
    for seed in ("1", "1", "2"):
        main(["simulate", manifest, *QUICK, "--candidate", "2%", "--runs", "3", "--seed", seed, "--json"])
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1] != answers[2]


def test_a_file_of_several_objects_gives_several_answers(manifest: str, capsys: Capture) -> None:
    """A list in JSON."""
    Path(manifest).write_text(f"{MANIFEST}---{MANIFEST.replace('fraud', 'churn')}")
    assert main(["simulate", manifest, *QUICK, "--candidate", "0", "--json"]) == 0
    assert [answer["name"] for answer in json.loads(capsys.readouterr().out)] == ["fraud", "churn"]


def test_a_metric_that_is_not_judged_is_refused_by_name(manifest: str, capsys: Capture) -> None:
    """With those there are."""
    assert main(["simulate", manifest, *QUICK, "--candidate", "latency=1%"]) == 2
    assert capsys.readouterr().err == "modelramp: no metric is called latency; there are: errors, fallbacks\n"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--rps", "0", "must be above 0"),
        ("--candidate", "120%", "must be from 0 to below 1"),
        ("--candidate", "errors=x", "must be a number"),
        ("--onset", "soon", "must be a duration"),
        ("--pods", "0", "whole number of at least 1"),
        ("--pod-sd", "-1", "must be at least 0"),
        ("--burst", "0.5", "must be at least 1"),
        ("--runs", "many", "whole number of at least 1"),
    ],
)
def test_impossible_options_are_refused(option: str, value: str, said: str, manifest: str, capsys: Capture) -> None:
    """By name, with what is allowed."""
    with pytest.raises(SystemExit, match="2"):
        main(["simulate", manifest, *QUICK, "--candidate", "1%", f"{option}={value}"])
    error = capsys.readouterr().err
    assert f"argument {option}" in error
    assert said in error
