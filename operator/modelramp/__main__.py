"""
`modelramp`: run the operator, check a manifest, show the plan of a rollout, simulate or replay it, list metrics,
compare answers.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from modelramp import __version__
from modelramp.cli.arguments import plan_arguments, presets_arguments, replay_arguments, simulate_arguments
from modelramp.cli.comparator import comparator_arguments, serve, settings_of
from modelramp.cli.files import (
    InvalidSpecError,
    UnreadableFileError,
    deployment_of,
    deployments_in,
    name_of,
    rates_only,
    spec_of,
)
from modelramp.cli.measured import MeasuredMetric
from modelramp.cli.options import LiveError, UsageError, joined
from modelramp.cli.simulate import UnknownMetricError
from modelramp.settings import InvalidSettingError, Settings


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


def _only_with_prometheus(arguments: argparse.Namespace, *names: str) -> None:
    given = [name for name in names if getattr(arguments, name) is not None]
    if given:
        option = {"since": "from", "until": "to"}.get(given[0], given[0].replace("_", "-"))
        raise UsageError(f"--{option} needs --prometheus URL")


def _plan(arguments: argparse.Namespace) -> int:
    from modelramp.cli.plan import as_json, planned_steps, slowest, table  # noqa: PLC0415 - as in _run

    if arguments.prometheus is None:
        _only_with_prometheus(arguments, "arm", "token_file")
    elif arguments.stable_errors is not None:
        raise UsageError("--stable-errors goes with --rps; --prometheus measures both")
    plans = []
    for document in deployments_in(arguments.file):
        spec = rates_only(spec_of(document), "planned")
        name = document["metadata"]["name"]
        if arguments.prometheus is None:
            rows = planned_steps(spec, arguments.rps, arguments.stable_errors or 0.0)
            plans.append(as_json(name, rows))
            shown = table(name, spec, rows, arguments.rps)
        else:
            measured = _measured(arguments, document)
            metric, rows = slowest(spec, measured)
            plans.append(as_json(name, rows, measured, metric.name))
            shown = "\n".join([*(f"{name}: {one}" for one in measured), table(name, spec, rows, metric.rps)])
        if not arguments.json:
            print(shown)  # noqa: T201 - the command's answer
    if arguments.json:
        print(json.dumps(plans))  # noqa: T201 - the command's answer
    return 1 if any(step["late"] for plan in plans for step in plan["steps"]) else 0


def _measured(arguments: argparse.Namespace, document: dict[str, Any]) -> tuple[MeasuredMetric, ...]:
    from modelramp.cli.live import live  # noqa: PLC0415 - as in _run
    from modelramp.cli.matchers import Selector, SelectorError  # noqa: PLC0415 - as in _run
    from modelramp.cli.measure import Meter  # noqa: PLC0415 - as in _run

    given = dict(arguments.arm or ())
    if given and "stable" not in given:
        raise UsageError("--arm stable=SELECTOR is missing")
    source = live(arguments.prometheus, arguments.token_file)
    namespace = str(document["metadata"].get("namespace") or "default")
    try:
        arms = [Selector.parse(given[side]) if side in given else None for side in ("stable", "candidate")]
        return Meter(source, deployment_of(document, rates_only(spec_of(document), "planned")), namespace).measure(
            *arms
        )
    except SelectorError as error:
        raise UsageError(str(error)) from None


def _simulate(arguments: argparse.Namespace) -> int:
    from modelramp.cli import simulate as cli  # noqa: PLC0415 - as in _run
    from modelramp.simulation import Onset, TrafficModel  # noqa: PLC0415 - as in _run

    answers = []
    for document in deployments_in(arguments.file):
        spec = rates_only(spec_of(document), "simulated")
        model = TrafficModel(
            rps=arguments.rps,
            rates=cli.rates_of(spec, tuple(arguments.stable), tuple(arguments.candidate)),
            onset=Onset(*arguments.onset),
            stable_pods=arguments.pods,
            candidate_pods=arguments.candidate_pods,
            pod_deviation=arguments.pod_sd,
            burst=arguments.burst,
            retries=arguments.retries,
            incidents=arguments.incidents,
        )
        deployment = deployment_of(document, spec)
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


def _replay(arguments: argparse.Namespace) -> int:
    from modelramp.cli import replay as cli  # noqa: PLC0415 - as in _run
    from modelramp.cli.matchers import Selector, SelectorError  # noqa: PLC0415 - as in _run
    from modelramp.cli.recording import write_samples  # noqa: PLC0415 - as in _run

    given = dict(arguments.arm)
    missing = {"stable", "candidate"} - given.keys()
    if missing:
        raise UsageError(f"--arm {missing.pop()}=SELECTOR is missing")
    if arguments.prometheus is None:
        _only_with_prometheus(arguments, "since", "until", "save", "token_file")
    elif arguments.since is None:
        raise UsageError("--from is missing: since when, such as --from -2h")
    document = deployments_in(arguments.file)[0]
    deployment = deployment_of(document, rates_only(spec_of(document), "replayed"))
    try:
        stable, candidate = (Selector.parse(given[side]) for side in ("stable", "candidate"))
        if arguments.prometheus is None:
            series = cli.read_samples(arguments.samples)
        else:
            from modelramp.cli.live import live  # noqa: PLC0415 - as in _run

            source = live(arguments.prometheus, arguments.token_file)
            series = source.record(deployment, (stable, candidate), arguments.since, arguments.until)
        if arguments.save:
            write_samples(arguments.save, series)
        weights = cli.read_weights(arguments.weights) if arguments.weights else ()
        rows = list(cli.replay(deployment, cli.Recording(series, stable, candidate, weights)))
    except (cli.ReplayError, SelectorError) as error:
        print(f"modelramp: {error}", file=sys.stderr)  # noqa: T201 - the command's answer
        return 2
    print(json.dumps(rows) if arguments.json else cli.table(rows))  # noqa: T201 - the command's answer
    return 0


def _comparator(arguments: argparse.Namespace) -> int:
    return serve(settings_of(arguments))


def _presets(arguments: argparse.Namespace) -> int:
    from modelramp.cli import presets as cli  # noqa: PLC0415 - as in _run

    chosen = arguments.preset, arguments.source
    rows = cli.rows_of(*chosen)
    if arguments.json:
        print(json.dumps(cli.as_json(rows)))  # noqa: T201 - the command's answer
    elif rows:
        print(cli.details(rows) if any(chosen) else cli.overview(rows))  # noqa: T201 - the command's answer
    else:
        print(f"modelramp: {cli.missing(*chosen)}", file=sys.stderr)  # noqa: T201 - the command's answer
    return 0 if rows else 1


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
    for name, text, fill, call in (
        ("comparator", "compare two revisions' answers to copies of requests", comparator_arguments, _comparator),
        ("plan", "show what a rollout will need: requests and time per step", plan_arguments, _plan),
        ("presets", "which series of model servers, gateways and exporters tell what", presets_arguments, _presets),
        ("replay", "the verdicts on recorded samples, block by block", replay_arguments, _replay),
        ("simulate", "play whole rollouts with the operator's own decisions", simulate_arguments, _simulate),
    ):
        command = commands.add_parser(name, help=text)
        fill(command)
        command.set_defaults(call=call)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command; its exit status: 0 good, 1 the answer is no, 2 it could not be given.
    """
    parsed = _parser().parse_args(joined(sys.argv[1:] if arguments is None else arguments))
    try:
        return int(parsed.call(parsed))
    except (
        UnreadableFileError,
        InvalidSpecError,
        InvalidSettingError,
        LiveError,
        UnknownMetricError,
        UsageError,
    ) as error:
        print(f"modelramp: {error}", file=sys.stderr)  # noqa: T201 - the command's answer
        return 2


if __name__ == "__main__":
    sys.exit(main())
