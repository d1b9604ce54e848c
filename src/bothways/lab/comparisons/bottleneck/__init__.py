"""Bottleneck: compare one fixed context vector with attention over all encoder states."""
