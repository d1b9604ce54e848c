"""Simple models on the same rows: what a trained encoder has to beat to be worth its training."""
