"""The kinds of values that stand on the right side of a constraint, read strictly; their pinned tables."""
