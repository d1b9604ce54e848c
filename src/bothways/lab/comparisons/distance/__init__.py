"""The distance comparison: recall over growing distances."""
