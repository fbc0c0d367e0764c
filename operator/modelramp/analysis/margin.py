"""
What counts as harm and as "not worse", derived from the one number a user states.

This module sets margins. It never sees a count.
"""

from dataclasses import dataclass
from typing import Final

from modelramp.analysis.absolute import ok_limit
from modelramp.analysis.eprocess import Null

RHO_HARM: Final = 1.1  # 10 % above stable is not yet harm
RHO_OK: Final = 1.25  # between the two nulls either answer is right
HARM_FLOOR: Final = 0.2  # of the blast radius: an absolute rate too small to roll back for


@dataclass(frozen=True, slots=True)
class Margins:
    """
    What harm and "not worse" mean for one metric in one step.

    Attributes:
        harm: Harm is shown by refuting "candidate rate <= this margin".
        ok: Not worse is shown by refuting "candidate rate >= this margin".

    """

    harm: Null
    ok: Null


def margins(blast_radius: float, next_share: float) -> Margins:
    """
    Derive the margins of the default error gate from the one number a user states.

    Args:
        blast_radius: Extra bad requests risked, as a fraction of all traffic after the step; above 0, below 1.
        next_share: The candidate's share of traffic after the step, above 0 up to 1: the smaller it is, the more a
            candidate may fail without breaking the promise, so early steps are cheap and late ones strict.

    Raises:
        ValueError: If a number is out of range.

    """
    if not (0.0 < blast_radius < 1.0 and 0.0 < next_share <= 1.0):
        raise ValueError(f"no margins for blast radius {blast_radius} and next share {next_share}")
    return Margins(
        harm=Null(rho=RHO_HARM, epsilon=HARM_FLOOR * blast_radius),
        ok=Null(rho=RHO_OK, epsilon=blast_radius / next_share),
    )


def limit_margins(limit: float) -> Margins:
    """
    Margins of a metric that is held against an objective and not against the stable arm.

    Args:
        limit: Highest rate allowed, above 0, below 1. Shown to be kept by refuting ``ok_limit`` of it.

    Raises:
        ValueError: If it is out of range.

    """
    return Margins(harm=Null(rho=0.0, epsilon=limit), ok=Null(rho=0.0, epsilon=ok_limit(limit)))
