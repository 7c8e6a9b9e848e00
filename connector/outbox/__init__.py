"""Messages on their way to peers: saved with the state that caused them, delivered with retry, never silently stuck."""
