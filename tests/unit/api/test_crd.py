"""
The CRD: structural, bounded, described, and the file is what the models give.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from generate import GENERATED, ROOT, as_yaml, differing, main
from pydantic import BaseModel, Field, TypeAdapter

from modelramp.api.crd import UnstructuralSchemaError, custom_resource_definition, structural
from modelramp.api.document import parse_spec, parse_status

Schema = dict[str, Any]
ATOMIC = {"x-kubernetes-list-type": "atomic"}


def _version() -> Schema:
    version: Schema = custom_resource_definition()["spec"]["versions"][0]
    return version


def _root() -> Schema:
    root: Schema = _version()["schema"]["openAPIV3Schema"]
    return root


def _nodes(node: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if key in node:
            yield from _nodes(node[key], path + mark)


def _own_nodes() -> list[tuple[str, Schema]]:
    parts = _root()["properties"]
    return [*_nodes(parts["spec"], "spec"), *_nodes(parts["status"], "status")]


class TestFile:
    """
    crds/ and the reference page.
    """

    @pytest.mark.parametrize("path", GENERATED)
    def test_is_what_the_code_gives(self, path: str) -> None:
        """
        Otherwise: python hack/generate.py.
        """
        assert (ROOT / path).read_text(encoding="utf-8") == GENERATED[path]()

    def test_holds_the_crd(self) -> None:
        """
        Read as YAML, and said to be generated.
        """
        text = (ROOT / "crds/modelramp.io_mlmodeldeployments.yaml").read_text(encoding="utf-8")
        assert yaml.safe_load(text) == custom_resource_definition()
        assert "generate.py crd" in text.splitlines()[0]

    def test_quotes_what_go_takes_for_a_boolean(self) -> None:
        """
        The fields n and x of the counts: a bare n is false to Kubernetes' YAML reader.
        """
        assert as_yaml({"required": ["n", "x"]}) == 'required:\n- "n"\n- x\n'

    def test_check_finds_a_change(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """
        Exit status 1 and the path; 0 where nothing differs.
        """
        assert main(["--check", "crds/"]) == 0
        monkeypatch.setitem(GENERATED, "crds/modelramp.io_mlmodeldeployments.yaml", lambda: "changed")
        assert list(differing(["crds/"])) == ["crds/modelramp.io_mlmodeldeployments.yaml"]
        assert main(["--check", "crds/"]) == 1
        assert "crds/modelramp.io_mlmodeldeployments.yaml differs" in capsys.readouterr().out

    def test_writes_what_differs(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """
        With its folders.
        """
        monkeypatch.setattr("generate.ROOT", tmp_path)
        assert main(["crds/"]) == 0
        written = tmp_path / "crds/modelramp.io_mlmodeldeployments.yaml"
        assert written.read_text(encoding="utf-8").startswith("# Generated")

    def test_refuses_a_word_that_names_nothing(self) -> None:
        """
        A misspelt word must not pass for a check.
        """
        run = subprocess.run(
            [sys.executable, ROOT / "hack/generate.py", "--check", "nothing"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 2
        assert "no generated file's path contains nothing" in run.stderr


class TestSchema:
    """
    What the API server asks of a schema, and what we ask of ours.
    """

    def test_every_node_is_typed_bounded_and_described(self) -> None:
        """
        Also where a rule of the API server's would not notice.
        """
        assert len(_own_nodes()) > 100
        for path, node in _own_nodes():
            assert "type" in node, path
            assert node["type"] != "string" or {"maxLength", "enum"} & node.keys(), path
            assert node["type"] != "array" or {"maxItems", "x-kubernetes-list-type"} <= node.keys(), path
            assert "additionalProperties" not in node or "maxProperties" in node, path
            assert "description" in node or path.endswith(("[]", ".*")), path
            assert not {"title", "$ref", "anyOf", "const", "uniqueItems"} & node.keys(), path

    def test_patterns_need_no_lookaround_and_are_anchored(self) -> None:
        """
        Go's engine knows no lookaround, and an open end would let anything follow.
        """
        for path, node in _own_nodes():
            pattern = node.get("pattern", "^$")
            assert "(?" not in pattern, path
            assert pattern.startswith("^"), path
            assert pattern.endswith("$"), path
            re.compile(pattern)

    def test_what_kubernetes_defines_is_left_open(self) -> None:
        """
        Pod template and status keep fields this version does not know; everything else is closed.
        """
        opened = {path for path, node in _own_nodes() if node.get("x-kubernetes-preserve-unknown-fields")}
        template = "spec.serving.template.spec"
        assert {path for path in opened if path.startswith("spec")} == {template, f"{template}.containers[]"}
        objects = {path for path, node in _own_nodes() if path.startswith("status") and "properties" in node}
        assert objects <= opened

    def test_the_status_has_neither_defaults_nor_enumerations(self) -> None:
        """
        A newer operator under this CRD may write other words.
        """
        for path, node in _own_nodes():
            if path.startswith("status") and path != "status.conditions[].status":
                assert not {"default", "enum"} & node.keys(), path

    def test_conditions_are_those_of_kubernetes(self) -> None:
        """
        As metav1.Condition has them.
        """
        conditions = _root()["properties"]["status"]["properties"]["conditions"]
        fields = conditions["items"]["properties"]
        assert conditions["x-kubernetes-list-map-keys"] == ["type"]
        assert {"type", "status", "reason", "message", "lastTransitionTime"} <= set(conditions["items"]["required"])
        assert fields["status"]["enum"] == ["True", "False", "Unknown"]
        assert (fields["type"]["maxLength"], fields["reason"]["maxLength"], fields["message"]["maxLength"]) == (
            316,
            1024,
            32768,
        )
        assert fields["reason"]["minLength"] == 1
        assert fields["lastTransitionTime"]["format"] == "date-time"

    def test_defaults_are_those_of_the_parser(self) -> None:
        """
        Full, without nulls, and equal to what the models fill in.
        """
        defaults = {path: node["default"] for path, node in _own_nodes() if "default" in node}
        required = {
            "model": {"version": "1"},
            "serving": {"port": 1, "template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}},
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "g"}]}},
        }
        filled = parse_spec({"metadata": {"name": "a"}, "spec": required}).to_wire()
        assert {name: defaults[f"spec.{name}"] for name in ("strategy", "analysis", "automation")} == {
            name: filled[name] for name in ("strategy", "analysis", "automation")
        }
        assert filled["serving"]["replicas"] == defaults["spec.serving.replicas"] == 1

    def test_rules_say_what_is_wrong(self) -> None:
        """
        No rule without a message, and a message is a line.
        """
        rules = [rule for _, node in _nodes(_root()) for rule in node.get("x-kubernetes-validations", ())]
        assert len(rules) >= 15
        assert all(rule["message"] and "\n" not in rule["message"] for rule in rules)


class TestColumns:
    """
    What `kubectl get mmd` shows.
    """

    def test_in_order(self) -> None:
        """
        The message only with -o wide.
        """
        columns = _version()["additionalPrinterColumns"]
        assert [column["name"] for column in columns if column.get("priority", 0) == 0] == [
            "Phase", "Step", "Traffic", "Stable", "Candidate", "Evidence", "Age",
        ]  # fmt: skip
        assert [column["name"] for column in columns if column.get("priority") == 1] == ["Message"]

    def test_show_fields_that_exist(self) -> None:
        """
        A column or a subresource with a wrong path is empty without a word.
        """
        scale = _version()["subresources"]["scale"]
        paths = [column["jsonPath"] for column in _version()["additionalPrinterColumns"]] + list(scale.values())
        known = {f".{path}" for path, _ in _own_nodes()} | {".metadata.creationTimestamp"}
        assert set(paths) <= known

    def test_show_what_the_models_write(self) -> None:
        """
        The paths, walked in a status the parser wrote.
        """
        stored = {"step": {"index": 0, "display": "1/4", "traffic": "5%", "enteredAt": "2026-01-01T00:00:00Z"}}
        written = parse_status({"status": stored}).to_wire()
        assert written["step"]["display"] == "1/4"
        assert {"phase", "message", "replicas", "selector"} <= written.keys()


class _Inner(BaseModel):
    name: Annotated[str, Field(max_length=5, description="A name.")]


class TestStructural:
    """
    From pydantic's JSON schema to a structural one.
    """

    @staticmethod
    def _of(annotation: Any, **field: Any) -> Schema:  # noqa: ANN401 - any annotation
        model = type(
            "Made", (BaseModel,), {"__annotations__": {"field": annotation}, "field": Field(description="F.", **field)}
        )
        raw = TypeAdapter(model).json_schema()
        made: Schema = structural(raw, raw.get("$defs", {}), "root")["properties"]["field"]
        return made

    def test_or_null_is_optional(self) -> None:
        """
        Not nullable: null and absent are one.
        """
        made = self._of(Annotated[str, Field(max_length=3)] | None, default=None)
        assert made == {"description": "F.", "type": "string", "maxLength": 3}

    def test_a_constant_is_an_enumeration_of_one(self) -> None:
        """
        The API server knows no const.
        """
        assert self._of(Literal["a"])["enum"] == ["a"]

    def test_references_are_inlined_with_what_stands_beside_them(self) -> None:
        """
        The field's own description wins.
        """
        made = self._of(_Inner, json_schema_extra={"x-kubernetes-validations": [{"rule": "true", "message": "m"}]})
        assert made["description"] == "F."
        assert made["properties"]["name"]["maxLength"] == 5
        assert made["x-kubernetes-validations"] == [{"rule": "true", "message": "m"}]

    def test_small_integers_are_said_to_be(self) -> None:
        """
        32 bits where the maximum allows it.
        """
        assert self._of(int, le=9)["format"] == "int32"
        assert self._of(int)["format"] == "int64"

    def test_nulls_in_defaults_vanish(self) -> None:
        """
        The API server would refuse them.
        """
        items = Annotated[list[dict[str, Any]], Field(max_length=2, json_schema_extra=ATOMIC)]
        assert self._of(items, default=[{"a": None, "b": [1, None]}])["default"] == [{"b": [1, None]}]

    @pytest.mark.parametrize(
        ("annotation", "field", "says"),
        [
            (str, {}, "a string needs maxLength or enum"),
            (list[bool], {"json_schema_extra": ATOMIC}, "a list needs maxItems"),
            (list[bool], {"max_length": 1}, "a list needs x-kubernetes-list-type"),
            (dict[str, bool], {}, "a map needs maxProperties"),
            (dict[str, str], {"max_length": 1}, "a string needs maxLength or enum"),
            (int | bool, {}, "alternatives of different types"),
            (Any, {}, "a node needs a type"),
            (set[bool], {"max_length": 1}, "keywords without a structural form: uniqueItems"),
        ],
    )
    def test_refuses(self, annotation: object, field: Schema, says: str) -> None:
        """
        With the path of the node.
        """
        with pytest.raises(UnstructuralSchemaError, match=re.escape(says)) as refused:
            self._of(annotation, **field)
        assert refused.value.path.startswith("root.field")

    def test_refuses_a_field_nobody_described(self) -> None:
        """
        `kubectl explain` would show nothing.
        """
        raw = {"type": "object", "properties": {"a": {"type": "boolean"}}}
        with pytest.raises(UnstructuralSchemaError, match=re.escape("root.a: a field needs a description")):
            structural(raw, {}, "root")
