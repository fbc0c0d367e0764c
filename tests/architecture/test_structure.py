"""
Sentences of the architecture as checks on the source.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OPERATOR = ROOT / "operator"
PACKAGE = OPERATOR / "modelramp"
CORE = ("api", "analysis", "rollout")
FUNCTION_LINES = 40
FILE_LINES = 330
BANNED = frozenset({"manager", "helper", "helpers", "utils", "handle", "process", "data", "info", "context"})
# Names of other people's interfaces and of their fields.
FOREIGN = frozenset(
    {
        "FIELD_MANAGER",  # server-side apply's own word
        "NoData",  # the field's word for a metric without samples, and a verdict of the API
        "NO_DATA",
        "OnNoData",  # and the policies named after it
        "on_no_data",
        "no_data_rolls_back",
        "_no_data",
        "EProcess",  # statistics' word for evidence that may be looked at any time
        "process",
        "context",  # of a kubeconfig
    }
)
ASKED_BY_NAME = Path("modelramp/api/spec/traffic.py")  # the user names the kind of route there
GATEWAY_KINDS = re.compile(r"HTTPRoute|GRPCRoute|GatewayClass|VirtualService|HTTPProxy|IngressRoute")


@cache
def sources() -> tuple[tuple[Path, str, ast.Module], ...]:
    """
    Every module of the operator: its path, its text and its tree.
    """
    texts = [(path, path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))]
    return tuple((path.relative_to(OPERATOR), text, ast.parse(text)) for path, text in texts)


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """
    Lines of the body, without signature and docstring.
    """
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def defined(tree: ast.Module) -> Iterator[str]:
    """
    The names a module gives: functions, classes, arguments, variables, attributes.
    """
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr


def words(name: str) -> set[str]:
    """
    The words of an identifier, in lower case.
    """
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def test_the_import_contracts_hold() -> None:
    """
    Layers, the pure core, kopf in one place, clients in adapters, no cycles.
    """
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "0 broken" in done.stdout) == (0, True), done.stdout + done.stderr


def test_operator_holds_directories_only() -> None:
    """
    `operator/` is a place, not a package: as one it would hide the standard library's module of that name.
    """
    files = [path.name for path in OPERATOR.iterdir() if not path.is_dir()]
    assert (files, [path.name for path in OPERATOR.glob("*/__init__.py")]) == ([], ["__init__.py"])


def test_every_package_of_the_operator_is_one() -> None:
    """
    A folder without an `__init__.py` would be left out of the layers unseen.
    """
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [folder.name for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_functions_fit_on_a_screen() -> None:
    """
    At most forty lines each.
    """
    long = {
        f"{path}:{node.name}": body_lines(node)
        for path, _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and body_lines(node) > FUNCTION_LINES
    }
    assert long == {}


def test_files_are_one_idea_long() -> None:
    """
    At most 330 lines each.
    """
    long = {str(path): text.count("\n") for path, text, _ in sources() if text.count("\n") > FILE_LINES}
    assert long == {}


def test_names_say_what_a_thing_is() -> None:
    """
    Words that fit everything tell nothing.
    """
    suspicious = {(name, str(path)) for path, _, tree in sources() for name in defined(tree) if words(name) & BANNED}
    found = {one for one in suspicious if one[0] not in FOREIGN}
    files = {str(path) for path, _, _ in sources() if words(path.stem) & BANNED}
    assert (found, files) == (set(), set())
    assert {name for name, _ in suspicious} == FOREIGN


@pytest.mark.parametrize("package", CORE)
def test_the_core_names_no_kind_of_any_gateway(package: str) -> None:
    """
    Another gateway is another adapter; docstrings that tell users about an HTTPRoute are not code.
    """
    named = {
        f"{path}:{node.lineno}"
        for path, _, tree in sources()
        if path.parts[1] == package and path != ASKED_BY_NAME
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and GATEWAY_KINDS.search(node.id))
        or (isinstance(node, ast.Attribute) and GATEWAY_KINDS.search(node.attr))
        or (isinstance(node, ast.Constant) and isinstance(node.value, str) and GATEWAY_KINDS.fullmatch(node.value))
    }
    assert named == set()


def test_unit_tests_mirror_the_core() -> None:
    """
    Each module of the rollout that does something has its tests beside it; values are tested where they are used.
    """
    values = {"__init__", "observed", "opening", "plan", "questions", "situation"}
    modules = {path.stem for path, _, _ in sources() if path.parts[1] == "rollout"} - values
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "unit" / "rollout").glob("test_*.py")}
    assert modules - tests == set()
