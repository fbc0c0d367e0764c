import pytest
from contracts.kubernetes_worlds import SPEC, ApiServerWorld, World

from modelramp.adapters.kubernetes.resources import EVENTS
from modelramp.ports import Announcement, Key, Owner

PROMOTED = Announcement(reason="Promoted", action="Promote", note="version 8 serves everything", warning=False)
FAILED = Announcement(reason="AnalysisFailed", action="RollBack", note="errors: 8 % > 1 %", warning=True)


async def owner_of(cluster: World) -> Owner:
    owner = await cluster.put(Key(cluster.namespace, "fraud"), SPEC)
    await cluster.deployments.read(owner.key)
    return owner


async def test_what_is_announced_is_recorded_once(cluster: World) -> None:
    """A repetition after a crash is the same Event."""
    owner = await owner_of(cluster)
    for _ in range(2):
        await cluster.events.announce(owner, PROMOTED)
        await cluster.events.announce(owner, FAILED)
    assert await cluster.announced(owner.key) == [
        ("AnalysisFailed", True, "errors: 8 % > 1 %"),
        ("Promoted", False, "version 8 serves everything"),
    ]


async def test_the_same_words_of_a_later_generation_are_another_event(cluster: World) -> None:
    """It happened again."""
    owner = await owner_of(cluster)
    await cluster.events.announce(owner, PROMOTED)
    await cluster.put(owner.key, {**SPEC, "model": {"version": "9"}})
    await cluster.deployments.read(owner.key)
    await cluster.events.announce(owner, PROMOTED)
    assert len(await cluster.announced(owner.key)) == 2


async def test_the_same_words_of_a_later_phase_are_another_event(cluster: World) -> None:
    """It paused again, with the same spec."""
    owner = await owner_of(cluster)
    for instant in ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"):
        document = await cluster.deployments.read(owner.key)
        assert document is not None
        await cluster.deployments.commit(document, {"phase": "Paused", "phaseSince": instant})
        await cluster.events.announce(owner, FAILED)
    assert len(await cluster.announced(owner.key)) == 2


@pytest.mark.apiserver
async def test_the_server_takes_the_longest_note(real: ApiServerWorld) -> None:
    """Cut at a character, not at a byte."""
    owner = await owner_of(real)
    long = Announcement(reason="Waiting", action="Wait", note="é" * 2000, warning=False)
    await real.events.announce(owner, long)
    ((_, _, note),) = await real.announced(owner.key)
    assert len(note.encode()) <= 1024
    assert note.strip("é") == "…"
    assert real.events.lost == 0


@pytest.mark.apiserver
async def test_a_repetition_is_no_loss(real: ApiServerWorld) -> None:
    """The Event is there."""
    owner = await owner_of(real)
    for _ in range(2):
        await real.events.announce(owner, PROMOTED)
    assert real.events.lost == 0


@pytest.mark.apiserver
async def test_an_event_names_its_source_and_object(real: ApiServerWorld) -> None:
    """As `kubectl describe` needs it."""
    owner = await owner_of(real)
    await real.events.announce(owner, PROMOTED)
    (event,) = (await real.transport.list(EVENTS, namespace=real.namespace)).items
    assert event["reportingController"] == "modelramp.io/operator"
    assert event["reportingInstance"] == "operator-0"
    assert event["action"] == "Promote"
    assert event["regarding"]["uid"] == owner.uid
    assert event["regarding"]["kind"] == "MLModelDeployment"


@pytest.mark.apiserver
async def test_a_loss_is_counted_and_nothing_else(real: ApiServerWorld) -> None:
    """Events are a courtesy."""
    nowhere = Owner(key=Key("no-such-namespace", "fraud"), uid="u")
    await real.events.announce(nowhere, PROMOTED)
    assert real.events.lost == 1
