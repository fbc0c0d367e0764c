"""
Traffic through a plain Service, without any gateway: who serves is a matter of its selector, and shares are pods.
"""
