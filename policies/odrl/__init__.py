"""The ODRL 2.2 information model and its evaluation, for policies of anybody; our own profile stands on it."""
