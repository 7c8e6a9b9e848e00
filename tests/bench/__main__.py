"""`make bench`: every measurement, one table after the other; nothing is asserted."""

from __future__ import annotations

import sys

from tests.bench import negotiation, stream

for title, run in (("Agreement", negotiation.run), ("Stream", stream.run)):
    sys.stdout.write(f"\n{title}\n")
    sys.stdout.flush()
    run()
