"""
Measuring what a plan rests on, with the operator's own way of counting.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from modelramp.analysis import ArmSeries, Counted, Counts, Series, Window, count_block
from modelramp.api.document import MLModelDeployment
from modelramp.api.spec import Metric
from modelramp.cli.live import Live
from modelramp.cli.matchers import Selector
from modelramp.cli.measured import MeasuredMetric
from modelramp.cli.options import LiveError
from modelramp.cli.recording import templates_of
from modelramp.rollout.counters import CounterTemplate
from modelramp.rollout.needs import LOOK_BACK

MEASURED: Final = timedelta(hours=1)


class Meter:
    """
    Counts the traffic of one deployment over the hour before its samples are complete.
    """

    def __init__(self, source: Live, deployment: MLModelDeployment, namespace: str) -> None:
        """
        Ask nothing yet; `namespace` is the deployment's.
        """
        self._source, self._deployment, self._namespace = source, deployment, namespace
        until = source.clock.now() - deployment.spec.analysis.prometheus.delay.timedelta
        self._window = Window(since=until - MEASURED - LOOK_BACK, after=until - MEASURED, until=until)

    def measure(self, stable: Selector | None, candidate: Selector | None) -> tuple[MeasuredMetric, ...]:
        """
        Every metric of the spec.

        Args:
            stable: Tells stable's series; None: all revisions of the deployment count as stable.
            candidate: Tells series whose requests count too; None: there are none.

        Raises:
            LiveError: a metric has no samples, or they cannot be counted.
            SelectorError: a metric's selector cannot be read.
        """
        return tuple(self._metric(metric, stable, candidate) for metric in self._deployment.spec.analysis.metrics)

    def _metric(self, metric: Metric, stable: Selector | None, candidate: Selector | None) -> MeasuredMetric:
        for template in templates_of(metric, self._deployment):
            arm = self._arm(template, stable)
            if not arm.total:
                continue
            counts, seconds = self._count(metric.title, arm)
            other = None if candidate is None else self._arm(template, candidate)
            others = self._count(metric.title, other)[0].n if other is not None and other.total else 0.0
            return MeasuredMetric(name=metric.title, seconds=seconds, requests=counts.n, errors=counts.x, others=others)
        raise LiveError(
            f"{metric.title}: Prometheus has no samples of the last hour for "
            f"{'the revisions of ' + self._deployment.name if stable is None else str(stable)}; "
            "tell stable's series with --arm stable='{label=\"value\"}', or give --rps and --stable-errors"
        )

    def _arm(self, template: CounterTemplate, arm: Selector | None) -> ArmSeries:
        total, bad = (self._selector(text, arm) for text in (template.total, template.bad))
        within = set(total.matchers) <= set(bad.matchers)
        series = self._source.fetch((total,) if within else (total, bad), self._window.since, self._window.until)
        return ArmSeries(_selected(series, total), _selected(series, bad))

    def _selector(self, text: str, arm: Selector | None) -> Selector:
        if arm is None:
            return Selector.of_any_revision(text, self._namespace, self._deployment.name)
        return Selector.parse(text).both(arm)

    def _count(self, name: str, arm: ArmSeries) -> tuple[Counts, float]:
        """
        Counts, and the seconds they are from.
        """
        counted = count_block(arm, arm, self._window)  # one arm alone, by the rules for two
        if not isinstance(counted, Counted):
            raise LiveError(f"{name}: the last hour cannot be counted: {counted.reason}")
        # what is counted begins at the last scrape before the hour, if there is one
        instants, hour = [at for one in arm.total for at, _ in one.samples], self._window.after.timestamp()
        first = max((at for at in instants if at <= hour), default=min(instants))
        seconds = counted.latest.timestamp() - first
        if seconds <= 0:
            raise LiveError(f"{name}: there is only one scrape of the last hour")
        return counted.block.stable, seconds


def _selected(series: Iterable[Series], selector: Selector) -> tuple[Series, ...]:
    return tuple(one for one in series if selector.holds(one.labels))
