"""
The command line: what a person asks before and beside the cluster.
"""
