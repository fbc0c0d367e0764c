"""What `make soak` rolls out where: the lanes, their moves, and the objects the operator is asked for."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import yaml
from soak import __main__ as command
from soak.lanes import (
    LANES,
    PLANNED,
    SAMPLE,
    SUFFIXES,
    Kind,
    Move,
    Outcome,
    Part,
    Router,
    Strategy,
    plan,
    rollouts_of,
)
from soak.load import CLOSING, Rhythm
from soak.manifest import ANALYSIS, GRPC_PORT, HTTP_PORT, hostname, manifest

from modelramp.api.document import parse_spec

KINDS = [pytest.param(kind, id=kind.name) for kind in LANES]


def spec_of(kind: Kind, version: str = "2") -> dict[str, Any]:
    """The spec that is applied."""
    document = yaml.safe_load(manifest(kind, version, namespace="here", gateway="there/gw"))
    spec: dict[str, Any] = document["spec"]
    return spec


@pytest.mark.parametrize("rollouts", [1, 6, 9, 10, 100, 131])
def test_all_rollouts_are_spread_evenly(rollouts: int) -> None:
    """No lane has two more than another, and none is there for nothing."""
    numbers = [len(part.moves) for part in plan(rollouts)]
    assert sum(numbers) == rollouts == rollouts_of(plan(rollouts))
    assert max(numbers) - min(numbers) <= 1
    assert min(numbers) >= 1


@pytest.mark.parametrize("rollouts", range(1, 130))
def test_every_move_follows_what_it_needs(rollouts: int) -> None:
    """Only an aborted version is begun again, and a superseded one has a next one that supersedes it."""
    for part in plan(rollouts):
        assert part.moves[0] is not Move.RETRIED
        assert part.moves[-1] is not Move.SUPERSEDED
        for move, after in pairwise(part.moves):
            assert (after is Move.RETRIED) <= (move is Move.ABORTED)
            assert (move is Move.SUPERSEDED) <= (after is not Move.REVERTED)


def test_a_hundred_rollouts_hold_everything() -> None:
    """Every strategy, every router, every move on every lane; a third or so of the versions is rolled back."""
    parts = plan(100)
    assert {part.kind.strategy for part in parts} == set(Strategy)
    assert {part.kind.router for part in parts} == set(Router)
    for part in parts:
        assert set(part.moves) >= set(Move) - {Move.UNREADY}
    moves = Counter(move for part in parts for move in part.moves)
    assert set(moves) == set(Move)
    assert 20 <= sum(n for move, n in moves.items() if PLANNED[move] is Outcome.ROLLED_BACK) <= 50


def test_the_sample_is_six_of_them() -> None:
    """Each router, the three families of strategies, good and bad."""
    assert rollouts_of(SAMPLE) == 6
    assert {part.kind.router for part in SAMPLE} == set(Router)
    families = {next(iter(spec_of(part.kind)["strategy"])) for part in SAMPLE}
    assert families == {"canary", "blueGreen"}
    assert any("shadow" in spec_of(part.kind)["strategy"].get("canary", {}) for part in SAMPLE)
    assert {move for part in SAMPLE for move in part.moves} == {Move.GOOD, Move.BAD}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", ["1", *(f"12{suffix}" for suffix in SUFFIXES.values())])
def test_every_object_is_one_the_operator_takes(kind: Kind, version: str) -> None:
    """By the operator's own model of it."""
    text = manifest(kind, version, namespace="here", gateway="there/gw")
    found = parse_spec(yaml.safe_load(text))
    assert found.model.version == version


def test_objects_have_names_of_their_own() -> None:
    """Short enough for the operator, whose revisions are named after them."""
    names = [kind.name for kind in LANES]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 48


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_has_its_lanes_router(kind: Kind) -> None:
    """GRPC is asked on the server's gRPC port, and only HTTP can be warmed up."""
    spec = spec_of(kind)
    over_grpc = kind.router is Router.GRPC_ROUTE
    assert spec["serving"]["port"] == (GRPC_PORT if over_grpc else HTTP_PORT)
    assert ("warmUp" in spec["serving"]) is not over_grpc
    assert set(spec["traffic"]) == {"service" if kind.router is Router.SERVICE else "gatewayAPI"}
    if kind.router is not Router.SERVICE:
        assert spec["traffic"]["gatewayAPI"]["hostnames"] == [hostname(kind)]
        assert spec["traffic"]["gatewayAPI"].get("kind", "HTTPRoute") == kind.router


def test_a_service_is_asked_for_no_share_it_cannot_give() -> None:
    """With one pod in each arm: half, or everything; and nothing is mirrored."""
    for kind in LANES:
        if kind.router is Router.SERVICE:
            (chosen,) = (
                spec_of(kind)["strategy"].get(name)
                for name in ("canary", "blueGreen")
                if name in spec_of(kind)["strategy"]
            )
            assert {step["traffic"] for step in chosen.get("steps", [])} <= {"50%", "100%"}
            assert "shadow" not in chosen


def test_versions_are_judged_by_what_their_own_server_counts() -> None:
    """Streams never fail, and would only thin the failures out."""
    (metric,) = ANALYSIS["metrics"]
    assert 'kind="request"' in metric["ratio"]["bad"]
    assert 'kind="request"' in metric["ratio"]["total"]


def test_the_rhythm_of_cohorts_and_of_last_requests() -> None:
    """One request in so many, and none without a cohort."""
    rhythm = Rhythm(cohort={"x-model-cohort": "candidate"}, cohort_every=4, closing_every=5)
    found = [rhythm.headers(number) for number in range(20)]
    assert [number for number, (member, _) in enumerate(found) if member] == [0, 4, 8, 12, 16]
    assert [number for number, (_, more) in enumerate(found) if CLOSING.items() <= more.items()] == [4, 9, 14, 19]
    assert found[4] == (True, {"x-model-cohort": "candidate", "Connection": "close"})
    assert all(Rhythm().headers(number) == (False, {}) for number in range(20))


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ([], plan(100)),
        (["--rollouts", "7"], plan(7)),
        (["--sample"], SAMPLE),
        (["--only", LANES[3].name, "--rollouts", "2"], (Part(LANES[3], (Move.GOOD, Move.BAD)),)),
        (["--sample", "--only", LANES[1].name], (SAMPLE[1],)),
    ],
)
def test_the_command_line_says_what_is_played(words: list[str], parts: tuple[Part, ...]) -> None:
    """A hundred, fewer, the sample, or some lanes of it."""
    assert command.parts_of(command.arguments(words)) == parts


@pytest.mark.parametrize("words", [["--rollouts", "0"], ["--rate", "0"], ["--only", "soak-nothing"]])
def test_what_cannot_be_played_is_refused(words: list[str]) -> None:
    """Before anything is started."""
    with pytest.raises(SystemExit):
        command.arguments(words)
