"""
Which reasons need a human: each has a page in docs/runbooks, and the index of these pages is generated from here.
"""

from pathlib import Path
from typing import Final

from modelramp.api.vocabulary import Reason

PAGES: Final = Path(__file__).resolve().parent.parent / "docs" / "runbooks"

GROUPS: Final[dict[str, tuple[Reason, ...]]] = {
    "A candidate was taken out of traffic": (
        Reason.ANALYSIS_FAILED,
        Reason.CANDIDATE_CRASH_LOOPING,
        Reason.CANDIDATE_OUT_OF_MEMORY,
        Reason.CANDIDATE_UNHEALTHY,
        Reason.SMOKE_FAILED,
        Reason.PROGRESS_DEADLINE_EXCEEDED,
        Reason.ROLLED_BACK,
        Reason.SHADOW_REPORTED,
        Reason.OTHER_HARMFUL,
        Reason.OTHER_FAILED,
    ),
    "A rollout waits or went on without a verdict": (
        Reason.APPROVAL_NEEDED,
        Reason.ROLLBACK_RECOMMENDED,
        Reason.ANALYSIS_INCONCLUSIVE,
        Reason.METRICS_UNAVAILABLE,
        Reason.ADVANCED_UNCERTIFIED,
        Reason.ROUTE_CONFLICT,
        Reason.COMPARATOR_NOT_READY,
        Reason.PAUSED_BY_REQUEST,
        Reason.FROZEN,
        Reason.ACTION_REFUSED,
    ),
    "The object cannot be carried out": (
        Reason.INVALID_SPEC,
        Reason.EFFECT_REFUSED,
        Reason.INSUFFICIENT_CAPACITY,
        Reason.NOT_SERVING,
        Reason.ROUTE_PENDING,
    ),
    "Something is not measured as it should be": (
        Reason.NO_DATA,
        Reason.METRIC_SOURCE_UNREACHABLE,
        Reason.NO_TRAFFIC,
        Reason.INSUFFICIENT_TRAFFIC,
        Reason.WEIGHT_NOT_EFFECTIVE,
        Reason.TRAFFIC_SPLIT_MISMATCH,
        Reason.EVIDENCE_OVERDISPERSED,
        Reason.DISPERSION_UNKNOWN,
    ),
}
NEEDS_HUMAN: Final = tuple(reason for group in GROUPS.values() for reason in group)
"""Every reason with a page."""
DECIDED_BY_PEOPLE: Final = frozenset(
    {Reason.ABORT_REQUESTED, Reason.PROMOTED_BY_REQUEST, Reason.REJECTED_BY_REQUEST, Reason.UNDO_REQUESTED}
)
"""People are warned of these, and need no page: somebody asked for just that, and the message says who."""

_HEAD: Final = """<!-- Generated from hack/runbooks.py by `python hack/generate.py`; do not edit. -->
# Runbooks

One page for each reason that may need a human. The reason stands in `status.reason`, in a condition or in the Event.
All other reasons are in [reasons.md](../reference/reasons.md).

In every page `NAME` is the object, `NS` its namespace, `REVISION` the revision meant (`status.candidate.revision`; for
`retry` that of the last entry of `status.rejected`), `YOU` your user name and `NEW-ID` a text that was not used before.
"""


def title_of(reason: Reason) -> str:
    """
    The first line of the reason's page, without the reason.

    Raises:
        FileNotFoundError: the reason has no page.
    """
    first = (PAGES / f"{reason}.md").read_text(encoding="utf-8").split("\n", maxsplit=1)[0]
    return first.removeprefix(f"# {reason}: ")


def runbooks_page() -> str:
    """
    The index.
    """
    parts = [_HEAD]
    for title, reasons in GROUPS.items():
        rows = "\n".join(f"| [`{reason}`]({reason}.md) | {title_of(reason)} |" for reason in reasons)
        parts.append(f"## {title}\n\n| Reason | In short |\n| --- | --- |\n{rows}\n")
    return "\n".join(parts)
