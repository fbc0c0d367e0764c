"""
A sample of `make soak`: six rollouts by canary, blue-green switch and shadow stage over every router, none lost.
"""

import asyncio
import time

import pytest
from demo.stage import Stage
from soak.__main__ import RATE, add_server
from soak.lanes import SAMPLE, Move, rollouts_of
from soak.play import Played, play
from soak_evidence.play import clean

pytestmark = pytest.mark.cluster

LONGEST_SECONDS = 600.0


@pytest.fixture(scope="module")
def played(stage: Stage) -> Played:
    """
    All six, played once.
    """
    add_server(stage)
    end = time.monotonic() + LONGEST_SECONDS
    try:
        return asyncio.run(play(stage, SAMPLE, rate=RATE, end=end, say=print))
    finally:
        clean(stage, [part.kind.name for part in SAMPLE])


def test_every_rollout_ends_as_planned(played: Played) -> None:
    """Good versions are promoted, bad ones rolled back."""
    assert played.broken == []
    assert len(played.rollouts) == rollouts_of(SAMPLE)
    assert [str(run) for run in played.rollouts if not run.as_planned] == []


def test_no_request_is_lost(played: Played) -> None:
    """By the clients' own count, over HTTP and gRPC, streams among them; all that was sent has ended."""
    total = played.total
    assert ({name: losses for name, tally in played.tallies.items() if (losses := tally.losses())}) == {}
    assert (total.lost, total.in_flight) == (0, 0)
    assert {"http", "http stream", "grpc", "grpc stream"} <= set(total.sent)
    assert total.total_sent > 1000


def test_the_bad_versions_had_users(played: Played) -> None:
    """Were there none, their rollbacks would have put no request at risk."""
    bad = [run for run in played.rollouts if run.move is Move.BAD]
    assert bad
    assert all(run.tally.failed > 0 for run in bad)
