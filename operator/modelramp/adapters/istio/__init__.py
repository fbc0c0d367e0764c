"""
Traffic through an Istio VirtualService. Each revision has a Service of its own, so no DestinationRule is needed:
subsets would have to exist before a route names them and to go after it, and nothing would be won.
"""
