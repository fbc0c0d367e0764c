"""
Approvals guarded by RBAC on a real API server: who may ask for what, in whose name, and what an editor may still do.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
from apiserver.approval_specs import LESS, SAFE
from apiserver.approval_texts import harmless, mutations, nasty
from apiserver.approval_world import (
    ACTION,
    APPROVER,
    APPROVER_OF_ONE,
    APPROVERS,
    EDITOR,
    FOREIGNER,
    KEYS,
    MERGE,
    NAMESPACE,
    ROBOT,
    ApprovalWorld,
    request,
)
from apiserver.server import Answer, ApiServer
from apiserver.values import smallest
from hypothesis import HealthCheck, given, settings

from modelramp.api.action import GUARDED, ActionRequest, Verb, read_action

pytestmark = pytest.mark.apiserver

RANDOM_TEXTS: Final = 400
LEAST_OF_EACH: Final = 30  # let through and refused ones; fewer would say little about the rarer
USERS: Final = (EDITOR, *APPROVERS)
LACKS: Final = "lacks the right to update mlmodeldeployments/approve (modelramp.io) in namespace " + NAMESPACE


@pytest.fixture(scope="module")
def world(served: ApiServer) -> Iterator[ApprovalWorld]:
    """
    The policy in force in a namespace of its own.
    """
    made = ApprovalWorld(served)
    try:
        made.begin()
        yield made
    finally:
        made.end()


def said(answer: Answer) -> str:
    """
    The message; by our policy, if it is a refusal.
    """
    message: str = answer.body.get("message", "")
    assert answer.status == 200 or f"ValidatingAdmissionPolicy '{NAMESPACE}'" in message, message
    return message


def let_through(world: ApprovalWorld, user: str, text: str) -> bool:
    """
    Whether the policy lets the text through; fails if the operator would read it as another's, or as what the user may
    not ask for.
    """
    answer = world.ask(user, text)
    said(answer)
    if answer.status != 200 or not text:
        return answer.status == 200
    read = read_action(answer.body["metadata"]["annotations"][ACTION])
    assert isinstance(read, ActionRequest), read
    assert read.by == user
    assert user in APPROVERS or read.verb not in GUARDED
    return True


class TestRights:
    """
    Who may ask for what.
    """

    @pytest.mark.parametrize("verb", Verb, ids=str)
    def test_an_editor_without_the_right_does_not_decide(self, world: ApprovalWorld, verb: Verb) -> None:
        """
        Guarded verbs are refused with what is missing and how to get it; all others stay an editor's.
        """
        answer = world.ask(EDITOR, request(EDITOR, verb))
        if verb not in GUARDED:
            assert answer.status == 200, answer.body
            return
        assert answer.status == 403
        assert f"{EDITOR} {LACKS}" in said(answer)
        assert f"-n {NAMESPACE} --clusterrole=modelramp-approve --user={EDITOR}. The verb {verb} needs it" in said(
            answer
        )

    @pytest.mark.parametrize("verb", Verb, ids=str)
    @pytest.mark.parametrize("user", APPROVERS)
    def test_with_the_right_one_decides_in_ones_own_name(self, world: ApprovalWorld, user: str, verb: Verb) -> None:
        """
        People, and accounts with colons in their names.
        """
        assert let_through(world, user, request(user, verb))

    @pytest.mark.parametrize("verb", Verb, ids=str)
    @pytest.mark.parametrize(("user", "named"), [(EDITOR, APPROVER), (APPROVER, EDITOR), (ROBOT, "release-bot")])
    def test_nobody_asks_in_anothers_name(self, world: ApprovalWorld, user: str, named: str, verb: Verb) -> None:
        """
        Neither an editor in an approver's, nor the other way round, whatever the verb.
        """
        answer = world.ask(user, request(named, verb))
        assert answer.status in {403, 422}
        assert f'"by" is {named}, and you are {user}' in said(answer)

    @pytest.mark.parametrize("name", KEYS)
    def test_a_name_that_reads_like_a_key_cannot_ask(self, world: ApprovalWorld, name: str) -> None:
        """
        The price of being safe without reading JSON: told, as everything that is refused.
        """
        answer = world.ask(name, request(name))
        assert answer.status == 422
        assert "no value that is the name of a key" in said(answer)

    def test_a_value_is_not_taken_for_a_key(self, world: ApprovalWorld) -> None:
        """
        Nor what follows it for the asker, though somebody has that name.
        """
        assert not let_through(world, "verb", '{"id": "by", "verb": "pause", "revision": "r"}')

    def test_the_right_may_be_for_one_object(self, world: ApprovalWorld) -> None:
        """
        As with every right, by its name; another object is refused below.
        """
        assert world.ask(APPROVER_OF_ONE, request(APPROVER_OF_ONE, "approve")).status == 200

    def test_creating_with_a_request_is_guarded_too(self, world: ApprovalWorld) -> None:
        """
        There is no object before.
        """
        path = world.path() + "?dryRun=All"
        asked = {EDITOR: 403, APPROVER: 201, APPROVER_OF_ONE: 403}
        for user, status in asked.items():
            document = {**smallest(), "metadata": {"name": "new", "annotations": {ACTION: request(user, "approve")}}}
            assert world.server.send("POST", path, document, user=user).status == status
        generated = {**smallest(), "metadata": {"generateName": "n-", "annotations": {ACTION: request(EDITOR, "undo")}}}
        assert world.server.send("POST", path, generated, user=EDITOR).status == 403

    @pytest.mark.parametrize(
        "kind", ["application/apply-patch+yaml", "application/json-patch+json", "application/json"]
    )
    def test_every_way_to_write_is_guarded(self, world: ApprovalWorld, kind: str) -> None:
        """
        Server-side apply, a JSON patch and a whole replacement.
        """
        path = world.path("fraud") + "?dryRun=All&fieldManager=me&force=true"
        for user, status in ((EDITOR, 403), (APPROVER, 200)):
            annotations = {ACTION: request(user, "promote-full")}
            stored = world.server.send("GET", world.path("fraud"), None).body["metadata"]["resourceVersion"]
            metadata = {"name": "fraud", "annotations": annotations}
            body: Any = {**smallest(), "metadata": metadata}
            if kind.endswith("json-patch+json"):
                path = path.replace("&force=true", "")
                body = [{"op": "add", "path": "/metadata/annotations", "value": annotations}]
            elif kind == "application/json":
                path = path.replace("&force=true", "")
                metadata["resourceVersion"] = stored
            method = "PUT" if kind == "application/json" else "PATCH"
            answer = world.server.send(method, path, body, kind, user=user)
            assert answer.status == status, answer.body


class TestTexts:
    """
    What the policy lets through is read by the operator as the user's own request.
    """

    @pytest.mark.parametrize("user", APPROVERS)
    @pytest.mark.parametrize("what", harmless("x"))
    def test_odd_but_honest(self, world: ApprovalWorld, user: str, what: str) -> None:
        """
        Order, white space and what stands in values are free; without the right the same is refused.
        """
        assert let_through(world, user, harmless(user)[what])
        assert not let_through(world, EDITOR, harmless(EDITOR)[what])

    @pytest.mark.parametrize("what", nasty("x"))
    def test_tricks_are_refused(self, world: ApprovalWorld, what: str) -> None:
        """
        To everybody, also to those with the right.
        """
        assert [user for user in USERS if let_through(world, user, nasty(user)[what])] == []

    def test_random_changes_are_read_alike_or_refused(self, world: ApprovalWorld) -> None:
        """
        Hundreds of texts with pieces put in, taken out or doubled.
        """
        found: Counter[bool] = Counter()

        @settings(max_examples=RANDOM_TEXTS, deadline=None, derandomize=True, database=None,
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(mutations(APPROVER))
        def alike(text: str) -> None:
            found[let_through(world, APPROVER, text)] += 1

        alike()
        assert min(found[True], found[False]) >= LEAST_OF_EACH, found


class TestFreedom:
    """
    What an editor is not hindered in.
    """

    def test_edits_beside_anothers_request(self, world: ApprovalWorld) -> None:
        """
        A request that stays as it was is not the editor's, who may change all else, take it away or empty it; to set it
        again would be to ask in another's name.
        """
        approval = request(FOREIGNER, "approve")
        assert world.ask(FOREIGNER, approval, dry=False).status == 200
        try:
            path = world.path("fraud")
            change = {
                "metadata": {"labels": {"team": "b"}},
                "spec": {"model": {"version": "2"}, "serving": {"replicas": 5}},
            }
            assert world.server.send("PATCH", path + "?dryRun=All", change, MERGE, user=EDITOR).status == 200
            assert let_through(world, EDITOR, "")
            assert world.ask(EDITOR, approval + " ").status == 422
            assert world.ask(EDITOR, None, dry=False).status == 200
            assert f'"by" is {FOREIGNER}, and you are {EDITOR}' in said(world.ask(EDITOR, approval))
        finally:
            world.ask(FOREIGNER, None, dry=False)

    @pytest.mark.parametrize("key", ["modelramp.io/abort", "modelramp.io/retry", "modelramp.io/actions", "action"])
    def test_other_annotations(self, world: ApprovalWorld, key: str) -> None:
        """
        The simple ones take a candidate out, or begin one again at its first step.
        """
        assert world.ask(EDITOR, "anything \\ at all", key).status == 200

    def test_scale_and_status_are_no_edits_of_the_object(self, world: ApprovalWorld) -> None:
        """
        An autoscaler is not hindered, nor is the operator, and neither way writes the annotation.
        """
        assert world.ask(APPROVER, request(APPROVER, "approve"), dry=False).status == 200
        try:
            scale = {"metadata": {"annotations": {ACTION: "forged"}}, "spec": {"replicas": 7}}
            path = world.path("fraud")
            assert world.server.send("PATCH", path + "/scale", scale, MERGE, user=EDITOR).status == 200
            status = {"metadata": {"annotations": {ACTION: "forged"}}, "status": {"message": "m"}}
            assert world.server.send("PATCH", path + "/status", status, MERGE).status == 200
            stored = world.server.send("GET", path, None).body
            assert (stored["spec"]["serving"]["replicas"], stored["status"]["message"]) == (7, "m")
            assert stored["metadata"]["annotations"][ACTION] == request(APPROVER, "approve")
        finally:
            world.ask(APPROVER, None, dry=False)


class TestSpec:
    """
    An edit by which fewer steps would wait for approval needs the right to approve.

    On objects without a schema, so that each value can be tried whatever the definition accepts; that the definition
    has these fields is tested in tests/unit/chart.
    """

    @pytest.mark.parametrize("what", LESS)
    def test_less_protection_needs_the_right(self, world: ApprovalWorld, what: str) -> None:
        """
        A raised degree, a raised share, and any change of steps or of a switch that asks for approval.
        """
        before, after = LESS[what]
        refused = world.edited(EDITOR, before, after)
        assert refused.status == 403
        assert f"{EDITOR} {LACKS}" in said(refused)
        assert world.edited(APPROVER, before, after).status == 200

    @pytest.mark.parametrize("what", SAFE)
    def test_all_else_is_free(self, world: ApprovalWorld, what: str) -> None:
        """
        As much protection or more, and what has nothing to do with it.
        """
        answer = world.edited(EDITOR, *SAFE[what])
        assert answer.status == 200, answer.body
