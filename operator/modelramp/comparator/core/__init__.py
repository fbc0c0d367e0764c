"""
What the comparator knows without sockets: which requests are compared, what of an answer counts, and when two agree.
"""

from modelramp.comparator.core.compare import Compare, Comparison, Tolerance
from modelramp.comparator.core.extract import Extractor, InvalidPathError
from modelramp.comparator.core.headers import LOOP_HEADER, REPLAY, REQUEST_ID, is_replay, kept_headers
from modelramp.comparator.core.labels import OTHER, Labels
from modelramp.comparator.core.outcome import Answer, Failure, Outcome, Pair, judge
from modelramp.comparator.core.sampling import Lot, Sampling

__all__ = [
    "LOOP_HEADER",
    "OTHER",
    "REPLAY",
    "REQUEST_ID",
    "Answer",
    "Compare",
    "Comparison",
    "Extractor",
    "Failure",
    "InvalidPathError",
    "Labels",
    "Lot",
    "Outcome",
    "Pair",
    "Sampling",
    "Tolerance",
    "is_replay",
    "judge",
    "kept_headers",
]
