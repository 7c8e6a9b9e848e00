"""The ODRL 2.2 information model and its evaluation, for anybody's policies; our profile stands on it."""
