"""
`modelramp`: run the operator, check a manifest, show the plan of a rollout.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from modelramp import __version__
from modelramp.cli.files import InvalidSpecError, UnreadableFileError, deployments_in, name_of, spec_of
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
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command; its exit status: 0 good, 1 the answer is no, 2 it could not be given.
    """
    parsed = _parser().parse_args(arguments)
    try:
        return int(parsed.call(parsed))
    except (UnreadableFileError, InvalidSpecError, InvalidSettingError) as error:
        print(f"modelramp: {error}", file=sys.stderr)  # noqa: T201 - the command's answer
        return 2


if __name__ == "__main__":
    sys.exit(main())
