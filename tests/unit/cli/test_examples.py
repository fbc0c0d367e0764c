"""
The manifests under examples/ are what `modelramp check` calls valid, and between them show what a metric can be.
"""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from modelramp.__main__ import main
from modelramp.api.document import parse_spec

ROOT: Final = Path(__file__).parents[3]
MANIFESTS: Final = sorted(
    path
    for path in (ROOT / "examples").rglob("*.yaml")
    if any((document or {}).get("kind") == "MLModelDeployment" for document in yaml.safe_load_all(path.read_text()))
)


def _ours(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text()) if one and one["kind"] == "MLModelDeployment"]


def test_there_are_examples() -> None:
    """
    So that the tests below are about something.
    """
    assert {path.relative_to(ROOT / "examples").as_posix() for path in MANIFESTS} >= {
        "digits/mlmodeldeployment.yaml",
        "metrics/latency.yaml",
        "metrics/own-histogram.yaml",
        "metrics/tenant-slices.yaml",
    }


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_every_example_is_valid(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    As its reader will find, word for word.
    """
    assert main(["check", str(path)]) == 0
    names = [document["metadata"]["name"] for document in _ours(path)]
    assert capsys.readouterr().out == "".join(f"{path}: {name}: valid\n" for name in names)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_its_comment_names_the_file(path: Path) -> None:
    """
    A command that is copied from an example works where the repository is.
    """
    commands = [line for line in path.read_text().splitlines() if line.startswith("#   modelramp check ")]
    assert all(line == f"#   modelramp check {path.relative_to(ROOT).as_posix()}" for line in commands)
    assert commands or path.parent.name != "metrics"


def test_the_metrics_examples_show_every_form() -> None:
    """
    Presets of rates and of durations, both forms of one's own, every question, a limit, slices and the history.
    """
    analyses = [
        parse_spec(document).analysis for path in MANIFESTS if path.parent.name == "metrics" for document in _ours(path)
    ]
    shown = {name for one in analyses for metric in one.metrics for name in metric.model_fields_set}
    assert shown >= {
        "preset", "ratio", "histogram", "origin", "against", "quantile", "may_grow", "below", "threshold", "weight",
    }  # fmt: skip
    asked = {name for one in analyses for name in one.model_fields_set}
    assert asked >= {"slices", "overdispersion", "look_back", "on_inconclusive", "on_no_data"}
