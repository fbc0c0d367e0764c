"""
The only modules that talk to the world: each fulfils a port, and none decides anything.
"""
