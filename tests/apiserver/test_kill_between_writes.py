"""
Kill -9 of the operator's own process after each single write of a rollout, on a real API server: none left out.

One object for each write of each kind of rollout. The proxy lets the first object's first write through and nothing
after it, of the second object two writes, and so on; then the process is killed, and a new one finds every object
right after another write. All end as the one of their kind that was left in peace.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from apiserver.deadly_proxy import DeadlyProxy, Write
from apiserver.kill_fleet import KINDS, Fleet, KillWorld, course, kind_of, shrunk_under_traffic
from apiserver.operator_world import eventually
from apiserver.server import ApiServer

from modelramp.api.names import workload_name

pytestmark = pytest.mark.apiserver

LONGEST_SECONDS: Final = 200.0
QUIET_SECONDS: Final = 9.0  # longer than a changed route is given to settle, the longest time in which nothing is due
LOOK_SECONDS: Final = 3.0
WORKERS: Final = "64"
LINES: Final = 60
LEAST_WRITES: Final = {"first": 9, "canary": 15, "canarybad": 15, "bluegreen": 15, "shadow": 10}
COURSES: Final = {
    "first": [(100, 0)],
    "canary": [(0, 0), (50, 0), (100, 0)],
    "canarybad": [(0, 0), (50, 0), (0, 0)],
    "bluegreen": [(0, 0), (50, 0), (100, 0)],
    "shadow": [(0, 0), (0, 1), (0, 0)],
}
"""The candidate's shares and copies of each kind, in their order."""


@dataclass(frozen=True, slots=True)
class Told:
    """
    What happened.
    """

    ends: dict[str, dict[str, Any]]
    logs: dict[str, list[Write]]
    """What was written of each object until its end, from version 1 at rest on."""
    written_before: dict[str, int]
    """How much of that was written before the process was killed."""
    dead: dict[str, str]
    """The write after which an object's process was dead, where it made so many."""
    stable: dict[str, str]
    """The Service of version 1."""
    said: str
    """The operators' logs."""

    def about(self, name: str) -> str:
        """
        How it died, and what the operators said of it, for a failure's message.
        """
        lines = [line for line in self.said.splitlines() if f'/{name}"' in line]
        return "\n".join([f"{name}, dead after {self.dead.get(name)}", *map(str, self.logs[name]), *lines[-LINES:]])

    def of(self, kind: str) -> list[str]:
        """
        The objects of a kind that were not left in peace.
        """
        return [f"{kind}{number}" for number in range(1, KINDS[kind].most + 1)]


def _quiet(proxy: DeadlyProxy) -> None:
    eventually(lambda: time.monotonic() - proxy.last_at > QUIET_SECONDS, "nothing is written", LONGEST_SECONDS)


def _at_rest(fleet: Fleet, names: list[str]) -> bool:
    ends = fleet.ends()
    return all(ends[name]["phase"] == "Stable" for name in names)


def _as_in_peace(fleet: Fleet) -> bool:
    ends = fleet.ends()
    return all(ends[name] == ends[f"{kind_of(name)}0"] for name in fleet.names)


def _killed(world: KillWorld, proxy: DeadlyProxy) -> Told:
    fleet, began = Fleet(world), time.monotonic()

    def say(what: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:.0f} s: {what}\n")

    before = fleet.begin()
    world.start()
    eventually(lambda: _at_rest(fleet, before), "version 1 serves everywhere", LONGEST_SECONDS)
    _quiet(proxy)
    models = world.items("/apis/modelramp.io/v1alpha1", "mlmodeldeployments")
    stable = {
        model["metadata"]["name"]: workload_name(model["metadata"]["name"], model["status"]["stable"]["revision"])
        for model in models
    }
    proxy.log.clear()
    proxy.dies.update({name: int(name.removeprefix(kind_of(name))) for name in fleet.names})
    say("version 1 serves")
    fleet.go_on()
    _quiet(proxy)  # each is dead after its last write, or at its end
    written, dead = {name: len(log) for name, log in proxy.log.items()}, dict(proxy.dead)
    say(f"{len(dead)} are dead")
    world.kill()
    proxy.dies.clear()
    proxy.dead.clear()
    world.start()
    until = time.monotonic() + LONGEST_SECONDS
    while not _as_in_peace(fleet) and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
    say("all ended")
    return Told(fleet.ends(), dict(proxy.log), written, dead, stable, world.log())


@pytest.fixture(scope="module")
def told(served: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """
    All of it at once.
    """
    folder = tmp_path_factory.mktemp("kills")
    world = KillWorld(served, f"kills-{time.time_ns() % 10**10}", folder)
    world.open()
    began = time.monotonic()
    with DeadlyProxy(served, folder) as proxy:
        world.settings.update(
            {"KUBECONFIG": str(proxy.kubeconfig), "MODELRAMP_WORKERS": WORKERS, "MODELRAMP_LOG_LEVEL": "info"}
        )
        try:
            found = _killed(world, proxy)
            sys.stderr.write(f"{len(found.dead)} deaths in {time.monotonic() - began:.0f} s\n")
            yield found
        finally:
            world.close()
            sys.stderr.write(f"{world.failures[-3:]}\n{world.log()[-2000:]}")


@pytest.mark.parametrize("kind", KINDS)
def test_no_write_is_left_out(kind: str, told: Told) -> None:
    """
    Each object died right after the write of its number, or its rollout ended with fewer: how often the status is
    written depends on what is seen together. Every kind of write that the rollout in peace made was somebody's last.
    """
    numbers = [number for number, name in enumerate(told.of(kind), start=1) if name in told.dead]
    lengths = {name: told.written_before[name] for name in told.of(kind)}
    sys.stderr.write(f"{kind}: {[told.dead[f'{kind}{number}'] for number in numbers]}; {lengths}\n")
    assert all(lengths[f"{kind}{number}"] == number for number in numbers)
    assert all(length < number for number, length in enumerate(lengths.values(), start=1) if number not in numbers)
    assert len(numbers) >= LEAST_WRITES[kind]
    assert numbers[-1] < KINDS[kind].most, "more objects are needed"
    in_peace = {_sort(str(write)) for write in told.logs[f"{kind}0"][:-1]}  # after the last one nothing is left to do
    assert in_peace <= {_sort(told.dead[f"{kind}{number}"]) for number in numbers}


def _sort(write: str) -> str:
    """
    What is removed at the end is removed in any order.
    """
    return "DELETE" if write.startswith("DELETE") else write


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_after_any_write_changes_no_end(kind: str, told: Told) -> None:
    """
    As many deaths as the rollout has writes, and one end.
    """
    expected = told.ends[f"{kind}0"]
    assert expected["phase"] == {"shadow": "Reported", "canarybad": "Failed"}.get(kind, "Stable")
    for name in told.of(kind):
        assert told.ends[name] == expected, told.about(name)


@pytest.mark.parametrize("kind", KINDS)
def test_no_share_is_given_twice_or_back(kind: str, told: Told) -> None:
    """
    The shares and copies that were written are those of the rollout in peace, in their order.
    """
    expected = course(told.logs[f"{kind}0"], told.stable.get(f"{kind}0"))
    assert expected == COURSES[kind]
    for name in told.of(kind):
        assert course(told.logs[name], told.stable.get(name)) == expected, told.about(name)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_scaled_down_under_traffic(kind: str, told: Told) -> None:
    """
    By the order in which the API server was written to: pods go only after the route has left them.
    """
    for name in [f"{kind}0", *told.of(kind)]:
        assert shrunk_under_traffic(told.logs[name]) == [], told.about(name)


def _write(plural: str, name: str, **spec: Any) -> Write:  # noqa: ANN401 - JSON
    return Write("PATCH", plural, name, status=False, spec=spec)


def test_pods_that_are_taken_under_traffic_are_seen() -> None:
    """
    Or the judge above would find nothing in any log.
    """

    def route(old: int, new: int, copy: str = "") -> Write:
        backends = [{"name": "old", "weight": old}, {"name": "new", "weight": new}]
        mirror = [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": copy}}}] if copy else []
        return _write("httproutes", "f", rules=[{"backendRefs": backends, "filters": mirror}])

    both = [_write("deployments", "old", replicas=2), _write("deployments", "new", replicas=2)]
    shrunk, gone = (
        _write("deployments", "old", replicas=1),
        Write("DELETE", "deployments", "old", status=False, spec={}),
    )
    assert shrunk_under_traffic([*both, route(50, 50), route(0, 100), shrunk, gone]) == []
    assert len(shrunk_under_traffic([*both, route(50, 50), shrunk, route(0, 100)])) == 1
    assert len(shrunk_under_traffic([*both, route(50, 50), gone])) == 1
    assert len(shrunk_under_traffic([*both, route(0, 100, "old"), shrunk])) == 1
    assert course([*both, route(100, 0), route(50, 50), route(100, 0, "new")], "old") == [(0, 0), (50, 0), (0, 1)]
