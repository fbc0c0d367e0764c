"""
The arguments of each command.
"""

import argparse

from modelramp.cli.options import arm, at_least, instant, named_rate, one_of, onset, positive, rate, whole
from modelramp.presets import Preset, Source


def _prometheus_options(parser: argparse.ArgumentParser, instead: argparse._MutuallyExclusiveGroup) -> None:
    instead.add_argument("--prometheus", metavar="URL", help="ask this Prometheus: http(s)://host[:port][/path]")
    parser.add_argument("--token-file", metavar="FILE", help="holds a bearer token for --prometheus")


def plan_arguments(plan: argparse.ArgumentParser) -> None:
    """
    Of `modelramp plan`.
    """
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


def _world_arguments(simulate: argparse.ArgumentParser) -> None:
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


def simulate_arguments(simulate: argparse.ArgumentParser) -> None:
    """
    Of `modelramp simulate`.
    """
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
    _world_arguments(simulate)
    simulate.add_argument("--runs", type=whole(1), default=1, metavar="N", help="how many; 1 prints a timeline")
    simulate.add_argument(
        "--seed", type=whole(0), default=0, metavar="S", help="equal seeds give equal runs (default 0)"
    )
    simulate.add_argument("--json", action="store_true", help="for programs")


def replay_arguments(replay: argparse.ArgumentParser) -> None:
    """
    Of `modelramp replay`.
    """
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


def presets_arguments(presets: argparse.ArgumentParser) -> None:
    """
    Of `modelramp presets`.
    """
    for name, kind in (("preset", Preset), ("source", Source)):
        presets.add_argument(
            f"--{name}", type=one_of(kind), action="append", default=[], metavar="NAME",
            help=f"only this {name}, with everything about it: {', '.join(kind)}",
        )  # fmt: skip
    presets.add_argument("--json", action="store_true", help="for programs")
