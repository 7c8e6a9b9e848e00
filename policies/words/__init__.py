"""What is said of policies, in English and German: messages with typed arguments, and the same as data."""
