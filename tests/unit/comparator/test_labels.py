"""
Which outputs get a label.
"""

from modelramp.comparator.core.labels import MOST, OTHER, SEEN_BEFORE, WATCHED, Labels


def test_an_output_gets_its_label_once_it_has_come_often() -> None:
    """
    And keeps it. What came once or twice is never named.
    """
    labels = Labels()
    assert [labels.of("cat") for _ in range(SEEN_BEFORE + 2)] == [OTHER] * SEEN_BEFORE + ["cat"] * 2
    assert labels.of("dog") == OTHER


def test_there_are_never_more_than_so_many() -> None:
    """
    The first that came often; all others are one.
    """
    labels = Labels()
    given = {labels.of(str(number)) for number in range(3 * MOST) for _ in range(SEEN_BEFORE + 1)}
    assert given == {OTHER, *map(str, range(MOST))}


def test_outputs_that_never_repeat_take_no_room() -> None:
    """
    Long texts have no label, and short ones are watched a thousand at a time; classes get theirs all the same.
    """
    labels = Labels()
    assert {labels.of(str(number)) for number in range(5 * WATCHED)} == {OTHER}
    assert len(labels._seen) <= WATCHED + 1
    assert labels.of(None) == OTHER
    assert {labels.of("cat") for _ in range(SEEN_BEFORE + 1)} == {OTHER, "cat"}


def test_an_empty_output_is_one_like_others() -> None:
    """
    Its label would be taken for none by Prometheus, so it stays with the others.
    """
    labels = Labels()
    assert {labels.of("") for _ in range(SEEN_BEFORE + 3)} == {OTHER}
