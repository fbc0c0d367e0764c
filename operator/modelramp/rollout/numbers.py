"""
Numbers as people read them.
"""

from math import exp

_LARGEST = 9999.0


def count_text(count: float) -> str:
    """
    A count without a needless fraction.
    """
    return f"{count:.0f}" if count == round(count) else f"{count:.1f}"


def _ratio_text(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"  # noqa: PLR2004 - three significant digits


def evidence_text(log_value: float, alpha: float) -> str:
    """
    Evidence reached of what is needed, such as `3.1 of 20`; `alpha` in (0, 1) is the error rate it is needed for.
    """
    reached = exp(min(log_value, 9.2)) if log_value > -700 else 0.0  # noqa: PLR2004 - exp's range; more than 9,999 tells nobody more
    return f"{_ratio_text(min(reached, _LARGEST))} of {1 / alpha:.0f}"


def duration_text(seconds: float) -> str:
    """
    A length of time for people: `45 s`, `14 min`, `2.5 h`.
    """
    if seconds < 120:  # noqa: PLR2004 - two minutes are still told in seconds
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004 - two hours
