"""
`modelramp`: run the operator, check a manifest, show the plan of a rollout, simulate it.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Sequence

from modelramp import __version__
from modelramp.api.scalars import Duration
from modelramp.cli.files import InvalidSpecError, UnreadableFileError, deployments_in, name_of, spec_of
from modelramp.cli.simulate import UnknownMetricError
from modelramp.settings import InvalidSettingError, Settings


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text}") from None


def _rate(text: str) -> float:
    """
    An error rate: `0.001` or `0.1%`.
    """
    value = _float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to below 1 (or 100%), not {text}")
    return value


def _positive(text: str) -> float:
    value = _float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return value


def _run(_: argparse.Namespace) -> int:
    # imported here: the other commands need neither kopf nor a cluster's client, which take a second to import
    from modelramp.app import run  # noqa: PLC0415
    from modelramp.handlers import Watcher  # noqa: PLC0415

    return run(Settings.from_environment(os.environ), Watcher)


def _check(arguments: argparse.Namespace) -> int:
    statuses = {_check_file(path) for path in arguments.files}
    return max(statuses)


def _check_file(path: str) -> int:
    try:
        documents = deployments_in(path)
    except UnreadableFileError as error:
        print(f"modelramp: {error}", file=sys.stderr)  # noqa: T201 - the command's answer
        return 2
    wrong = 0
    for document in documents:
        name = name_of(document) or "?"
        try:
            spec_of(document)
            print(f"{path}: {name}: valid")  # noqa: T201 - the command's answer
        except InvalidSpecError as error:
            wrong = 1
            for problem in error.problems:
                print(f"{path}: {name}: {problem}", file=sys.stderr)  # noqa: T201 - the command's answer
    return wrong


def _plan(arguments: argparse.Namespace) -> int:
    from modelramp.cli.plan import as_json, planned_steps, table  # noqa: PLC0415 - as in _run

    plans = []
    for document in deployments_in(arguments.file):
        spec = spec_of(document)
        rows = planned_steps(spec, arguments.rps, arguments.stable_errors)
        name = document["metadata"]["name"]
        plans.append(as_json(name, rows))
        if not arguments.json:
            print(table(name, rows, arguments.rps, spec.strategy.canary.blast_radius))  # noqa: T201 - the command's answer
    if arguments.json:
        print(json.dumps(plans))  # noqa: T201 - the command's answer
    return 1 if any(step["late"] for plan in plans for step in plan["steps"]) else 0


def _named_rate(text: str) -> tuple[str | None, float]:
    """
    `RATE`, or `NAME=RATE` for another metric than the first.
    """
    name, equals, rate = text.rpartition("=")
    return (name if equals else None), _rate(rate)


def _onset(text: str) -> tuple[float, bool]:
    """
    `10m`, or `last+10m` for a time after the beginning of the last step; seconds, and which of both.
    """
    in_last_step = text.startswith("last")
    span = text.removeprefix("last").removeprefix("+") or "0s"
    if re.fullmatch(Duration.PATTERN, span) is None:
        raise argparse.ArgumentTypeError(f"must be a duration such as 10m or last+10m, not {text}")
    return Duration(span).seconds, in_last_step


def _whole(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, not {text}")
        return int(text)

    return number


def _at_least(least: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = _float(text)
        if not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"must be at least {least:g}, not {text}")
        return value

    return number


def _simulate(arguments: argparse.Namespace) -> int:
    from modelramp.cli import simulate as cli  # noqa: PLC0415 - as in _run
    from modelramp.simulation import Onset, TrafficModel  # noqa: PLC0415 - as in _run

    answers = []
    for document in deployments_in(arguments.file):
        spec = spec_of(document)
        model = TrafficModel(
            rps=arguments.rps,
            rates=cli.rates_of(spec, tuple(arguments.stable), tuple(arguments.candidate)),
            onset=Onset(*arguments.onset),
            stable_pods=arguments.pods,
            candidate_pods=arguments.candidate_pods,
            pod_deviation=arguments.pod_sd,
            burst=arguments.burst,
        )
        deployment = cli.deployment_of(document, spec)
        runs = list(cli.runs_of(deployment, model, arguments.runs, arguments.seed, cli.Progress()))
        summary = cli.summarize(runs)
        answers.append({"name": deployment.name, **summary.as_json()})
        if not arguments.json and len(runs) == 1:
            print(f"{deployment.name}\n{cli.timeline(runs[0])}")  # noqa: T201 - the command's answer
        elif not arguments.json:
            print(cli.table(deployment.name, summary))  # noqa: T201 - the command's answer
    if arguments.json:
        print(json.dumps(answers[0] if len(answers) == 1 else answers))  # noqa: T201 - the command's answer
    return 0


def _simulate_parser(simulate: argparse.ArgumentParser) -> None:
    simulate.add_argument("file", metavar="FILE", help="YAML file; - is standard input")
    simulate.add_argument("--rps", type=_positive, required=True, help="requests a second to both arms together")
    for arm in ("stable", "candidate"):
        simulate.add_argument(
            f"--{arm}", type=_named_rate, action="append", required=True, metavar="[METRIC=]RATE",
            help=f"the {arm} arm's rate of bad events: 0.001 or 0.1%%; of the first metric unless one is named",
        )  # fmt: skip
    simulate.add_argument(
        "--onset", type=_onset, default=(0.0, False), metavar="TIME",
        help="until then the candidate is as stable: 10m after its first request, last+10m after the last step began",
    )  # fmt: skip
    simulate.add_argument("--pods", type=_whole(1), default=1, metavar="N", help="pods of stable (default 1)")
    simulate.add_argument(
        "--candidate-pods", type=_whole(1), default=1, metavar="N", help="pods of the candidate (default 1)"
    )
    simulate.add_argument(
        "--pod-sd",
        type=_at_least(0.0),
        default=0.0,
        metavar="S",
        help="relative deviation of pods' own rates (default 0)",
    )
    simulate.add_argument(
        "--burst", type=_at_least(1.0), default=1.0, metavar="B", help="mean size of clusters of bad events (default 1)"
    )
    simulate.add_argument("--runs", type=_whole(1), default=1, metavar="N", help="how many; 1 prints a timeline")
    simulate.add_argument(
        "--seed", type=_whole(0), default=0, metavar="S", help="equal seeds give equal runs (default 0)"
    )
    simulate.add_argument("--json", action="store_true", help="for programs")
    simulate.set_defaults(call=_simulate)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelramp", description="Machine-learning rollouts on Kubernetes, decided by evidence."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run the operator; its settings are MODELRAMP_* variables")
    run.set_defaults(call=_run)
    check = commands.add_parser("check", help="check manifests without a cluster")
    check.add_argument("files", nargs="+", metavar="FILE", help="YAML files; - is standard input")
    check.set_defaults(call=_check)
    plan = commands.add_parser("plan", help="show what a rollout will need: requests and time per step")
    plan.add_argument("file", metavar="FILE", help="YAML file; - is standard input")
    plan.add_argument("--rps", type=_positive, required=True, help="total traffic in requests a second")
    plan.add_argument(
        "--stable-errors", type=_rate, default=0.0, metavar="RATE", help="stable's error rate: 0.001 or 0.1%%"
    )
    plan.add_argument("--json", action="store_true", help="for programs")
    plan.set_defaults(call=_plan)
    _simulate_parser(commands.add_parser("simulate", help="play whole rollouts with the operator's own decisions"))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command; its exit status: 0 good, 1 the answer is no, 2 it could not be given.
    """
    parsed = _parser().parse_args(arguments)
    try:
        return int(parsed.call(parsed))
    except (UnreadableFileError, InvalidSpecError, InvalidSettingError, UnknownMetricError) as error:
        print(f"modelramp: {error}", file=sys.stderr)  # noqa: T201 - the command's answer
        return 2


if __name__ == "__main__":
    sys.exit(main())
