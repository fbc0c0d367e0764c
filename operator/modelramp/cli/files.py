"""
Manifests from files: every `MLModelDeployment` in them, checked.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from modelramp.api.document import InvalidSpecError, MLModelDeployment, Problem, parse_spec
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.api.status import Status
from modelramp.api.vocabulary import API_VERSION, KIND


class UnreadableFileError(Exception):
    """
    The file is not there, not YAML, or holds no object of ours; the message names it.
    """


def _documents(path: str) -> Iterator[Any]:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        yield from yaml.safe_load_all(text)
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: not UTF-8, or a date that does not exist
        raise UnreadableFileError(f"{path}: {error}") from None


def _ours(document: object) -> bool:
    return isinstance(document, dict) and document.get("apiVersion") == API_VERSION and document.get("kind") == KIND


def deployments_in(path: str) -> list[dict[str, Any]]:
    """
    The `MLModelDeployment` documents of a file, `-` for standard input; other kinds are passed over.

    Raises:
        UnreadableFileError: there is none.
    """
    found = [document for document in _documents(path) if _ours(document)]
    if not found:
        raise UnreadableFileError(f"{path}: holds no {KIND} of {API_VERSION}")
    return found


def name_of(document: dict[str, Any]) -> str | None:
    """
    The document's name; None: it has none that could be one.
    """
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else None


def spec_of(document: dict[str, Any]) -> MLModelDeploymentSpec:
    """
    The document's spec.

    Raises:
        InvalidSpecError: with every problem.
    """
    if name_of(document) is None:
        raise InvalidSpecError((Problem("metadata.name", "required"),))
    return parse_spec(document)


def deployment_of(document: dict[str, Any], spec: MLModelDeploymentSpec) -> MLModelDeployment:
    """
    The manifest as the core sees a stored object, at its next version.
    """
    name = document["metadata"]["name"]
    return MLModelDeployment(namespace="default", name=name, uid="none", generation=1, spec=spec, status=Status())


def rates_only(spec: MLModelDeploymentSpec, verb: str) -> MLModelDeploymentSpec:
    """
    The spec without durations and gauges, which a command that counts bad requests says nothing about.

    Those left out are named on standard error. `verb` says what is not done with them, such as `simulated`.

    Raises:
        UnreadableFileError: nothing is left.
    """
    rates = tuple(metric for metric in spec.analysis.metrics if metric.is_rate)
    left_out = [metric.title for metric in spec.analysis.metrics if not metric.is_rate]
    if not rates:
        raise UnreadableFileError(
            f"spec.analysis.metrics: durations and gauges are not {verb}, and there is no other metric"
        )
    if not left_out:
        return spec
    print(f"modelramp: durations and gauges are not {verb}: {', '.join(left_out)}", file=sys.stderr)  # noqa: T201 - the answer
    return spec.model_copy(update={"analysis": spec.analysis.model_copy(update={"metrics": rates})})


__all__ = [
    "InvalidSpecError",
    "UnreadableFileError",
    "deployment_of",
    "deployments_in",
    "name_of",
    "rates_only",
    "spec_of",
]
