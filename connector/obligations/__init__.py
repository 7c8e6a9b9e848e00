"""What was promised in agreements, by when, and the signed receipts that it was done; for both sides."""
