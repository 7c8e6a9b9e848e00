"""The messages of the Dataspace Protocol 2025-1, one file a chapter."""
