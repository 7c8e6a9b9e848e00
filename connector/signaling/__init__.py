"""Data flows of foreign control planes: what they ask of our data plane, under agreements that we enforce."""
