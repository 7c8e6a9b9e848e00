"""Contract negotiations, both roles: the table, the judge, and the service that saves what they say."""
