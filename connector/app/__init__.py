"""The one place where the parts of a connector meet; only what stands here may know an adapter.

Commands enter by `connector.py`, which opens the doors, starts the loops, and serves. `world.py` makes the
clock and ids, `ground.py` what every room stands on, `parts.py` the rooms and the data plane, which know
each other.
"""
