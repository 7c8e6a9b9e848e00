"""The shared catalogue: where the datasets of a data space can be found.

Providers push to it and it crawls them; both ways end at one door (`ingest`). It never imports `connector`:
the two meet on the wire, in the words of `schemas`.
"""
