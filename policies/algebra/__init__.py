"""Sets of values (regions), formulas over them, and whether all of it can hold at once; knows no policy."""
