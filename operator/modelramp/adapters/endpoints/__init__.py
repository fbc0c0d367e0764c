"""
The operator's own HTTP endpoints: probes and metrics.
"""

from modelramp.adapters.endpoints.measures import Measures
from modelramp.adapters.endpoints.server import Endpoints

__all__ = ["Endpoints", "Measures"]
