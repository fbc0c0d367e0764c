"""
A share as a ratio of pods: how many the candidate needs beside a stable at full size, and what that comes to.

A plain Service sends each new connection to any ready pod behind it, so that of `c` candidate pods beside `s` of stable
the candidate gets `c / (c + s)`. Stable stays at its full size, and the candidate is never larger: a share above 50 %
and below 100 % cannot be had so.
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.rollout.observed import Arm
from modelramp.rollout.strategy import NOTHING, WHOLE, Course, Place, course_of

TOLERANCE: Final = Decimal("0.25")  # of a wanted share: the split check of the counted requests allows the same
MOST_RAISED: Final = Decimal("1.5")  # of a wanted share: not begun while lost pods of stable make it larger than that
HALF: Final = Decimal(50)
MOST_REPLICAS: Final = 1000  # the maximum of spec.serving.replicas
_PLACES: Final = Decimal("0.01")


def share_of(pods: int, others: int) -> Decimal:
    """
    The percent of connections that so many pods get beside so many others, to two digits; 0 without any pod.
    """
    if pods + others == 0:
        return NOTHING
    return (Decimal(100 * pods) / (pods + others)).quantize(_PLACES, ROUND_HALF_EVEN).normalize() + NOTHING


def ratio(percent: Decimal, replicas: int) -> int:
    """
    The candidate's pods whose share is nearest to `percent` beside `replicas` of stable: at least 1, and at most as
    many as stable has. For 100 % as many.
    """
    if percent > HALF:
        return replicas
    ideal = int(percent * replicas / (WHOLE - percent))
    return min(
        (pods for pods in (ideal, ideal + 1) if 1 <= pods <= replicas),
        key=lambda pods: abs(share_of(pods, replicas) - percent),
    )


def reachable(percent: Decimal, replicas: int) -> Decimal:
    """
    The percent that is really reached where `percent` is wanted; 0 and 100 are reached exactly.
    """
    if percent in {NOTHING, WHOLE}:
        return percent
    return share_of(ratio(percent, replicas), replicas)


def _fits(percent: Decimal, replicas: int) -> bool:
    return abs(reachable(percent, replicas) - percent) <= TOLERANCE * percent


def _remedy(percent: Decimal) -> str:
    if percent > HALF:
        return "go from 50% to 100%, since the candidate never has more pods than stable"
    enough = next((some for some in range(1, MOST_REPLICAS + 1) if _fits(percent, some)), None)
    return "no number of replicas would do" if enough is None else f"{enough} replicas would do, or ask for the nearest"


def _live_steps(course: Course) -> tuple[Decimal, ...]:
    return tuple(step.percent for step in course.steps if step.percent > NOTHING)


def unreachable(spec: MLModelDeploymentSpec) -> str | None:
    """
    The first step whose share its pods cannot come near to, with its field and what would do; None: all are reached,
    or shares are no ratio of pods.
    """
    if not spec.traffic.by_pods:
        return None
    course, replicas = course_of(spec), spec.serving.replicas
    for index, percent in enumerate(_live_steps(course)):
        if not _fits(percent, replicas):
            reached = f"{reachable(percent, replicas):f}%"
            return (
                f"{course.field}.steps[{index}].traffic: a plain Service splits by pods, and {percent.normalize():f}% "
                f"is not to be had with {replicas} replicas of stable: {reached} is the nearest; {_remedy(percent)}"
            )
    return None


def wanted_percent(spec: MLModelDeploymentSpec, percent: Decimal) -> Decimal:
    """
    The share that a step's percent stands for with this router.
    """
    return reachable(percent, spec.serving.replicas) if spec.traffic.by_pods else percent


def candidate_size(spec: MLModelDeploymentSpec, place: Place, *, whole: bool) -> int:
    """
    The pods a candidate has at this place of the course; before its first share those of that share. `whole`: it is to
    serve everything.
    """
    replicas = spec.serving.replicas
    if not spec.traffic.by_pods or whole:
        return replicas
    percent = place.percent or next(iter(_live_steps(course_of(spec))), WHOLE)
    return ratio(percent, replicas)


def keeps_ratio(arms: Mapping[str, Arm], shares: Mapping[str, Decimal], stable: str | None, replicas: int) -> bool:
    """
    These shares may be begun now, where a share is a ratio of pods.

    Whoever is to serve everything has all its pods ready. Where several serve, no other revision has a pod, which would
    get requests too, and none but stable has many more of the ready pods than its share.
    """
    serving = {name: percent for name, percent in shares.items() if percent > NOTHING}
    ready = {name: arms[name].ready for name in serving if name in arms}
    if len(serving) == 1:
        return all(number >= replicas for number in ready.values())
    if any(arm.pods > 0 for name, arm in arms.items() if name not in serving):
        return False
    total = sum(ready.values())
    return all(
        share_of(ready.get(name, 0), total - ready.get(name, 0)) <= MOST_RAISED * percent
        for name, percent in serving.items()
        if name != stable
    )
