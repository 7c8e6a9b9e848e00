"""Who is calling, and how we prove ourselves: the first room, which every other may ask."""
