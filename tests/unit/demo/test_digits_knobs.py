"""The digit server's simulated troubles: what they do to a request, and that all are off by default."""

import importlib
import math
import random
import statistics
import sys
from pathlib import Path
from typing import Any, Protocol, cast

import pytest

sys.path.append(str(Path(__file__).resolve().parents[3] / "examples/digits"))

knobs: Any = importlib.import_module("digits_server.knobs")


class Trouble(Protocol):
    """What a server does to its requests."""

    def fails(self, tenant: str | None, now: float) -> bool: ...
    def service_seconds(self) -> float: ...
    def counted_as(self, tenant: str | None) -> str: ...


def trouble(**environment: str) -> Trouble:
    """What a server with this environment does to its requests, drawn from a fixed seed."""
    read = knobs.Knobs.from_environment({f"DIGITS_{name.upper()}": text for name, text in environment.items()})
    return cast("Trouble", knobs.Trouble(read, random.Random(7)))


def failed_share(found: Trouble, tenant: str | None, rate: float, requests: int = 4000) -> float:
    """Share of the requests that fail when they come at so many a second."""
    return statistics.mean(found.fails(tenant, number / rate) for number in range(requests))


def test_nothing_is_wrong_by_default() -> None:
    """No failure, no waiting, no tenant told apart."""
    found = trouble()
    assert failed_share(found, "a", 1000) == 0
    assert {found.service_seconds() for _ in range(10)} == {0.0}
    assert found.counted_as("a") == "other"


def test_an_empty_variable_is_as_good_as_none() -> None:
    """A template may set it to nothing."""
    assert knobs.Knobs.from_environment({knobs.ERROR_RATE: "", knobs.TENANTS: ""}) == knobs.Knobs()


def test_the_error_rate_holds_for_requests_of_tenants_only() -> None:
    """The warm-up names none, and must pass."""
    found = trouble(error_rate="0.05")
    assert failed_share(found, "a", 50) == pytest.approx(0.05, abs=0.015)
    assert failed_share(found, None, 50) == 0


def test_a_tenant_of_its_own_rate_does_not_touch_the_others() -> None:
    """10 % for one, 1 % for the others."""
    found = trouble(error_rate="0.01", tenant_error_rates="b=0.1, c=0")
    assert [failed_share(found, tenant, 50) for tenant in "abc"] == [
        pytest.approx(0.01, abs=0.006),
        pytest.approx(0.1, abs=0.02),
        0,
    ]


def test_it_breaks_above_a_request_rate_and_recovers_below() -> None:
    """At 2.5 a second it fails 1 %, at 12.5 a second 5 %, and requests without a tenant do not count."""
    found = trouble(error_rate="0", overload_above="6", overload_error_rate="1")
    assert failed_share(found, "a", 2.5, 100) == 0
    found = trouble(error_rate="0", overload_above="6", overload_error_rate="1")
    outcomes = [found.fails("a", number / 12.5) for number in range(100)]
    assert outcomes.index(True) == 30, "the 31st request within five seconds is more than 6 a second"
    assert all(outcomes[30:])
    assert found.fails("a", 100 / 12.5 + 5) is False
    assert [found.fails(None, 50 + number / 1000) for number in range(1000)].count(True) == 0
    assert found.fails("a", 51.5) is False


def test_the_service_time_is_lognormal_and_the_factor_stretches_it() -> None:
    """Median and spread as asked; 30 % longer is 30 % longer at every quantile."""
    plain, slow = (
        sorted(found.service_seconds() for _ in range(5000))
        for found in (
            trouble(service_median="0.065", service_sigma="0.2"),
            trouble(service_median="0.065", service_sigma="0.2", service_factor="1.3"),
        )
    )
    assert statistics.median(plain) == pytest.approx(0.065, rel=0.02)
    assert statistics.stdev(map(math.log, plain)) == pytest.approx(0.2, rel=0.05)
    assert [b / a for a, b in zip(plain[::500], slow[::500], strict=True)] == pytest.approx([1.3] * 10)


def test_only_named_tenants_breed_series() -> None:
    """A client may send whatever it likes in the header."""
    found = trouble(tenants="a,b")
    assert [found.counted_as(tenant) for tenant in ("a", "b", "z", None)] == ["a", "b", "other", "other"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DIGITS_ERROR_RATE", "1.5"),
        ("DIGITS_OVERLOAD_ERROR_RATE", "-0.1"),
        ("DIGITS_TENANT_ERROR_RATES", "b=2"),
        ("DIGITS_SERVICE_MEDIAN", "-1"),
        ("DIGITS_SERVICE_FACTOR", "nan"),
        ("DIGITS_OVERLOAD_ABOVE", "0"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(name: str, text: str) -> None:
    """The pod does not start with a knob that means nothing."""
    with pytest.raises(ValueError, match=name):
        knobs.Knobs.from_environment({name: text})


def test_what_is_no_number_is_refused() -> None:
    """As Python says it."""
    with pytest.raises(ValueError, match="one percent"):
        knobs.Knobs.from_environment({"DIGITS_ERROR_RATE": "one percent"})
