"""
What is rolled out: healthy versions, and versions that are bad in four ways; and whom a rollback may blame.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, zip_longest
from typing import Final

TENANTS: Final = ("a", "b", "c", "d")
BAD_TENANT: Final = "b"
TENANT_METRIC: Final = "tenant-errors"

BASE: Final[Mapping[str, str]] = {
    "DIGITS_TENANTS": ",".join(TENANTS),
    "DIGITS_ERROR_RATE": "0.01",
    # The server's bucket edges are fixed: 50, 75 and 100 ms. With this median and spread a tenth of the calls is above
    # 75 ms or so, whatever the few milliseconds are that the machine adds, and a growth of 30 % moves it far.
    "DIGITS_SERVICE_MEDIAN": "0.065",
    "DIGITS_SERVICE_SIGMA": "0.2",
}
"""Knobs of a healthy version: 1 % of the requests fail, a service time of 65 ms."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """
    A metric, or one slice of it, as a rollback names it.

    Attributes:
        metric: Its name in the spec.
        tenant: The slice; None for the whole metric.

    """

    metric: str
    tenant: str | None = None


def _errors(culprit: Culprit) -> bool:
    return culprit.metric in {"errors", TENANT_METRIC}


def _latency(culprit: Culprit) -> bool:
    return culprit == Culprit("latency")


def _nobody(_: Culprit) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """
    A sort of version.

    Attributes:
        name: As `--only` takes it.
        says: What is wrong with it.
        knobs: Its settings beside those of a healthy version, and instead of them.
        guilty: Whether it is right to name this culprit.
        must_name: A culprit that has to be among those named; None: any right one will do.

    """

    name: str
    says: str
    knobs: Mapping[str, str]
    guilty: Callable[[Culprit], bool]
    must_name: Culprit | None = None

    @property
    def healthy(self) -> bool:
        """
        Nothing is wrong with it.
        """
        return not self.knobs

    @property
    def environment(self) -> dict[str, str]:
        """
        All knobs of the version.
        """
        return {**BASE, **self.knobs}

    def rightly(self, named: Sequence[Culprit]) -> bool:
        """
        Whether those named are to blame: somebody is, nobody innocent is, and who must be named is.
        """
        complete = self.must_name is None or self.must_name in named
        return bool(named) and complete and all(map(self.guilty, named))


HEALTHY: Final = Kind(name="healthy", says="nothing: another revision of the same", knobs={}, guilty=_nobody)
ERRORS: Final = Kind(
    name="errors",
    says="fails 5 % of the requests, stable 1 %",
    knobs={"DIGITS_ERROR_RATE": "0.05"},
    guilty=_errors,
)
LATENCY: Final = Kind(
    name="latency",
    says="takes 30 % longer for each request",
    knobs={"DIGITS_SERVICE_FACTOR": "1.3"},
    guilty=_latency,
)
SLICE: Final = Kind(
    name="slice",
    says=f"fails 10 % of the requests of tenant {BAD_TENANT}, 1 % of all others",
    knobs={"DIGITS_TENANT_ERROR_RATES": f"{BAD_TENANT}=0.1"},
    guilty=lambda culprit: _errors(culprit) and culprit.tenant in {None, BAD_TENANT},
    must_name=Culprit(TENANT_METRIC, BAD_TENANT),
)
LATE: Final = Kind(
    name="late",
    # at 50 requests a second a step of 5 % gives it 2.5, one of 25 % gives it 12.5
    says="fails 5 % of the requests while it gets more than 6 a second, which it does from 25 % of the traffic on",
    knobs={"DIGITS_OVERLOAD_ABOVE": "6", "DIGITS_OVERLOAD_ERROR_RATE": "0.05"},
    guilty=_errors,
)
BAD: Final = (ERRORS, LATENCY, SLICE, LATE)
KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in (HEALTHY, *BAD)}


def plan(rollouts: int, only: Sequence[str] = ()) -> tuple[Kind, ...]:
    """
    So many healthy and so many bad versions by turns, the bad kinds in rotation: of ten 3, 3, 2 and 2.

    Args:
        rollouts: Of each sort, at least 1.
        only: Names of the kinds that are wanted; empty for all.

    """
    bad = [kind for kind in BAD if not only or kind.name in only]
    healthy = [HEALTHY] * rollouts if not only or HEALTHY.name in only else []
    pairs = zip_longest(healthy, islice(cycle(bad), rollouts))
    return tuple(kind for pair in pairs for kind in pair if kind is not None)


_BLAME: Final = re.compile(r"worse than allowed in (?P<names>.+?) at (?:step|the step)\b")
_NAME: Final = re.compile(r"(?P<metric>[\w-]+)(?P<rest>.*)", re.DOTALL)


def culprits(message: str) -> tuple[Culprit, ...]:
    """
    Whom a rollback's message names; empty where it blames nobody.
    """
    found = _BLAME.search(message)
    return tuple(map(_culprit, re.split(r" and | or |, ", found["names"]))) if found else ()


def _culprit(name: str) -> Culprit:
    """
    `errors`, or a slice such as `tenant-errors{tenant="b"}`: what follows the metric's name ends with the slice's.
    """
    found = _NAME.match(name.strip())
    metric, rest = (found["metric"], found["rest"]) if found else (name, "")
    words = re.findall(r"\w+", rest)
    return Culprit(metric, words[-1] if words else None)
