"""
Measurement to verdict: blocks of counts, evidence about them, and what to expect of it.

Pure: no clock, no randomness, no I/O, nothing of Kubernetes or of any metric store's protocol.
"""

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.combination import Vote, combined_log, culprits, suspects
from modelramp.analysis.counters import (
    Absence,
    ArmSeries,
    Counted,
    Increments,
    NoData,
    count_block,
    increments,
)
from modelramp.analysis.eprocess import (
    HARM_GRID,
    LOG_ZERO,
    OK_GRID,
    EProcess,
    Null,
    Wealth,
    log_factor,
    log_sum_exp,
    wealth_schedule,
)
from modelramp.analysis.evidence import (
    ALPHA_OK,
    ALPHA_ROLLBACK,
    PHI_UNKNOWN,
    MetricEvidence,
    MetricState,
    Totals,
    Verdict,
    harmful,
)
from modelramp.analysis.forecast import Obstacle, StepPlan, TimeLeft, plan, seconds_left
from modelramp.analysis.margin import Margins, limit_margins, margins
from modelramp.analysis.targets import Pods, Sample, Series, Window, find_targets

__all__ = [
    "ALPHA_OK",
    "ALPHA_ROLLBACK",
    "HARM_GRID",
    "LOG_ZERO",
    "OK_GRID",
    "PHI_UNKNOWN",
    "Absence",
    "ArmSeries",
    "Block",
    "Counted",
    "Counts",
    "EProcess",
    "Increments",
    "Margins",
    "MetricEvidence",
    "MetricState",
    "NoData",
    "Null",
    "Obstacle",
    "Pods",
    "Sample",
    "Series",
    "StepPlan",
    "TimeLeft",
    "Totals",
    "Verdict",
    "Vote",
    "Wealth",
    "Window",
    "combined_log",
    "count_block",
    "culprits",
    "find_targets",
    "harmful",
    "increments",
    "limit_margins",
    "log_factor",
    "log_sum_exp",
    "margins",
    "plan",
    "seconds_left",
    "suspects",
    "wealth_schedule",
]
