"""The bytes: a permitted use becomes a scan, a scan becomes batches, and every batch is metered."""
