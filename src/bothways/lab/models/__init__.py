"""The small models that the comparisons train."""
