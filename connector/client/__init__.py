"""The AI developer's hand: find, access, stream. Light: it loads no server library."""
