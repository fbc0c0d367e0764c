"""
The command line: `modelramp comparator`.
"""

import argparse
import asyncio
import signal
import socket
import sys

import aiohttp
import pytest
from rig.dataplane import free_ports

from modelramp.__main__ import main
from modelramp.cli.comparator import comparator_arguments, settings_of
from modelramp.cli.options import UsageError
from modelramp.comparator.core import Compare, Comparison, Extractor, Sampling, Tolerance
from modelramp.comparator.settings import Arm, ComparatorSettings

ARMS = ("--stable", "aaaaaaaaaa=http://fraud-a.ml.svc:80", "--candidate", "bbbbbbbbbb=https://fraud-b.ml.svc/base/")


def settings(*words: str) -> ComparatorSettings:
    """
    What the options ask for.
    """
    parser = argparse.ArgumentParser(exit_on_error=False)
    comparator_arguments(parser)
    return settings_of(parser.parse_args([*ARMS, *words]))


def test_the_defaults_are_those_of_the_service() -> None:
    """
    Written twice, as the options tell them.
    """
    stable, candidate = (
        Arm("aaaaaaaaaa", "http://fraud-a.ml.svc:80"),
        Arm("bbbbbbbbbb", "https://fraud-b.ml.svc/base"),
    )
    assert settings() == ComparatorSettings(stable=stable, candidate=candidate)


def test_every_option_reaches_the_service() -> None:
    """
    In its units.
    """
    words = (
        "--port=8081 --metrics-port=0 --extract=outputs[0].data[0] --compare=Number --tolerance=1% --sample=12.5% "
        "--control=0% --timeout=1m500ms --queue=5 --queue-bytes=1Ki --concurrency=2 --max-body=1k --max-requests=7 "
        "--methods=GET,POST --forward-credentials"
    )
    found = settings(*words.split())
    assert found == ComparatorSettings(
        stable=found.stable,
        candidate=found.candidate,
        port=8081,
        metrics_port=0,
        extractor=Extractor.parse("outputs[0].data[0]"),
        comparison=Comparison(Compare.NUMBER, Tolerance(0.01, relative=True)),
        sampling=Sampling(0.125, 0.0),
        timeout_seconds=60.5,
        queue=5,
        queue_bytes=1024,
        concurrency=2,
        max_body=1000,
        max_requests=7,
        methods=frozenset({"GET", "POST"}),
        forward_credentials=True,
    )


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("--stable=aaaaaaaaaa", "must be REVISION=http://HOST"),
        ("--stable=a=ftp://x", "must be REVISION=http://HOST"),
        ("--stable=a b=http://x", "must be REVISION=http://HOST"),
        ("--stable==http://x", "must be REVISION=http://HOST"),
        ("--stable=a=http://", "must be REVISION=http://HOST"),
        ("--stable=a=http://x:99999", "must be REVISION=http://HOST"),
        ("--stable=a=http://x:0", "must be REVISION=http://HOST"),
        ("--stable=a=http://x?y", "must be REVISION=http://HOST"),
        ("--stable=a=http://u:p@x", "must be REVISION=http://HOST"),
        ("--extract=a[*]", "not understood from '[*]' on"),
        ("--compare=equal", "must be one of Equal, Number, ArgMax, Set, Text, not equal"),
        ("--tolerance=x", "must be a number such as 0.01, or 1% of stable's, not x"),
        ("--tolerance=-1", "must be a number such as 0.01"),
        ("--sample=0.1", "must be a share such as 10%"),
        ("--control=101%", "must be a share such as 10%"),
        ("--timeout=0s", "must be a duration above 0"),
        ("--timeout=5", "must be a duration above 0"),
        ("--queue=0", "must be a whole number of at least 1"),
        ("--max-body=0", "must be a number of bytes"),
        ("--max-body=1m", "must be a number of bytes"),
        ("--max-body=1.5Mi", "must be a number of bytes"),
        ("--port=65536", "must be a port"),
        ("--port=-1", "must be a port"),
        ("--methods=post", "must be methods such as POST"),
        ("--methods=", "must be methods such as POST"),
    ],
)
def test_nonsense_is_refused_with_what_is_allowed(word: str, says: str) -> None:
    """
    Before anything is started.
    """
    with pytest.raises(argparse.ArgumentError) as caught:
        settings(word)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--candidate=aaaaaaaaaa=http://x",), "must be of different names"),
        (("--tolerance=1%",), "--tolerance goes with --compare Number"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words: tuple[str, ...], says: str) -> None:
    """
    With both names.
    """
    with pytest.raises(UsageError, match=says):
        settings(*words)


def test_a_port_that_is_taken_ends_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """
    With what the system says.
    """
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))  # noqa: S104 - the very port that is wanted
        taken.listen()
        assert main(["comparator", *ARMS, f"--port={taken.getsockname()[1]}", "--metrics-port=0"]) == 2
    assert "modelramp: cannot listen: " in capsys.readouterr().err


async def test_it_runs_until_it_is_told_to_end() -> None:
    """
    As Kubernetes tells it, and ends well.
    """
    port, metrics_port = free_ports(2)
    words = ("-m", "modelramp", "comparator", *ARMS, f"--port={port}", f"--metrics-port={metrics_port}")
    running = await asyncio.create_subprocess_exec(sys.executable, *words, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(20), aiohttp.ClientSession() as session:
            while not await _ready(session, metrics_port):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        _, told = await asyncio.wait_for(running.communicate(), 10)
    finally:
        if running.returncode is None:
            running.kill()
    assert running.returncode == 0
    assert [word in told.decode() for word in ('"taking copies"', f'"port": {port}', '"ended"')] == [True] * 3


async def _ready(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/-/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
