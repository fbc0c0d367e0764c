"""
A gauge among the metrics of a spec.
"""

from typing import Any

import pytest
from pydantic import ValidationError

from modelramp.api.crd import custom_resource_definition
from modelramp.api.spec import (
    DURATIONS_ONLY,
    FORM_NEEDS_NAME,
    GAUGE_GROWS,
    GAUGE_OF_PODS,
    ONE_METRIC_FORM,
    RATES_ONLY,
    GaugeAcross,
    Metric,
)

QUEUE = {"value": "queue_length{$arm}"}
RATIO = {"bad": "b{$arm}", "total": "t{$arm}"}


def metric(**fields: Any) -> Metric:  # noqa: ANN401 - JSON
    """
    A gauge with a name, changed.
    """
    return Metric.model_validate({"name": "queue", "gauge": QUEUE, **fields})


def test_a_gauge_is_neither_a_rate_nor_a_duration_and_may_grow_by_a_fifth() -> None:
    found = metric()
    assert found.gauge is not None
    assert (found.is_rate, found.growth, found.gauge.across, found.title) == (False, 0.2, GaugeAcross.MEAN, "queue")


@pytest.mark.parametrize("across", ["Sum", "Mean", "Max"])
def test_it_is_asked_how_much_it_may_grow(across: str) -> None:
    found = metric(mayGrow="35%", gauge={**QUEUE, "across": across})
    assert found.gauge is not None
    assert (found.growth, str(found.gauge.across)) == (0.35, across)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"quantile": "0.9"}, GAUGE_GROWS),
        ({"quantile": "0.9", "mayGrow": "5%"}, GAUGE_GROWS),
        ({"below": "1s"}, GAUGE_GROWS),
        ({"threshold": "1s"}, GAUGE_GROWS),
        ({"against": {"limit": "1%"}}, RATES_ONLY),
        ({"ratio": RATIO}, ONE_METRIC_FORM),
        ({"preset": "errors"}, ONE_METRIC_FORM),
        ({"histogram": {"buckets": "b{$arm}"}}, ONE_METRIC_FORM),
        ({"name": None}, FORM_NEEDS_NAME),
        ({"gauge": {"value": 'queue{service="${service}"}'}}, GAUGE_OF_PODS),
        ({"gauge": {"value": "queue{$arm}", "across": "Median"}}, "Sum"),
        ({"gauge": {"value": "sum(queue{$arm})"}}, "match pattern"),
        ({"mayGrow": "0%"}, "above 0%"),
    ],
)
def test_what_a_gauge_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        metric(**fields)
    assert message in str(refused.value)


def test_growth_alone_is_still_no_question_of_a_rate() -> None:
    with pytest.raises(ValidationError) as refused:
        Metric.model_validate({"name": "r", "ratio": RATIO, "mayGrow": "5%"})
    assert DURATIONS_ONLY in str(refused.value)


def test_the_api_server_checks_the_same() -> None:
    """
    Every message of the parser stands beside a rule of the CRD.
    """
    found = str(custom_resource_definition())
    assert all(message in found for message in (GAUGE_GROWS, GAUGE_OF_PODS, ONE_METRIC_FORM))
    assert "self.contains('$arm')" in found
