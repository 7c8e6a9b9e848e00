"""Hansa beside Eclipse EDC: the same questions to both, on one machine, one after the other."""
