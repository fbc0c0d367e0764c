"""
How much of the cluster a rollout may use, and how pods end.
"""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modelramp.api.base import ApiModel, rules
from modelramp.api.scalars import Duration
from modelramp.api.spec.fields import DnsName

RECREATE_WHOLE: Final = (
    "surge: Recreate removes stable before the candidate exists, so there is nothing to share traffic with: it needs "
    "strategy.canary with the one step 100%, without shadow and cohort"
)
DRAIN_RANGE: Final = "preStop and timeout must be at most 1h: the pods' grace period is made of them"
CONFIG_ONCE: Final = "name each ConfigMap once"


class Surge(StrEnum):
    """
    What becomes of stable's pods while a candidate is on trial.
    """

    FULL = "Full"
    """Both have all their pods: twice the capacity, and the way back is one write."""
    SWAP = "Swap"
    """The candidate gets pods as its share grows, and stable gives them up first: never more than the budget."""
    RECREATE = "Recreate"
    """Stable's pods are removed before the candidate's are created: nobody serves meanwhile."""


class Budget(ApiModel):
    """
    The most that all pods of the object, terminating ones too, may ask for together at any instant.
    """

    resource: str = Field(
        default="nvidia.com/gpu",
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$",
        max_length=128,
        description="The resource as the pod template's containers name it in limits or requests.",
    )
    limit: int = Field(ge=1, le=1_000_000, strict=True, description="In the resource's unit, such as GPUs.")


class Capacity(ApiModel):
    """
    How much a rollout may use.
    """

    surge: Surge = Field(default=Surge.FULL, description="What becomes of stable's pods during a rollout.")
    budget: Budget | None = Field(
        default=None,
        description="Absent: Full may use twice the pods; Swap and Recreate never have more pods than replicas.",
    )


_AN_HOUR: Final = 3600


class Drain(ApiModel):
    """
    How pods end, so that no request is cut.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "duration(self.preStop) <= duration('1h') && duration(self.timeout) <= duration('1h')",
                DRAIN_RANGE,
            )
        )
    )

    pre_stop: Duration = Field(
        default=Duration("5s"),
        description="Time a pod goes on answering after it was told to stop, while proxies learn of it; in whole "
        "seconds, rounded up. A preStop action of the template's own wins.",
    )
    timeout: Duration = Field(
        default=Duration("30s"),
        description="The longest time requests in flight are waited for after a revision was taken out of traffic, if "
        "the router's own request timeout is not longer; and what the grace period leaves the server after preStop.",
    )

    @model_validator(mode="after")
    def _within_an_hour(self) -> Self:
        if max(self.pre_stop.seconds, self.timeout.seconds) > _AN_HOUR:
            raise ValueError(DRAIN_RANGE)
        return self


class OnChange(StrEnum):
    """
    What a changed content of a ConfigMap means.
    """

    ROLLOUT = "Rollout"
    """A new revision, rolled out like every other."""
    IGNORE = "Ignore"
    """Nothing: the next revision gets it."""


class ConfigReference(ApiModel):
    """
    A ConfigMap that is a part of the model's configuration.
    """

    config_map: DnsName = Field(
        description="Its name, as the pod template's volumes, envFrom or env name it. Each revision gets a copy of its "
        "own, which never changes."
    )
    on_change: OnChange = Field(
        default=OnChange.ROLLOUT,
        description="Whether another content is a new revision. It is noticed in every pass over the object: within "
        "5 minutes at rest, and at once with an edit of the object.",
    )


def _each_once(config: tuple[ConfigReference, ...]) -> tuple[ConfigReference, ...]:
    if len({one.config_map for one in config}) != len(config):
        raise ValueError(CONFIG_ONCE)
    return config


Config = Annotated[
    tuple[ConfigReference, ...],
    Field(
        max_length=8,
        description="ConfigMaps that are part of the model's configuration: copied for each revision when it is begun, "
        "so that the way back brings them back too.",
        json_schema_extra={
            "x-kubernetes-list-type": "atomic",
            **rules(("self.all(a, self.exists_one(b, a.configMap == b.configMap))", CONFIG_ONCE)),
        },
    ),
    AfterValidator(_each_once),
]
