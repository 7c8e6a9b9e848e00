"""The rules of a data space: what a policy means, whether a use may happen, and the proof that it was kept.

Everyone above may enter: connector and catalogue ask `compiled` (is every term one that we can honour?),
`decision` (may this use happen, now?), `plan` (what must the data plane do?), `subsumption` (do two
policies say the same?), `explain` and `templates`. All is pure: time, totals and ids are given.
"""
