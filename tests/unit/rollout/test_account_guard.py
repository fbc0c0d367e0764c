"""
Stable's pods tested against each other: what an account, the conditions and the rules make of it.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes.rollout import NOW, metric_evidence, situation, world

from modelramp.analysis import ALPHA_OK, Block, Counts, Margins, margins, wealth_schedule
from modelramp.api.status import EvidenceState, VerdictName
from modelramp.api.vocabulary import ConditionType, Phase, Reason
from modelramp.rollout.account import NO_PODS, Account
from modelramp.rollout.assess import assess
from modelramp.rollout.conditions import conditions
from modelramp.rollout.counters import CounterTemplate, gateway_counters
from modelramp.rollout.guards import certified, step_passed
from modelramp.rollout.needs import needs
from modelramp.rollout.observed import Measured
from modelramp.rollout.opening import Opening, PhiSource

WEALTH = wealth_schedule(planned_blocks=100, later_steps=3)
MARGINS: Margins = margins(0.01, 0.25)
ALIKE = {"a": Counts(300, 3), "b": Counts(300, 3), "c": Counts(300, 3)}
ONE_BAD = {"a": Counts(300, 3), "b": Counts(300, 60), "c": Counts(300, 3)}
FIRST = NOW - timedelta(minutes=30)


def begun(*slices: str, phi: float = 1.0, source: PhiSource = PhiSource.GIVEN) -> Account:
    """
    Fresh evidence on a rate.
    """
    return Account.open(Opening(phi=phi, source=source), WEALTH, slices)


def block(number: int, candidate: Counts = Counts(100, 1), pods: Mapping[str, Counts] = ALIKE) -> Block:  # noqa: B008
    """
    The block of that number, 15 s long; stable's counts are those of its pods.
    """
    start = FIRST + timedelta(seconds=15 * number)
    return Block(start, start + timedelta(seconds=15), candidate, sum(pods.values(), start=Counts()))


def seen(account: Account, pods: Mapping[str, Counts], blocks: range = range(1)) -> Account:
    """
    The account after blocks in which stable's pods counted this.
    """
    for number in blocks:
        account = account.observe(block(number, pods=pods), {}, MARGINS, WEALTH, pods)
    return account


class TestAccount:
    """
    The guard beside the evidence.
    """

    def test_pods_that_are_alike_leave_the_evidence_as_it_is_without_a_guard(self) -> None:
        guarded, plain = seen(begun(), ALIKE, range(40)), begun()
        for number in range(40):
            plain = plain.observe(block(number), {}, MARGINS, WEALTH)
        assert guarded.guard is not None
        assert guarded.guard.opened == 3
        assert replace(guarded, guard=None) == plain
        assert guarded.ok_log > -math.log(ALPHA_OK)

    def test_a_pod_that_differs_makes_it_begin_again_with_twice_the_overdispersion(self) -> None:
        account = seen(begun(), ONE_BAD)
        assert (account.differing, account.source, account.metric.phi) == ("b", PhiSource.RAISED, 2.0)
        assert account.harm_log <= 0.0001
        assert account.ok_log <= 0.0001
        assert account.totals.stable == Counts(900, 66)
        assert account.guard is not None
        assert (account.guard.phi, account.guard.accounts, account.guard.culprit) == (2.0, (), None)
        assert account.counted_until == account.guard.counted_until == block(0).end

    def test_harm_that_is_found_in_the_same_block_does_not_roll_back(self) -> None:
        counted = block(0, Counts(100, 60), ONE_BAD)
        blind = begun().observe(counted, {}, MARGINS, WEALTH)
        assert blind.verdict().value == "Failed"
        account = begun().observe(counted, {}, MARGINS, WEALTH, ONE_BAD)
        assert account.verdict().value == "Inconclusive"
        (vote,) = account.votes("errors", None, critical=False)
        assert vote.counted <= 0.0001

    def test_it_is_raised_again_if_twice_is_not_enough(self) -> None:
        assert seen(begun(phi=3.0), ONE_BAD, range(20)).metric.phi >= 12.0

    def test_what_was_lost_does_not_come_back(self) -> None:
        good = Counts(1000, 0)
        before = begun().observe(block(0, good), {}, MARGINS, WEALTH, ALIKE)
        after = before.observe(block(1, good, ONE_BAD), {}, MARGINS, WEALTH, ONE_BAD)
        assert after.differing == "b"
        assert after.harm_log < -0.2

    def test_slices_begin_again_with_their_metric(self) -> None:
        counted = block(0, Counts(100, 20), ONE_BAD)
        account = begun("eu").observe(counted, {"eu": counted}, MARGINS, WEALTH, ONE_BAD)
        assert account.slices is not None
        assert account.slices.phi == 2.0
        assert account.slices.logs["eu"] <= 0.0001
        assert Account.from_state(json.loads(json.dumps(account.to_state()))) == account

    @pytest.mark.parametrize("names", ["", "a", "abcdefghi"])
    def test_one_pod_or_more_than_eight_are_not_tested(self, names: str) -> None:
        pods = {name: Counts(100, 50 if name == "a" else 0) for name in names}
        account = seen(begun(), pods or {"z": Counts(100)}, range(5))
        assert (account.guard, account.differing) == (None, None)

    def test_a_guard_waits_while_there_are_too_many_pods(self) -> None:
        account = seen(begun(), ALIKE)
        many = {str(number): Counts(100, 1) for number in range(9)}
        later = account.observe(block(1, pods=many), {}, MARGINS, WEALTH, many)
        assert later.guard == account.guard
        assert later.counted_until == block(1).end
        again = later.observe(block(2), {}, MARGINS, WEALTH, ALIKE)
        assert again.guard is not None
        assert again.guard.counted_until == block(2).end

    def test_a_replayed_block_changes_nothing(self) -> None:
        account = seen(begun(), ALIKE, range(2))
        assert account.observe(block(1), {}, MARGINS, WEALTH, ONE_BAD) == account

    @pytest.mark.parametrize("pods", [NO_PODS, ALIKE, ONE_BAD])
    def test_it_comes_back_from_its_state_exactly(self, pods: Mapping[str, Counts]) -> None:
        account = seen(begun(source=PhiSource.ESTIMATED), pods, range(3))
        assert Account.from_state(json.loads(json.dumps(account.to_state()))) == account

    def test_its_state_stays_small_whatever_pods_come_and_go(self) -> None:
        account = begun()
        for number in range(60):
            pods = {f"fraud-0123456789-abcdefghij-{(number + place) % 40:05d}": Counts(100, 1) for place in range(8)}
            account = account.observe(block(number, pods=pods), {}, MARGINS, WEALTH, pods)
        assert account.guard is not None
        assert len(account.guard.accounts) == 16
        assert len(json.dumps(account.to_state()["guard"], separators=(",", ":"))) < 2500

    def test_nobodys_fault_is_found_in_few_calm_rollouts(self) -> None:
        """
        Counts that scatter as independent ones do, in turns: no alarm in a long rollout.
        """
        turns = [{"a": Counts(300, 2 + n % 3), "b": Counts(300, 4 - n % 3), "c": Counts(300, 3)} for n in range(6)]
        account = begun()
        for number in range(400):
            pods = turns[number % 6]
            account = account.observe(block(number, pods=pods), {}, MARGINS, WEALTH, pods)
        assert account.differing is None


def judged(pods: Mapping[str, Counts], account: Account) -> Any:  # noqa: ANN401 - the situation
    """
    The situation after a look at a step whose metric was certified before.
    """
    evidence = (EvidenceState(name="errors", state=account.to_state()),)
    counted = Block(NOW - timedelta(seconds=25), NOW - timedelta(seconds=10), Counts(50, 0), Counts(900, 66))
    asked = world(
        Phase.PROGRESSING, remembered={"evidence": evidence}, readings={"errors": Measured(counted, pods=pods)}
    )
    return assess(asked.deployment, asked.observed, NOW)


class TestRollout:
    """
    What the rollout makes of it.
    """

    CERTAIN = Account(metric_evidence(ok=9.0))

    def test_a_certified_step_holds_when_stables_pods_differ(self) -> None:
        calm = judged(ALIKE, self.CERTAIN)
        assert certified(calm)
        assert step_passed(calm)
        held = judged(ONE_BAD, self.CERTAIN)
        assert not certified(held)
        assert not step_passed(held)
        assert [verdict.verdict for verdict in held.status.verdicts] == [VerdictName.INCONCLUSIVE]

    def test_the_condition_names_metric_pod_and_overdispersion_while_it_lasts(self) -> None:
        for pods, present in ((ALIKE, False), (ONE_BAD, True)):
            found = {one.type: one for one in conditions(judged(pods, self.CERTAIN))}
            assert (ConditionType.EVIDENCE_OVERDISPERSED in found) is present
        said = found[ConditionType.EVIDENCE_OVERDISPERSED]
        assert (said.status, said.reason) == ("True", Reason.EVIDENCE_OVERDISPERSED)
        assert said.message.startswith("errors: stable's pod b differs")
        assert said.message.endswith("overdispersion of 2")

    def test_the_condition_tells_lasting_differences_beside_it(self) -> None:
        account = replace(self.CERTAIN, more_pods=True)
        (said,) = [
            one for one in conditions(judged(ONE_BAD, account)) if one.type is ConditionType.EVIDENCE_OVERDISPERSED
        ]
        assert "stable's pod b differs" in said.message
        assert said.message.endswith("would be judged sooner")

    def test_an_assumed_overdispersion_that_was_raised_is_not_assumed_any_more(self) -> None:
        account = Account(metric_evidence(phi=2.0), PhiSource.ASSUMED)
        for pods, present in ((ALIKE, True), (ONE_BAD, False)):
            kinds = {one.type for one in conditions(judged(pods, account))}
            assert (ConditionType.DISPERSION_UNKNOWN in kinds) is present


class TestQuestion:
    """
    Of which metrics stable's pods are told apart.
    """

    def test_selectors_tell_pods_apart_if_both_name_the_arm(self) -> None:
        both, one = 'x{$arm,code="500"}', 'x{service="${service}"}'
        told = [
            CounterTemplate(total=total, bad=bad).tells_pods for total, bad in ((both, both), (both, one), (one, both))
        ]
        assert told == [True, False, False]
        gateway = gateway_counters("projectcontour.io/gateway-controller")
        assert gateway is not None
        assert not gateway.tells_pods

    @pytest.mark.parametrize(
        ("metric", "expected"),
        [
            ({"preset": "errors"}, False),
            ({"preset": "errors", "origin": "Runtime"}, True),
            ({"name": "own", "ratio": {"bad": 'x{$arm,code="500"}', "total": "x{$arm}"}}, True),
            ({"preset": "latency"}, False),
        ],
    )
    def test_a_metrics_question_says_so(self, metric: Mapping[str, Any], expected: bool) -> None:  # noqa: FBT001
        title = metric.get("name", metric.get("preset"))
        evidence = (EvidenceState(name=title, state=Account(metric_evidence()).to_state()),)
        sections = {"analysis": {"metrics": [metric]}, "serving": {"runtime": "mlserver"}}
        s = situation(Phase.PROGRESSING, remembered={"evidence": evidence}, sections=sections)
        (question,) = needs(s.deployment, s.observed, NOW).counters
        assert question.tells_pods is expected
