"""
The port MetricSource on Prometheus' HTTP API, and on everything that speaks it.
"""

from modelramp.adapters.prometheus.auth import SecretReader
from modelramp.adapters.prometheus.policy import AddressPolicy
from modelramp.adapters.prometheus.source import Limits, PrometheusSource

__all__ = ["AddressPolicy", "Limits", "PrometheusSource", "SecretReader"]
