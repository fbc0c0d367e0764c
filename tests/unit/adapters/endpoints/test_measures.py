"""
The operator's own metrics.
"""

from prometheus_client.parser import text_string_to_metric_families

from modelramp.adapters.endpoints import Measures


def samples(measures: Measures) -> dict[tuple[str, tuple[str, ...]], float]:
    """
    Values by name and label values, as Prometheus would read the page.
    """
    families = text_string_to_metric_families(measures.page().decode())
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_counts_are_kept_by_label() -> None:
    """
    Cycles by outcome, transitions by reason, events by kind.
    """
    measures = Measures(lambda: 0, lambda: False)
    for _ in range(2):
        measures.cycle("done")
    measures.cycle("broken")
    measures.transition("Promoted")
    measures.heard("Pod")
    found = samples(measures)
    assert found["modelramp_cycles_total", ("done",)] == 2
    assert found["modelramp_cycles_total", ("broken",)] == 1
    assert found["modelramp_transitions_total", ("Promoted",)] == 1
    assert found["modelramp_watch_events_total", ("Pod",)] == 1


def test_gauges_are_read_at_every_scrape() -> None:
    """
    The queue's length and the leadership as they are now.
    """
    queue: list[int] = []
    measures = Measures(lambda: len(queue), lambda: bool(queue))
    assert samples(measures)["modelramp_queue_length", ()] == 0
    queue += [1, 2, 3]
    found = samples(measures)
    assert (found["modelramp_queue_length", ()], found["modelramp_leader", ()]) == (3, 1)


def test_two_operators_in_one_process_do_not_share_their_counts() -> None:
    """
    Each has its own registry.
    """
    one, other = (Measures(lambda: 0, lambda: False) for _ in range(2))
    one.cycle("done")
    assert ("modelramp_cycles_total", ("done",)) not in samples(other)
