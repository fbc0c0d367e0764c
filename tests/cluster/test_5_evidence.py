"""
A sample of the soak of the evidence: a healthy version and one that fails for one tenant only, side by side.
"""

import asyncio
import time
from dataclasses import replace

import pytest
from demo.stage import Stage
from soak_evidence.kinds import BAD_TENANT, HEALTHY, SLICE
from soak_evidence.lane import Setting
from soak_evidence.manifest import QUICK
from soak_evidence.play import Played, clean, play
from soak_evidence.rollout import Rollout

pytestmark = pytest.mark.cluster

RATE = 60.0
LIMIT_SECONDS = 200.0
LANES = 2
# Worse than the soak's for its tenant, so that it ends within a minute, and without fault for all others: were they to
# fail as well, all errors together would look bad about as soon, and the tenant would go unnamed one time in twenty.
BAD = replace(SLICE, knobs={"DIGITS_ERROR_RATE": "0", "DIGITS_TENANT_ERROR_RATES": f"{BAD_TENANT}=0.15"})
MOST_BAD_ANSWERS = 80
"""Until the rollback begins. At 25 % of 60 requests a second it gives out 0.6 a second, for some 40 seconds."""


@pytest.fixture(scope="module")
def played(stage: Stage) -> Played:
    """
    Both rollouts, played once.
    """
    setting = Setting(pace=QUICK, rate=RATE, limit_seconds=LIMIT_SECONDS)
    end = time.monotonic() + 2 * LIMIT_SECONDS
    try:
        return asyncio.run(play(stage, [HEALTHY, BAD], setting, lanes=LANES, end=end, say=print))
    finally:
        clean(stage, [f"evidence-{number}" for number in range(LANES)])


def _of(played: Played, kind: str) -> Rollout:
    assert played.broken == []
    (found,) = [rollout for rollout in played.rollouts if rollout.kind == kind]
    return found


def test_the_healthy_version_is_promoted(played: Played) -> None:
    """It fails 1 % of its requests, as stable does, and that is no harm."""
    found = _of(played, "healthy")
    assert (found.outcome, found.losses) == ("Promoted", {}), found.message


def test_the_version_that_fails_for_one_tenant_is_rolled_back(played: Played) -> None:
    """The tenant is named, and nobody who is not to blame."""
    found = _of(played, "slice")
    assert (found.outcome, found.named_rightly) == ("RolledBack", True), found.message


def test_the_client_counts_what_the_bad_version_did(played: Played) -> None:
    """Few bad answers until its rollback began, all of them to its tenant, and no request lost besides."""
    found = _of(played, "slice")
    assert found.losses == {}
    assert found.bad_until_rollback is not None
    assert 3 <= found.bad_until_rollback <= MOST_BAD_ANSWERS
    mine = found.failures[found.version]
    assert mine[f"failures of {BAD_TENANT}"] == mine["failures"]


def test_stable_stays_as_it_was(played: Played) -> None:
    """About 1 % of its requests fail in both, or the comparison was with something else; 50 a second or more came."""
    for found in (_of(played, "healthy"), _of(played, "slice")):
        stable = found.failures["1"]
        assert 0.002 <= stable["failures"] / stable["requests"] <= 0.025
        assert found.rate >= 50
