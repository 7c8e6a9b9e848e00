"""Transfer processes, both roles: the table, the ticket, and the service that saves what they say."""
