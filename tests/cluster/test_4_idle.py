"""
An object at rest costs nothing. This test stands last: the object has been at rest since the session began.
"""

import time
from typing import Any

import pytest

pytestmark = pytest.mark.cluster

LEAST_SECONDS = 180  # `make figures` proves ten minutes; here it is as long as the other tests took


def test_nothing_wrote_to_the_idle_object(idle: Any) -> None:  # noqa: ANN401 - the fixture's class is in conftest.py
    """Neither to it nor to anything it owns, though operators were killed and servers restarted meanwhile."""
    time.sleep(max(0.0, idle.since + LEAST_SECONDS - time.monotonic()))
    assert idle.rig.versions() == idle.before
