"""
Values and their schema say the same: Helm refuses what the schema does not list, so a value it misses cannot be set.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts" / "modelramp"
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
# Maps and lists whose content Kubernetes defines, not this chart.
PASSED_THROUGH = {"labelMap", "annotationMap", "kubernetesObject", "kubernetesObjects"}
TYPES = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    name = node.get("$ref", "").removeprefix("#/definitions/")
    found: dict[str, Any] = SCHEMA["definitions"][name] if name else node
    return found


def objects(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the schema that the chart itself defines."""
    if node.get("type") == "object" and path != ".global":
        yield path, node
    for name, child in node.get("properties", {}).items():
        if "$ref" not in child:
            yield from objects(child, f"{path}.{name}")


def leaves(values: dict[str, Any], node: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Path, default and schema of each value; fails on a value that the schema does not list."""
    for name, value in values.items():
        assert name in node["properties"], f"values.yaml has {path}.{name}, the schema does not"
        child = resolved(node["properties"][name])
        if "properties" in child:
            yield from leaves(value, child, f"{path}.{name}")
        else:
            yield f"{path}.{name}", value, child


def test_every_default_is_of_its_type() -> None:
    """Each value is listed in the schema with the type of its default."""
    found = list(leaves(VALUES, SCHEMA))
    assert len(found) > 30
    for path, value, node in found:
        options = [resolved(option) for option in node.get("anyOf", [node])]
        assert type(value) in {TYPES[option["type"]] for option in options}, path
        for option in options:
            assert "enum" not in option or value in option["enum"], path


def test_every_property_has_a_default() -> None:
    """values.yaml documents everything that can be set."""
    for path, node in objects(SCHEMA):
        values: Any = VALUES
        for part in path.split(".")[1:]:
            values = values[part]
        assert set(node["properties"]) - {"global"} == set(values), path or "top level"


def test_objects_are_closed() -> None:
    """A misspelt name is refused at every level."""
    assert [path for path, node in objects(SCHEMA) if node.get("additionalProperties") is not False] == []
    assert {
        name for name, node in SCHEMA["definitions"].items() if node["type"] in {"object", "array"}
    } == PASSED_THROUGH


@pytest.mark.parametrize("path", sorted((CHART / "templates").iterdir()), ids=lambda path: path.name)
def test_templates_look_nothing_up(path: Path) -> None:
    """GitOps tools render charts without a cluster, and twice the same: no lookup, nothing random, no clock."""
    text = path.read_text()
    forbidden = ("lookup ", "randAlpha", "randNumeric", "genCA", "genSelfSignedCert", "uuidv4", "now ")
    assert [word for word in forbidden if f"{{{{ {word}" in text or f"({word}" in text or f"- {word}" in text] == []


def test_the_chart_carries_the_crd_byte_for_byte() -> None:
    """What Helm installs is what `kubectl apply -f crds/` installs."""
    generated = (ROOT / "crds" / "modelramp.io_mlmodeldeployments.yaml").read_bytes()
    assert (CHART / "files" / "crd.yaml").read_bytes() == generated, "run: make docs"


def test_the_place_for_the_keep_annotation_is_unique() -> None:
    """templates/crd.yaml puts the annotation in by replacing one line, and the CRD has no annotations of its own."""
    text = (CHART / "files" / "crd.yaml").read_text()
    assert text.count("\nmetadata:\n") == 1
    head, _, _ = text.partition("\nspec:\n")
    assert "annotations" not in yaml.safe_load(head)["metadata"]


def test_versions_are_the_project_s() -> None:
    """The chart installs the image of its own version."""
    import modelramp  # noqa: PLC0415

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == modelramp.__version__
