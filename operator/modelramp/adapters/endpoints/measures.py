"""
The operator's own metrics, as Prometheus reads them.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Measures:
    """
    Counters and gauges of this process.
    """

    def __init__(self, queue_length: Callable[[], int], leads: Callable[[], bool]) -> None:
        """
        The two callables are read at every scrape.
        """
        self._registry = CollectorRegistry()
        self._cycles = Counter(
            "modelramp_cycles", "Passes over one object, by how they ended.", ["outcome"], registry=self._registry
        )
        self._transitions = Counter(
            "modelramp_transitions", "Transitions of rollouts, by reason.", ["reason"], registry=self._registry
        )
        self._heard = Counter(
            "modelramp_watch_events", "Events heard from watches, by kind.", ["kind"], registry=self._registry
        )
        Gauge("modelramp_queue_length", "Objects waiting or being worked on.", registry=self._registry).set_function(
            lambda: float(queue_length())
        )
        Gauge("modelramp_leader", "1 when this replica leads.", registry=self._registry).set_function(
            lambda: float(leads())
        )

    def cycle(self, outcome: str) -> None:
        """
        A pass ended: done, conflict, unreachable or broken.
        """
        self._cycles.labels(outcome).inc()

    def transition(self, reason: str) -> None:
        """
        A rollout moved.
        """
        self._transitions.labels(reason).inc()

    def heard(self, kind: str) -> None:
        """
        A watch told of a change.
        """
        self._heard.labels(kind).inc()

    def page(self) -> bytes:
        """
        All of them in the text format.
        """
        return generate_latest(self._registry)
