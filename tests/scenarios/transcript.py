"""
A run as text: one line per cycle that did something.
"""

from scenarios.world import BEGIN, Turn, World

from modelramp.analysis.tails import TailEvidence
from modelramp.api.document import MLModelDeployment
from modelramp.rollout.account import Account
from modelramp.rollout.conditions import ABNORMAL

HEADER = "   time  phase         rule                          wanted/given  what was done and why"


def _conditions(turn: Turn, *, before: bool) -> dict[str, str]:
    status = turn.deployment.status if before else turn.plan.status
    return {str(c.type): f"{c.status}/{c.reason}" for c in status.conditions}


def _news(turn: Turn) -> list[str]:
    """
    The conditions that are not as before; those of a transition are told by the rule. And what evidence was opened on,
    where the spec does not say it.
    """
    before, after = _conditions(turn, before=True), _conditions(turn, before=False)
    watched = ("Accepted", "AnalysisPassing", "TrafficProgrammed", *ABNORMAL)
    found = [f"{kind}={after.get(kind, '-')}" for kind in watched if after.get(kind, "") != before.get(kind, "")]
    known = {item.name for item in turn.deployment.status.evidence}
    opened = {item.name: Account.from_state(item.state) for item in turn.plan.status.evidence if item.name not in known}
    return found + [f"{name}: {_basis(one)}" for name, one in opened.items() if one.counted_until is not None]


def _basis(account: Account) -> str:
    """
    What evidence rests on from its beginning.
    """
    metric = account.metric
    edges = f", judged above {metric.plan.edges} s" if isinstance(metric, TailEvidence) else ""
    return f"overdispersion {metric.phi:g} {account.source}{edges}"


def _shares(turn: Turn) -> str:
    traffic = turn.plan.status.traffic
    return f"{traffic.wanted}/{traffic.programmed or '-'}" if traffic else "-"


def _name(names: dict[str, str], deployment: MLModelDeployment, prefix: str) -> None:
    """
    Name the object's revision after its version; others of the same version by letters too.
    """
    same = [name for name in names.values() if name.rstrip("bcdefg") == f"{prefix}{deployment.spec.model.version}"]
    letter = "abcdefg"[len(same)] if same else ""
    names.setdefault(deployment.revision, f"{prefix}{deployment.spec.model.version}{letter}")
    for revision, spec in deployment.others.items():
        names.setdefault(revision, f"{prefix}{spec.model.version}")


def lines(world: World) -> list[str]:
    """
    The transcript, with revisions as `r1`, `r2` after the version that first bore them.
    """
    names: dict[str, str] = {}
    told: list[str] = []
    for turn in world.turns:
        _name(names, turn.deployment, "r")
        because, done = turn.plan.because, [name for name in turn.writes if name != "Status"]
        news = _news(turn)
        if because.rule is None and not done and not news:
            continue
        head = f"{turn.at - BEGIN:6.0f}s  {because.went_to:<12}  {because.rule or '-':<28}  {_shares(turn):<12}"
        told.append(f"{head}  {because.message}")
        told += [f"{'':>68}> {name}" for name in done]
        told += [f"{'':>68}~ {name}" for name in news]
    text = "\n".join(told)
    for revision, name in names.items():
        text = text.replace(revision, name)
    return text.split("\n") if text else []


def ending(world: World) -> list[str]:
    """
    What users counted, and where it ended.
    """
    names: dict[str, str] = {}
    for turn in world.turns:
        _name(names, turn.deployment, "")
    counted = [
        f"version {names[revision]}: {good + bad} requests, {bad} failed"
        for revision, (good, bad) in sorted(world.clients.answers.items(), key=lambda item: names[item[0]])
    ]
    status = world.deployment.status
    past = [
        line
        for entry in status.history
        for line in (f"history: version {entry.version} {entry.outcome}: {entry.message}", *entry.others)
    ]
    left = ", ".join(
        f"version {names[name]} x{load.wanted} {load.role}" for name, load in world.cluster.workloads.items()
    )
    text = "\n".join([*counted, f"end: {status.phase}; {status.reason}; workloads: {left or 'none'}", *past])
    for revision, version in names.items():
        text = text.replace(revision, f"r{version}")
    return text.split("\n")


def transcript(title: str, world: World) -> str:
    """
    The whole story.
    """
    return "\n".join([f"# {title}", HEADER, *lines(world), "", *ending(world), ""])
