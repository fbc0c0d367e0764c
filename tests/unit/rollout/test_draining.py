"""
What a rollback says while it waits.
"""

import pytest

from modelramp.rollout.draining import DRAINING, NOBODY_TO_TAKE_OVER, why_it_began


@pytest.mark.parametrize("waits_for", ["", DRAINING, NOBODY_TO_TAKE_OVER])
def test_what_it_waits_for_is_no_part_of_why_it_began(waits_for: str) -> None:
    """
    Whatever it waited for at the last look.
    """
    assert why_it_began(f"version 2 is worse than allowed{waits_for}") == "version 2 is worse than allowed"
