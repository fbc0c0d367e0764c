"""
The port WarmUps over HTTP.
"""

from modelramp.adapters.warmup.sender import ConfigMapReader, Limits, WarmUpSender, service_urls

__all__ = ["ConfigMapReader", "Limits", "WarmUpSender", "service_urls"]
