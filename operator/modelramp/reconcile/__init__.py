"""
The imperative shell: observe, decide, commit, act, explain. Start reading at `cycle.py`; the order is its point.
"""
