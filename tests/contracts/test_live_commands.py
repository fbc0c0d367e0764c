"""
The commands that ask a live Prometheus, on a real one.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from contracts.metric_worlds import (
    CANDIDATE,
    STABLE,
    Exporter,
    PrometheusProcess,
    PrometheusWorld,
    no_secret,
    prometheus_binary,
)

from modelramp.__main__ import main
from modelramp.adapters.prometheus import AddressPolicy
from modelramp.adapters.prometheus.apiclient import ApiClientSource
from modelramp.cli import live

pytestmark = pytest.mark.apiserver

MANIFEST: Final = """
apiVersion: modelramp.io/v1alpha1
kind: MLModelDeployment
metadata: {name: fraud}
spec:
  model: {version: "2"}
  serving: {runtime: mlserver, template: {spec: {containers: [{name: m, image: i}]}}}
  traffic: {gatewayAPI: {parentRefs: [{name: gw}]}}
  analysis:
    interval: 1s
    prometheus: {delay: 1s}
    metrics:
    - {name: errors, ratio: {bad: 'requests_total{code=~"5..",$arm}', total: 'requests_total{$arm}'}}
"""
ARMS: Final = ("--arm", f'stable={{pod="{STABLE}"}}', "--arm", f'candidate={{pod="{CANDIDATE}"}}')
Capture = pytest.CaptureFixture[str]


@dataclass
class Shop:
    """A Prometheus that has scraped a busy shop, and a manifest."""

    address: str
    folder: Path
    world: PrometheusWorld
    capsys: Capture

    async def run(self, *words: str, status: int | None = 0) -> tuple[str, str]:
        """What a command prints on both outputs, beside the pages that are scraped; status None: any."""
        ended = await asyncio.to_thread(main, [words[0], str(self.folder / "m.yaml"), *words[1:]])
        assert status in {None, ended}
        told = self.capsys.readouterr()
        return told.out, told.err


def rows_in(path: str) -> Any:  # noqa: ANN401 - JSON
    """What was saved."""
    return json.loads(Path(path).read_text())


@pytest.fixture
async def shop(tmp_path: Path, capsys: Capture) -> AsyncIterator[Shop]:
    """Six seconds of traffic: stable with 2 % errors, a candidate with 40 %."""
    async with AsyncExitStack() as stack:
        exporter = Exporter()
        await stack.enter_async_context(exporter.serving())
        store = PrometheusProcess(prometheus_binary(), tmp_path, exporter.jobs())
        stack.push_async_callback(store.stop)
        await store.start()
        address = f"http://{store.address}"
        world = PrometheusWorld(store, exporter, ApiClientSource(AddressPolicy(address), no_secret))
        for page in (STABLE, CANDIDATE):
            for code in ("200", "500"):
                world.add(page, "requests_total", 0, code=code)
        await world.settled()
        for _ in range(20):
            for page, good, bad in ((STABLE, 98, 2), (CANDIDATE, 6, 4)):
                world.add(page, "requests_total", good, code="200")
                world.add(page, "requests_total", bad, code="500")
            await asyncio.sleep(0.3)
        await world.settled()
        (tmp_path / "m.yaml").write_text(MANIFEST)
        await asyncio.sleep(1.2)  # the manifest's delay, and a scrape's way into storage
        yield Shop(address, tmp_path, world, capsys)


async def test_a_live_replay_and_one_of_what_it_saved_are_equal(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last digit, in one piece or in many; and the counts are those that were served."""
    saved = str(shop.folder / "s.json")
    where = ("--prometheus", shop.address, "--from", "-2m", "--save", saved)
    online, _ = await shop.run("replay", *ARMS, *where, "--json")
    offline, _ = await shop.run("replay", *ARMS, "--samples", saved, "--json")
    assert json.loads(online) == json.loads(offline)
    rows = json.loads(online)
    assert rows[-1]["verdict"] == "Fail"
    last = rows[-1]["metrics"][0]
    assert last["stable"]["x"] * 50 == last["stable"]["n"] > 500
    assert last["candidate"]["x"] * 5 == last["candidate"]["n"] * 2 > 20

    first, end = rows_in(saved), rows[-1]["t"]
    monkeypatch.setattr(live, "LONGEST_CHUNK", timedelta(seconds=1.5))
    pieces = ("--prometheus", shop.address, "--from", "-2m", "--to", str(end), "--save", saved, "--json")
    again = json.loads((await shop.run("replay", *ARMS, *pieces))[0])
    assert again == rows[: len(again)]
    assert len(again) >= len(rows) - 1
    whole = {json.dumps(one["metric"]): [pair for pair in one["values"] if pair[0] <= end] for one in first}
    assert whole == {json.dumps(one["metric"]): one["values"] for one in rows_in(saved)}


async def test_people_are_told_the_same(shop: Shop) -> None:
    """Without --json."""
    told, _ = await shop.run("replay", *ARMS, "--prometheus", shop.address, "--from", "-2m", "--to", "-0s")
    assert "AnalysisFailed: " in told


async def test_a_metric_prometheus_does_not_have_is_named(shop: Shop) -> None:
    """Status 2."""
    nobody = ("--arm", 'stable={pod="nobody"}', *ARMS[2:])
    _, told = await shop.run("replay", *nobody, "--prometheus", shop.address, "--from", "-2m", status=2)
    assert "errors: the samples hold no series" in told


async def test_a_plan_rests_on_what_was_measured(shop: Shop) -> None:
    """Stable's errors, and the requests of both arms; the rate is what was served over the time it took."""
    told, _ = await shop.run("plan", "--prometheus", shop.address, *ARMS, "--json", status=None)
    (plan,) = json.loads(told)
    (one,) = plan["measured"]
    assert (one["requests"], one["errors"]) == (2000, 40)
    assert one["stableErrors"] == 0.02
    assert 5 < one["seconds"] < 15
    assert one["rps"] == pytest.approx(2200 / one["seconds"])
    assert [step["percent"] for step in plan["steps"]] == ["5%", "25%", "50%", "100%"]
    people, _ = await shop.run("plan", "--prometheus", shop.address, *ARMS[:2], status=None)
    assert "of stable's 2,000, 40 were bad (0.02)" in people


async def test_a_plan_of_what_is_not_there_says_how_to_tell(shop: Shop) -> None:
    """The pods of the test are no revisions of ours."""
    _, told = await shop.run("plan", "--prometheus", shop.address, status=2)
    assert "--arm stable='{label=\"value\"}'" in told
