import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from apiserver.server import CRD_PATH, GROUP_PATH, Answer, ApiServer
from rig.stories import STORIES, Told, played

from modelramp.api.crd import CRD_NAME, custom_resource_definition

VARIABLE: Final = "MODELRAMP_TEST_KUBECONFIG"
HOW: Final = (
    f"these tests need a real API server, named by a kubeconfig file in {VARIABLE}. Start one with "
    "`python3 hack/cluster up --only apiserver`, or leave them out with `-m 'not apiserver'`"
)
CRD_SERVED_WITHIN_S: Final = 20
CHANGE_SEEN_AFTER_S: Final = (
    1.5  # the part that serves objects sees a changed CRD a moment later, and nothing says when
)


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """
    The API server to test against; without one the tests fail instead of being skipped unseen.
    """
    named = os.environ.get(VARIABLE, "")
    if not named or not Path(named).is_file():
        pytest.fail(f"{HOW} ({VARIABLE} is {named or 'not set'})", pytrace=False)
    server = ApiServer(Path(named))
    yield server
    server.close()


@pytest.fixture(scope="session")
def crd_answer(api_server: ApiServer) -> Answer:
    """
    The answer to applying the generated CRD, once it is served.
    """
    before = api_server.send("GET", f"{CRD_PATH}/{CRD_NAME}", None).body.get("metadata", {}).get("generation")
    path = f"{CRD_PATH}/{CRD_NAME}?fieldManager=modelramp-tests&force=true&fieldValidation=Strict"
    applied = api_server.send("PATCH", path, custom_resource_definition(), "application/apply-patch+yaml")
    deadline = time.monotonic() + CRD_SERVED_WITHIN_S
    while applied.status < 300 and api_server.send("GET", GROUP_PATH, None).status != 200:
        if time.monotonic() > deadline:
            pytest.fail(f"the CRD was not served within {CRD_SERVED_WITHIN_S} s of being applied")
        time.sleep(0.1)
    if applied.body["metadata"].get("generation") != before:
        time.sleep(CHANGE_SEEN_AFTER_S)
    return applied


@pytest.fixture(scope="session")
def served(api_server: ApiServer, crd_answer: Answer) -> ApiServer:
    """
    The API server with the CRD in force.
    """
    assert crd_answer.status in (200, 201), crd_answer.body.get("message")
    return api_server


@pytest.fixture(scope="session")
def told(served: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """
    All stories of the rig that the chosen files tell, side by side from the first one that is asked for.
    """
    with played(served, tmp_path_factory.mktemp("rig"), STORIES) as ask:
        yield ask
