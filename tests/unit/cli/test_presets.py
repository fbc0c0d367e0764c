"""
The command line: `modelramp presets`.
"""

import json

import pytest

from modelramp.__main__ import main
from modelramp.presets import PAGES, TABLE

Capture = pytest.CaptureFixture[str]

KEYS = {
    "preset", "source", "layer", "kind", "unit", "selectors", "rawUnit", "factor", "across", "means", "silent", "page",
}  # fmt: skip


def test_without_options_every_source_and_what_it_tells_is_listed(capsys: Capture) -> None:
    """
    In lines that fit a terminal, a preset never apart from its kind.
    """
    assert main(["presets"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert {line.split()[0] for line in lines if line and not line.startswith(" ")} == {*PAGES, "Selectors,"}
    assert max(map(len, lines)) <= 120
    assert "kserve      runtime  latency (histogram), throughput (counter)" in lines
    assert sum(line.count("(") for line in lines) == len(TABLE)
    assert not any(line.strip().startswith("(") for line in lines)
    assert out.isascii()


def test_a_preset_of_a_source_is_told_with_everything_about_it(capsys: Capture) -> None:
    """
    Selectors by their roles, units, meaning, and where it comes from.
    """
    assert main(["presets", "--preset", "latency", "--source", "triton"]) == 0
    assert capsys.readouterr().out == (
        "triton: Triton Inference Server, runtime\n"
        "  page     8002 /metrics\n"
        "  needs    nothing\n"
        "  arm      namespace and pod, set by the scrape; version on the series of models\n"
        "  from     triton-inference-server/server docs/user_guide/metrics.md, core src/metric_model_reporter.cc\n"
        "  latency: mean in seconds; from microseconds, times 1e-06\n"
        "    sum      nv_inference_request_duration_us{$arm}\n"
        "    count    nv_inference_request_success{$arm}\n"
        "    means    Mean time of successful requests in the server.\n"
        "    silent   How slow the slowest are: a distribution is not there unless summaries are switched on.\n"
    )


def test_gauges_say_how_series_come_together_and_ratios_of_what_they_are(capsys: Capture) -> None:
    """
    A percentage becomes a ratio; a ratio needs no factor.
    """
    assert main(["presets", "--source", "dcgm", "--preset", "gpu"]) == 0
    assert "  gpu: gauge in ratio; from percent, times 0.01; the mean of its series\n" in capsys.readouterr().out
    assert main(["presets", "--source", "cadvisor", "--preset", "saturation"]) == 0
    assert "  saturation: ratio of periods\n" in capsys.readouterr().out


def test_options_may_be_repeated(capsys: Capture) -> None:
    """
    Each narrows by itself.
    """
    assert (
        main(["presets", "--preset", "ttft", "--preset", "itl", "--source", "vllm", "--source", "tgi", "--json"]) == 0
    )
    rows = json.loads(capsys.readouterr().out)
    assert [(row["source"], row["preset"]) for row in rows] == [("vllm", "ttft"), ("vllm", "itl"), ("tgi", "itl")]


def test_json_holds_every_row_in_full(capsys: Capture) -> None:
    """
    Programs need no other source.
    """
    assert main(["presets", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == len(TABLE)
    assert {frozenset(row) for row in rows} == {frozenset(KEYS)}
    mlserver = next(row for row in rows if (row["source"], row["preset"]) == ("mlserver", "errors"))
    assert mlserver["selectors"] == {
        "bad": 'rest_server_requests_total{path=~".*/infer",status_code=~"5..",$arm}',
        "total": 'rest_server_requests_total{path=~".*/infer",$arm}',
    }
    assert (mlserver["unit"], mlserver["rawUnit"], mlserver["factor"]) == ("ratio", "requests", 1.0)
    memory = next(row for row in rows if (row["source"], row["preset"]) == ("dcgm", "gpu-memory"))
    assert (memory["kind"], memory["unit"], memory["rawUnit"], memory["factor"], memory["across"]) == (
        "gauge", "bytes", "mebibytes", 1048576.0, "sum",
    )  # fmt: skip


def test_a_cell_that_is_left_out_is_said_to_be_and_why(capsys: Capture) -> None:
    """
    Status 1: there is no such row. Nothing on standard output.
    """
    assert main(["presets", "--preset", "errors", "--source", "sglang"]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (
        "",
        "modelramp: sglang does not tell errors: there is no counter of errors\n",
    )


def test_a_cell_nobody_would_look_for_is_said_to_be_missing_too(capsys: Capture) -> None:
    """
    Without a reason; in JSON as the empty list, which is an answer.
    """
    assert main(["presets", "--preset", "ttft", "--source", "cadvisor"]) == 1
    assert capsys.readouterr().err == "modelramp: cadvisor does not tell ttft\n"
    assert main(["presets", "--preset", "ttft", "--source", "cadvisor", "--json"]) == 1
    assert capsys.readouterr().out == "[]\n"


@pytest.mark.parametrize("option", ["--preset", "--source"])
def test_an_unknown_name_is_refused_with_those_there_are(option: str, capsys: Capture) -> None:
    """
    By argparse: status 2.
    """
    with pytest.raises(SystemExit, match="2"):
        main(["presets", option, "speed"])
    error = capsys.readouterr().err
    assert f"argument {option}: must be one of " in error
    assert error.rstrip().endswith("not speed")
