"""
`modelramp plan` on a live Prometheus: what is counted, and what is refused.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.metrics import FakeMetrics
from unit.cli.test_commands import VALID, file_of
from unit.cli.test_live import NOW, StoppedClock

from modelramp.__main__ import main
from modelramp.api.spec import Prometheus
from modelramp.cli import live as module
from modelramp.cli.live import Live
from modelramp.cli.matchers import Selector

Capture = pytest.CaptureFixture[str]
REVISION = "0123456789"
OWN = """
  analysis:
    metrics:
    - {name: errors, ratio: {bad: 'requests_total{code=~"5..",$arm}', total: 'requests_total{$arm}'}}
    - {name: nulls, ratio: {bad: 'nulls_total{$arm}', total: 'answers_total{$arm}'}}
"""


class Shop:
    """A store, and the command on it."""

    def __init__(self, folder: Path, capsys: Capture) -> None:
        self.store, self.folder, self.capsys = FakeMetrics(), folder, capsys

    def scrape(self, minutes: int = 90) -> None:
        """Pages as they are now, each minute until NOW; `grow` is called before each."""
        for minute in range(minutes, -1, -1):
            self.grow()
            self.store.scrape(NOW - timedelta(minutes=minute))

    def grow(self) -> None:
        """What a minute brings: 6,000 requests of our revisions through Envoy, 12 bad, and other people's."""
        for cluster, good, bad in (
            (f"shop_fraud-{REVISION}_80", 5988, 12),
            ("shop_other-0123456789_80", 9000, 900),
            (f"bank_fraud-{REVISION}_80", 9000, 900),
            (f"shop_fraud-new-{REVISION}_80", 9000, 900),
        ):
            page = self.store.page(pod="envoy")
            for family, amount in (("2", good), ("5", bad)):
                page.add(
                    "envoy_cluster_upstream_rq_xx", amount, envoy_cluster_name=cluster, envoy_response_code_class=family
                )

    def plan(
        self, *options: str, manifest: str = VALID.replace("{name: fraud}", "{name: fraud, namespace: shop}")
    ) -> int:
        return main(["plan", file_of(self.folder, manifest), "--prometheus", "http://x", *options])

    def planned(self, *options: str, **more: str) -> Any:  # noqa: ANN401 - JSON
        self.plan(*options, "--json", **more)
        (one,) = json.loads(self.capsys.readouterr().out)
        return one


@pytest.fixture
def shop(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """With the store in place of a real one."""
    made = Shop(tmp_path, capsys)
    monkeypatch.setattr(module, "live", lambda *_: Live(made.store, Prometheus(), StoppedClock()))
    return made


def test_without_an_arm_all_revisions_of_the_deployment_count(shop: Shop) -> None:
    """And nothing of its neighbours; the plan is that of the same numbers given by hand."""
    shop.scrape()
    plan = shop.planned()
    (one,) = plan["measured"]
    assert one["name"] == plan["metric"] == "errors"
    assert one["rps"] == pytest.approx(100)
    assert (one["stableErrors"], one["errors"] / one["requests"]) == (pytest.approx(0.002), one["stableErrors"])
    assert one["seconds"] == 3600
    by_hand = ["--rps", str(one["rps"]), "--stable-errors", str(one["stableErrors"]), "--json"]
    main(["plan", file_of(shop.folder, VALID, "h.yaml"), *by_hand])
    assert json.loads(shop.capsys.readouterr().out)[0]["steps"] == plan["steps"]


def test_people_are_told_what_was_measured(shop: Shop) -> None:
    """Before the plan that rests on it."""
    shop.scrape()
    assert shop.plan() == 0
    first, second, *_ = shop.capsys.readouterr().out.splitlines()
    assert first == ("fraud: errors: 100 a second over the last 60 min; of stable's 360,000, 720 were bad (0.002)")
    assert second.startswith("fraud: a candidate as good as stable, at 100 requests a second")


def test_arms_may_be_told_and_the_slowest_metric_is_planned_for(shop: Shop) -> None:
    """The errors are stable's, the requests are those of both."""
    for version, good, bad in (("1", 90, 10), ("2", 80, 20)):
        page = shop.store.page(version=version)
        for name, amount in (("requests_total", good), ("nulls_total", 0), ("answers_total", 1)):
            page.add(name, amount, code="200")
        page.add("requests_total", bad, code="500")

    def grow() -> None:
        for version, good, bad in (("1", 5400, 600), ("2", 480, 120)):
            page = shop.store.page(version=version)
            page.add("requests_total", good, code="200")
            page.add("requests_total", bad, code="500")
            page.add("answers_total", 6, code="200")

    shop.grow = grow  # type: ignore[method-assign]
    shop.scrape()
    manifest = VALID.rstrip("\n") + OWN
    arms = ("--arm", 'stable={version="1"}', "--arm", 'candidate={version="2"}')
    plan = shop.planned(*arms, manifest=manifest)
    errors, nulls = plan["measured"]
    assert (errors["stableErrors"], nulls["stableErrors"]) == (pytest.approx(0.1), 0.0)
    assert errors["rps"] == pytest.approx(110)
    assert nulls["rps"] == pytest.approx(0.2)
    assert plan["metric"] == "nulls"
    alone = shop.planned(*arms[:2], manifest=manifest)
    assert alone["measured"][0]["rps"] == pytest.approx(100)


def test_less_than_an_hour_is_measured_over_what_there_is(shop: Shop) -> None:
    """A rate is per second of samples, not per second of an hour."""
    shop.scrape(10)
    (one,) = shop.planned()["measured"]
    assert one["seconds"] == 540
    assert one["rps"] == pytest.approx(100)


def test_no_traffic_is_no_plan(shop: Shop) -> None:
    """Status 1, and the reason."""
    shop.scrape(80)
    shop.grow = lambda: None  # type: ignore[method-assign]
    shop.store._stored = {key: [(at, 5.0) for at, _ in samples] for key, samples in shop.store._stored.items()}
    assert shop.plan() == 1
    assert "no traffic" in shop.capsys.readouterr().out


def test_a_stable_that_fails_always_can_be_planned_for(shop: Shop) -> None:
    """A rate of 1, which no option can give; whatever the plan says, it says it."""

    def grow() -> None:
        labels = {"envoy_cluster_name": f"shop_fraud-{REVISION}_80", "envoy_response_code_class": "5"}
        shop.store.page(pod="envoy").add("envoy_cluster_upstream_rq_xx", 600, **labels)

    shop.grow = grow  # type: ignore[method-assign]
    shop.scrape()
    assert shop.plan() in {0, 1}
    assert "were bad (1)" in shop.capsys.readouterr().out


@pytest.mark.parametrize(
    ("minutes", "options", "said"),
    [
        (90, ("--stable-errors", "1%"), "--stable-errors goes with --rps"),
        (90, ("--arm", 'candidate={version="2"}'), "--arm stable=SELECTOR is missing"),
        (90, ("--arm", "stable=x"), "not label matchers"),
        (90, ("--arm", 'stable={version="1"}'), "errors: Prometheus has no samples of the last hour"),
        (0, (), "only one scrape"),
    ],
)
def test_what_cannot_be_measured_is_said(minutes: int, options: tuple[str, ...], said: str, shop: Shop) -> None:
    """Status 2."""
    shop.scrape(minutes)
    shop.store._stored = {key: [(at - 60, v) for at, v in kept] for key, kept in shop.store._stored.items()}
    assert shop.plan(*options) == 2
    assert said in shop.capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "one of the arguments --rps --prometheus is required"),
        (("--rps", "5", "--prometheus", "http://x"), "not allowed with argument --rps"),
    ],
)
def test_exactly_one_way_must_be_given(options: tuple[str, ...], said: str, tmp_path: Path, capsys: Capture) -> None:
    """Rates by hand, or a Prometheus."""
    with pytest.raises(SystemExit, match="2"):
        main(["plan", file_of(tmp_path, VALID), *options])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--arm", "stable={}"), ("--token-file", "t")])
def test_options_of_a_live_store_need_one(option: tuple[str, str], tmp_path: Path, capsys: Capture) -> None:
    """Named with what is missing."""
    assert main(["plan", file_of(tmp_path, VALID), "--rps", "5", *option]) == 2
    assert f"{option[0]} needs --prometheus URL" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('m{a="${service}.b"}', '{__name__="m",a=~"fraud-[0-9a-f]{10}\\\\.b"}'),
        ('m{a!="${revision}"}', '{__name__="m",a!~"[0-9a-f]{10}"}'),
        ('m{a=~"${service}.*",b="x.y"}', '{__name__="m",a=~"fraud-[0-9a-f]{10}.*",b="x.y"}'),
        ('{n="${namespace}"}', '{n=~"shop"}'),
        ("m{$arm}", '{__name__="m",namespace="shop",pod=~"fraud-[0-9a-f]{10}-[a-z0-9]+-[a-z0-9]+"}'),
    ],
)
def test_any_revision_is_a_regular_expression(text: str, expected: str) -> None:
    """In which the selector's own text stands for itself."""
    assert str(Selector.of_any_revision(text, "shop", "fraud")) == expected
