"""The command line."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from localcluster import audit, builds, cluster, engines, imagebuild, images, processes, selftest
from localcluster.down import down
from localcluster.settings import BIN, GATEWAY_SERVICE_IP, KUBECONFIG, LOGS, PROMETHEUS_SERVICE_IP, ClusterError


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _up(arguments: argparse.Namespace) -> int:
    advice = None if arguments.embedded else engines.advice()
    if advice is not None:
        print(advice, file=sys.stderr)
        return 3
    features = cluster.closure(arguments.only, arguments.without)
    cluster.up(features, arguments.fake_nodes)
    print(f"export KUBECONFIG={KUBECONFIG}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    down(purge=arguments.purge)
    return 0


def _env(_: argparse.Namespace) -> int:
    print(f"export KUBECONFIG={KUBECONFIG}")
    print(f'export PATH={BIN}:"$PATH"')
    print(f"export MODELRAMP_GATEWAY=http://{GATEWAY_SERVICE_IP}")
    print(f"export MODELRAMP_PROMETHEUS=http://{PROMETHEUS_SERVICE_IP}:9090")
    return 0


def _build(arguments: argparse.Namespace) -> int:
    unknown = set(arguments.parts) - set(builds.PARTS)
    if unknown:
        raise ClusterError(f"no such part: {', '.join(sorted(unknown))}; there are: {', '.join(builds.PARTS)}")
    wanted = arguments.parts or list(builds.PARTS)
    builds.ensure(wanted)
    for name in wanted:
        print(builds.binary(name))
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    if not (LOGS / f"{arguments.part}.log").exists():
        known = ", ".join(sorted(path.stem for path in LOGS.glob("*.log")))
        raise ClusterError(f"no log of {arguments.part!r}; there are: {known or 'none'}")
    print(processes.tail(arguments.part, arguments.lines))
    return 0


def _audit(arguments: argparse.Namespace) -> int:
    after = audit.since(arguments.since) if arguments.since else ""
    audit.show(after, arguments.user, as_json=arguments.json)
    return 0


def _image_build(arguments: argparse.Namespace) -> int:
    pairs = dict(pair.split("=", 1) for pair in arguments.build_arg)
    imagebuild.build(arguments.context, arguments.tag, arguments.file, pairs)
    return 0


def _image_load(arguments: argparse.Namespace) -> int:
    images.load(arguments.archive.absolute())
    return 0


def _image_base(_: argparse.Namespace) -> int:
    print(imagebuild.python_base())
    return 0


def _pair(text: str) -> str:
    if "=" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return text


def _count(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 5000:
        raise argparse.ArgumentTypeError("between 0 and 5000")
    return number


def parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    top = argparse.ArgumentParser(prog="python3 hack/cluster", description="A real Kubernetes cluster on this machine.")
    verbs = top.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    everything = ",".join(cluster.FEATURES)
    up = verb("up", _up, "build what is missing, start the cluster, wait until it works; heals a half-dead one")
    fake = "have exactly N fake nodes (kwok); default: as they are"
    up.add_argument("--fake-nodes", type=_count, metavar="N", help=fake)
    for option, text in (("--only", f"these and what they need, out of {everything}"),
                         ("--without", "all but these and what needs them")):  # fmt: skip
        up.add_argument(option, type=_names, default=[], metavar="PART,…", help=text)
    up.add_argument("--embedded", action="store_true", help="also where kind or minikube would work")
    down_ = verb("down", _down, "stop and remove everything; built programs and images stay cached")
    down_.add_argument("--purge", action="store_true", help="remove containerd's image store as well")
    verb("status", lambda _: cluster.status(), "show processes, nodes and pods; status 1 when something is dead")
    verb("env", _env, 'print shell lines that set KUBECONFIG and PATH: eval "$(python3 hack/cluster env)"')
    build = verb("build", _build, "build programs into the cache and print their paths")
    build.add_argument("parts", nargs="*", metavar="PART", help=f"default: all of {', '.join(builds.PARTS)}")
    logs = verb("logs", _logs, "print the end of a host process's log")
    logs.add_argument("part")
    logs.add_argument("--lines", type=int, default=100)
    audit_ = verb("audit", _audit, "count API requests per user, verb and resource")
    audit_.add_argument("--user", help="only users whose name contains this")
    audit_.add_argument("--since", metavar="TIME", help="90s, 10m, 2h back from now, or a time in RFC 3339")
    audit_.add_argument("--json", action="store_true")
    test = verb("selftest", lambda a: selftest.run_all(heal=not a.quick), "snapshot, up, break, heal, down, compare")
    test.add_argument("--quick", action="store_true", help="leave out the breaking and healing")
    _image_verbs(verb("image", lambda _: 2, "build, load images; make the Python base image"))
    return top


def _image_verbs(image: argparse.ArgumentParser) -> None:
    verbs = image.add_subparsers(required=True, metavar="VERB")
    build = verbs.add_parser("build", help="build a Dockerfile with buildah and load the result into the cluster")
    build.add_argument("--tag", required=True)
    build.add_argument("--file", type=Path, help="default: CONTEXT/Dockerfile")
    build.add_argument("--build-arg", type=_pair, action="append", default=[], metavar="NAME=VALUE")
    build.add_argument("context", type=Path)
    build.set_defaults(run=_image_build)
    load = verbs.add_parser("load", help="load an image archive (docker save, OCI) into the cluster")
    load.add_argument("archive", type=Path)
    load.set_defaults(run=_image_load)
    base = verbs.add_parser("base", help=f"make {imagebuild.BASE} (Debian 12, Python 3.11, pip)")
    base.set_defaults(run=_image_base)


def main() -> int:
    """Run a verb; its exit status: 1 after a message, 3 when another cluster tool should be used, 130 interrupted."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `audit | head` ends quietly
    arguments = parser().parse_args()
    try:
        return int(arguments.run(arguments))
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
