"""
The whole specification: its sections, and the rules that hold between them.
"""

from functools import cached_property
from typing import Any, Final, Self

from pydantic import ConfigDict, Field, model_validator

from modelramp.api import identity
from modelramp.api.base import ApiModel, rules
from modelramp.api.spec.abilities import ABILITIES, obstacle, uncomparable
from modelramp.api.spec.analysis import Analysis
from modelramp.api.spec.aside import SHARES_ONLY, SHARES_ONLY_RULE, beyond_shares
from modelramp.api.spec.automation import Automation
from modelramp.api.spec.capacity import RECREATE_WHOLE, Surge
from modelramp.api.spec.others import (
    OTHER_IS_CANDIDATE,
    OTHER_IS_CANDIDATE_RULE,
    OTHERS_NEED_FULL,
    OTHERS_NEED_FULL_RULE,
)
from modelramp.api.spec.serving import ModelReference, Serving
from modelramp.api.spec.strategy import Shadow, Strategy
from modelramp.api.spec.traffic import Traffic
from modelramp.api.spec.usecase import UseCase

_RECREATES_WHOLE: Final = (
    "!has(self.serving.capacity) || self.serving.capacity.surge != 'Recreate' || (has(self.strategy) && "
    "has(self.strategy.canary) && !has(self.strategy.canary.shadow) && !has(self.strategy.canary.cohort) && "
    "self.strategy.canary.steps.size() == 1 && "
    "double(self.strategy.canary.steps[0].traffic.replace('%', '')) == 100.0)"
)


STEP_METRICS_KNOWN: Final = "a step names a metric that analysis.metrics does not have"
_TITLES_IN_CEL: Final = (
    "s.metrics.all(n, self.analysis.metrics.exists(m, (has(m.name) ? m.name : has(m.preset) ? m.preset : '') == n))"
)
_STEP_METRICS_IN_CEL: Final = " && ".join(
    f"(!has(self.strategy.{kind}) || self.strategy.{kind}.steps.all(s, !has(s.metrics) || {_TITLES_IN_CEL}))"
    for kind in ("canary", "blueGreen")
)


class MLModelDeploymentSpec(ApiModel):
    """
    What is to be served, how traffic reaches it, and how a new version is released and judged.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            SHARES_ONLY_RULE,
            *ABILITIES,
            (_RECREATES_WHOLE, RECREATE_WHOLE),
            (_STEP_METRICS_IN_CEL, STEP_METRICS_KNOWN),
            OTHER_IS_CANDIDATE_RULE,
            OTHERS_NEED_FULL_RULE,
        )
    )

    model: ModelReference
    use_case: UseCase | None = Field(
        default=None, description="What the model is to people; picks the strategy where none is given."
    )
    serving: Serving
    traffic: Traffic
    strategy: Strategy = Strategy()
    analysis: Analysis = Analysis()
    automation: Automation = Automation()

    @cached_property  # a spec is frozen, and asked for it many times in every decision
    def revision(self) -> str:
        """
        The identity of model and serving.
        """
        return identity.revision(self.model, self.serving)

    @cached_property
    def others(self) -> tuple["MLModelDeploymentSpec", ...]:
        """
        The other candidates of a shadow run, each as a spec of its own that has none beside it.
        """
        shadow = self.strategy.shadow
        if shadow is None or not shadow.others:
            return ()
        return tuple(self._alone(shadow, other.model) for other in shadow.others)

    @property
    def without_others(self) -> "MLModelDeploymentSpec":
        """
        The same with no other candidate beside its own.
        """
        shadow = self.strategy.shadow
        return self if shadow is None or not shadow.others else self._alone(shadow, self.model)

    def _alone(self, shadow: Shadow, model: ModelReference) -> "MLModelDeploymentSpec":
        alone = self.strategy.model_copy(update={"shadow": shadow.model_copy(update={"others": ()})})
        same = {name: getattr(self, name) for name in MLModelDeploymentSpec.model_fields}
        # Constructed, not copied: a copy would keep the revision that was derived before.
        return MLModelDeploymentSpec.model_construct(**{**same, "strategy": alone, "model": model})

    @cached_property
    def traffic_hash(self) -> str:
        """
        The identity of what the route is rendered from, shares apart.
        """
        return identity.traffic_hash(self.traffic)

    @model_validator(mode="after")
    def _recreates_whole(self) -> Self:
        if self.serving.capacity.surge is not Surge.RECREATE:
            return self
        canary = self.strategy.canary
        plain = canary is not None and canary.shadow is None and canary.cohort is None
        if canary is None or not plain or [step.traffic.percent for step in canary.steps] != [100]:
            raise ValueError(RECREATE_WHOLE)
        return self

    @model_validator(mode="after")
    def _others_fit(self) -> Self:
        others = () if self.strategy.shadow is None else self.strategy.shadow.others
        if any(other.model == self.model for other in others):
            raise ValueError(OTHER_IS_CANDIDATE)
        if others and self.serving.capacity.surge is not Surge.FULL:
            raise ValueError(OTHERS_NEED_FULL)
        return self

    @model_validator(mode="after")
    def _step_metrics_known(self) -> Self:
        known = {metric.title for metric in self.analysis.metrics}
        for stepped in (self.strategy.canary, self.strategy.blue_green):
            steps = () if stepped is None else stepped.steps
            if not known.issuperset(name for step in steps for name in step.metrics or ()):
                raise ValueError(STEP_METRICS_KNOWN)
        return self

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever the document holds
        if not isinstance(value, dict | cls):
            raise ValueError("must be an object")  # noqa: TRY004 - pydantic collects ValueError, not TypeError
        return value

    @model_validator(mode="after")
    def _router_can(self) -> Self:
        if beyond_shares(self.traffic, self.strategy, self.use_case):
            raise ValueError(SHARES_ONLY)
        found = obstacle(self.traffic, self.strategy, self.use_case)
        found = found or uncomparable(self.traffic, self.strategy, self.analysis.metrics)
        if found is not None:
            raise ValueError(found)
        return self
