"""
The machine's memory: what is written is read back, whoever wrote it.
"""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelramp.api.document import InvalidSpecError, parse_status
from modelramp.api.scalars import Share
from modelramp.api.status import Status
from modelramp.api.vocabulary import ConditionType, Phase, Reason

instants = st.datetimes(
    min_value=datetime(1, 1, 3),  # noqa: DTZ001 - hypothesis wants naive bounds
    max_value=datetime(9999, 12, 28),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
).map(lambda instant: instant.isoformat().replace("+00:00", "Z"))
words = st.text(st.characters(codec="utf-8"), max_size=12)
shares = st.integers(min_value=0, max_value=100).map(lambda percent: f"{percent}%")
unknown = st.dictionaries(
    st.sampled_from(["futureField", "anotherOne", "snake_case"]),
    st.none()
    | st.integers()
    | words
    | st.lists(words, max_size=2)
    | st.dictionaries(words, st.none() | words, max_size=2),
    max_size=2,
)


def _part(required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """
    A part of a status, with fields no version knows yet.
    """
    known = st.fixed_dictionaries(required, optional=optional)
    return st.tuples(unknown, known).map(lambda both: {**both[0], **both[1]})


_named = {"revision": words, "version": words}
reasons = st.sampled_from([str(reason) for reason in Reason])
_counts = _part({"n": words, "x": words})
_verdict = _part(
    {
        "name": words,
        "verdict": st.sampled_from(["Passed", "Failed", "Inconclusive", "NoData", "Unavailable"]),
        "evidence": words,
        "harm": words,
        "candidate": _counts,
        "stable": _counts,
    },
    secondsLeft=st.integers(min_value=0),
    message=words,
)
_condition = _part(
    {
        "type": st.sampled_from([str(kind) for kind in ConditionType]),
        "status": st.sampled_from(["True", "False", "Unknown"]),
        "reason": reasons,
        "message": words,
        "lastTransitionTime": instants,
        "observedGeneration": st.integers(min_value=0),
    }
)
statuses = _part(
    {},
    observedGeneration=st.integers(min_value=0),
    phase=st.sampled_from([str(phase) for phase in Phase]),
    phaseSince=instants,
    reason=reasons,
    message=words,
    stable=_part({**_named, "since": instants}),
    candidate=_part({**_named, "since": instants}, readySince=instants, warm=st.booleans(), unreadySince=instants),
    rejected=st.lists(_part({**_named, "reason": reasons, "at": instants}), max_size=3),
    step=_part(
        {"index": st.integers(0, 64), "display": words, "traffic": shares, "enteredAt": instants}, inPlaceSince=instants
    ),
    traffic=_part({"wanted": shares}, programmed=shares, observed=shares),
    evidenceSummary=words,
    verdicts=st.lists(_verdict, max_size=2),
    evidence=st.lists(_part({"name": words, "state": unknown}), max_size=2),
    retrySeen=words,
    replicas=st.integers(min_value=0),
    selector=words,
    history=st.lists(
        _part(
            {**_named, "outcome": reasons, "message": words, "beganAt": instants, "endedAt": instants},
            evidence=st.lists(words, max_size=2),
            actor=words,
            strategy=words,
        ),
        max_size=2,
    ),
    conditions=st.lists(_condition, max_size=3),
)


def _includes(whole: Any, part: Any) -> bool:  # noqa: ANN401 - JSON values
    """
    Whether every field of the part, save nulls, is in the whole with the same value; the whole may hold more.
    """
    if isinstance(part, dict):
        return all(value is None or (key in whole and _includes(whole[key], value)) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(_includes, whole, part))
    return bool(whole == part)


class TestRoundTrip:
    """
    Written, stored as JSON, read.
    """

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(statuses)
    def test_loses_nothing(self, stored: dict[str, Any]) -> None:
        """
        Reading and writing is the identity, and fields of a newer version survive, on every level.
        """
        status = parse_status({"status": stored})
        written = json.loads(json.dumps(status.to_wire()))
        assert parse_status({"status": written}).to_wire() == written
        assert _includes(written, json.loads(json.dumps(_whole_seconds(stored))))

    def test_of_the_empty_memory(self) -> None:
        """
        No status is the same as an empty one.
        """
        assert parse_status({}) == parse_status({"status": None}) == parse_status({"status": {}}) == Status()
        assert parse_status({"status": Status().to_wire()}) == Status()

    def test_unknown_fields_stay_where_they_are(self) -> None:
        """
        One on each kind of level.
        """
        stored = {
            "future": {"a": 1},
            "traffic": {"wanted": "5%", "mirrored": "10%"},
            "evidence": [{"name": "errors", "state": {"v": 1}, "slices": ["a"]}],
        }
        written = parse_status({"status": stored}).to_wire()
        assert _includes(written, stored)
        assert parse_status({"status": stored}).traffic.wanted == Share("5%")  # type: ignore[union-attr]


def _whole_seconds(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """
    The value with its instants cut to seconds, as they are written.
    """
    if isinstance(value, dict):
        return {
            key: item.split(".")[0].removesuffix("Z") + "Z"
            if isinstance(item, str) and key in INSTANTS
            else _whole_seconds(item)
            for key, item in value.items()
        }
    return [_whole_seconds(item) for item in value] if isinstance(value, list) else value


INSTANTS = frozenset(
    ("phaseSince", "since", "readySince", "unreadySince", "at", "enteredAt", "inPlaceSince", "beganAt", "endedAt")
) | {"lastTransitionTime"}


class TestInstant:
    """
    Points in time, in UTC and whole seconds.
    """

    @pytest.mark.parametrize(
        ("read", "written"),
        [
            ("2026-11-21T04:00:00Z", "2026-11-21T04:00:00Z"),
            ("2026-11-21T04:00:00.999Z", "2026-11-21T04:00:00Z"),
            ("2026-11-21T05:00:00+01:00", "2026-11-21T04:00:00Z"),
            ("0900-01-01T00:00:00Z", "0900-01-01T00:00:00Z"),
        ],
    )
    def test_is_written_in_utc(self, read: str, written: str) -> None:
        """
        Whatever zone it came in.
        """
        assert parse_status({"status": {"phaseSince": read}}).to_wire()["phaseSince"] == written

    @pytest.mark.parametrize("text", ["2026-11-21T04:00:00", "yesterday", ""])
    def test_needs_a_zone(self, text: str) -> None:
        """
        A time of unknown zone is none.
        """
        with pytest.raises(InvalidSpecError, match=r"status\.phaseSince"):
            parse_status({"status": {"phaseSince": text}})

    def test_from_another_zone(self) -> None:
        """
        An aware time given by the code is turned into UTC as well.
        """
        there = datetime(2026, 1, 1, 1, 0, 0, 5, timezone(timedelta(hours=1)))
        assert Status(phase_since=there).phase_since == datetime(2026, 1, 1, 0, 0, 0, tzinfo=UTC)
