"""`make bench`: every measurement, one table after the other; nothing is asserted."""

from __future__ import annotations

import sys

from tests.bench import enforced, negotiation, policies, publishing, revocation, stream, usage

CASES = (
    ("Policies", policies.run),
    ("Agreement", negotiation.run),
    ("Publishing", publishing.run),
    ("Stream", stream.run),
    ("Enforcement", enforced.run),
    ("Revocation", revocation.run),
    ("Counting", usage.run),
)

for title, run in CASES:
    sys.stdout.write(f"\n{title}\n")
    sys.stdout.flush()
    run()
