"""
Mistakes in reading counters, each made somewhere by somebody, built into the code under test for a moment.

With them recorded answers are read again: a mistake that changes no evidence would show that a scene proves nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import pytest
from contracts.fault_reader import EVERY_SECONDS, Memory, Reader, instant
from contracts.fault_truth import WEALTH

from modelramp.analysis import MetricEvidence, Pods, Series, Window, counters
from modelramp.analysis.stores import Store
from modelramp.analysis.targets import Identity, Sample, Target, find_targets

Mistake = Callable[[pytest.MonkeyPatch], None]


def births_are_baselines(patch: pytest.MonkeyPatch) -> None:
    """The first sample of a series never counts, as with the metric store's own rates."""
    patch.setattr(Target, "birth", lambda _, _series, _at: None)


def every_first_sample_counts(patch: pytest.MonkeyPatch) -> None:
    """Also that of a page never seen before."""
    patch.setattr(Target, "birth", lambda _, _series, at: Sample(at - 1.0, 0.0))


def _as(change: Callable[[Target], Target]) -> Mistake:
    def found(series: Iterable[Series], window: Window, pods: Pods) -> dict[Identity, Target]:
        return {page: change(target) for page, target in find_targets(series, window, pods).items()}

    return lambda patch: patch.setattr(counters, "find_targets", found)


falls_are_restarts = _as(lambda one: replace(one, restarts=one.restarts | one.breaks, breaks=frozenset()))
restarts_are_falls = _as(lambda one: replace(one, breaks=one.restarts | one.breaks, restarts=frozenset()))
creation_is_ignored = _as(lambda one: replace(one, born_in_window=None))


def series_count_as_often_as_found(patch: pytest.MonkeyPatch) -> None:
    """A series in two answers is two series."""
    patch.setattr(Series, "identity", property(lambda self: frozenset({("at", str(id(self)))})))


def samples_are_in_order(patch: pytest.MonkeyPatch) -> None:
    """They are taken as they come."""

    def settled(self: Series, window: Window) -> tuple[Sample, ...]:
        since, until = window.since.timestamp(), window.until.timestamp()
        return tuple(Sample(*one) for one in self.samples if since < one[0] <= until)

    patch.setattr(Series, "settled", settled)


def blocks_end_anywhere(patch: pytest.MonkeyPatch) -> None:
    """Also within an interruption."""
    patch.setattr(counters, "interrupted", lambda _targets, _window: False)


def answers_are_of_one_store(patch: pytest.MonkeyPatch) -> None:
    """Whatever they hold."""
    patch.setattr(counters, "from_two_stores", lambda _answers, _window: False)


def any_store_goes_on_where_another_ended(patch: pytest.MonkeyPatch) -> None:
    """Whoever answers."""
    patch.setattr(Store, "differs", lambda _self, _candidate, _stable, _window: False)


def every_look_is_of_another_store(patch: pytest.MonkeyPatch) -> None:
    """Except the first."""
    patch.setattr(Store, "differs", lambda self, _candidate, _stable, _window: self.candidate > 0)


def _window_as(change: Callable[[Window], Window]) -> Mistake:
    original = counters.increments

    def increments(selected: list[Series], window: Window, targets: dict[Identity, Target]) -> object:
        return original(selected, change(window), targets)

    return lambda patch: patch.setattr(counters, "increments", increments)


def _since_last_look(window: Window) -> Window:
    after = max(window.after, instant(window.until.timestamp() - EVERY_SECONDS))
    return replace(window, after=after)


windows_overlap = _window_as(lambda window: replace(window, after=window.since))
windows_stand_alone = _window_as(lambda window: replace(window, since=window.after))
gaps_are_left_out = _window_as(_since_last_look)

MISTAKES: Final[dict[Mistake, tuple[str, ...]]] = {
    births_are_baselines: ("healthy/operator", "births/operator", "births/informed", "blackout/operator"),
    every_first_sample_counts: ("births/operator", "births/informed", "outage/short"),
    falls_are_restarts: ("restarts/untold",),
    restarts_are_falls: ("restarts/operator",),
    creation_is_ignored: ("births/operator", "births/informed"),
    series_count_as_often_as_found: ("late/stammering",),
    samples_are_in_order: ("late/stammering",),
    blocks_end_anywhere: ("blackout/short",),
    answers_are_of_one_store: ("flipping/questions",),
    any_store_goes_on_where_another_ended: ("flipping/looks", "flipping/turns"),
    every_look_is_of_another_store: ("healthy/operator", "restarts/operator", "restarted/operator", "flipping/looks"),
    windows_overlap: ("healthy/operator", "missing/operator", "late/operator", "late/impatient", "flipping/looks"),
    windows_stand_alone: ("healthy/operator", "missing/operator", "outage/operator", "frozen/operator"),
    gaps_are_left_out: ("restarted/operator", "blackout/operator", "blackout/short"),
}


def read_again(reader: Reader) -> list[float]:
    """Logarithms of the evidence of harm and of "not worse" after each of a reader's recorded answers."""
    memory, logs = Memory(MetricEvidence.begin(WEALTH, counted_until=reader.looks[0].window.after)), []
    for look in reader.looks:
        window = memory.window(reader.look_back, look.window.until)
        if look.arms is not None:
            _, memory = memory.read(look.arms, window, look.pods)
        logs += [memory.evidence.harm_log, memory.evidence.ok_log]
    return logs
