"""The story of the README: a small data space of separate processes, on real data.

`data` unpacks the tables, `space` starts and stops the processes, `story` walks from publishing to auditing.
"""
