"""A real Eclipse EDC beside our own processes: assembled from jars, started, asked, and stopped."""
