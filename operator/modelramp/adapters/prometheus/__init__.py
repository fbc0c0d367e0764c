"""
The port MetricSource on Prometheus' HTTP API, and on everything that speaks it.

`source` is the operator's adapter, and `batching` asks it once for many objects. `apiclient` is the command line's, on
the library prometheus-api-client; it is not named here, so that the operator never loads that library.
"""

from modelramp.adapters.prometheus.auth import SecretReader
from modelramp.adapters.prometheus.batching import BatchingSource
from modelramp.adapters.prometheus.policy import AddressPolicy
from modelramp.adapters.prometheus.question import Limits
from modelramp.adapters.prometheus.source import PrometheusSource

__all__ = ["AddressPolicy", "BatchingSource", "Limits", "PrometheusSource", "SecretReader"]
