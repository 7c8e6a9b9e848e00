"""Messages on their way: saved with the state that caused them, retried, never silently stuck."""
