"""A retry spends no error bound again, and forgets no harm: evidence over several tries of one revision."""

import math
import random
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from modelramp.analysis import HARM_GRID, Block, Counts, EProcess, harmful, wealth_schedule
from modelramp.analysis.margin import margins
from modelramp.rollout.resume import kept_back_of

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
WEALTH = wealth_schedule(planned_blocks=40, later_steps=0)
HARM = margins(0.005, 1.0).harm
STABLE = 0.01
EDGE = HARM.rho * STABLE + HARM.epsilon  # the highest rate that is no harm
BLOCKS = 12  # of one try, until somebody aborts it
TRIES = 4
RUNS = 400
AT_MOST = 11  # of 400 at one in a hundred: the 99.9 % binomial limit


def begun() -> EProcess:
    return EProcess.begin(HARM_GRID, started=WEALTH.at_start)


def goes_on(harm: EProcess, overruled: int) -> EProcess:
    """A retry as it is: what was shown and overruled is begun again from half the level, all else goes on."""
    return harm.overruled(0.5**overruled, kept_back_of(0.5**overruled)) if harmful(harm.log_value) else harm


def binomial(rng: random.Random, n: int, p: float) -> float:
    """Events among exposures: cheap, by the gaps between them."""
    found, at = 0, 0
    while True:
        at += 1 + int(math.log(1.0 - rng.random()) / math.log1p(-p))
        if at > n:
            return float(found)
        found += 1


def tried(
    rng: random.Random, harm: EProcess, rate: float, *, level: float, blocks: int = BLOCKS
) -> tuple[EProcess, float]:
    """One try: the evidence after it, which shows harm or was aborted, and the bad answers of the candidate."""
    bad = 0.0
    for number in range(blocks):
        at = BEGIN + timedelta(seconds=15 * number)
        mine, theirs = binomial(rng, 300, rate), binomial(rng, 600, STABLE)
        block = Block(at, at + timedelta(seconds=15), Counts(300.0, mine), Counts(600.0, theirs))
        harm, bad = harm.start_wealth(level * WEALTH.per_block).update(block, HARM), bad + mine
        if harmful(harm.log_value):
            break
    return harm, bad


def false_rollbacks(seed: int, rates: tuple[float, ...]) -> list[tuple[bool, ...]]:
    """In which tries each of the runs was rolled back; a try that is not is aborted, and every one is retried."""
    rng, runs = random.Random(seed), []
    for _ in range(RUNS):
        harm, shown = begun(), list[bool]()
        for rate in rates:
            harm = goes_on(harm, sum(shown)) if shown else harm
            harm, _ = tried(rng, harm, rate, level=0.5 ** sum(shown))
            shown.append(harmful(harm.log_value))
        runs.append(tuple(shown))
    return runs


def test_a_candidate_at_the_edge_of_harm_is_rolled_back_once_in_a_hundred_over_all_its_tries() -> None:
    """Aborted and retried again and again, and retried after each rollback too."""
    runs = false_rollbacks(5, (EDGE,) * TRIES)
    assert sum(any(shown) for shown in runs) <= AT_MOST
    assert sum(map(sum, runs)) <= AT_MOST + 1


def test_after_harm_that_was_real_and_is_mended_all_further_tries_together_err_once_in_a_hundred() -> None:
    """An incident rolled the first try back; from then on the candidate is at the edge of harm."""
    runs = [shown for shown in false_rollbacks(6, (20 * STABLE, *(EDGE,) * TRIES)) if shown[0]]
    assert len(runs) == RUNS
    assert sum(any(later) for _, *later in runs) <= AT_MOST


def until_shown(rng: random.Random, harm: EProcess, rate: float, level: float) -> tuple[EProcess, float]:
    """Bad answers of a harmful candidate until it is rolled back, by single blocks without an end."""
    total = 0.0
    for _ in count():
        harm, bad = tried(rng, harm, rate, level=level, blocks=1)
        total += bad
        if harmful(harm.log_value):
            return harm, total
    raise AssertionError  # count() has no end


@pytest.mark.parametrize("times", [3.0, 8.0])
def test_a_harmful_version_is_found_again_after_as_many_bad_answers(times: float) -> None:
    """Retried once and twice: half and a quarter of the wealth, bet on what was found before; mean over 400 runs."""
    rng, found = random.Random(7), [0.0, 0.0, 0.0]
    for _ in range(400):
        harm = begun()
        for number in range(3):
            harm, bad = until_shown(rng, harm, times * STABLE, 0.5**number)
            found[number] += bad
            harm = goes_on(harm, number + 1)
            assert harm.log_value < 0.0  # nothing is shown by what was shown before
    first, second, third = found
    assert second <= 1.06 * first
    assert third <= 1.18 * first
