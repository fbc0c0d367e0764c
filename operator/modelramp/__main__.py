"""
`modelramp`: run the operator, check a manifest, show the plan of a rollout, simulate or replay it, list metrics.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from modelramp import __version__
from modelramp.cli.files import InvalidSpecError, UnreadableFileError, deployment_of, deployments_in, name_of, spec_of
from modelramp.cli.measured import MeasuredMetric
from modelramp.cli.options import (
    LiveError,
    UsageError,
    arm,
    at_least,
    instant,
    joined,
    named_rate,
    one_of,
    onset,
    positive,
    rate,
    whole,
)
from modelramp.cli.simulate import UnknownMetricError
from modelramp.presets import Preset, Source
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


def _prometheus_options(parser: argparse.ArgumentParser, instead: argparse._MutuallyExclusiveGroup) -> None:
    instead.add_argument("--prometheus", metavar="URL", help="ask this Prometheus: http(s)://host[:port][/path]")
    parser.add_argument("--token-file", metavar="FILE", help="holds a bearer token for --prometheus")


def _plan(arguments: argparse.Namespace) -> int:
    from modelramp.cli.plan import as_json, planned_steps, slowest, table  # noqa: PLC0415 - as in _run

    if arguments.prometheus is None:
        _only_with_prometheus(arguments, "arm", "token_file")
    elif arguments.stable_errors is not None:
        raise UsageError("--stable-errors goes with --rps; --prometheus measures both")
    plans = []
    for document in deployments_in(arguments.file):
        spec = spec_of(document)
        name, radius = document["metadata"]["name"], spec.strategy.canary.blast_radius
        if arguments.prometheus is None:
            rows = planned_steps(spec, arguments.rps, arguments.stable_errors or 0.0)
            plans.append(as_json(name, rows))
            shown = table(name, rows, arguments.rps, radius)
        else:
            measured = _measured(arguments, document)
            metric, rows = slowest(spec, measured)
            plans.append(as_json(name, rows, measured, metric.name))
            shown = "\n".join([*(f"{name}: {one}" for one in measured), table(name, rows, metric.rps, radius)])
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
        return Meter(source, deployment_of(document, spec_of(document)), namespace).measure(*arms)
    except SelectorError as error:
        raise UsageError(str(error)) from None


def _plan_parser(plan: argparse.ArgumentParser) -> None:
    plan.add_argument("file", metavar="FILE", help="YAML file; - is standard input")
    traffic = plan.add_mutually_exclusive_group(required=True)
    traffic.add_argument("--rps", type=positive, help="total traffic in requests a second")
    _prometheus_options(plan, traffic)
    plan.add_argument(
        "--stable-errors", type=rate, metavar="RATE", help="with --rps: stable's error rate, 0.001 or 0.1%% (default 0)"
    )
    plan.add_argument(
        "--arm", type=arm, action="append", metavar="ARM=SELECTOR",
        help="""with --prometheus: label matchers that tell stable='{version="1"}', if it is no revision of ours""",
    )  # fmt: skip
    plan.add_argument("--json", action="store_true", help="for programs")
    plan.set_defaults(call=_plan)


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


def _simulate_parser(simulate: argparse.ArgumentParser) -> None:
    simulate.add_argument("file", metavar="FILE", help="YAML file; - is standard input")
    simulate.add_argument("--rps", type=positive, required=True, help="requests a second to both arms together")
    for side in ("stable", "candidate"):
        simulate.add_argument(
            f"--{side}", type=named_rate, action="append", required=True, metavar="[METRIC=]RATE",
            help=f"the {side} arm's rate of bad events: 0.001 or 0.1%%; of the first metric unless one is named",
        )  # fmt: skip
    simulate.add_argument(
        "--onset", type=onset, default=(0.0, False), metavar="TIME",
        help="until then the candidate is as stable: 10m after its first request, last+10m after the last step began",
    )  # fmt: skip
    simulate.add_argument("--pods", type=whole(1), default=1, metavar="N", help="pods of stable (default 1)")
    simulate.add_argument(
        "--candidate-pods", type=whole(1), default=1, metavar="N", help="pods of the candidate (default 1)"
    )
    simulate.add_argument(
        "--pod-sd",
        type=at_least(0.0),
        default=0.0,
        metavar="S",
        help="relative deviation of pods' own rates (default 0)",
    )
    simulate.add_argument(
        "--burst", type=at_least(1.0), default=1.0, metavar="B", help="mean size of clusters of bad events (default 1)"
    )
    simulate.add_argument(
        "--retries",
        type=whole(0),
        default=0,
        metavar="N",
        help="how often a bad request is tried again, as badly (default 0)",
    )
    simulate.add_argument(
        "--incidents", type=at_least(0.0), default=0.0, metavar="R",
        help="a pod's incidents an hour: its rates are 20 times as high for three minutes (default 0)",
    )  # fmt: skip
    simulate.add_argument("--runs", type=whole(1), default=1, metavar="N", help="how many; 1 prints a timeline")
    simulate.add_argument(
        "--seed", type=whole(0), default=0, metavar="S", help="equal seeds give equal runs (default 0)"
    )
    simulate.add_argument("--json", action="store_true", help="for programs")
    simulate.set_defaults(call=_simulate)


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
    deployment = deployment_of(document, spec_of(document))
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


def _replay_parser(replay: argparse.ArgumentParser) -> None:
    replay.add_argument("file", metavar="FILE", help="YAML file of one object; - is standard input")
    where = replay.add_mutually_exclusive_group(required=True)
    where.add_argument("--samples", metavar="SAMPLES", help="JSON: the data.result of a Prometheus range-vector query")
    _prometheus_options(replay, where)
    for name, dest, text in (("from", "since", "since when"), ("to", "until", "until when; else now")):
        replay.add_argument(
            f"--{name}", dest=dest, type=instant, metavar="T",
            help=f"{text}, with --prometheus: 2026-01-31T12:00:00Z, unix seconds, or -2h",
        )  # fmt: skip
    replay.add_argument("--save", metavar="SAMPLES", help="write what --prometheus gave, for --samples")
    replay.add_argument(
        "--arm", type=arm, action="append", required=True, metavar="ARM=SELECTOR",
        help="""label matchers that tell an arm: stable='{version="1"}' and candidate='{version="2"}'""",
    )  # fmt: skip
    replay.add_argument(
        "--weights",
        metavar="W",
        help="JSON: [[t, percent], ...], the candidate's share from t on; else the first step's",
    )
    replay.add_argument("--json", action="store_true", help="for programs")
    replay.set_defaults(call=_replay)


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


def _presets_parser(presets: argparse.ArgumentParser) -> None:
    for name, kind in (("preset", Preset), ("source", Source)):
        presets.add_argument(
            f"--{name}", type=one_of(kind), action="append", default=[], metavar="NAME",
            help=f"only this {name}, with everything about it: {', '.join(kind)}",
        )  # fmt: skip
    presets.add_argument("--json", action="store_true", help="for programs")
    presets.set_defaults(call=_presets)


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
    _plan_parser(commands.add_parser("plan", help="show what a rollout will need: requests and time per step"))
    _presets_parser(
        commands.add_parser("presets", help="which series of model servers, gateways and exporters tell what")
    )
    _replay_parser(commands.add_parser("replay", help="the verdicts on recorded samples, block by block"))
    _simulate_parser(commands.add_parser("simulate", help="play whole rollouts with the operator's own decisions"))
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
