"""Lanes of the soak of the evidence, on a stage of the test's own: no cluster, but real requests and real waiting."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from aiohttp import web
from demo.sight import Sight
from demo.stage import Stage, StageError
from soak_evidence import lane as lanes
from soak_evidence import play as plays
from soak_evidence.kinds import ERRORS, HEALTHY, LATENCY, TENANTS, Kind
from soak_evidence.lane import Lane, Setting, Watcher
from soak_evidence.load import TenantClient
from unit.demo.scripted import Looker, ScriptedStage, gateway_of

BODIES = [b'{"n":%d}' % number for number in range(20)]


@dataclass
class World(ScriptedStage):
    """A stage on which objects follow a script: a bad version is rolled back, others are promoted, slow ones wait."""

    model_image: str = "localhost/model:1"
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(3))

    def kubectl(self, *words: str, text: str | None = None) -> str:
        """Apply is all that is asked."""
        if "apply" in words:
            self.apply(yaml.safe_load(text or ""))
        return ""

    async def follow(self, item: dict[str, Any]) -> None:
        version = item["spec"]["model"]["version"]
        knobs = {
            one["name"]: one["value"] for one in item["spec"]["serving"]["template"]["spec"]["containers"][0]["env"]
        }
        stable = item["status"].get("stable")
        await asyncio.sleep(0.1)
        if stable is None or stable["version"] == version:
            self.say(item, "Stable", stable={"version": version})
            return
        self.say(item, "Progressing", candidate={"version": version}, traffic={"wanted": "50%"})
        await asyncio.sleep(0.5)
        if "DIGITS_SERVICE_FACTOR" in knobs:
            return
        if knobs["DIGITS_ERROR_RATE"] == "0.01":
            self.say(item, "Stable", stable={"version": version}, candidate=None, traffic=None)
            return
        message = f"version {version} (abc) is worse than allowed in errors at step 1/4 at 50%: counts"
        self.say(item, "RollingBack", message=message, traffic={"wanted": "0%"})
        await asyncio.sleep(0.3)
        history = [*item["status"].get("history", []), {"version": version, "message": message}]
        self.say(item, "Failed", message="stays rejected", history=history, candidate=None, traffic=None)

    async def answer(self, request: web.Request) -> web.Response:
        """The gateway: half to the candidate while there is one; a bad candidate fails half of its requests."""
        name = request.host.split(".")[0]
        self.requests.append((request.headers["x-tenant"], await request.read()))
        item = self.objects[name]
        status = item["status"]
        candidate = status.get("candidate") if status["phase"] == "Progressing" else None
        mine = candidate is not None and self.chance.random() < 0.5
        version = (candidate if mine else status["stable"])["version"]
        container = item["spec"]["serving"]["template"]["spec"]["containers"][0]
        bad = {"name": "DIGITS_ERROR_RATE", "value": "0.05"} in container["env"]
        failed = mine and bad and self.chance.random() < 0.5
        return web.Response(status=500 if failed else 200, headers={"x-model-version": version})


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """A world whose gateway listens on a free port."""
    found = World(asyncio.get_running_loop())
    async with gateway_of(found, {"/v2/models/digits/infer": found.answer}):
        yield found


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (
        ("LOOK_SECONDS", 0.05),
        ("ALONE_SECONDS", 0.2),
        ("QUIET_SECONDS", 0.15),
        ("DEPLOY_SECONDS", 3.0),
        ("GRACE_SECONDS", 2.0),
    ):
        monkeypatch.setattr(lanes, name, seconds)
    monkeypatch.setattr(plays, "BETWEEN_STARTS_SECONDS", 0.05)
    monkeypatch.setattr(plays, "Watcher", Looker)


async def played(
    here: World, kinds: list[Kind], parallel: int = 1, seconds: float = 60.0
) -> tuple[plays.Played, list[str]]:
    """Play the kinds on the world; with what was said."""
    said: list[str] = []
    end = asyncio.get_running_loop().time() + seconds  # the loop's clock is the monotonic one
    setting = Setting(rate=200.0, limit_seconds=1.2)
    return await plays.play(cast("Stage", here), kinds, setting, lanes=parallel, end=end, say=said.append), said


async def test_versions_of_a_lane_come_one_after_the_other() -> None:
    """A healthy one is promoted, a bad one rolled back, a slow one held and taken out again, and on it goes."""
    async with world() as here:
        run, said = await played(here, [HEALTHY, ERRORS, LATENCY, HEALTHY])
    assert run.broken == []
    assert [(r.kind, r.version, r.outcome) for r in run.rollouts] == [
        ("healthy", "2", "Promoted"),
        ("errors", "3", "RolledBack"),
        ("latency", "4", "Held"),
        ("healthy", "5", "Promoted"),
    ]
    assert here.versions == ["1", "2", "3", "4", "2", "5"], "2 again, to end what was held"
    assert run.good
    assert any("Progressing, step -, 50% wanted" in line for line in said)


async def test_the_client_counts_what_each_version_did() -> None:
    """Failures belong to the bad version, nothing is lost, and what came before its time is not counted."""
    async with world() as here:
        run, _ = await played(here, [ERRORS])
    (found,) = run.rollouts
    assert set(found.failures) == {"1", "2"}
    assert found.failures["1"]["failures"] == 0
    assert found.bad == found.failures["2"]["failures"] >= (found.bad_until_rollback or 0) >= 10
    assert (found.lost, found.named, found.share) == (0, ("errors",), 50.0)
    assert found.rate == pytest.approx(200, rel=0.15)


async def test_lanes_share_the_work() -> None:
    """Two objects, each with its own client; every kind is played once."""
    async with world() as here:
        run, _ = await played(here, [HEALTHY, ERRORS, HEALTHY, ERRORS], parallel=2)
    assert run.good
    assert Counter(r.kind for r in run.rollouts) == {"healthy": 2, "errors": 2}
    assert {r.name for r in run.rollouts} == {"evidence-0", "evidence-1"}


async def test_a_lane_that_breaks_costs_no_other() -> None:
    """The others take what was left, and the run is not complete."""
    async with world() as here:
        here.refuses = "evidence-0"
        run, said = await played(here, [HEALTHY, ERRORS], parallel=2)
    assert [r.kind for r in run.rollouts] == ["healthy", "errors"]
    assert run.broken == ["evidence-0: StageError: no such field: mirror"]
    assert "evidence-0 BROKE: StageError: no such field: mirror" in said
    assert not run.complete


async def test_no_rollout_begins_after_the_end() -> None:
    """What was not begun is missing."""
    async with world() as here:
        run, _ = await played(here, [HEALTHY] * 3, seconds=0.9)
    assert 1 <= len(run.rollouts) < 3
    assert not run.complete


async def test_the_client_draws_tenants_and_bodies_by_its_seed() -> None:
    """All of them come up, equal seeds draw equally, others otherwise."""
    drawn = []
    async with world() as here:
        here.objects["x"] = {"spec": {"serving": {"template": {"spec": {"containers": [{"env": []}]}}}}}
        here.objects["x"]["status"] = {"phase": "Stable", "stable": {"version": "1"}}
        for seed in (1, 1, 2):
            here.requests.clear()
            client = TenantClient(
                here.url + "/v2/models/digits/infer", "x.example.com", BODIES, TENANTS, rate=300, seed=seed
            )
            assert client.silent_seconds("1") is None
            await client.run(asyncio.Event(), 0.5)
            drawn.append(Counter(here.requests))
            assert client.tally().requests("1") == 150 == client.snapshot().answered
            assert 0 <= (client.silent_seconds("1") or 0) < 1
    assert drawn[0] == drawn[1] != drawn[2]
    assert {tenant for tenant, _ in drawn[0]} == set(TENANTS)
    assert len({body for _, body in drawn[0]}) == len(BODIES)


async def test_what_is_lost_is_counted_by_kind() -> None:
    """Nobody listens."""
    client = TenantClient("http://127.0.0.1:9/", "x", BODIES, TENANTS, rate=100, seed=1)
    await client.run(asyncio.Event(), 0.1)
    assert client.tally().lost_by_kind == {"refused": 10}


def test_a_client_without_tenants_is_refused() -> None:
    """It could send nothing."""
    with pytest.raises(ValueError, match="needs a tenant"):
        TenantClient("http://127.0.0.1/", "x", BODIES, (), rate=10, seed=1)


def stage_with(tmp_path: Path, script: str) -> Stage:
    """A stage whose kubectl is a script."""
    program = tmp_path / "kubectl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Stage(context=None, environment={"PATH": f"{tmp_path}:/bin:/usr/bin"}, gateway="a/b", url="", prometheus="")


async def test_one_look_is_at_all_objects(tmp_path: Path) -> None:
    """One list; and while the API server is away the last look stays."""
    listed = '{"items": [{"metadata": {"name": "one", "generation": 1}, "status": {"phase": "Stable"}}]}'
    (tmp_path / "list").write_text(listed)
    watcher = Watcher(stage_with(tmp_path, f'printf "%s " "$@" > {tmp_path}/asked; cat {tmp_path}/list'))
    await watcher.look()
    assert (watcher.sight("one").phase, watcher.sight("other")) == ("Stable", Sight())
    assert (tmp_path / "asked").read_text().split()[:5] == ["-n", "modelramp-demo", "get", "mmd", "-o"]
    (tmp_path / "list").unlink()
    await watcher.look()
    assert watcher.sight("one").phase == "Stable"


async def test_nobody_waits_for_looks_that_do_not_come(tmp_path: Path) -> None:
    """An answer that cannot be read ends the looking, and who asks is told."""
    watcher = Watcher(stage_with(tmp_path, "echo '{}'"))
    async with watcher.watching():
        await asyncio.sleep(0.2)
        with pytest.raises(KeyError, match="items"):
            watcher.sight("one")


async def test_a_version_that_never_serves_breaks_its_lane() -> None:
    """With what the status says."""
    stage: Any = SimpleNamespace(
        kubectl=lambda *_, **__: "", context=None, environment={}, gateway="a/b", model_image="m"
    )
    lane = Lane(stage, Watcher(stage), "x", Setting(), print)
    with pytest.raises(StageError, match="has no traffic"):
        _ = lane.client
    with pytest.raises(StageError, match="x: - after 0 s"):
        await lane.until_stable("1", 0.1)
