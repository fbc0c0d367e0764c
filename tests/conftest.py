"""
Options and profiles of the whole suite.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# `quick` repeats the same examples in every run, so that a failure is the change's own; `deep` looks for new ones.
settings.register_profile(
    "quick", max_examples=30, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "deep", max_examples=1000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


ON_LOOPBACK = ("unit/demo/", "unit/adapters/", "unit/test_handlers.py", "unit/cli/", "contracts/")
PLAYED = (
    "scenarios/",
    "properties/test_capacity_budget.py",
    "properties/test_comparator_order.py",
    "properties/test_histories.py",
    "properties/test_rollout_invariants.py",
    "properties/test_shell_order.py",
)

STANDING_APART = {"loopback": ON_LOOPBACK, "played": PLAYED, "cluster": ("cluster/",)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Two kinds are marked by where they stand: what does I/O opens sockets on loopback or starts processes, and waits;
    what plays whole rollouts does none, and takes its time.
    """
    for item in items:
        path = item.path.as_posix()
        if any(f"/tests/{part}" in path for part in ON_LOOPBACK):
            item.add_marker(pytest.mark.loopback)
        if any(f"/tests/{part}" in path for part in PLAYED):
            item.add_marker(pytest.mark.played)


def left_out(expression: str) -> tuple[str, ...]:
    """
    Files and folders that `-m EXPRESSION` leaves out whole, as far as that is plain: marks that it only denies.
    """
    if " or " in expression:
        return ()
    denied = {part.removeprefix("not ") for part in expression.split(" and ") if part.startswith("not ")}
    return tuple(path for mark, paths in STANDING_APART.items() if mark in denied for path in paths)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """
    What is left out need not be read either: a third of the time in which a worker of the pure rung gets ready.
    """
    path = f"{collection_path.as_posix()}/" if collection_path.is_dir() else collection_path.as_posix()
    return any(f"/tests/{part}" in path for part in left_out(config.getoption("markexpr"))) or None


def pytest_addoption(parser: pytest.Parser) -> None:
    """
    `--update-golden`: the transcripts are written anew; the diff is then read as prose.
    """
    parser.addoption("--update-golden", action="store_true", help="write the golden transcripts anew")


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    """
    Whether golden files are to be written.
    """
    return bool(request.config.getoption("--update-golden"))
