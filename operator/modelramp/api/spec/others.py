"""
Other candidates of a shadow run, beside the spec's own.
"""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from modelramp.api.base import ApiModel, rules
from modelramp.api.spec.fields import DnsLabel
from modelramp.api.spec.serving import ModelReference

MAX_OTHERS: Final = 3
OTHER_NAMES_ONCE: Final = "each of the others needs a name of its own"
OTHERS_DIFFER: Final = "each of the others needs a model of its own, or two would be the same revision"
OTHER_IS_CANDIDATE: Final = "spec.strategy.shadow.others: one names the model of spec.model, which is on trial anyway"
OTHERS_NEED_FULL: Final = (
    "spec.strategy.shadow.others needs serving.capacity.surge: Full, since every candidate is there at full size"
)
OTHERS_NOT_COMPARED: Final = (
    "give others or compare: answers are compared of one candidate at a time, and others are judged by what is counted"
)
OTHERS_NOT_COMPARED_RULE: Final = (
    "!has(self.compare) || !has(self.others) || self.others.size() == 0",
    OTHERS_NOT_COMPARED,
)
"""As CEL on the shadow run, with its message."""
_HAS_OTHERS: Final = "has(self.strategy) && has(self.strategy.shadow) && has(self.strategy.shadow.others)"
# By fields: to CEL, objects at different places of a schema are of different types.
_ANOTHER_VERSION: Final = "o.model.version != self.model.version"
_ANOTHER_URI: Final = "(has(o.model.uri) ? o.model.uri : '') != (has(self.model.uri) ? self.model.uri : '')"
OTHER_IS_CANDIDATE_RULE: Final = (
    f"!({_HAS_OTHERS}) || self.strategy.shadow.others.all(o, {_ANOTHER_VERSION} || {_ANOTHER_URI})",
    OTHER_IS_CANDIDATE,
)
"""As CEL on the whole spec, with its message."""
_SURGE_IS_FULL: Final = "!has(self.serving.capacity) || self.serving.capacity.surge == 'Full'"
OTHERS_NEED_FULL_RULE: Final = (
    f"!({_HAS_OTHERS}) || self.strategy.shadow.others.size() == 0 || {_SURGE_IS_FULL}",
    OTHERS_NEED_FULL,
)
"""As CEL on the whole spec, with its message."""


class OtherCandidate(ApiModel):
    """
    Another model that gets the same copies of requests as the spec's own candidate, and is judged on its own. It is
    served as the spec's serving says.
    """

    name: DnsLabel = Field(description="What it is called in the status and in the report.")
    model: ModelReference = Field(description="The model; it must differ from spec.model and from those of the others.")


def _each_once(others: tuple[OtherCandidate, ...]) -> tuple[OtherCandidate, ...]:
    if len({other.name for other in others}) != len(others):
        raise ValueError(OTHER_NAMES_ONCE)
    return others


def _all_differ(others: tuple[OtherCandidate, ...]) -> tuple[OtherCandidate, ...]:
    if any(a.model == b.model for index, a in enumerate(others) for b in others[:index]):
        raise ValueError(OTHERS_DIFFER)
    return others


Others = Annotated[
    tuple[OtherCandidate, ...],
    Field(
        max_length=MAX_OTHERS,
        description="Other candidates that get the same copies beside the spec's own. The run's end waits until each "
        "of them is decided, or for the deadline.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            **rules(("self.all(a, self.exists_one(b, a.model == b.model))", OTHERS_DIFFER)),
        },
    ),
    AfterValidator(_each_once),
    AfterValidator(_all_differ),
]
