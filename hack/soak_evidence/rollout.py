"""
One rollout as the object's status and the client told it, and whether it went as it should.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

from demo.sight import Sight
from soak_evidence.kinds import Culprit, Kind, culprits
from soak_evidence.load import Tally

PROMOTED: Final = "Promoted"
ROLLED_BACK: Final = "RolledBack"
HELD: Final = "Held"
WHOLE: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """
    What became of one version.

    Attributes:
        kind: The kind's name.
        name: The object.
        version: The version rolled out.
        outcome: Promoted, RolledBack, or Held: neither within the limit.
        phase: The object's phase when it was over.
        share: The candidate's wanted share of traffic then, or before its rollback began, in percent.
        message: What the status says about the end: of a rollback why it began, else the last message.
        named: Those a rollback blames, as `metric` or `metric/tenant`.
        named_rightly: They are to blame, and the one that must be named is; None: nothing was rolled back.
        as_expected: A healthy version was not rolled back; a bad one was, or was held below 100 %.
        seconds: From asking for the version until it was promoted, its rollback began, or it was given up as held.
        sent: Requests sent while the version was watched, from asking for it until its last answer was in.
        rate: The same a second.
        failures: For each version that answered then, its requests and failures.
        bad_until_rollback: Failed answers of the version until its rollback was seen to begin; None: it never did.
        bad: Its failed answers in all.
        lost: Requests that no version failed itself.
        losses: The same by kind.

    """

    kind: str
    name: str
    version: str
    outcome: str
    phase: str
    share: float
    message: str
    named: tuple[str, ...]
    named_rightly: bool | None
    as_expected: bool
    seconds: float
    sent: int
    rate: float
    failures: dict[str, dict[str, int]]
    bad_until_rollback: int | None
    bad: int
    lost: int
    losses: dict[str, int]

    @property
    def good(self) -> bool:
        """
        It went as it should in every respect.
        """
        return self.as_expected and self.named_rightly is not False and self.lost == 0

    def document(self) -> dict[str, Any]:
        """
        For the report.
        """
        return asdict(self)

    def __str__(self) -> str:
        """
        For the terminal.
        """
        blame = f", blames {' and '.join(self.named) or 'nobody'}" if self.outcome == ROLLED_BACK else ""
        until = "" if self.bad_until_rollback is None else f", {self.bad_until_rollback} bad answers until then"
        return (
            f"{'as it should' if self.good else 'NOT AS IT SHOULD'}: {self.outcome} after {self.seconds:.0f} s"
            f" at {self.share:g}%{blame}{until}; {self.sent} sent, {self.lost} lost"
        )


def expected(kind: Kind, outcome: str, share: float) -> bool:
    """
    Whether a version of this kind may end so, its wanted share being so many percent.
    """
    if kind.healthy:
        return outcome != ROLLED_BACK
    return outcome == ROLLED_BACK or (outcome == HELD and share < WHOLE)


def is_about(sight: Sight, version: str) -> bool:
    """
    The object was asked for this version, and its status knows of it: what it says is not about the version before.
    """
    asked = sight.document.get("spec", {}).get("model", {}).get("version")
    return sight.generation_seen and asked == version


def outcome_of(sight: Sight, version: str) -> str | None:
    """
    Promoted or RolledBack (as soon as it begins); None: neither, or what was seen is not about this version.
    """
    if not is_about(sight, version):
        return None
    if sight.phase == "Stable" and sight.stable == version:
        return PROMOTED
    return ROLLED_BACK if sight.phase in {"RollingBack", "Failed"} else None


def wanted_share(sight: Sight) -> float:
    """
    The candidate's wanted share in percent; 0 without one, 100 while it is being promoted.
    """
    if sight.phase == "Promoting":
        return WHOLE
    text = sight.wanted.removesuffix("%")
    return float(text) if text != "-" else 0.0


def why(sight: Sight, version: str) -> str:
    """
    What the status says about the version's end: the entry of its history, else its message.
    """
    history = sight.document.get("status", {}).get("history", [])
    entries = [entry for entry in history if entry["version"] == version]
    return str(entries[-1]["message"]) if entries else sight.message


def title(culprit: Culprit) -> str:
    """
    As the report names it.
    """
    return culprit.metric if culprit.tenant is None else f"{culprit.metric}/{culprit.tenant}"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """
    How a version ended, as it was seen.

    Attributes:
        outcome: Promoted, RolledBack or Held.
        share: The version's wanted share in percent at the last look at which that was not known yet.
        last: The last look.
        seconds: From asking for the version until it was known.
        bad_until_rollback: The version's failed answers by then; None: not rolled back.

    """

    outcome: str
    share: float
    last: Sight
    seconds: float
    bad_until_rollback: int | None


def concluded(kind: Kind, name: str, version: str, end: End, counted: tuple[Tally, float]) -> Rollout:
    """
    The rollout, from how it ended and from what the client counted in so many seconds.
    """
    tally, watched_seconds = counted
    rolled_back = end.outcome == ROLLED_BACK
    message = why(end.last, version) if rolled_back else end.last.message
    named = culprits(message) if rolled_back else ()
    share = WHOLE if end.outcome == PROMOTED else end.share
    return Rollout(
        kind=kind.name,
        name=name,
        version=version,
        outcome=end.outcome,
        phase=end.last.phase,
        share=share,
        message=message,
        named=tuple(map(title, named)),
        named_rightly=kind.rightly(named) if rolled_back and not kind.healthy else None,
        as_expected=expected(kind, end.outcome, share),
        seconds=round(end.seconds, 1),
        sent=tally.sent,
        rate=round(tally.sent / watched_seconds, 1) if watched_seconds > 0 else 0.0,
        failures=tally.failures(),
        bad_until_rollback=end.bad_until_rollback,
        bad=tally.bad(version),
        lost=tally.lost,
        losses=tally.lost_by_kind,
    )
