"""Inference: backends, the runner over batches and windows, vectors, and task predictions."""
