"""
Native histograms made of observations, as a metric store would give them.
"""

import math
from collections import Counter
from collections.abc import Iterable

from modelramp.analysis.native import Layout, NativeSample


def bound(schema: int, index: int) -> float:
    """
    The upper bound of a bucket.
    """
    return float(2.0 ** (index * 2.0**-schema))


def bucket_of(value: float, schema: int) -> int:
    """
    The bucket that holds a value, whose upper bound is part of it.
    """
    index = math.ceil(math.log2(value) * 2.0**schema)
    while value <= bound(schema, index - 1):
        index -= 1
    while value > bound(schema, index):
        index += 1
    return index


def standard(at: float, observed: Iterable[float], schema: int = 3, zero: float = 2.0**-128) -> NativeSample:
    """
    A sample with the bounds of a schema.
    """
    values = list(observed)
    counts = Counter(bucket_of(one, schema) for one in values if one > zero)
    bounds = [(max(zero, bound(schema, index - 1)), bound(schema, index)) for index in sorted(counts)]
    numbers = [float(counts[index]) for index in sorted(counts)]
    if len(values) > sum(numbers):
        bounds, numbers = [(-zero, zero), *bounds], [len(values) - sum(numbers), *numbers]
    return NativeSample(at, float(len(values)), Layout(tuple(bounds)), tuple(numbers))


def custom(at: float, observed: Iterable[float], edges: tuple[float, ...]) -> NativeSample:
    """
    A sample with bounds of its own; empty buckets are not told.
    """
    values = list(observed)
    ends = (*edges, math.inf)
    found = {
        (low, high): sum(low < one <= high for one in values)
        for low, high in zip((-math.inf, *ends), ends, strict=False)
    }
    full = {pair: float(number) for pair, number in found.items() if number}
    return NativeSample(at, float(len(values)), Layout(tuple(full)), tuple(full.values()))
