"""
One pass over one object, on the cluster in memory.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from unit.reconcile.parts import BEGIN, KEY, Shell, revision_for, spec_for, stamp

from modelramp.ports import ConflictError, Key, UnreachableError

ALL_STABLE = {revision_for("1"): Decimal(100), revision_for("2"): Decimal(0)}
CRASHES = "container m of pod p keeps crashing"


def once(shell: Shell) -> Any:  # noqa: ANN401 - an instant or None
    """
    One pass.
    """
    return asyncio.run(shell.cycle(KEY))


def failing(*names: str, error: type[Exception] = UnreachableError) -> Callable[[str], None]:
    """
    A hook that fails the writes whose names begin so.
    """

    def hook(what: str) -> None:
        if what.startswith(names):
            raise error(what)

    return hook


class TestOrder:
    """
    Commit, then act.
    """

    def test_the_memory_is_written_before_the_world(self) -> None:
        """
        A crash in between leaves a memory that knows what was meant.
        """
        shell = Shell()
        shell.cluster.put(KEY, spec_for())
        once(shell)
        assert shell.cluster.writes == ["commit", f"ensure {revision_for('1')}"]

    def test_an_unreachable_memory_leaves_the_world_alone(self) -> None:
        """
        No effect without its commit.
        """
        shell = Shell().in_rollout("Progressing")
        shell.cluster.ail(KEY, revision_for("2"), crash_looping=CRASHES)
        shell.cluster.before_write = failing("commit")
        with pytest.raises(UnreachableError):
            once(shell)
        assert (shell.cluster.writes, shell.moves) == ([], [])

    def test_a_conflict_drops_the_plan_and_backs_off(self) -> None:
        """
        Also while the cache stays behind: the queue's back-off paces it, so that a stale cache is no busy loop.
        """
        shell = Shell().in_rollout("Progressing")
        shell.cluster.ail(KEY, revision_for("2"), crash_looping=CRASHES)
        shell.cluster.before_write = failing("commit", error=ConflictError)
        with pytest.raises(ConflictError):
            once(shell)
        assert (shell.cluster.writes, shell.moves, shell.share) == ([], [], 50)

    def test_a_lost_answer_of_the_commit_is_caught_up_with(self) -> None:
        """
        The next pass acts on the memory that was written after all.
        """
        shell = Shell().in_rollout("Progressing")
        shell.cluster.ail(KEY, revision_for("2"), crash_looping=CRASHES)
        shell.cluster.after_write = failing("commit")
        with pytest.raises(UnreachableError):
            once(shell)
        assert (shell.status["phase"], shell.share) == ("RollingBack", 50)
        shell.cluster.after_write = failing()
        once(shell)
        assert shell.share == 0

    def test_an_idle_object_is_not_written(self) -> None:
        """
        A second look at an unchanged world changes nothing.
        """
        shell = Shell()
        shell.cluster.put(KEY, spec_for())
        for _ in range(20):
            once(shell)
            shell.cluster.settle(KEY)
            if KEY in shell.cluster.route_objects:
                shell.cluster.accept(KEY)
            shell.clock.pass_seconds(5)
        assert shell.status["phase"] == "Stable"
        before, kept = len(shell.cluster.writes), shell.cluster.documents[KEY]["metadata"]["resourceVersion"]
        for _ in range(5):
            shell.clock.pass_seconds(3600)
            assert once(shell) is None
        assert len(shell.cluster.writes) == before
        assert shell.cluster.documents[KEY]["metadata"]["resourceVersion"] == kept


class TestFreshness:
    """
    Raising exposure needs proof that the memory is the present one.
    """

    @staticmethod
    def _withdrawn() -> Shell:
        """
        The first share was given and taken away again; the cache still has the memory from before.
        """
        shell = Shell().enters_first_step()
        shell.cluster.before_write = failing("set_traffic")
        with pytest.raises(UnreachableError):
            once(shell)
        old = dict(shell.cluster.heard_documents)
        shell.cluster.before_write = failing()
        once(shell)
        shell.cluster.accept(KEY)
        assert shell.share == 5
        shell.cluster.ail(KEY, revision_for("2"), crash_looping=CRASHES)
        once(shell)
        shell.cluster.accept(KEY)
        assert shell.share == 0
        shell.cluster.ail(KEY, revision_for("2"))
        shell.cluster.heard_documents = old
        shell.cluster.writes.clear()
        shell.cluster.before_write = failing("commit", error=AssertionError)  # nothing is to be written on that memory
        return shell

    def test_a_share_that_got_lost_is_given_again_after_a_live_read(self) -> None:
        """
        With nothing to write, the read is the proof.
        """
        shell = Shell().enters_first_step()
        shell.cluster.before_write = failing("set_traffic")
        with pytest.raises(UnreachableError):
            once(shell)
        shell.cluster.before_write = failing("commit", error=AssertionError)
        once(shell)
        assert shell.share == 5

    def test_exposure_is_not_raised_on_an_old_memory_that_has_nothing_to_write(self) -> None:
        """
        The quiet leak: no write, so no conflict; only the live read tells.
        """
        shell = self._withdrawn()
        with pytest.raises(ConflictError, match="has changed since"):
            once(shell)
        assert (shell.share, shell.cluster.writes) == (0, [])

    def test_exposure_is_not_raised_for_an_object_that_is_gone(self) -> None:
        """
        The live read finds nothing; the next pass has nothing to do.
        """
        shell = self._withdrawn()
        del shell.cluster.documents[KEY]
        with pytest.raises(ConflictError):
            once(shell)
        assert (shell.share, shell.cluster.writes) == (0, [])
        assert once(shell) is None

    @staticmethod
    def _rolling_back() -> Shell:
        """
        The memory says all there is to say, and the route still gives the candidate half: the write was lost.
        """
        shell = Shell().in_rollout("RollingBack")
        shell.cluster.before_write = failing("set_traffic")
        with pytest.raises(UnreachableError):
            once(shell)
        assert shell.share == 50
        shell.cluster.before_write = failing("commit", error=AssertionError)  # nothing is to be written on that memory
        return shell

    def test_exposure_is_lowered_without_an_answer(self) -> None:
        """
        Taking traffic away waits for nothing: neither for a read that fails.
        """

        async def read(key: object) -> None:
            raise UnreachableError(str(key))

        shell = self._rolling_back()
        shell.cluster.deployments.read = read  # type: ignore[assignment]
        once(shell)
        assert shell.share == 0

    def test_exposure_is_not_raised_without_an_answer(self) -> None:
        """
        A read that fails is no proof.
        """

        async def read(key: object) -> None:
            raise UnreachableError(str(key))

        shell = self._withdrawn()
        shell.cluster.deployments.read = read  # type: ignore[assignment]
        with pytest.raises(UnreachableError):
            once(shell)
        assert shell.share == 0

    @pytest.mark.parametrize(
        ("changed", "left"),
        [
            ({"message": "something else"}, 0),
            ({"stable": None}, 50),
            ({"stable": {"revision": revision_for("2"), "version": "2", "since": stamp(BEGIN)}, "candidate": None}, 50),
        ],
        ids=["a message", "no stable", "the roles"],
    )
    def test_exposure_is_lowered_only_of_what_is_still_the_candidate(self, changed: dict[str, Any], left: int) -> None:
        """
        An old memory takes for the candidate what has become stable since, and would give its traffic to what was
        retired. Everything else may have changed.
        """
        shell = self._rolling_back()
        live = shell.cluster.documents[KEY]
        status = {name: value for name, value in {**live["status"], **changed}.items() if value is not None}
        metadata = {**live["metadata"], "resourceVersion": "4711"}
        shell.cluster.documents[KEY] = {**live, "status": status, "metadata": metadata}
        if left:
            with pytest.raises(ConflictError, match="has changed since"):
                once(shell)
        else:
            once(shell)
        assert shell.share == left


class TestRefusals:
    """
    The API server does not take what the spec asks for.
    """

    DOUBLE: dict[str, Any] = {  # noqa: RUF012 - never changed
        "serving": {
            "port": 8080,
            "template": {"spec": {"containers": [{"name": "m", "image": "i"}, {"name": "m", "image": "j"}]}},
        }
    }

    def _refused(self) -> Shell:
        shell = Shell()
        shell.cluster.put(KEY, spec_for("1", **self.DOUBLE))
        return shell

    def test_are_told_in_a_condition(self) -> None:
        """
        At the very next look.
        """
        shell = self._refused()
        assert once(shell) == BEGIN
        once(shell)
        accepted = shell.condition("Accepted")
        assert (accepted["status"], accepted["reason"]) == ("False", "EffectRefused")
        assert "containers[1].name" in accepted["message"]

    def test_are_tried_again_every_half_minute(self) -> None:
        """
        A quota may be raised without any change of the object.
        """
        shell = self._refused()
        once(shell)
        assert once(shell) == BEGIN + timedelta(seconds=30)
        shell.clock.pass_seconds(30)
        assert once(shell) == BEGIN + timedelta(seconds=60)

    def test_are_forgotten_with_the_generation(self) -> None:
        """
        An older refusal says nothing about the new spec.
        """
        shell = self._refused()
        once(shell)
        once(shell)
        shell.cluster.put(KEY, spec_for("1"))
        once(shell)
        assert shell.condition("Accepted")["status"] == "True"

    def test_that_end_by_themselves_are_taken_back_at_once(self) -> None:
        """
        Without waiting for something else to wake the object.
        """
        shell = Shell().in_rollout("Progressing")
        once(shell)
        shell.cycle.refusals[KEY] = (1, "quota exceeded")
        once(shell)
        assert shell.condition("Accepted")["reason"] == "EffectRefused"
        shell.cycle.refusals[KEY] = (1, "quota exceeded")
        assert once(shell) == BEGIN
        once(shell)
        assert shell.condition("Accepted")["status"] == "True"

    def test_do_not_silence_the_transition_that_was_committed(self) -> None:
        """
        The Event and the count belong to the commit, not to the effect.
        """
        shell = self._refused()
        once(shell)
        assert shell.moves == ["NewRevision"]
        assert [said.reason for _, said in shell.cluster.events.recorded] == ["NewRevision"]


class TestExplanation:
    """
    What was committed is announced, and nothing else.
    """

    def test_a_transition_is_announced_once(self) -> None:
        """
        As an Event and in the count.
        """
        shell = Shell().in_rollout("Progressing")
        shell.cluster.ail(KEY, revision_for("2"), crash_looping=CRASHES)
        for _ in range(3):
            once(shell)
        assert shell.moves[0] == "CandidateCrashLooping"
        owner, said = shell.cluster.events.recorded[0]
        assert (owner.key, said.reason, said.warning) == (KEY, "CandidateCrashLooping", True)
        assert CRASHES in said.note

    def test_an_outage_of_an_effect_does_not_silence_it(self) -> None:
        """
        The next pass sees no transition any more, so it must be said in this one.
        """
        shell = Shell().in_rollout("Progressing")
        shell.cluster.ail(KEY, revision_for("2"), crash_looping=CRASHES)
        shell.cluster.before_write = failing("set_traffic")
        with pytest.raises(UnreachableError):
            once(shell)
        assert shell.moves == ["CandidateCrashLooping"]
        assert len(shell.cluster.events.recorded) == 1


class TestObjectsThatCannotBeWorkedOn:
    """
    Gone, going, or not understood.
    """

    def test_an_unknown_object_is_nothing_to_do(self) -> None:
        """
        It may have been deleted since it was queued.
        """
        shell = Shell()
        assert once(shell) is None
        assert shell.cluster.writes == []

    def test_an_object_being_deleted_is_left_to_the_garbage_collector(self) -> None:
        """
        Nothing is made that would have to go at once.
        """
        shell = Shell()
        shell.cluster.put(KEY, spec_for())
        shell.cluster.heard_documents[KEY]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        assert once(shell) is None
        assert shell.cluster.writes == []

    @pytest.mark.parametrize(("finalizers", "undone"), [(["modelramp.io/restore-route"], [KEY]), ([], [])])
    def test_what_was_done_outside_is_undone_while_something_holds_the_object(
        self, finalizers: list[str], undone: list[Key]
    ) -> None:
        """
        Nothing else is done for it.
        """
        shell, asked = Shell(), list[Key]()

        async def farewell(key: Key) -> None:
            asked.append(key)

        shell.cycle.farewell = farewell
        shell.cluster.put(KEY, spec_for())
        metadata = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers}
        shell.cluster.heard_documents[KEY]["metadata"] |= metadata
        assert once(shell) is None
        assert (asked, shell.cluster.writes) == (undone, [])

    def test_an_object_deleted_in_the_middle_of_a_pass_gets_no_children(self) -> None:
        """
        They would have an owner that does not exist.
        """
        shell = Shell()
        shell.cluster.put(KEY, spec_for())

        def delete(what: str) -> None:
            if what == "commit":
                shell.cluster.remove(KEY)

        shell.cluster.before_write = delete
        assert once(shell) is None
        assert shell.cluster.revisions == {}

    def test_an_invalid_spec_is_answered_once_and_changes_nothing_else(self) -> None:
        """
        Every problem with its path, in the condition Accepted.
        """
        shell = Shell().in_rollout("Progressing")
        once(shell)
        shell.cluster.put(KEY, spec_for("3", strategy={"canary": {"blastRadius": "banana"}}, serving={}))
        before = shell.cluster.route_objects[KEY], dict(shell.cluster.revisions[KEY])
        shell.cluster.writes.clear()
        for _ in range(3):
            assert once(shell) is None
        assert shell.cluster.writes == ["commit"]
        accepted = shell.condition("Accepted")
        assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSpec")
        assert "spec.serving" in accepted["message"]
        assert "spec.strategy.canary.blastRadius" in accepted["message"]
        assert (shell.cluster.route_objects[KEY], shell.cluster.revisions[KEY]) == before
        assert shell.status["phase"] == "Progressing"

    def test_a_conflict_while_answering_is_tried_again(self) -> None:
        """
        By the queue.
        """
        shell = Shell()
        shell.cluster.put(KEY, {})
        shell.cluster.before_write = failing("commit", error=ConflictError)
        with pytest.raises(ConflictError):
            once(shell)

    def test_a_status_of_somebody_else_is_left_alone_and_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        """
        Nothing of ours can be said in it, so it is said in the log.
        """
        shell = Shell()
        shell.cluster.put(KEY, spec_for())
        shell.remember({"phase": "Dancing"})
        assert once(shell) is None
        assert shell.cluster.writes == []
        assert "status.phase" in caplog.text
