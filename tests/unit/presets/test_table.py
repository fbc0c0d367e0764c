"""
The table of presets: every row can be asked, tells one revision from another, and says its unit and its source.
"""

import re
from itertools import combinations

import pytest
from pydantic import TypeAdapter

from modelramp.api.spec import RUNTIME_PORTS, Selector
from modelramp.presets import (
    LEFT_OUT,
    PAGES,
    TABLE,
    UNITS,
    Across,
    Kind,
    Layer,
    Measure,
    Preset,
    Raw,
    Row,
    Source,
    Unit,
    chain,
    row_of,
    selectors,
)
from modelramp.rollout.counters import SERVICE_PORT, CounterTemplate, arm_selectors

SELECTORS: TypeAdapter[str] = TypeAdapter(Selector)
ROWS = [pytest.param(row, id=f"{row.source}-{row.preset}") for row in TABLE]
NUMBER_OF_SELECTORS = {Kind.RATIO: 2, Kind.MEAN: 2, Kind.HISTOGRAM: 1, Kind.COUNTER: 1, Kind.GAUGE: 1}


def filled(selector: str, revision: str) -> str:
    return arm_selectors(CounterTemplate(total=selector, bad=selector), "ml", "fraud", revision).total


@pytest.mark.parametrize("row", ROWS)
class TestRow:
    """
    Each row by itself.
    """

    def test_its_selectors_are_such_as_users_may_write(self, row: Row) -> None:
        """
        One plain selector each, which tells the revisions apart.
        """
        assert len(row.measure.selectors) == NUMBER_OF_SELECTORS[row.measure.kind]
        assert [SELECTORS.validate_python(text) for text in row.measure.selectors] == list(row.measure.selectors)

    def test_two_revisions_are_asked_for_by_different_selectors(self, row: Row) -> None:
        """
        And none of them names the other.
        """
        for selector in row.measure.selectors:
            one, other = filled(selector, "0123456789"), filled(selector, "abcdef0123")
            assert one != other
            assert "$" not in one
            assert ("0123456789" in one, "0123456789" in other) == (True, False)

    def test_its_unit_is_the_preset_s(self, row: Row) -> None:
        """
        Whatever the series are counted in.
        """
        assert row.measure.unit is UNITS[row.preset]

    def test_a_unit_in_the_name_of_a_series_is_the_one_told(self, row: Row) -> None:
        """
        Where the name says it, the table says the same.
        """
        name = re.split(r"[{(]", row.measure.selectors[0])[0].removesuffix("_bucket").removesuffix("_total")
        told = {
            "_us": Raw.MICROSECONDS,
            "_microseconds": Raw.MICROSECONDS,
            "_ms": Raw.MILLISECONDS,
            "_milliseconds": Raw.MILLISECONDS,
            "_seconds": Raw.SECONDS,
            "_bytes": Raw.BYTES,
        }
        assert {raw for ending, raw in told.items() if name.endswith(ending)} <= {row.measure.raw}

    def test_buckets_are_buckets(self, row: Row) -> None:
        """
        A histogram's selector names them, and nothing else does.
        """
        buckets = [re.split(r"[{]", text)[0].endswith("_bucket") for text in row.measure.selectors]
        assert buckets == [row.measure.kind is Kind.HISTOGRAM] * len(buckets)

    def test_only_gauges_are_put_together_in_another_way_than_by_adding(self, row: Row) -> None:
        """
        And shares are never added.
        """
        kind, unit, across = row.measure.kind, row.measure.unit, row.measure.across
        assert (across is Across.SUM) == (kind is not Kind.GAUGE or unit is not Unit.RATIO)

    def test_it_says_what_it_means_and_what_not_in_a_line_each(self, row: Row) -> None:
        """
        Whole sentences that fit a table.
        """
        for sentence in (row.means, row.silent):
            assert re.fullmatch(r"[A-Z][^\n|]{3,118}\.", sentence), sentence

    def test_the_bad_events_of_a_ratio_are_among_all(self, row: Row) -> None:
        """
        The total's matchers are the bad ones', but for those that pick out the bad; else families are named by both.
        """
        if row.measure.kind is not Kind.RATIO:
            return
        (bad_name, bad), (name, total) = (text.removesuffix("}").split("{", 1) for text in row.measure.selectors)
        if name == bad_name:
            assert set(total.split(",")) < set(bad.split(","))
        else:
            assert (row.source, row.preset) in OTHER_FAMILIES


# Ratios whose bad events are counted in a family of their own, each read for this: the total holds them.
OTHER_FAMILIES = {
    (Source.TRITON, Preset.ERRORS),  # the total names both families
    (Source.TORCHSERVE, Preset.ERRORS),  # as Triton
    (Source.TRT_LLM, Preset.ERRORS),  # as Triton
    (Source.RAY_SERVE, Preset.ERRORS),
    (Source.TGI, Preset.ERRORS),  # as Triton
    (Source.CADVISOR, Preset.SATURATION),
}


class TestTable:
    """
    All rows together.
    """

    def test_no_cell_is_there_twice(self) -> None:
        """
        Nor is one both filled and left out.
        """
        cells = [(row.source, row.preset) for row in TABLE]
        assert len(set(cells)) == len(cells)
        assert set(cells) & set(LEFT_OUT) == set()

    def test_every_source_and_every_preset_is_in_it(self) -> None:
        """
        And has a unit, and a page that says where it comes from.
        """
        assert set(PAGES) == set(Source)
        assert {row.preset for row in TABLE} == set(Preset) == set(UNITS)
        for source, page in PAGES.items():
            assert page.source is source
            assert all((page.title, page.where, page.arm, page.documentation)), source

    def test_a_source_has_one_page(self) -> None:
        """
        Rows of one source share it.
        """
        assert all(row.page is PAGES[row.source] for row in TABLE)

    def test_two_presets_of_a_source_share_no_selector_but_where_said(self) -> None:
        """
        A copied selector is a mistake, unless the number is really the same.
        """
        same = {
            (one.source, one.preset, other.preset)
            for one, other in combinations(TABLE, 2)
            if one.measure == other.measure and one.source is other.source
        }
        assert same == {(Source.LINKERD, Preset.LATENCY, Preset.TTFT)}

    def test_errors_and_latency_can_be_told_with_any_runtime_behind_any_traffic_layer(self) -> None:
        """
        What the model server lacks, the layer before it tells.
        """
        for preset in (Preset.ERRORS, Preset.LATENCY, Preset.THROUGHPUT):
            for source, page in PAGES.items():
                if page.layer is Layer.TRAFFIC:
                    assert row_of(preset, source) is not None

    def test_the_clusters_of_contour_are_named_by_the_service_s_port(self) -> None:
        """
        The port stands in the selectors of Envoy and of Traefik.
        """
        assert f"_{SERVICE_PORT}" in selectors(Preset.ERRORS, Source.ENVOY)[0]
        assert f"-{SERVICE_PORT}@" in selectors(Preset.ERRORS, Source.TRAEFIK)[0]

    def test_the_runtimes_of_the_object_are_sources(self) -> None:
        """
        By the same names.
        """
        assert {str(runtime) for runtime in RUNTIME_PORTS} <= set(Source)

    def test_a_cell_that_is_not_there(self) -> None:
        """
        None where one may ask, an error where one relies on it.
        """
        assert row_of(Preset.ERRORS, Source.KSERVE) is None
        with pytest.raises(KeyError):
            selectors(Preset.ERRORS, Source.KSERVE)


class TestChain:
    """
    Which rows can fill a preset.
    """

    def test_the_runtime_is_asked_first(self) -> None:
        """
        Then the traffic layer.
        """
        found = chain(Preset.ERRORS, Source.MLSERVER, Source.ENVOY)
        assert [row.source for row in found] == [Source.MLSERVER, Source.ENVOY]

    def test_a_runtime_without_the_preset_is_passed_over(self) -> None:
        """
        KServe's servers count no errors.
        """
        assert [row.source for row in chain(Preset.ERRORS, Source.KSERVE, Source.ISTIO)] == [Source.ISTIO]

    def test_the_node_is_asked_last(self) -> None:
        """
        It knows every runtime's memory, and the GPU of those that tell nothing of it.
        """
        assert [row.source for row in chain(Preset.GPU, Source.TRITON, None)] == [Source.TRITON, Source.DCGM]
        assert [row.source for row in chain(Preset.MEMORY, None, None)] == [Source.CADVISOR]
        assert [row.source for row in chain(Preset.SATURATION, Source.VLLM, Source.ENVOY)] == [
            Source.VLLM,
            Source.CADVISOR,
        ]

    def test_nobody_may_know(self) -> None:
        """
        Then there is no row, and no guess.
        """
        assert chain(Preset.TTFT, Source.TGI, Source.ENVOY) == ()

    @pytest.mark.parametrize(("runtime", "gateway"), [(Source.ENVOY, None), (None, Source.VLLM), (Source.DCGM, None)])
    def test_a_source_in_another_s_place_is_refused(self, runtime: Source | None, gateway: Source | None) -> None:
        """
        A gateway is no runtime.
        """
        with pytest.raises(ValueError, match="is of the layer"):
            chain(Preset.ERRORS, runtime, gateway)


@pytest.mark.parametrize(
    ("measure", "unit", "factor"),
    [
        (Measure(Kind.RATIO, ("a{$arm}", "b{$arm}"), Raw.REQUESTS), Unit.RATIO, 1.0),
        (Measure(Kind.MEAN, ("a{$arm}", "b{$arm}"), Raw.MICROSECONDS), Unit.SECONDS, 1e-6),
        (Measure(Kind.HISTOGRAM, ("a_bucket{$arm}",), Raw.MILLISECONDS), Unit.SECONDS, 1e-3),
        (Measure(Kind.GAUGE, ("a{$arm}",), Raw.PERCENT), Unit.RATIO, 0.01),
        (Measure(Kind.GAUGE, ("a{$arm}",), Raw.MEBIBYTES), Unit.BYTES, 2**20),
    ],
)
def test_series_become_numbers_in_the_preset_s_unit(measure: Measure, unit: Unit, factor: float) -> None:
    """
    By a factor; a ratio of two counters needs none.
    """
    assert (measure.unit, measure.factor) == (unit, factor)
