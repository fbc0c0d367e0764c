"""
The page docs/reference/spec.md: every field of the object, from the CRD.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

Schema = dict[str, Any]

_HEADER: Final = """<!-- Generated from operator/modelramp/api by `python hack/generate.py`; do not edit. -->
# MLModelDeployment: every field

What the API server checks when an object is applied; `kubectl explain mmd.spec --recursive` shows the same.
Paths: `[]` is an item of a list, `*` a value of a map. A field without a default is optional unless it says *required*.
Durations are whole numbers with units, largest first: `500ms`, `90s`, `1h30m`, `2d`.
Shares are percentages with at most four digits after the point: `5%`, `0.25%`.
"""
_PATTERNS: Final = {"([0-9]{1,5}d)?": "duration", "%$": "share"}


def _bounds(node: Schema) -> str:
    """
    The node's limits in words; the empty string where there are none.
    """
    parts = []
    if "enum" in node:
        parts.append(" or ".join(f"`{value}`" for value in node["enum"]))
    low, high = node.get("minimum"), node.get("maximum")
    if high is not None:
        parts.append(f"{low} to {high}")
    elif low is not None:
        parts.append(f"{low} or more")
    for least, most, unit in (
        ("minLength", "maxLength", "characters"),
        ("minItems", "maxItems", "items"),
        ("minProperties", "maxProperties", "entries"),
    ):
        if most in node and _kind(node) not in ("duration", "share"):
            parts.append(f"{node[least]} to {node[most]} {unit}" if least in node else f"at most {node[most]} {unit}")
    if "pattern" in node and _kind(node) == "string":
        parts.append(f"`{node['pattern']}`")
    return "; ".join(parts)


def _kind(node: Schema) -> str:
    for mark, kind in _PATTERNS.items():
        if mark in node.get("pattern", ""):
            return kind
    if node.get("format") == "date-time":
        return "time"
    if node["type"] == "object" and node.get("x-kubernetes-preserve-unknown-fields"):
        return "object, open"
    if node["type"] == "object" and "additionalProperties" in node:
        return "map"
    return "list" if node["type"] == "array" else str(node["type"])


def _meaning(node: Schema) -> str:
    rules = [rule["message"] for rule in node.get("x-kubernetes-validations", ())]
    return " ".join([node.get("description", ""), *(f"*Rule: {message}.*" for message in rules)]).strip()


def _default(node: Schema, *, required: bool) -> str:
    if "default" in node:
        return f"`{json.dumps(node['default'])}`"
    return "*required*" if required else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _rows(node: Schema, path: str) -> Iterator[str]:
    needed = node.get("required", ())
    for name, child in node.get("properties", {}).items():
        below = f"{path}.{name}"
        cells = (f"`{below}`", _kind(child), _default(child, required=name in needed), _bounds(child), _meaning(child))
        yield "| " + " | ".join(map(_cell, cells)) + " |"
        yield from _rows(child, below)
    if "items" in node:
        item = node["items"]
        if "properties" not in item:
            yield _cell_row(item, f"{path}[]")
        yield from _rows(item, f"{path}[]")
    if "additionalProperties" in node:
        yield _cell_row(node["additionalProperties"], f"{path}.*")


def _cell_row(node: Schema, path: str) -> str:
    return "| " + " | ".join(map(_cell, (f"`{path}`", _kind(node), "", _bounds(node), _meaning(node)))) + " |"


def _section(title: str, node: Schema, path: str) -> str:
    rules = "".join(f"\nRule: {rule['message']}.\n" for rule in node.get("x-kubernetes-validations", ()))
    head = "| Field | Type | Default | Bounds | Meaning |\n| --- | --- | --- | --- | --- |"
    return "\n".join([f"\n## {title}\n\n{node['description']}\n{rules}", head, *_rows(node, path)]) + "\n"


def spec_reference(crd: Schema) -> str:
    """
    The page as Markdown, from the CRD document.
    """
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rules = "".join(f"\n- {rule['message']}" for rule in root["x-kubernetes-validations"])
    spec, status = root["properties"]["spec"], root["properties"]["status"]
    sections = [
        _section(f"spec.{name}{'' if name in spec['required'] else ' (optional)'}", node, f"spec.{name}")
        for name, node in spec["properties"].items()
    ]
    return "".join([_HEADER, rules, "\n", *sections, _section("status", status, "status")])
