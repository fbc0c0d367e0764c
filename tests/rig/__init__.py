"""
A fault rig: a small file-xDS gateway of ours in front of a real Envoy, and pods that answer, on loopback.

No real gateway shows its races on demand; this one delays, loses and lies as it is told.
"""
