"""
Evidence read from a real Prometheus through every fault we know of is the evidence computed from what truly happened.

All faults are played at the same time, once, within a minute (``fault_play``); each test then looks at one of them.
The last tests read the recorded answers again with a mistake built in, and fail unless that is noticed.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Final

import pytest
from contracts import fault_mistakes
from contracts.fault_mistakes import MISTAKES, Mistake, read_again
from contracts.fault_pages import LONG_AGO
from contracts.fault_play import BLACKOUT, SHORT_LOOK_BACK, Shop, play
from contracts.fault_reader import Elsewhere, Look, Reader
from contracts.fault_truth import ARMS, MARGINS, WEALTH, Known, true_block, true_logs

from modelramp.analysis import Absence, Block, Counted, Counts, NoData

pytestmark = pytest.mark.apiserver

TOLERANCE: Final = 1e-3
Played = dict[str, Shop | BaseException]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Every scene, played once."""
    folder = tmp_path_factory.mktemp("stores")
    with ThreadPoolExecutor(1) as other_thread:
        return other_thread.submit(lambda: asyncio.run(play(folder))).result()


def shop_of(played: Played, scene: str) -> Shop:
    """What happened in a scene; its error if it could not be played. Every page was scraped before it began."""
    shop = played[scene]
    if isinstance(shop, BaseException):
        raise shop
    for markers in shop.markers.values():
        early = {pod for pod, stored in markers.items() if stored[0][0] < shop.begin}
        assert {page.pod for page in shop.pages if page.created == LONG_AGO} <= early
    return shop


def expected(shop: Shop, reader: Reader, look: Look) -> Block | None:
    """What the look must count; None: there must be no block."""
    return true_block(shop.pages, shop.markers[look.store], look.window, reader.known)


def check_looks(shop: Shop, reader: Reader) -> None:
    """Every block is the true one, and so is the evidence after it, or there is no block and nothing changes."""
    blocks: list[Block] = []
    for look in reader.looks:
        if isinstance(look.reading, Counted):
            block = expected(shop, reader, look)
            assert block == look.reading.block
            blocks.append(block)
        assert true_logs(blocks) == pytest.approx(look.logs, abs=TOLERANCE)
    assert blocks


def counted(reader: Reader) -> list[Counts]:
    """All that a reader has counted, candidate first."""
    return [reader.evidence.rollout.candidate, reader.evidence.rollout.stable]


def true_totals(shop: Shop) -> list[Counts]:
    """All requests there were, candidate first."""
    return [shop.requests(arm) for arm in ARMS]


def less(one: Counts, other: Counts) -> Counts:
    """The difference of two counts."""
    return Counts(one.n - other.n, one.x - other.x)


def absences(reader: Reader) -> list[Absence]:
    """The reasons of the looks that gave no block."""
    return [look.reading.reason for look in reader.looks if isinstance(look.reading, NoData)]


def unreachable(reader: Reader) -> int:
    """How many looks got no answer at all."""
    return sum(look.arms is None for look in reader.looks)


def dropped(reader: Reader) -> list[int]:
    """Number of dropped resets of each block."""
    return [look.reading.resets_dropped for look in reader.looks if isinstance(look.reading, Counted)]


def check_exact(shop: Shop, reader: Reader) -> None:
    """Every look is right, nothing is dropped, and the sums are all requests that ever were."""
    check_looks(shop, reader)
    assert true_totals(shop) == counted(reader)
    assert not any(dropped(reader))


def test_without_faults_all_is_counted(played: Played) -> None:
    """Nine looks, nine blocks."""
    shop = shop_of(played, "healthy")
    reader = shop.readers["operator"]
    check_exact(shop, reader)
    assert not absences(reader)
    assert not unreachable(reader)


def test_a_store_that_restarts_loses_nothing(played: Played) -> None:
    """It is stopped in good order once and killed once; looks in between get no answer."""
    shop = shop_of(played, "restarted")
    reader = shop.readers["operator"]
    check_exact(shop, reader)
    assert unreachable(reader) >= 1


def test_a_blackout_loses_nothing(played: Played) -> None:
    """The code that was answered first during the blackout is a birth."""
    shop = shop_of(played, "blackout")
    reader = shop.readers["operator"]
    check_exact(shop, reader)
    assert unreachable(reader) >= 4


def test_a_blackout_longer_than_the_look_back_loses_nothing(played: Played) -> None:
    """A block that would end within it waits for its end: from there the samples before it are out of reach."""
    shop = shop_of(played, "blackout")
    reader = shop.readers["short"]
    check_exact(shop, reader)
    assert absences(reader)[0] == Absence.SCRAPES_INTERRUPTED
    gap = next(look for look in reader.looks if isinstance(look.reading, NoData))
    back = gap.window.until.timestamp() - shop.begin
    assert BLACKOUT[0] + SHORT_LOOK_BACK.total_seconds() + 10 < back < BLACKOUT[1]


def test_a_pod_away_for_a_while_loses_nothing(played: Played) -> None:
    """Its requests of that time are in the block of its return."""
    shop = shop_of(played, "outage")
    check_exact(shop, shop.readers["operator"])


def test_a_pod_away_for_longer_than_the_look_back_loses_that_time_once(played: Played) -> None:
    """While blocks of the other pods go on: its first sample is a baseline, never a count."""
    shop = shop_of(played, "outage")
    reader = shop.readers["short"]
    check_looks(shop, reader)
    candidate, stable = map(less, true_totals(shop), counted(reader))
    page, stored = shop.page("stable-1"), shop.markers["shared"]["stable-1"]
    left, right = max(pairwise(stored), key=lambda pair: pair[1][0] - pair[0][0])
    away = page.between(page.answered[left[1]], page.answered[right[1]])
    assert candidate == Counts()
    assert stable == Counts(away.total(), away["500"] + away["503"])
    assert stable.n > 50


def test_a_fifth_of_the_scrapes_may_fail(played: Played) -> None:
    """The next scrape that succeeds brings what the lost ones would have."""
    shop = shop_of(played, "missing")
    reader = shop.readers["operator"]
    check_exact(shop, reader)
    stored = sum(shop.begin < at < shop.end for ones in shop.markers["shared"].values() for at, _ in ones)
    assert stored < 0.93 * len(shop.pages) * (shop.end - shop.begin)


def died_unseen(shop: Shop) -> list[Counts]:
    """What restarting pods had counted since they were last scraped: nobody can know it."""
    lost = {arm: Counts() for arm in ARMS}
    for page in shop.pages:
        arm = page.pod.split("-")[0]
        for restart in page.restarts:
            last = max(page.answered[n] for at, n in shop.markers["shared"][page.pod] if page.answered[n] <= restart)
            unseen = [event for event in page.events if last < event.at <= restart]
            amount = sum(event.amount for event in unseen)
            lost[arm] += Counts(amount, sum(event.amount for event in unseen if event.code >= "500"))
    return list(lost.values())


def test_restarting_pods_count_anew(played: Played) -> None:
    """With known start times all is counted that a scrape has seen."""
    shop = shop_of(played, "restarts")
    reader = shop.readers["operator"]
    check_looks(shop, reader)
    assert list(map(less, true_totals(shop), died_unseen(shop))) == counted(reader)
    assert not any(dropped(reader))


def test_restarts_nobody_vouches_for_are_dropped_and_said(played: Played) -> None:
    """Each block that holds less than the truth says so."""
    shop = shop_of(played, "restarts")
    reader = shop.readers["untold"]
    check_looks(shop, reader)
    told = replace(reader, known=Known())
    for look in reader.looks:
        assert isinstance(look.reading, Counted)
        complete = expected(shop, told, look) == look.reading.block
        assert complete == (look.reading.resets_dropped == 0)
    assert sum(dropped(reader)) >= 2
    assert all(mine.n < whole.n for mine, whole in zip(counted(reader), true_totals(shop), strict=True))


def test_error_series_born_late_count_from_zero(played: Played) -> None:
    """On known pages and on new pods; where scrapes of an idle page are known as well, there too."""
    shop = shop_of(played, "births")
    operator, informed = shop.readers["operator"], shop.readers["informed"]
    check_looks(shop, operator)
    check_looks(shop, informed)
    truth = true_totals(shop)
    first_of_unknown, first_of_idle = (first_answer(shop, pod) for pod in ("candidate-3", "candidate-4"))
    assert first_of_idle.x == 2
    assert counted(informed) == [less(truth[0], first_of_unknown), truth[1]]
    assert counted(operator) == [less(less(truth[0], first_of_unknown), first_of_idle), truth[1]]


def first_answer(shop: Shop, pod: str) -> Counts:
    """What the first answer of a pod that shows any counter shows."""
    page = shop.page(pod)
    shown = (page.counters(page.answered[number]) for _, number in shop.markers["shared"][pod])
    codes = next(codes for codes in shown if codes)
    return Counts(codes.total(), codes["500"])


def test_samples_repeated_and_out_of_order_count_once(played: Played) -> None:
    """Every question is asked twice, and both answers are given together and backwards."""
    shop = shop_of(played, "late")
    check_exact(shop, shop.readers["stammering"])
    check_exact(shop, shop.readers["operator"])


def test_blocks_counted_before_change_nothing(played: Played) -> None:
    """All blocks once more, in both orders: the evidence stays as it is."""
    reader = shop_of(played, "healthy").readers["operator"]
    for look in (*reader.looks, *reversed(reader.looks)):
        assert isinstance(look.reading, Counted)
        assert reader.evidence.observe(look.reading.block, MARGINS, WEALTH) == reader.evidence


def test_samples_stored_after_their_block_are_lost_and_never_counted_twice(played: Played) -> None:
    """A reader that does not wait loses what the late sample would have brought, and no more."""
    shop = shop_of(played, "late")
    reader, page = shop.readers["impatient"], shop.page("candidate-0")
    check_looks(shop, reader)
    assert len(page.late) >= 3
    lost = Counts()
    for (_, before), (at, number) in pairwise(shop.markers["shared"][page.pod]):
        if number in page.late and at > shop.begin:
            codes = page.between(page.answered[before], page.answered[number])
            lost += Counts(codes.total(), codes["500"] + codes["503"])
    truth = true_totals(shop)
    assert counted(reader) == [less(truth[0], lost), truth[1]]
    assert lost.n > 0


def test_a_frozen_store_loses_nothing(played: Played) -> None:
    """Its answers wait until it runs again; where they hold nothing new there is no block."""
    shop = shop_of(played, "frozen")
    reader = shop.readers["operator"]
    check_exact(shop, reader)
    stored = [at for at, _ in shop.markers["frozen"]["stable-0"]]
    assert max(later - earlier for earlier, later in pairwise(stored)) > 4
    assert set(absences(reader)) <= {
        Absence.NO_CANDIDATE_SAMPLES,
        Absence.NO_STABLE_SAMPLES,
        Absence.SCRAPES_INTERRUPTED,
    }


def test_replicas_that_take_turns_within_a_look_are_no_data(played: Played) -> None:
    """Nothing is counted until one of them answers all questions, and then everything once."""
    shop = shop_of(played, "flipping")
    reader = shop.readers["questions"]
    mixed = [look for look in reader.looks if look.store == "both"]
    assert len(mixed) >= 6
    assert all(look.reading == NoData(Absence.TWO_STORES) for look in mixed)
    assert all(look.logs == mixed[0].logs == pytest.approx((0.0, 0.0), abs=TOLERANCE) for look in mixed)
    assert true_totals(shop) == counted(reader)
    blocks = [expected(shop, reader, look) for look in reader.looks if look.store != "both"]
    assert true_logs([block for block in blocks if block]) == pytest.approx(reader.looks[-1].logs, abs=TOLERANCE)


def answered(reader: Reader) -> list[str]:
    """Who answered each look, and before it the first look once more."""
    return [reader.looks[0].store, *(look.store for look in reader.looks)]


@pytest.mark.parametrize(("name", "blocks"), [("looks", 5), ("turns", 1)])
def test_replicas_that_take_turns_between_looks_are_told_apart(played: Played, name: str, blocks: int) -> None:
    """
    The look after a flip is left out; every other one holds what its store saw, and the evidence is that of these.

    Where every look flips, only the first one counts.
    """
    shop = shop_of(played, "flipping")
    reader = shop.readers[name]
    check_looks(shop, reader)
    flips = [before != after for before, after in pairwise(answered(reader))]
    assert [isinstance(look.reading, Elsewhere) for look in reader.looks] == flips
    assert [isinstance(look.reading, Counted) for look in reader.looks] == [not one for one in flips]
    assert flips.count(False) == blocks
    assert not any(dropped(reader))


@pytest.mark.parametrize("name", ["looks", "turns"])
def test_replicas_that_take_turns_between_looks_count_nothing_twice(played: Played, name: str) -> None:
    """What is missing happened in the looks that were left out, or within a scrape of their ends."""
    shop = shop_of(played, "flipping")
    reader = shop.readers[name]
    left_out = [look.window for look in reader.looks if isinstance(look.reading, Elsewhere)]
    for arm, mine, whole in zip(ARMS, counted(reader), true_totals(shop), strict=True):
        lost = Counts()
        for page in (page for page in shop.pages if page.pod.startswith(arm)):
            for window in left_out:
                codes = page.between(window.after.timestamp() - 2.0, window.until.timestamp())
                lost += Counts(codes.total(), codes["500"] + codes["503"])
        assert 0 < whole.n - mine.n <= lost.n
        assert 0 <= whole.x - mine.x <= lost.x


def name_of(mistake: Mistake) -> str:
    """Its name in the table of mistakes."""
    return next(name for name, one in vars(fault_mistakes).items() if one is mistake)


CASES: Final = [(mistake, where) for mistake, places in MISTAKES.items() for where in places]


@pytest.mark.parametrize(("mistake", "where"), CASES, ids=[f"{name_of(one)}-{where}" for one, where in CASES])
def test_a_mistake_would_be_noticed(
    played: Played, monkeypatch: pytest.MonkeyPatch, mistake: Mistake, where: str
) -> None:
    """Read again with the mistake, recorded answers give other evidence; read again without it, the same."""
    scene, name = where.split("/")
    reader = shop_of(played, scene).readers[name]
    recorded = [log for look in reader.looks for log in look.logs]
    assert recorded == read_again(reader)
    mistake(monkeypatch)
    try:
        mistaken = read_again(reader)
    except ValueError:  # more bad requests than requests, or fewer than none
        return
    assert mistaken != pytest.approx(recorded, abs=TOLERANCE)


def test_every_scene_can_notice_a_mistake(played: Played) -> None:
    """No reader of any scene stands outside the table."""
    told = {f"{scene}/{name}" for scene in played for name in shop_of(played, scene).readers}
    assert told == {where for places in MISTAKES.values() for where in places}
