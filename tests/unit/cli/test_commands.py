"""
The command line: `modelramp check` and `modelramp plan` on files.
"""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from modelramp import __version__
from modelramp.__main__ import main

VALID = """
apiVersion: modelramp.io/v1alpha1
kind: MLModelDeployment
metadata: {name: fraud}
spec:
  model: {version: "8"}
  serving: {port: 8080, template: {spec: {containers: [{name: m, image: i}]}}}
  traffic: {gatewayAPI: {parentRefs: [{name: gw}]}}
"""
OTHER_KIND = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n"
INVALID = VALID.replace("port: 8080", "port: 99999").replace('"8"', "8")
Capture = pytest.CaptureFixture[str]


def file_of(folder: Path, text: str | bytes, name: str = "m.yaml") -> str:
    """
    A file with that text.
    """
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


class TestCheck:
    """
    `modelramp check`.
    """

    def test_a_valid_file_is_said_to_be(self, tmp_path: Path, capsys: Capture) -> None:
        """
        Status 0.
        """
        path = file_of(tmp_path, VALID)
        assert main(["check", path]) == 0
        assert capsys.readouterr().out == f"{path}: fraud: valid\n"

    def test_every_problem_is_told_with_its_path(self, tmp_path: Path, capsys: Capture) -> None:
        """
        Status 1; on standard error, one line each.
        """
        path = file_of(tmp_path, INVALID)
        assert main(["check", path]) == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2
        assert all(line.startswith(f"{path}: fraud: spec.") for line in lines)
        assert {line.split(": ")[2] for line in lines} == {"spec.model.version", "spec.serving.port"}

    def test_all_documents_of_ours_are_checked_and_others_passed_over(self, tmp_path: Path, capsys: Capture) -> None:
        """
        A file may hold the whole application.
        """
        path = file_of(tmp_path, f"{OTHER_KIND}---{VALID}---\n---{INVALID}")
        assert main(["check", path]) == 1
        captured = capsys.readouterr()
        assert captured.out.count("valid") == 1
        assert captured.err.count("spec.serving.port") == 1

    def test_standard_input_is_a_file_called_dash(self, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
        """
        For pipes.
        """
        monkeypatch.setattr("sys.stdin", io.StringIO(VALID))
        assert main(["check", "-"]) == 0
        assert capsys.readouterr().out == "-: fraud: valid\n"

    @pytest.mark.parametrize(
        "text",
        [
            "a: [",
            "a: b: c",
            OTHER_KIND,
            "",
            "just text",
            b"\xff\xfe\xfa",
            "when: 2026-99-99",
            "a: *unknown",
            "a: !!python/object:os.system {}",
        ],
        ids=["open list", "nested", "other kind", "empty", "text", "not utf-8", "no date", "no anchor", "a tag"],
    )
    def test_a_file_that_cannot_be_used_is_named(self, text: str | bytes, tmp_path: Path, capsys: Capture) -> None:
        """
        Status 2, without a traceback.
        """
        path = file_of(tmp_path, text)
        assert main(["check", path]) == 2
        assert path in capsys.readouterr().err

    def test_a_missing_file_is_named_and_does_not_hide_the_others(self, tmp_path: Path, capsys: Capture) -> None:
        """
        Status 2, and everything that can be said is said.
        """
        invalid, valid = file_of(tmp_path, INVALID, "a.yaml"), file_of(tmp_path, VALID, "b.yaml")
        assert main(["check", str(tmp_path / "none.yaml"), invalid, valid]) == 2
        captured = capsys.readouterr()
        assert f"{valid}: fraud: valid" in captured.out
        assert "none.yaml" in captured.err
        assert "spec.serving.port" in captured.err

    @pytest.mark.parametrize("metadata", ["null", "[]", "text", "{name: 8}", "{}", "{name: null}"])
    def test_an_object_without_a_name_is_a_problem(self, metadata: str, tmp_path: Path, capsys: Capture) -> None:
        """
        Whatever stands in its place.
        """
        path = file_of(tmp_path, VALID.replace("{name: fraud}", metadata))
        assert main(["check", path]) == 1
        assert f"{path}: ?: metadata.name: required" in capsys.readouterr().err

    def test_a_name_that_is_too_long_is_a_problem(self, tmp_path: Path, capsys: Capture) -> None:
        """
        Revisions are named after it.
        """
        path = file_of(tmp_path, VALID.replace("name: fraud", "name: " + "x" * 60))
        assert main(["check", path]) == 1
        assert "metadata.name" in capsys.readouterr().err

    @pytest.mark.parametrize("spec", ["null", "text", "[]"])
    def test_a_spec_that_is_no_object_is_a_problem(self, spec: str, tmp_path: Path, capsys: Capture) -> None:
        """
        Told by its path.
        """
        path = file_of(tmp_path, VALID.split("spec:", 1)[0] + f"spec: {spec}\n")
        assert main(["check", path]) == 1
        assert "fraud: spec" in capsys.readouterr().err


class TestPlan:
    """
    `modelramp plan`.
    """

    def test_each_step_has_what_it_needs(self, tmp_path: Path, capsys: Capture) -> None:
        """
        A line per step, and the time in all.
        """
        assert main(["plan", file_of(tmp_path, VALID), "--rps", "500"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("fraud: a candidate as good as stable, at 500 requests a second, risking 0.5% ")
        for share in ("5%", "25%", "50%", "100%"):
            assert f"\n{share:>13}" in out
        assert "in all about" in out

    def test_programs_get_the_same_as_json(self, tmp_path: Path, capsys: Capture) -> None:
        """
        One entry per object; the later steps of a rollout need fewer seconds than an hour at this traffic.
        """
        path = file_of(tmp_path, VALID + "---" + VALID.replace("fraud", "other"))
        assert main(["plan", path, "--rps", "500", "--json"]) == 0
        plans = json.loads(capsys.readouterr().out)
        assert [plan["name"] for plan in plans] == ["fraud", "other"]
        steps = plans[0]["steps"]
        assert [step["percent"] for step in steps] == ["5%", "25%", "50%", "100%"]
        assert all(step["requests"] > 0 and step["seconds"] > 0 and not step["late"] for step in steps[:-1])
        assert steps[-1]["requests"] is None

    def test_more_traffic_needs_less_time_and_as_many_requests(self, tmp_path: Path, capsys: Capture) -> None:
        """
        Evidence is counted in requests.
        """
        path = file_of(tmp_path, VALID)
        first = []
        for rps in ("5", "10"):
            main(["plan", path, "--rps", rps, "--json", "--stable-errors", "0.1%"])
            first.append(json.loads(capsys.readouterr().out)[0]["steps"][0])
        slow, fast = first
        assert slow["requests"] == pytest.approx(fast["requests"], rel=0.01)
        assert slow["seconds"] > 1.5 * fast["seconds"]

    def test_a_late_step_names_the_fields_that_help(self, tmp_path: Path, capsys: Capture) -> None:
        """
        Little traffic is told before the rollout, with the ways out and what follows without any.
        """
        assert main(["plan", file_of(tmp_path, VALID), "--rps", "0.1"]) == 1
        out = capsys.readouterr().out
        for field in ("spec.analysis.onInconclusive says (Pause)", "stepDeadline (60 min)", "blastRadius (0.5%)"):
            assert field in out
        assert main(["plan", file_of(tmp_path, VALID), "--rps", "500"]) == 0
        assert "stepDeadline" not in capsys.readouterr().out

    def test_known_overdispersion_takes_its_time(self, tmp_path: Path, capsys: Capture) -> None:
        """
        Twice as many requests where bad events come in pairs.
        """
        needed = []
        for known in ("1", "2"):
            manifest = VALID.rstrip() + f'\n  analysis: {{overdispersion: "{known}"}}\n'
            main(["plan", file_of(tmp_path, manifest), "--rps", "500", "--json"])
            needed.append(json.loads(capsys.readouterr().out)[0]["steps"][0]["requests"])
        assert needed[1] == pytest.approx(2 * needed[0], rel=0.01)

    def test_a_rate_is_a_fraction_or_a_percentage(self, tmp_path: Path, capsys: Capture) -> None:
        """
        Both mean the same.
        """
        path = file_of(tmp_path, VALID)
        answers = []
        for rate in ("0.002", "0.2%"):
            main(["plan", path, "--rps", "50", "--json", "--stable-errors", rate])
            answers.append(capsys.readouterr().out)
        assert answers[0] == answers[1]

    def test_a_step_that_comes_too_late_is_a_no(self, tmp_path: Path, capsys: Capture) -> None:
        """
        Status 1, and the step says so.
        """
        assert main(["plan", file_of(tmp_path, VALID), "--rps", "0.1"]) == 1
        assert "later than the step deadline" in capsys.readouterr().out

    def test_a_stable_too_bad_to_compare_with_is_a_no(self, tmp_path: Path, capsys: Capture) -> None:
        """
        However much traffic there is, or the plan says how long it takes; it never breaks.
        """
        assert main(["plan", file_of(tmp_path, VALID), "--rps", "50", "--stable-errors", "99%"]) in (0, 1)
        assert "fraud" in capsys.readouterr().out

    @pytest.mark.parametrize(
        "options",
        [
            ["--rps", "0"],
            ["--rps", "-1"],
            ["--rps", "nan"],
            ["--rps", "inf"],
            ["--rps", "many"],
            [],
            ["--rps", "1", "--stable-errors", "100%"],
            ["--rps", "1", "--stable-errors", "-0.1"],
            ["--rps", "1", "--stable-errors", "few"],
            ["--rps", "1", "--stable-errors", "nan"],
        ],
        ids=" ".join,
    )
    def test_numbers_that_make_no_sense_are_refused(self, options: list[str], tmp_path: Path, capsys: Capture) -> None:
        """
        Status 2 with the option's name, and no word of our functions.
        """
        with pytest.raises(SystemExit) as ended:
            main(["plan", file_of(tmp_path, VALID), *options])
        assert ended.value.code == 2
        message = capsys.readouterr().err
        assert (options or ["--rps"])[-2 if options else 0] in message
        assert "_rate" not in message
        assert "_positive" not in message

    def test_an_invalid_object_has_no_plan(self, tmp_path: Path, capsys: Capture) -> None:
        """
        Status 2 and every problem.
        """
        assert main(["plan", file_of(tmp_path, INVALID), "--rps", "50"]) == 2
        captured = capsys.readouterr()
        assert "spec.serving.port" in captured.err
        assert captured.out == ""


class TestEntry:
    """
    The program itself.
    """

    @pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["check", "--help"], ["plan", "--help"]])
    def test_each_command_explains_itself(self, words: list[str], capsys: Capture) -> None:
        """
        Status 0.
        """
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        assert "usage: modelramp" in capsys.readouterr().out

    @pytest.mark.parametrize("words", [[], ["fly"], ["check"]])
    def test_what_is_no_command_is_a_usage_error(self, words: list[str]) -> None:
        """
        Status 2.
        """
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2

    def test_the_version_is_the_packages(self, capsys: Capture) -> None:
        """
        Printed alone.
        """
        with pytest.raises(SystemExit):
            main(["--version"])
        assert capsys.readouterr().out.strip() == __version__

    def test_run_refuses_settings_it_cannot_use(self, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
        """
        Status 2 and the variable's name, before anything is contacted.
        """
        monkeypatch.setenv("MODELRAMP_WORKERS", "some")
        assert main(["run"]) == 2
        assert "MODELRAMP_WORKERS" in capsys.readouterr().err

    def test_the_file_commands_load_neither_kopf_nor_a_client(self, tmp_path: Path) -> None:
        """
        They answer at once.
        """
        script = (
            "import sys; from modelramp.__main__ import main; "
            f"main(['plan', {file_of(tmp_path, VALID)!r}, '--rps', '50']); "
            "sys.exit(any(name in sys.modules for name in ('kopf', 'kubernetes', 'aiohttp')))"
        )
        assert subprocess.run([sys.executable, "-c", script], check=False, capture_output=True).returncode == 0
