"""Lanes of `make soak` on a stage of the test's own: no cluster, but real requests and a fast operator."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import yaml
from aiohttp import web
from demo.stage import Stage
from soak import lane as lanes
from soak import load as loads
from soak import play as plays
from soak import ways
from soak.lanes import LANES, TURN, Kind, Move, Outcome, Part, Router, Strategy
from soak.manifest import COHORT_HEADER
from unit.demo.scripted import Looker, ScriptedStage, gateway_of

CANARY = LANES[0]
STEP_SECONDS = 0.4


@dataclass
class World(ScriptedStage):
    """A stage on which objects follow a script: what an operator would do with such versions, much faster."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    cohort: set[str] = field(default_factory=set)
    """The versions that answered requests of the cohort."""
    refuses_verb: str = ""
    answers: int = 0
    stays: str = ""
    """A version that is on trial for good."""
    loses_in_trial: bool = False
    """The gateway answers itself while a version is on trial."""

    def kubectl(self, *words: str, text: str | None = None) -> str:
        """Who one is, apply, and annotate are all that is asked."""
        if "whoami" in words:
            return "ada"
        if "annotate" in words:
            request = json.loads(words[-1].removeprefix("modelramp.io/action="))
            self.requests.append(request)
            asyncio.run_coroutine_threadsafe(self.answer_request(self.objects[words[-2]], request), self.loop)
            return ""
        self.apply(yaml.safe_load(text or ""))
        return ""

    def get(self, *words: str) -> dict[str, Any]:
        """A Service's address is that of the gateway here."""
        assert words[2] == "service"
        host, _, port = self.url.removeprefix("http://").partition(":")
        return {"spec": {"clusterIP": host, "ports": [{"port": int(port)}]}}

    async def follow(self, item: dict[str, Any]) -> None:
        """What becomes of the version that was asked for."""
        version = item["spec"]["model"]["version"]
        stable = item["status"].get("stable")
        await asyncio.sleep(0.1)
        if stable is None or stable["version"] == version:
            self.say(item, "Stable", stable={"version": version}, candidate=None)
            return
        if version.endswith("-unready"):
            self.say(item, "Preparing", candidate={"version": version, "revision": f"r{version}"})
            await asyncio.sleep(STEP_SECONDS)
            self.reject(item, version)
            return
        self.say(item, "Progressing", candidate={"version": version, "revision": f"r{version}"})
        await asyncio.sleep(STEP_SECONDS)
        if self.objects[item["metadata"]["name"]] is not item or item["status"]["phase"] != "Progressing":
            return  # superseded, or aborted
        if version.endswith("-fails30"):
            self.reject(item, version)
        elif version != self.stays:
            kept = [{"version": stable["version"], "revision": f"r{stable['version']}"}]
            self.say(item, "Stable", stable={"version": version}, candidate=None, kept=kept)

    async def answer_request(self, item: dict[str, Any], request: dict[str, Any]) -> None:
        """Abort, retry and undo are carried out."""
        await asyncio.sleep(0.1)
        version = item["spec"]["model"]["version"]
        refused = request["verb"] == self.refuses_verb
        action = {"id": request["id"], "outcome": "Refused" if refused else "Done", "message": "so it was"}
        item["status"] = {**item["status"], "action": action}
        if not refused and request["verb"] == "abort":
            self.reject(item, version)
        if not refused and request["verb"] == "retry":
            await self.follow(item)
        if not refused and request["verb"] == "undo":
            self.say(item, "Promoting", candidate={"version": request["revision"][1:], "revision": request["revision"]})
            await asyncio.sleep(STEP_SECONDS)
            self.say(item, "Failed", stable={"version": request["revision"][1:]}, candidate=None)

    def reject(self, item: dict[str, Any], version: str) -> None:
        """It has no share any more, and stays rejected."""
        rejected = [{"version": version, "revision": f"r{version}"}]
        history = [{"version": version, "message": f"version {version} is worse"}]
        self.say(item, "Failed", candidate=None, rejected=rejected, history=history)

    async def infer(self, request: web.Request) -> web.Response:
        """The gateway: every other request to a version on trial, those of the cohort all."""
        await request.read()
        status = self.objects[request.host.split(".")[0]]["status"]
        candidate = status.get("candidate") if status["phase"] == "Progressing" else None
        if candidate is not None and self.loses_in_trial:
            return web.Response(status=503)
        member = COHORT_HEADER.items() <= request.headers.items()
        self.answers += 1
        mine = candidate is not None and (member or self.answers % 2 == 0)
        version = (candidate if mine else status["stable"])["version"]
        if member:
            self.cohort.add(version)
        failed = version.endswith("-fails30")
        headers = {"x-model-version": version, **({"x-failed-by": version} if failed else {})}
        return web.Response(status=500 if failed else 200, headers=headers)

    async def stream(self, _: web.Request) -> web.Response:
        """A short one."""
        await asyncio.sleep(0.1)
        return web.Response(text="0\nend\n", headers={"x-model-version": "1"})


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """A world whose gateway listens on a free port."""
    found = World(asyncio.get_running_loop())
    async with gateway_of(found, {"/v2/models/digits/infer": found.infer, "/stream": found.stream}):
        yield found


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, seconds in (
        (lanes, "LOOK_SECONDS", 0.02),
        (lanes, "DEPLOY_SECONDS", 2.0),
        (lanes, "ANSWER_SECONDS", 1.0),
        (lanes, "ON_TRIAL_SECONDS", 0.1),
        (lanes, "BETWEEN_SECONDS", 0.1),
        (lanes, "LINE_SECONDS", 0.1),
        (plays, "BETWEEN_STARTS_SECONDS", 0.05),
        (plays, "KNOWN_SECONDS", 0.05),
        (ways, "STREAM_SECONDS", 1),
        (loads, "STREAM_SECONDS", 1),
    ):
        monkeypatch.setattr(module, name, seconds)
    monkeypatch.setattr("soak_evidence.lane.LOOK_SECONDS", 0.05)
    monkeypatch.setattr(plays, "Watcher", Looker)


async def played(here: World, *parts: Part, seconds: float = 60.0) -> tuple[plays.Played, list[str]]:
    """Play the parts on the world; with what was said."""
    said: list[str] = []
    end = asyncio.get_running_loop().time() + seconds  # the loop's clock is the monotonic one
    run = await plays.play(cast("Stage", here), parts, rate=100.0, end=end, say=said.append, limit_seconds=1.5)
    return run, said


async def test_every_move_is_played_to_its_end() -> None:
    """And nothing is lost, whoever failed."""
    moves = (*TURN[:8], TURN[9])
    async with world() as here:
        run, _ = await played(here, Part(CANARY, moves))
    assert run.broken == []
    assert [(r.move, r.version, r.outcome) for r in run.rollouts] == [
        (Move.GOOD, "2", Outcome.PROMOTED),
        (Move.BAD, "3-fails30", Outcome.ROLLED_BACK),
        (Move.ABORTED, "4", Outcome.ROLLED_BACK),
        (Move.RETRIED, "4", Outcome.PROMOTED),
        (Move.UNDONE, "4", Outcome.UNDONE),
        (Move.SUPERSEDED, "5", Outcome.SUPERSEDED),
        (Move.GOOD, "6", Outcome.PROMOTED),
        (Move.REVERTED, "7", Outcome.REVERTED),
        (Move.UNREADY, "8-unready", Outcome.ROLLED_BACK),
    ]
    assert here.versions == ["1", "2", "3-fails30", "4", "5", "6", "7", "6", "8-unready"]
    assert [(r["verb"], r["revision"], r["by"]) for r in here.requests] == [
        ("abort", "r4", "ada"),
        ("retry", "r4", "ada"),
        ("undo", "r2", "ada"),
    ]
    assert run.good
    bad = run.rollouts[1]
    assert bad.tally.failed == bad.tally.answered_by("3-fails30") > 5
    assert bad.message == "version 3-fails30 is worse"
    assert run.total.sent["http stream"] >= 2


async def test_a_loss_is_counted_where_it_happened() -> None:
    """Each request that the gateway answered itself; the rollout went as planned, the run did not."""
    async with world() as here:
        here.loses_in_trial = True
        run, _ = await played(here, Part(CANARY, (Move.GOOD,)))
    (found,) = run.rollouts
    assert found.as_planned
    assert found.tally.losses().keys() == {"http: -/503"}
    assert run.total.lost == found.tally.lost > 10
    assert not run.good


async def test_a_stuck_rollout_is_taken_back_and_the_next_one_played() -> None:
    """With a line now and then on where it is."""
    async with world() as here:
        here.stays = "2"
        run, said = await played(here, Part(CANARY, (Move.GOOD, Move.BAD)))
    assert [(r.outcome, r.as_planned) for r in run.rollouts] == [(Outcome.STUCK, False), (Outcome.ROLLED_BACK, True)]
    assert "waited 2 s for the end of 2: Progressing" in run.rollouts[0].message
    assert here.versions == ["1", "2", "1", "3-fails30"]
    assert any("waits for the end of 2: Progressing" in line for line in said)
    assert any("NOT AS PLANNED" in line for line in said)
    assert not run.good


async def test_a_refused_request_is_not_as_planned() -> None:
    """With what the operator answered."""
    async with world() as here:
        here.refuses_verb = "abort"
        run, _ = await played(here, Part(CANARY, (Move.ABORTED,)))
    (found,) = run.rollouts
    assert (found.outcome, found.message) == (Outcome.STUCK, "abort of 2: Refused: so it was")


async def test_a_lane_that_breaks_costs_no_other() -> None:
    """The other plays on, and the run is not good."""
    other = Kind(Strategy.BLUE_GREEN, Router.HTTP_ROUTE)
    async with world() as here:
        here.refuses = CANARY.name
        run, said = await played(here, Part(CANARY, (Move.GOOD,)), Part(other, (Move.GOOD,)))
    assert [(r.kind, r.outcome) for r in run.rollouts] == [(other, Outcome.PROMOTED)]
    assert run.broken == [f"{CANARY.name}: StageError: no such field: mirror"]
    assert f"{CANARY.name} BROKE: StageError: no such field: mirror" in said
    assert not run.good


async def test_no_move_begins_after_the_end() -> None:
    """What was not begun is missing."""
    async with world() as here:
        run, _ = await played(here, Part(CANARY, (Move.GOOD,) * 4), seconds=1.0)
    assert 1 <= len(run.rollouts) < 4
    assert not run.good


async def test_a_service_is_asked_by_its_own_address() -> None:
    """Over connections of which one in ten is the last."""
    kind = Kind(Strategy.CANARY, Router.SERVICE)
    async with world() as here, lanes.way_to(cast("Stage", here), kind, "http://nowhere:1") as way:
        assert isinstance(way, ways.OverHttp)
        assert way.url == here.url
    assert lanes.rhythm_of(kind, 5.0).closing_every == 10
    assert lanes.rhythm_of(CANARY, 5.0).closing_every == 0


async def test_a_grpc_route_is_asked_over_grpc() -> None:
    """By the gateway's address and the object's name."""
    kind = Kind(Strategy.CANARY, Router.GRPC_ROUTE)
    async with world() as here, lanes.way_to(cast("Stage", here), kind, "http://127.0.0.1:9") as way:
        assert isinstance(way, ways.OverGrpc)
        assert (await way.one({})).outcome == "-/UNAVAILABLE"


async def test_the_cohort_reaches_the_version_on_trial() -> None:
    """And stable while there is none."""
    kind = Kind(Strategy.COHORT, Router.HTTP_ROUTE)
    async with world() as here:
        run, _ = await played(here, Part(kind, (Move.GOOD,)))
    assert run.good
    assert here.cohort == {"1", "2"}
    assert run.rollouts[0].tally.answered_by("2", "http cohort") > 1
