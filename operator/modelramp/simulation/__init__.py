"""
Whole rollouts in virtual time: the operator's own decisions on invented traffic.

Only the world is simulated here. What is decided comes from `modelramp.rollout`, unchanged.
"""

from modelramp.simulation.rollout import Moment, Outcome, Run, simulate
from modelramp.simulation.summary import Summary, summarize
from modelramp.simulation.traffic import Onset, Rates, TrafficModel

__all__ = ["Moment", "Onset", "Outcome", "Rates", "Run", "Summary", "TrafficModel", "simulate", "summarize"]
