"""Task predictions: one file per task, each a function of a `Session` and its result type."""
