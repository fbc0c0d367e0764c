"""
Durations and shares.
"""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from modelramp.api.scalars import Duration, Share

DURATIONS: TypeAdapter[Duration] = TypeAdapter(Duration)
SHARES: TypeAdapter[Share] = TypeAdapter(Share)


class TestDuration:
    """
    Whole numbers with a unit, largest unit first.
    """

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("0s", 0), ("500ms", 0.5), ("90s", 90), ("1m500ms", 60.5), ("1h30m", 5400), ("48h", 172800), ("007s", 7)],
    )
    def test_seconds(self, text: str, seconds: float) -> None:
        """
        The length is the sum of the parts.
        """
        duration = DURATIONS.validate_python(text)
        assert duration == text
        assert duration.seconds == seconds
        assert duration.timedelta == timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        "text",
        ["", "s", "90", "1.5h", "-1s", " 1s", "1s ", "1s\n", "1m1h", "1d", "1S", "1s1s", "9" * 24 + "s", 90, None],
    )
    def test_refuses(self, text: object) -> None:
        """
        Other spellings, and numbers.
        """
        with pytest.raises(ValidationError):
            DURATIONS.validate_python(text)

    def test_is_written_as_it_was_read(self) -> None:
        """
        Never rewritten, so GitOps sees no difference.
        """
        assert DURATIONS.dump_json(DURATIONS.validate_python("0090s")) == b'"0090s"'


class TestShare:
    """
    Percentages with at most four digits after the point.
    """

    @pytest.mark.parametrize(
        ("text", "percent"),
        [("0%", "0"), ("0.25%", "0.25"), ("05%", "5"), ("99.9999%", "99.9999"), ("100%", "100"), ("100.0000%", "100")],
    )
    def test_percent(self, text: str, percent: str) -> None:
        """
        Exact, and as a fraction.
        """
        share = SHARES.validate_python(text)
        assert share.percent == Decimal(percent)
        assert share.fraction == float(Decimal(percent) / 100)

    @pytest.mark.parametrize(
        "text", ["", "%", "5", "101%", "100.1%", "-5%", "5.%", ".5%", "0.00001%", "5 %", "5%\n", "1e1%", "\u0665%", 5]
    )
    def test_refuses(self, text: object) -> None:
        """
        What is no share from 0 to 100 %.
        """
        with pytest.raises(ValidationError):
            SHARES.validate_python(text)

    @given(st.integers(min_value=0, max_value=1_000_000))
    def test_of_percent_is_the_shortest_spelling(self, ten_thousandths: int) -> None:
        """
        Valid, exact, without trailing zeros.
        """
        percent = Decimal(ten_thousandths) / 10_000
        share = SHARES.validate_python(str(Share.of_percent(percent)))
        assert share.percent == percent
        assert len(share) <= len(f"{percent:f}") + 1
        assert not ("." in share and share.endswith(("0%", ".%")))
