"""
Typical mistakes are refused by `kubectl apply`, with a message that names the field.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from apiserver.server import GROUP_PATH, ApiServer
from apiserver.values import smallest

from modelramp.api.document import InvalidSpecError, parse_spec

Mistake = dict[str, Any]

MISTAKES: Final[list[Mistake]] = yaml.safe_load(Path(__file__).with_name("mistakes.yaml").read_text("utf-8"))
KUBECTL_AT_ONCE: Final = 4

by_id = pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake["id"] for mistake in MISTAKES])


def _merged(target: Any, patch: Any) -> Any:  # noqa: ANN401 - JSON values
    """
    The target after a JSON merge patch (RFC 7396).
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        merged[key] = _merged(merged.get(key), value)
    return {key: value for key, value in merged.items() if value is not None}


def _object(mistake: Mistake) -> dict[str, Any]:
    made: dict[str, Any] = _merged(smallest(), mistake["change"])
    return made


def _kubectl_apply(server: ApiServer, document: dict[str, Any], cache: Path) -> subprocess.CompletedProcess[str]:
    command = ["kubectl", f"--kubeconfig={server.kubeconfig}", f"--cache-dir={cache}", "apply", "-f", "-"]
    return subprocess.run(command, input=json.dumps(document), capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def applied(served: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[int, str]]]:
    """
    Exit status and message of applying each mistake; what was taken by mistake is deleted again.
    """
    if shutil.which("kubectl") is None:
        pytest.fail('kubectl is not on the PATH; `eval "$(python3 hack/cluster env)"` puts it there', pytrace=False)
    cache = tmp_path_factory.mktemp("kubectl")
    documents = [_object(mistake) for mistake in MISTAKES]
    with ThreadPoolExecutor(KUBECTL_AT_ONCE) as pool:
        done = list(pool.map(lambda document: _kubectl_apply(served, document, cache), documents))
    yield {
        mistake["id"]: (run.returncode, run.stdout + run.stderr) for mistake, run in zip(MISTAKES, done, strict=True)
    }
    for document, run in zip(documents, done, strict=True):
        if run.returncode == 0:
            served.send("DELETE", f"{GROUP_PATH}/{document['metadata']['name']}", None)


@pytest.mark.apiserver
def test_the_object_without_mistake_is_accepted(served: ApiServer) -> None:
    """
    So it is the mistake that is refused below.
    """
    assert served.try_create(smallest()).status == 201
    assert len(MISTAKES) >= 20


@pytest.mark.apiserver
@by_id
def test_kubectl_apply_names_the_field(applied: dict[str, tuple[int, str]], mistake: Mistake) -> None:
    """
    Refused, with the path of the field and words that help.
    """
    status, message = applied[mistake["id"]]
    assert status == 1, message
    assert mistake["path"] in message
    assert mistake["says"] in message


@by_id
def test_the_parser_names_the_same_field(mistake: Mistake) -> None:
    """
    Who checks a file without a cluster is pointed at the same place.
    """
    with pytest.raises(InvalidSpecError) as refused:
        parse_spec(_object(mistake))
    assert mistake["path"] in [problem.path for problem in refused.value.problems]
