"""
The Kubernetes side of the ports: a thin transport, what was last heard, and one module per port.
"""
