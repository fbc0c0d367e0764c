"""
Recorded samples and shares, from files.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from math import isinf
from pathlib import Path

from modelramp.analysis import ArmSeries, Series
from modelramp.api.document import MLModelDeployment
from modelramp.api.spec import Metric
from modelramp.cli.matchers import Selector
from modelramp.rollout.counters import GATEWAY_SOURCES, CounterTemplate, template_of
from modelramp.rollout.strategy import WHOLE


class ReplayError(Exception):
    """
    The samples cannot be replayed; the message says what is missing.
    """


@dataclass(frozen=True, slots=True)
class Recording:
    """
    What was recorded: series, the arms' selectors, and the candidate's share over time.

    Attributes:
        series: All series.
        stable: Selects the stable arm's.
        candidate: Selects the candidate's.
        weights: (unix seconds, percent) in order; the share holds from then on. Empty: the first step's share, always.

    """

    series: tuple[Series, ...]
    stable: Selector
    candidate: Selector
    weights: tuple[tuple[float, Decimal], ...] = ()


def read_samples(path: str) -> tuple[Series, ...]:
    """
    The `data.result` of a range-vector query, or the whole answer that holds it.

    Raises:
        ReplayError: it is something else.
    """
    try:
        answer = json.loads(Path(path).read_text(encoding="utf-8"))
        rows = answer["data"]["result"] if isinstance(answer, dict) else answer
        return tuple(
            Series(labels=dict(row["metric"]), samples=tuple((float(at), float(value)) for at, value in row["values"]))
            for row in rows
        )
    except (OSError, ValueError) as error:
        raise ReplayError(f"{path}: {error}") from None
    except (KeyError, TypeError):
        raise ReplayError(
            f'{path}: not the result of a range-vector query: [{{"metric": {{…}}, "values": [[t, "v"], …]}}]'
        ) from None


def write_samples(path: str, series: Iterable[Series]) -> None:
    """
    As `read_samples` reads them; every number comes back as it was.

    Raises:
        ReplayError: the file cannot be written.
    """
    rows = [
        {"metric": dict(one.labels), "values": [[at, _number(value)] for at, value in one.samples]} for one in series
    ]
    try:
        Path(path).write_text(json.dumps(rows), encoding="utf-8")
    except OSError as error:
        raise ReplayError(f"{path}: {error}") from None


def _number(value: float) -> str:
    """
    As Prometheus writes it.
    """
    if isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")


def read_weights(path: str) -> tuple[tuple[float, Decimal], ...]:
    """
    `[[t, percent], …]`.

    Raises:
        ReplayError: it is something else.
    """
    try:
        pairs = [
            (float(at), Decimal(str(percent))) for at, percent in json.loads(Path(path).read_text(encoding="utf-8"))
        ]
    except (OSError, ValueError, TypeError, ArithmeticError) as error:
        raise ReplayError(f"{path}: not a list of [unix seconds, percent]: {error}") from None
    if not all(0 <= percent <= WHOLE for _, percent in pairs):
        raise ReplayError(f"{path}: a share is not from 0 to 100 percent")
    return tuple(sorted(pairs))


def templates_of(metric: Metric, deployment: MLModelDeployment) -> list[CounterTemplate]:
    """
    The counters that may tell of a rate: its own, or those of any gateway known, then those of the runtime.
    """
    runtime = deployment.spec.serving.runtime
    found = [template_of(metric, runtime, controller) for controller in (*GATEWAY_SOURCES, None)]
    return [one for one in dict.fromkeys(found) if isinstance(one, CounterTemplate)]


def selectors_of(deployment: MLModelDeployment, stable: Selector, candidate: Selector) -> tuple[Selector, ...]:
    """
    What has to be fetched for the metrics of both arms: each series by one selector where that can be told.
    """
    wanted: dict[Selector, None] = {}
    for metric in deployment.spec.analysis.metrics:
        for template in templates_of(metric, deployment):
            for arm in (candidate, stable):
                wanted.update(dict.fromkeys(covering(template, arm)))
    return tuple(wanted)


def covering(template: CounterTemplate, arm: Selector) -> tuple[Selector, ...]:
    """
    Selectors of an arm that together give all series of a template: one where the bad events are some of the total's.
    """
    total, bad = Selector.parse(template.total), Selector.parse(template.bad)
    within = set(total.matchers) <= set(bad.matchers)
    return (total.both(arm),) if within else (total.both(arm), bad.both(arm))


def arms_of(metric: Metric, deployment: MLModelDeployment, recording: Recording) -> tuple[ArmSeries, ArmSeries]:
    """
    The candidate's and stable's series of a metric.

    Raises:
        ReplayError: an arm has none.
    """
    for template in templates_of(metric, deployment):
        total, bad = Selector.parse(template.total), Selector.parse(template.bad)
        found = [
            ArmSeries(_selected(recording, total.both(arm)), _selected(recording, bad.both(arm)))
            for arm in (recording.candidate, recording.stable)
        ]
        if all(arm.total for arm in found):
            return found[0], found[1]
    raise ReplayError(f"{metric.title}: the samples hold no series of all its events for both arms")


def _selected(recording: Recording, selector: Selector) -> tuple[Series, ...]:
    return tuple(one for one in recording.series if selector.holds(one.labels))
