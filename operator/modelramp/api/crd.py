"""
The CustomResourceDefinition, derived from the models: structural schema, defaults, rules, columns and subresources.

The API server takes only structural schemas: every node has a type, nothing is referenced, alternatives do not exist.
A keyword this module does not know, a field without a description, and a list, map or string without a maximum, ends
the generation with the path of the node: without maxima the API server refuses the rules for their estimated cost.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from modelramp.api.document import NAME_PATTERN, NAME_SHAPE, NAME_TOO_LONG
from modelramp.api.names import MAX_NAME_LENGTH
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.api.status import Status
from modelramp.api.vocabulary import GROUP, KIND, PLURAL, VERSION, Phase

Schema = dict[str, Any]

CRD_NAME: Final = f"{PLURAL}.{GROUP}"
SHORT_NAME: Final = "mmd"
CATEGORY: Final = "modelramp"

RESTING: Final = (Phase.PENDING, Phase.STABLE, Phase.FAILED, Phase.REPORTED)
ROUTER_STAYS: Final = (
    "a rollout is in flight, and its candidate is reached by the present router: wait for the end or abort it, then "
    "change the router"
)

# Structural keywords in the order they are written; what stands neither here nor below is refused.
_KEPT: Final = (
    "description",
    "type",
    "format",
    "default",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "items",
    "properties",
    "additionalProperties",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
)
_DROPPED: Final = frozenset({"title", "examples", "$defs"})
_INT32_MAX: Final = 2**31 - 1
_MAX_STATUS_WORD: Final = 253

_COLUMNS: Final = (
    ("Phase", "string", ".status.phase", "Where the rollout is.", 0),
    ("Step", "string", ".status.step.display", "The present step, of how many.", 0),
    ("Traffic", "string", ".status.traffic.wanted", "The candidate's share of traffic.", 0),
    ("Stable", "string", ".status.stable.version", "The version that serves users.", 0),
    ("Candidate", "string", ".status.candidate.version", "The version on trial.", 0),
    ("Evidence", "string", ".status.evidenceSummary", "The metric furthest from certification.", 0),
    ("Age", "date", ".metadata.creationTimestamp", "Time since the object was created.", 0),
    ("Message", "string", ".status.message", "What is waited for, or what happened last.", 1),
)


class UnstructuralSchemaError(Exception):
    """
    A model cannot be expressed as a structural schema: a mistake in the models, found when the CRD is generated.
    """

    def __init__(self, path: str, what: str) -> None:
        """
        `path` is the node's JSON path.
        """
        super().__init__(f"{path}: {what}")
        self.path = path


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Schema:
    """
    Two descriptions of one node: the nearer one wins, the rules of both hold.
    """
    key = "x-kubernetes-validations"
    both = [*below.get(key, ()), *above.get(key, ())]
    return {**below, **above, **({key: both} if both else {})}


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Schema:
    """
    The node without references and alternatives; `X or null` is X, which then may be absent.
    """
    if "$ref" in node:
        beside = {key: value for key, value in node.items() if key != "$ref"}
        target = definitions[node["$ref"].removeprefix("#/$defs/")]
        return _resolved(_merged(target, beside), definitions, path)
    if "anyOf" in node:
        beside = {key: value for key, value in node.items() if key != "anyOf"}
        choices = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
        if len(choices) != 1:
            raise UnstructuralSchemaError(path, "alternatives of different types")
        return _resolved(_merged(choices[0], beside), definitions, path)
    if "const" in node:
        return {**{key: value for key, value in node.items() if key != "const"}, "enum": [node["const"]]}
    return dict(node)


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _check_bounds(node: Schema, path: str) -> None:
    kind = node["type"]
    if kind == "string" and not ({"maxLength", "enum"} & node.keys()):
        raise UnstructuralSchemaError(path, "a string needs maxLength or enum")
    if kind == "array" and "maxItems" not in node:
        raise UnstructuralSchemaError(path, "a list needs maxItems")
    if kind == "array" and "x-kubernetes-list-type" not in node:
        raise UnstructuralSchemaError(path, "a list needs x-kubernetes-list-type, which says how two writers merge it")
    if kind == "object" and "additionalProperties" in node and "maxProperties" not in node:
        raise UnstructuralSchemaError(path, "a map needs maxProperties")


def _descend(node: Schema, definitions: Mapping[str, Any], path: str) -> None:
    """
    Make everything below the node structural.
    """
    if "properties" in node:
        node["properties"] = {
            name: structural(child, definitions, f"{path}.{name}") for name, child in node["properties"].items()
        }
        for name, child in node["properties"].items():
            if "description" not in child:
                raise UnstructuralSchemaError(f"{path}.{name}", "a field needs a description")
    if "items" in node:
        node["items"] = structural(node["items"], definitions, f"{path}[]")
    open_ended = node.pop("additionalProperties", False)
    if open_ended is True:
        node["x-kubernetes-preserve-unknown-fields"] = True
    elif open_ended:
        node["additionalProperties"] = structural(open_ended, definitions, f"{path}.*")


def structural(raw: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Schema:
    """
    The structural schema of what pydantic wrote for one node.

    Raises:
        UnstructuralSchemaError: it has none, or something in it has no maximum.
    """
    node = {key: value for key, value in _resolved(raw, definitions, path).items() if key not in _DROPPED}
    unknown = sorted(node.keys() - set(_KEPT))
    if unknown:
        raise UnstructuralSchemaError(path, f"keywords without a structural form: {', '.join(unknown)}")
    if "type" not in node:
        raise UnstructuralSchemaError(path, "a node needs a type")
    if "description" in node:
        node["description"] = " ".join(node["description"].split())
    if node["type"] == "integer":
        node["format"] = "int32" if node.get("maximum", _INT32_MAX + 1) <= _INT32_MAX else "int64"
    _descend(node, definitions, path)
    _check_bounds(node, path)
    default = _without_nulls(node.pop("default", None))
    if default is not None:
        # Written out in full: the API server checks a default against the rules before it fills in what is below it.
        node["default"] = default
    return {key: node[key] for key in _KEPT if key in node}


def _schema_of(model: type[BaseModel], path: str) -> Schema:
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return structural(raw, raw.get("$defs", {}), path)


def _nodes(node: Schema) -> Iterator[Schema]:
    yield node
    for child in (*node.get("properties", {}).values(), *(node[key] for key in ("items",) if key in node)):
        yield from _nodes(child)


def _status_schema() -> Schema:
    """
    The status: no defaults and no enumerations, so that a newer operator can write its words under an older CRD.
    """
    schema = _schema_of(Status, "status")
    for node in _nodes(schema):
        node.pop("default", None)
        if node.pop("enum", None):
            node["maxLength"] = _MAX_STATUS_WORD
    conditions = schema["properties"]["conditions"]["items"]["properties"]
    conditions["type"] |= {"maxLength": 316, "pattern": r"^([A-Za-z0-9][-A-Za-z0-9_./]*)?[A-Za-z0-9]$"}
    conditions["reason"] |= {
        "minLength": 1,
        "maxLength": 1024,
        "pattern": r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
    }
    conditions["status"] = {**conditions["status"], "enum": ["True", "False", "Unknown"]}
    del conditions["status"]["pattern"]
    return schema


def _name_rule(rule: str, message: str) -> Schema:
    return {"rule": rule, "message": message, "fieldPath": ".metadata.name"}


def _router_rule() -> Schema:
    """
    A transition rule, so it stands here only: a file alone does not tell what the object was, or that it is on trial.
    """
    router = "{0}.traffic.gatewayAPI", "{0}.traffic.service", "{0}.traffic.istio"
    same = " && ".join(f"has({part.format('self.spec')}) == has({part.format('oldSelf.spec')})" for part in router)
    route = "self.spec.traffic.gatewayAPI", "oldSelf.spec.traffic.gatewayAPI"
    kind = f"{route[0]}.kind == {route[1]}.kind && has({route[0]}.routeRef) == has({route[1]}.routeRef)"
    resting = ", ".join(f"'{phase}'" for phase in RESTING)
    still = f"!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase in [{resting}]"
    rule = f"{still} || ({same} && (!has({route[0]}) || ({kind})))"
    return {"rule": rule, "message": ROUTER_STAYS, "fieldPath": ".spec.traffic"}


def _root_schema() -> Schema:
    return {
        "description": "A machine-learning model that is served, and released by evidence when it changes.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            # Named only so that the rules below can point at it; the API server knows it by itself.
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": _schema_of(MLModelDeploymentSpec, "spec"),
            "status": _status_schema(),
        },
        "x-kubernetes-validations": [
            _name_rule(f"self.metadata.name.size() <= {MAX_NAME_LENGTH}", NAME_TOO_LONG),
            _name_rule(f"self.metadata.name.matches('{NAME_PATTERN}')", NAME_SHAPE),
            _router_rule(),
        ],
    }


def _columns() -> list[Schema]:
    return [
        {"name": name, "type": kind, "jsonPath": path, "description": text, **({"priority": level} if level else {})}
        for name, kind, path, text, level in _COLUMNS
    ]


def custom_resource_definition() -> Schema:
    """
    The CRD as apiextensions.k8s.io/v1 wants it, in the order in which it is written.

    No selectable fields: API servers before 1.30 refuse them under strict validation.
    """
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root_schema()},
        "additionalPrinterColumns": _columns(),
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.serving.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
    }
    names = {
        "kind": KIND,
        "listKind": f"{KIND}List",
        "plural": PLURAL,
        "singular": KIND.lower(),
        "shortNames": [SHORT_NAME],
        "categories": [CATEGORY],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CRD_NAME},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }
