"""
Traffic through the Gateway API. Weights exist here only; everywhere else a share is a percentage.
"""
