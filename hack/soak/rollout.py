"""
One rollout as the object's status and the client told it, and whether it went as planned.
"""

from dataclasses import dataclass
from typing import Any, Final

from demo.sight import Sight
from soak.lanes import PLANNED, Kind, Move, Outcome
from soak.ledger import Tally

ON_TRIAL: Final = frozenset({"Progressing", "Paused"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """
    What became of one version.

    Attributes:
        kind: The lane's strategy and router.
        move: What was played.
        version: The version rolled out.
        outcome: What became of it.
        message: What the status said at its end.
        seconds: From asking until the outcome.
        tally: What the lane's client counted meanwhile, and until the next rollout began.

    """

    kind: Kind
    move: Move
    version: str
    outcome: Outcome
    message: str
    seconds: float
    tally: Tally

    @property
    def as_planned(self) -> bool:
        """
        It ended as the move is to end.
        """
        return self.outcome is PLANNED[self.move]

    def document(self) -> dict[str, Any]:
        """
        For the report.
        """
        return {
            "lane": self.kind.name,
            "strategy": str(self.kind.strategy),
            "router": str(self.kind.router),
            "move": str(self.move),
            "version": self.version,
            "outcome": str(self.outcome),
            "as_planned": self.as_planned,
            "message": self.message,
            "seconds": round(self.seconds, 1),
            "sent": self.tally.total_sent,
            "answered_by_the_version": self.tally.answered_by(self.version),
            "failed_by_a_version": self.tally.failed,
            "lost": self.tally.lost,
            "losses": self.tally.losses(),
        }

    def __str__(self) -> str:
        """
        For the terminal.
        """
        lost = f"{self.tally.lost} lost {self.tally.losses() or ''}".rstrip()
        wrong = "" if self.as_planned else f", NOT AS PLANNED: {self.message}"
        return (
            f"{self.outcome} after {self.seconds:.0f} s{wrong};"
            f" {self.tally.total_sent} sent, {self.tally.failed} failed by a version, {lost}"
        )


def asked(sight: Sight) -> str | None:
    """
    The version that the spec asks for and that the status knows of; None: the status is older than the spec.
    """
    version = sight.document.get("spec", {}).get("model", {}).get("version")
    return str(version) if sight.generation_seen and version is not None else None


def on_trial(sight: Sight, version: str) -> bool:
    """
    The version has begun its steps.
    """
    return asked(sight) == version and sight.candidate == version and sight.phase in ON_TRIAL


def outcome_of(sight: Sight, version: str) -> Outcome | None:
    """
    Promoted, or RolledBack once the rollback is over; None: neither yet, or the status is about another version.
    """
    if asked(sight) != version:
        return None
    if sight.phase == "Stable" and sight.stable == version:
        return Outcome.PROMOTED
    return Outcome.ROLLED_BACK if sight.phase == "Failed" else None


def at_rest(sight: Sight, version: str) -> bool:
    """
    The version serves everything, is what the spec asks for, and nothing is under way.
    """
    return outcome_of(sight, version) is Outcome.PROMOTED


def candidate_revision(sight: Sight) -> str | None:
    """
    The revision on trial; None without one.
    """
    found = (sight.document.get("status", {}).get("candidate") or {}).get("revision")
    return None if found is None else str(found)


def rejected_revision(sight: Sight, version: str) -> str | None:
    """
    The revision of a rejected version; None: it was not rejected.
    """
    rows = sight.document.get("status", {}).get("rejected", [])
    return next((str(row["revision"]) for row in reversed(rows) if row["version"] == version), None)


def kept_revision(sight: Sight) -> tuple[str, str] | None:
    """
    Revision and version of what an undo can return to; the newest one, None: there is nothing yet.
    """
    rows = sight.document.get("status", {}).get("kept", [])
    return (str(rows[-1]["revision"]), str(rows[-1]["version"])) if rows else None


def alone(sight: Sight, version: str) -> bool:
    """
    The version serves everything and nothing is under way, whatever the spec asks for: after an undo it names another.
    """
    return sight.stable == version and sight.candidate == "-" and sight.phase in {"Stable", "Failed"}


def answer_to(sight: Sight, action: str) -> tuple[str, str] | None:
    """
    Outcome and message of the request with this id; None: it was not answered yet.
    """
    found = sight.document.get("status", {}).get("action") or {}
    return (str(found["outcome"]), str(found.get("message", ""))) if found.get("id") == action else None
