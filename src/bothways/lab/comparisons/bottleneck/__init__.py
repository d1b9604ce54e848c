"""The bottleneck comparison: one vector, or attention, between encoder and decoder."""
