"""
What a user writes and reads: the models of `MLModelDeployment`, their defaults, names and labels.

Pure: nothing here reads a cluster, a clock or the environment. The CRD is generated from these models.
"""
