"""
The object of the soak: the digit model with knobs, judged on errors, latency and the errors of each tenant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml
from demo import sight
from demo.stage import Stage
from soak_evidence.kinds import TENANT_METRIC, TENANTS

MODEL_URI: Final = "file:///models/digits/2"  # the model that raises on no input: every failure is a knob's


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """
    How a version is ramped.

    Attributes:
        steps: Shares of traffic.
        blast_radius: Extra bad requests risked, as a share of all traffic.
        soak: The least time of each step.
        overdispersion: For `spec.analysis.overdispersion`; None: the operator estimates it.
        gateway_errors: Judge also by the gateway's count of errors, beside the model server's own by tenant. The same
            events twice: they share the evidence a rollback needs, and when it is there one time in six no single
            metric has enough of it to be named.

    """

    steps: tuple[str, ...] = ("5%", "25%", "50%", "100%")
    blast_radius: str = "1%"
    soak: str = "10s"
    overdispersion: str | None = "1"
    gateway_errors: bool = False

    @property
    def strategy(self) -> dict[str, Any]:
        """
        The spec's `strategy`.
        """
        canary = {
            "steps": [{"traffic": share} for share in self.steps],
            "blastRadius": self.blast_radius,
            "soak": self.soak,
            "stepDeadline": "10m",
        }
        return {"canary": canary, "scaleDownDelay": "5s"}

    @property
    def analysis(self) -> dict[str, Any]:
        """
        The spec's `analysis`.
        """
        found: dict[str, Any] = {
            "interval": "5s",
            "prometheus": {"delay": "2s"},
            "metrics": [
                *([{"preset": "errors"}] if self.gateway_errors else []),
                {"preset": "latency", "origin": "Runtime", "quantile": "0.9", "mayGrow": "15%"},
                {
                    "name": TENANT_METRIC,
                    "ratio": {
                        "bad": 'digits_requests_total{$arm,outcome="failed"}',
                        "total": "digits_requests_total{$arm}",
                    },
                },
            ],
            "slices": {"label": "tenant", "values": list(TENANTS)},
        }
        if self.overdispersion is not None:
            found["overdispersion"] = self.overdispersion
        return found


FULL: Final = Pace()
QUICK: Final = Pace(steps=("25%", "100%"), blast_radius="1.5%", soak="5s")
"""About a minute at 60 requests a second."""


def manifest(stage: Stage, name: str, version: str, knobs: Mapping[str, str], pace: Pace) -> str:
    """
    The object as YAML. Another version, or other knobs, are another revision.
    """
    text = sight.manifest(stage, 2, name, strategy=pace.strategy, analysis=pace.analysis)
    document: dict[str, Any] = yaml.safe_load(text)
    spec = document["spec"]
    spec["model"] = {"version": version, "uri": MODEL_URI}
    container = spec["serving"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": key, "value": value} for key, value in sorted(knobs.items())]
    return yaml.safe_dump(document, sort_keys=False)
