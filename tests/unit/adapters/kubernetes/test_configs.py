"""Copies of ConfigMaps, against an API server in memory that knows ConfigMaps only."""

from typing import Any

import pytest

from modelramp.adapters.kubernetes.configs import ConfigCopies, copies_of, with_copies
from modelramp.adapters.kubernetes.readers import ConfigContents
from modelramp.adapters.kubernetes.rendering import deployment_of, pod_template
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.document import revision_of
from modelramp.api.identity import content_hash
from modelramp.api.spec import ConfigReference, MLModelDeploymentSpec, OnChange
from modelramp.ports import ConflictError, DeniedError, GoneError, Key, Owner, RefusedError, UnreachableError
from modelramp.rollout.observed import Role
from modelramp.rollout.plan import EnsureWorkload

OWNER = Owner(key=Key("ml", "fraud"), uid="u1")
REVISION = "0123456789"
POD = {
    "volumes": [
        {"name": "a", "configMap": {"name": "limits", "optional": True}},
        {"name": "b", "projected": {"sources": [{"configMap": {"name": "other"}}, {"configMap": {"name": "labels"}}]}},
        {"name": "c", "secret": {"secretName": "limits"}},
    ],
    "initContainers": [{"name": "i", "image": "i", "envFrom": [{"configMapRef": {"name": "limits"}}]}],
}
CONTAINER = {
    "name": "m",
    "image": "i",
    "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "labels", "key": "k"}}}],
}


def spec(*names: str) -> MLModelDeploymentSpec:
    document = {
        "model": {"version": "8"},
        "serving": {
            "port": 8080,
            "template": {"spec": {**POD, "containers": [CONTAINER]}},
            "config": [{"configMap": name} for name in names],
        },
        "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
    }
    return MLModelDeploymentSpec.model_validate(document, by_alias=True, by_name=False)


class ConfigMaps(Transport):
    """A transport to a shelf of ConfigMaps."""

    def __init__(self, **objects: dict[str, Any]) -> None:
        self.shelf = {Key("ml", name): body for name, body in objects.items()}
        self.faults: dict[str, Exception] = {}

    async def get(self, resource: Any, key: Key) -> Any:  # noqa: ANN401 - a document
        assert resource.plural == "configmaps"
        if key.name in self.faults:
            raise self.faults[key.name]
        if key not in self.shelf:
            raise GoneError(str(key))
        return self.shelf[key]

    async def create(self, resource: Any, body: Any) -> Any:  # noqa: ANN401 - a document
        assert resource.plural == "configmaps"
        self.shelf[Key("ml", body["metadata"]["name"])] = body
        return body

    async def delete(self, resource: Any, key: Key, *, uid: str | None = None) -> None:  # noqa: ANN401 - a resource
        assert (resource.plural, uid) == ("configmaps", None)
        if self.shelf.pop(key, None) is None:
            raise GoneError(str(key))


def source(**data: str) -> dict[str, Any]:
    return {"metadata": {"name": "x", "namespace": "ml"}, "data": data, "binaryData": {"b": "AA=="}}


def revision(wanted: MLModelDeploymentSpec, **contents: dict[str, Any]) -> str:
    """The revision with these sources."""
    return revision_of(wanted, {name: content_hash(body) for name, body in contents.items()})


def test_every_place_of_a_pod_names_the_copies() -> None:
    """And only of the ConfigMaps the spec names as configuration; a Secret of the name is none."""
    rendered = pod_template(OWNER, spec("limits", "labels"), REVISION)["spec"]
    first, second = f"fraud-{REVISION}-0", f"fraud-{REVISION}-1"
    assert rendered["volumes"][0]["configMap"] == {"name": first, "optional": True}
    named = [one["configMap"]["name"] for one in rendered["volumes"][1]["projected"]["sources"]]
    assert named == ["other", second]
    assert rendered["volumes"][2] == POD["volumes"][2]  # type: ignore[index] - a list
    assert rendered["initContainers"][0]["envFrom"] == [{"configMapRef": {"name": first}}]
    env = {one["name"]: one for one in rendered["containers"][0]["env"]}
    assert env["X"]["valueFrom"]["configMapKeyRef"] == {"name": second, "key": "k"}


def test_without_configuration_nothing_is_renamed_or_noted() -> None:
    """The template stays as the user wrote it."""
    effect = EnsureWorkload(revision=REVISION, replicas=1, role=Role.CANDIDATE)
    plain, some = (deployment_of(OWNER, one, effect) for one in (spec(), spec("limits", "labels")))
    assert plain["spec"]["template"]["spec"]["volumes"] == POD["volumes"]
    assert "annotations" not in plain["metadata"]
    assert some["metadata"]["annotations"] == {"modelramp.io/config": "2"}


def test_what_only_looks_like_a_reference_stays() -> None:
    """A field of the name that is no object."""
    assert with_copies({"configMap": "limits", "x": [1, None]}, {"limits": "copy"}) == {
        "configMap": "limits",
        "x": [1, None],
    }


async def test_a_copy_is_immutable_owned_and_whole() -> None:
    """It is collected with the object."""
    shelf, wanted = ConfigMaps(limits=source(k="1")), spec("limits")
    name = revision(wanted, limits=source(k="1"))
    await ConfigCopies(shelf).ensure(OWNER, wanted, name)
    copy = shelf.shelf[Key("ml", f"fraud-{name}-0")]
    assert (copy["immutable"], copy["data"], copy["binaryData"]) == (True, {"k": "1"}, {"b": "AA=="})
    assert copy["metadata"]["labels"]["modelramp.io/revision"] == name
    assert copy["metadata"]["ownerReferences"][0]["uid"] == "u1"


async def test_what_was_copied_stays_whatever_becomes_of_its_source() -> None:
    """Also after a crash between the copy and the Deployment."""
    shelf, wanted = ConfigMaps(limits=source(k="1")), spec("limits")
    name = revision(wanted, limits=source(k="1"))
    await ConfigCopies(shelf).ensure(OWNER, wanted, name)
    shelf.shelf[Key("ml", "limits")] = source(k="2")
    await ConfigCopies(shelf).ensure(OWNER, wanted, name)
    del shelf.shelf[Key("ml", "limits")]
    await ConfigCopies(shelf).ensure(OWNER, wanted, name)
    assert shelf.shelf[Key("ml", f"fraud-{name}-0")]["data"] == {"k": "1"}


@pytest.mark.parametrize("copied", [(), ("limits",)], ids=["nothing is copied yet", "one is copied already"])
async def test_a_source_that_changed_since_it_was_looked_at_is_not_copied(copied: tuple[str, ...]) -> None:
    """Else a revision would hold what its name does not stand for; the next look finds another revision."""
    looked_at = {"limits": source(k="1"), "labels": source(k="1")}
    shelf, wanted = ConfigMaps(**looked_at), spec("limits", "labels")
    name = revision(wanted, **looked_at)
    await ConfigCopies(shelf).ensure(OWNER, wanted, name)
    for number, one in enumerate(("limits", "labels")):
        if one not in copied:
            del shelf.shelf[Key("ml", f"fraud-{name}-{number}")]
    shelf.shelf[Key("ml", "labels")] = source(k="2")
    before = dict(shelf.shelf)
    with pytest.raises(ConflictError, match="has changed since it was looked at"):
        await ConfigCopies(shelf).ensure(OWNER, wanted, name)
    assert shelf.shelf == before


async def test_what_is_to_be_ignored_is_copied_as_it_is() -> None:
    """It is no part of the revision's name."""
    wanted = spec("limits")
    ignoring = wanted.serving.model_copy(
        update={"config": (ConfigReference(config_map="limits", on_change=OnChange.IGNORE),)}
    )
    shelf, wanted = ConfigMaps(limits=source(k="2")), wanted.model_copy(update={"serving": ignoring})
    await ConfigCopies(shelf).ensure(OWNER, wanted, REVISION)
    assert shelf.shelf[Key("ml", f"fraud-{REVISION}-0")]["data"] == {"k": "2"}


async def test_what_they_hold_is_told_without_names_and_what_is_not_there() -> None:
    """One that may not be read is like one that is not there; a silent server is told."""
    shelf = ConfigMaps(a=source(k="1"), b={**source(k="1"), "metadata": {"name": "b"}}, c=source(k="2"))
    keys = tuple(Key("ml", name) for name in ("a", "b", "c", "missing", "denied"))
    shelf.faults = {"denied": DeniedError("get configmaps")}
    found = await ConfigContents(shelf).hashes(keys)
    assert found == {
        keys[0]: content_hash(source(k="1")),
        keys[1]: found[keys[0]],
        keys[2]: content_hash(source(k="2")),
    }
    assert found[keys[0]] != found[keys[2]]
    shelf.faults = {"a": UnreachableError("no answer")}
    with pytest.raises(UnreachableError):
        await ConfigContents(shelf).hashes(keys)


async def test_a_source_that_is_not_there_is_refused_by_its_path() -> None:
    """It may come later."""
    shelf = ConfigMaps(limits=source(k="1"))
    with pytest.raises(RefusedError, match=r"spec\.serving\.config\[1\]\.configMap: there is no ConfigMap labels"):
        await ConfigCopies(shelf).ensure(OWNER, spec("limits", "labels"), REVISION)


async def test_a_stranger_s_config_map_is_not_taken() -> None:
    """It would be removed with the revision."""
    shelf = ConfigMaps(**{"limits": source(k="1"), f"fraud-{REVISION}-0": source(k="2")})
    with pytest.raises(RefusedError, match="is not of this object"):
        await ConfigCopies(shelf).ensure(OWNER, spec("limits"), REVISION)


async def test_copies_go_with_the_revision_and_nothing_else_does() -> None:
    """Twice, and also where one is gone already."""
    shelf, copies = ConfigMaps(limits=source(), labels=source()), spec("limits", "labels")
    name = revision(copies, limits=source(), labels=source())
    await ConfigCopies(shelf).ensure(OWNER, copies, name)
    assert len(shelf.shelf) == 2 + len(copies_of(OWNER, copies, name))
    for _ in range(2):
        await ConfigCopies(shelf).delete(OWNER, name, 2)
        assert set(shelf.shelf) == {Key("ml", "limits"), Key("ml", "labels")}
