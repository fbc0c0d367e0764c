"""
From the stored object to the types of the core, and the identity of a revision.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from modelramp.api import identity
from modelramp.api.names import MAX_NAME_LENGTH
from modelramp.api.spec import MLModelDeploymentSpec, OnChange
from modelramp.api.status import Status

NOTHING: Final[Mapping[str, str]] = {}
NO_OTHERS: Final[Mapping[str, MLModelDeploymentSpec]] = {}
NAME_PATTERN: Final = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
NAME_TOO_LONG: Final = f"must be at most {MAX_NAME_LENGTH} characters, because revisions are named after it"
NAME_SHAPE: Final = "must be a DNS label that begins with a letter, because Services are named after it"


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One thing wrong with an object: its JSON path and what is wrong.
    """

    path: str
    message: str

    def __str__(self) -> str:
        """
        As shown to people.
        """
        return f"{self.path}: {self.message}"


class InvalidSpecError(Exception):
    """
    The user must act: every problem found, with its path.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """
        `problems` is never empty.
        """
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class MLModelDeployment:
    """
    A valid object: its identity, what the user asks for, and what the machine remembers.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    spec: MLModelDeploymentSpec
    status: Status
    annotations: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    """Hashes of what the ConfigMaps hold now, by name, as far as they were read; the rest is remembered in status."""

    @property
    def revision(self) -> str:
        """
        The revision that is asked for: of the spec, and of the ConfigMaps it names as they are now.
        """
        return revision_of(self.spec, self.contents)

    @property
    def followed(self) -> tuple[str, ...]:
        """
        The ConfigMaps whose other content is another revision, by name.
        """
        return followed(self.spec)

    @property
    def contents(self) -> Mapping[str, str]:
        """
        Hashes of what these ConfigMaps hold, by name: as they are, or as they were last seen. One that was never seen
        is left out.
        """
        known = {**{one.config_map: one.hash for one in self.status.config}, **self.config}
        return {name: known[name] for name in self.followed if name in known}

    @property
    def others(self) -> Mapping[str, MLModelDeploymentSpec]:
        """
        The other candidates of a shadow run by their revisions, each as a spec of its own that has none beside it.
        """
        specs, contents = self.spec.others, self.contents
        return {revision_of(spec, contents): spec for spec in specs} if specs else NO_OTHERS

    @property
    def traffic_hash(self) -> str:
        """
        Changes when the route has to be written anew for another reason than its shares.
        """
        return traffic_hash(self.spec)


def traffic_hash(spec: MLModelDeploymentSpec) -> str:
    """
    A hash of everything of the spec that the route is rendered from, shares apart; kept on the route as an annotation.
    """
    return spec.traffic_hash


def followed(spec: MLModelDeploymentSpec) -> tuple[str, ...]:
    """
    The ConfigMaps whose other content is another revision, by name.
    """
    return tuple(one.config_map for one in spec.serving.config if one.on_change is OnChange.ROLLOUT)


def revision_of(spec: MLModelDeploymentSpec, contents: Mapping[str, str] = NOTHING) -> str:
    """
    The identity of model and serving: a hash of what changes the pods, the content of `followed` ConfigMaps among it.
    """
    return identity.with_contents(spec.revision, contents)


def problems_of(error: ValidationError, root: str) -> tuple[Problem, ...]:
    """
    The problems pydantic found, with paths as `spec.strategy.canary.steps[0].traffic`.
    """
    items = error.errors(include_url=False, include_context=False)
    # pydantic counts only valid items, so a list whose items are wrong is said to be too short as well.
    within = {item["loc"][:end] for item in items for end in range(len(item["loc"]))}
    problems = []
    for item in items:
        if item["type"] == "too_short" and item["loc"] in within:
            continue
        path = root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in item["loc"])
        problems.append(Problem(path, item["msg"].removeprefix("Value error, ")))
    return tuple(problems)


def _name_problems(name: object) -> tuple[Problem, ...]:
    if not isinstance(name, str):
        return (Problem("metadata.name", NAME_SHAPE),)
    if len(name) > MAX_NAME_LENGTH:
        return (Problem("metadata.name", NAME_TOO_LONG),)
    if re.fullmatch(NAME_PATTERN, name) is None:
        return (Problem("metadata.name", NAME_SHAPE),)
    return ()


def parse_spec(document: Mapping[str, Any]) -> MLModelDeploymentSpec:
    """
    The document's name and spec, checked.

    Raises:
        InvalidSpecError: with every problem.
    """
    problems = list(_name_problems((document.get("metadata") or {}).get("name")))
    try:
        spec = MLModelDeploymentSpec.model_validate(document.get("spec"), by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidSpecError((*problems, *problems_of(error, "spec"))) from None
    if problems:
        raise InvalidSpecError(tuple(problems))
    return spec


def parse_status(document: Mapping[str, Any]) -> Status:
    """
    The remembered status; an absent one is the empty memory.

    Raises:
        InvalidSpecError: somebody else wrote a status this version cannot read.
    """
    try:
        return Status.model_validate(document.get("status") or {}, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidSpecError(problems_of(error, "status")) from None


def parse(document: Mapping[str, Any]) -> MLModelDeployment:
    """
    The stored object as the core sees it.

    Raises:
        InvalidSpecError: with every problem and its path.
    """
    metadata = document["metadata"]
    return MLModelDeployment(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        spec=parse_spec(document),
        status=parse_status(document),
        annotations=metadata.get("annotations") or {},
    )
