"""
What each pod of an arm counted within a block, for the guard that tests stable pods against each other.

Found in the samples of the arm itself, so it costs no question of its own. This module does no I/O.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from modelramp.analysis.block import Counts
from modelramp.analysis.counters import NO_PODS, ArmSeries, counts_of, increments
from modelramp.analysis.targets import Identity, Pods, Series, Target, Window, find_targets

POD_LABELS: Final = ("pod", "instance")  # what tells one pod from another, the first that is there


def pod_of(series: Series) -> str | None:
    """Name of the pod whose page a series stands on, else its instance; None if it has neither label."""
    return next((series.labels[label] for label in POD_LABELS if label in series.labels), None)


def pod_counts(arm: ArmSeries, window: Window, *, pods: Pods = NO_PODS) -> dict[str, Counts]:
    """
    Count an arm's requests within the window, pod by pod, by the rules of ``count_block``.

    Args:
        arm: The arm's samples. They must be of series that each belong to one pod: a gateway's do not.
        window: Which increments are wanted.
        pods: What is known about creation and start times.

    Returns:
        By pod. A pod without a sample of its totals in the window is left out, as is one whose bad events exceed its
        events, and what belongs to no pod.

    """
    targets = find_targets((*arm.total, *arm.bad), window, pods)
    total, bad = (_by_pod(selected) for selected in (arm.total, arm.bad))
    found = {pod: _counted(series, bad.get(pod, ()), window, targets) for pod, series in total.items()}
    return {pod: counts for pod, counts in found.items() if counts is not None}


def _by_pod(selected: Sequence[Series]) -> dict[str, list[Series]]:
    found: dict[str, list[Series]] = {}
    for one in selected:
        pod = pod_of(one)
        if pod is not None:
            found.setdefault(pod, []).append(one)
    return found


def _counted(
    total: Sequence[Series], bad: Sequence[Series], window: Window, targets: Mapping[Identity, Target]
) -> Counts | None:
    exposures, events = (increments(selected, window, targets) for selected in (total, bad))
    return None if exposures is None else counts_of(exposures, events)
