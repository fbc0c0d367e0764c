"""
The machine: from what is wanted, remembered and seen to what is to be done.

Pure and total: `decide()` has no clock, no network, no log. Start reading at `rules.py` and `desired.py`.
"""

from modelramp.rollout.decide import decide
from modelramp.rollout.needs import needs
from modelramp.rollout.plan import Plan

__all__ = ["Plan", "decide", "needs"]
