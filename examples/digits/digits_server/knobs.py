"""Simulated troubles of a version, set by environment variables: what a rollout is to find out.

All off by default: then a version fails on exactly those inputs that its model cannot take, and takes as long as it
takes. Only requests that name a tenant fail by a knob, so the operator's warm-up, which names none, always
passes. Must not import MLServer: the rules are tested without it.
"""

from __future__ import annotations

import math
import random  # noqa: TID251  # simulated chance; nothing here decides about a rollout
from collections import deque
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ERROR_RATE: Final = "DIGITS_ERROR_RATE"
TENANT_ERROR_RATES: Final = "DIGITS_TENANT_ERROR_RATES"
OVERLOAD_ABOVE: Final = "DIGITS_OVERLOAD_ABOVE"
OVERLOAD_ERROR_RATE: Final = "DIGITS_OVERLOAD_ERROR_RATE"
SERVICE_MEDIAN: Final = "DIGITS_SERVICE_MEDIAN"
SERVICE_SIGMA: Final = "DIGITS_SERVICE_SIGMA"
SERVICE_FACTOR: Final = "DIGITS_SERVICE_FACTOR"
TENANTS: Final = "DIGITS_TENANTS"

OTHER_TENANT: Final = "other"
WINDOW_SECONDS: Final = 5.0
"""A request rate is the mean over so long: at 2.5 a second chance alone doubles it once in 800 such windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """
    What is wrong with this version.

    Raises ValueError when a number is out of range.
    """

    error_rate: float = 0.0
    """Share of the requests with a tenant that fail, 0 to 1."""
    tenant_error_rates: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """The same for single tenants, instead of `error_rate`."""
    overload_above: float = math.inf
    """Requests a second above which `overload_error_rate` holds for every tenant."""
    overload_error_rate: float = 0.0
    service_median: float = 0.0
    """Median of the simulated service time in seconds, before the factor; 0 for none."""
    service_sigma: float = 0.0
    """Standard deviation of the service time's natural logarithm."""
    service_factor: float = 1.0
    """1.3 makes every service time 30 % longer."""
    tenants: tuple[str, ...] = ()
    """The tenants that are counted by name; all others count as `other`, so that no client can breed series."""

    def __post_init__(self) -> None:
        """Refuse what is no share, no time and no rate."""
        shares = {ERROR_RATE: self.error_rate, OVERLOAD_ERROR_RATE: self.overload_error_rate}
        shares |= {f"{TENANT_ERROR_RATES} of {name}": rate for name, rate in self.tenant_error_rates.items()}
        for name, share in shares.items():
            if not 0.0 <= share <= 1.0:
                msg = f"{name} must be from 0 to 1, not {share:g}"
                raise ValueError(msg)
        sizes = {SERVICE_MEDIAN: self.service_median, SERVICE_SIGMA: self.service_sigma}
        sizes |= {SERVICE_FACTOR: self.service_factor}
        for name, size in sizes.items():
            if not 0.0 <= size < math.inf:
                msg = f"{name} must be finite and at least 0, not {size:g}"
                raise ValueError(msg)
        if not self.overload_above > 0.0:
            msg = f"{OVERLOAD_ABOVE} must be above 0, not {self.overload_above:g}"
            raise ValueError(msg)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Knobs:
        """Read the knobs that are set; ValueError for one that is no number or out of range."""

        def number(name: str, default: float) -> float:
            return float(environment.get(name) or default)

        rates = (pair.split("=", 1) for pair in _words(environment.get(TENANT_ERROR_RATES, "")))
        return cls(
            error_rate=number(ERROR_RATE, 0.0),
            tenant_error_rates=MappingProxyType({name: float(rate) for name, rate in rates}),
            overload_above=number(OVERLOAD_ABOVE, math.inf),
            overload_error_rate=number(OVERLOAD_ERROR_RATE, 0.0),
            service_median=number(SERVICE_MEDIAN, 0.0),
            service_sigma=number(SERVICE_SIGMA, 0.0),
            service_factor=number(SERVICE_FACTOR, 1.0),
            tenants=_words(environment.get(TENANTS, "")),
        )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


class RequestRate:
    """Requests a second over the last few seconds."""

    def __init__(self, window_seconds: float = WINDOW_SECONDS) -> None:
        """Begin with no request seen."""
        self._window = window_seconds
        self._arrivals: deque[float] = deque()

    def arrived(self, now: float) -> float:
        """Count a request and return the rate with it; `now` in seconds, never falling."""
        self._arrivals.append(now)
        while self._arrivals[0] <= now - self._window:
            self._arrivals.popleft()
        return len(self._arrivals) / self._window


class Trouble:
    """Draws for each request how long it takes and whether it fails."""

    def __init__(self, knobs: Knobs, chance: random.Random | None = None) -> None:
        """Draw from `chance`; without it from the machine's own randomness."""
        self.knobs = knobs
        self._chance = chance or random.Random()  # noqa: S311  # not for secrets
        self._rate = RequestRate()

    def service_seconds(self) -> float:
        """The simulated service time of one request; 0 when there is none."""
        knobs = self.knobs
        if knobs.service_median <= 0.0:
            return 0.0
        return knobs.service_median * knobs.service_factor * math.exp(self._chance.gauss(0.0, knobs.service_sigma))

    def fails(self, tenant: str | None, now: float) -> bool:
        """Whether the request of a tenant is to fail; asked once for each request, in order of `now` (seconds)."""
        if tenant is None:
            return False
        if self._rate.arrived(now) > self.knobs.overload_above:
            rate = self.knobs.overload_error_rate
        else:
            rate = self.knobs.tenant_error_rates.get(tenant, self.knobs.error_rate)
        return self._chance.random() < rate

    def counted_as(self, tenant: str | None) -> str:
        """The value of the label `tenant` under which a request is counted."""
        return tenant if tenant is not None and tenant in self.knobs.tenants else OTHER_TENANT
