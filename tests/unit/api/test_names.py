"""Names of pods, as the API server generates them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelramp.api.names import MAX_NAME_LENGTH, comparator_name, pod_pattern, workload_name

REVISION, ANOTHER = "0123456789", "9876543210"
BASE = 58  # what k8s.io/apiserver/pkg/storage/names keeps of a generated name's base
LETTERS = "bcdfghjklmnpqrstvwxz2456789"

names = st.from_regex(rf"[a-z]([-a-z0-9]{{0,{MAX_NAME_LENGTH - 2}}}[a-z0-9])?", fullmatch=True)
letters = st.text(LETTERS, min_size=5, max_size=5)
hashes = st.text(LETTERS, min_size=8, max_size=10)


def pod_of(workload: str, template: str, random: str) -> str:
    """As the ReplicaSet's controller asks for it and the API server completes it."""
    return f"{workload}-{template}-"[:BASE] + random


@given(names, hashes, letters)
def test_pods_of_a_revision_are_known_by_their_names(name: str, template: str, random: str) -> None:
    """However long the object's name is."""
    pod = pod_of(workload_name(name, REVISION), template, random)
    assert re.fullmatch(pod_pattern(name, REVISION), pod)
    assert re.fullmatch(pod_pattern(name), pod)
    assert not re.fullmatch(pod_pattern(name, ANOTHER), pod)


@given(names, hashes, letters)
def test_those_of_another_object_are_not_taken_for_them(name: str, template: str, random: str) -> None:
    """One whose name begins alike."""
    other = f"{name[: MAX_NAME_LENGTH - 2]}-b"
    assert not re.fullmatch(pod_pattern(name, REVISION), pod_of(workload_name(other, REVISION), template, random))


def test_a_short_name_keeps_the_form_that_is_fetched_in_batches() -> None:
    """Names of up to 35 characters are never cut."""
    assert pod_pattern("fraud", REVISION) == "fraud-0123456789-[a-z0-9]+-[a-z0-9]+"
    assert pod_pattern("f" * 35, REVISION).endswith("-[a-z0-9]+-[a-z0-9]+")
    assert not pod_pattern("f" * 36, REVISION).endswith("-[a-z0-9]+-[a-z0-9]+")


@pytest.mark.parametrize("length", [47, MAX_NAME_LENGTH])
def test_the_longest_names_lose_the_end_of_the_revision(length: int) -> None:
    """And the pattern asks for no more than is left of it."""
    assert re.fullmatch(pod_pattern("f" * length, REVISION), ("f" * length + "-0123456789")[:BASE] + "bcdfg")


def test_a_comparators_pods_are_none_of_the_revisions() -> None:
    """It answers nobody."""
    pod = pod_of(comparator_name("fraud", REVISION), "5c9f8d7b6", "bcdfg")
    assert not re.fullmatch(pod_pattern("fraud", REVISION), pod)
